//! Hasura's actions: answered at once with what the file says, and an event whose jobs run.

use contracts::ids::CorrelationId;
use serde_json::{Value, json};
use tests::{Builder, Herald, client::Request};

use crate::support::{job, names, result};

const PLACED: &str = "\
from: { action: placeOrder }
when: input.total > 0
data: { total: input.total, by: user }
schema: { properties: { total: { type: number, maximum: 100 } } }
answer: { event: event.id, correlation: event.correlationId, total: data.total }
otherwise: { message: '\"nothing to order\"', code: '\"empty\"' }
sample: { total: 7, by: me }
jobs:
  - id: book
    simulate: { message: \"${data.total} by ${coalesce(data.by, 'nobody')}\" }
";

fn build() -> Builder {
    Herald::build().event("order.placed", PLACED)
}

fn call(input: Value) -> Value {
    json!({
        "action": { "name": "placeOrder" }, "input": input, "session_variables": { "x-hasura-user-id": "42" },
        "request_query": "mutation { placeOrder(total: 7) { event } }",
    })
}

/// Once the catalog is known to whoever answers.
async fn ask(herald: &Herald, path: &str, body: &Value, headers: &[(&str, &str)]) -> tests::client::Answer {
    herald
        .wait_for("a catalog to answer by", async || {
            let request = Request::post(path, body.to_string());
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            let answer = herald.hook(request).await;
            (answer.status != 503).then_some(answer)
        })
        .await
}

#[tokio::test]
async fn an_action_is_answered_at_once_and_its_jobs_run() {
    let herald = build().start().await;
    let key = [("idempotency-key", "k-1")];
    let answer: Value = ask(&herald, "/hasura", &call(json!({ "total": 7 })), &key).await.expect(200).json();
    assert_eq!(answer["total"], 7);
    let correlation: CorrelationId = answer["correlation"].as_str().expect("an id").parse().expect("an id");
    let summary = herald.complete(&correlation, 1).await;
    assert_eq!(names(&summary), ["order.placed"]);
    assert_eq!(json!(summary.invocations[0].events[0].id), answer["event"], "it is the event that was announced");
    assert_eq!(result(job(&summary, "book")), r#"{"message":"7 by 42 complete!"}"#);
    // Called again under its key it runs once, and is answered the same.
    let again: Value = ask(&herald, "/hasura?wait=60s", &call(json!({ "total": 7 })), &key).await.expect(200).json();
    assert_eq!(again, answer);
    assert_eq!(herald.complete(&correlation, 1).await.counters.jobs, 1);
    herald.cli(&["show", correlation.as_str()]).await.expect(0).has(&["action placeOrder", "⭐ order.placed"]);
}

#[tokio::test]
async fn what_is_not_accepted_is_told_at_once_and_nothing_runs() {
    let herald = build().start().await;
    for (input, code, message) in [
        (json!({ "total": 0 }), "empty", "nothing to order"),
        (json!({ "total": 101 }), "invalid-input", "`total` is 101"),
        (json!({}), "empty", "nothing to order"),
    ] {
        let answer = ask(&herald, "/hasura", &call(input.clone()), &[]).await;
        let told: Value = answer.expect(400).json();
        assert_eq!(told["extensions"]["code"], code, "{told}");
        assert!(told["message"].as_str().is_some_and(|told| told.contains(message)), "{told}");
    }
    let unknown = json!({ "action": { "name": "placeOdrer" }, "input": {} });
    let told: Value = ask(&herald, "/hasura/shop", &unknown, &[]).await.expect(400).json();
    assert!(
        told["message"]
            .as_str()
            .is_some_and(|told| told.contains("no event of the catalog is about the action `placeOdrer`"))
    );
    // What comes last is alone.
    let answer: Value = ask(&herald, "/hasura", &call(json!({ "total": 1 })), &[]).await.expect(200).json();
    let correlation: CorrelationId = answer["correlation"].as_str().expect("an id").parse().expect("an id");
    herald.complete(&correlation, 1).await;
    let all: Value = herald.get("/v1/invocations").await.expect(200).json();
    assert_eq!(all["invocations"].as_array().map(Vec::len), Some(1), "{all}");
}

#[tokio::test]
async fn the_tools_make_and_try_an_action() {
    let herald = build().start().await;
    ask(&herald, "/hasura", &call(json!({ "total": 5 })), &[]).await.expect(200);
    let catalog = herald.catalog().display().to_string();
    let sent = herald.cli(&["send", "--event", "order.placed", "--catalog", &catalog, "--wait"]).await.expect(0);
    sent.has(&["⭐ order.placed", "✅ book  7 by "]);
    let sent = herald.cli(&["send", "--event", "order.placed", "--catalog", &catalog]).await.expect(0);
    sent.has(&["📨 Accepted"]);
    herald.cli(&["detect", &catalog, "--last"]).await.expect(0).has(&["✓ order.placed"]);
    herald.cli(&["eval", "input.total + 1", "--last"]).await.expect(0).has(&["8"]);
    herald.cli(&["why", "--last"]).await.expect(0).has(&["order.placed"]);
    herald.cli(&["ls"]).await.expect(0).has(&["placeOrder"]);
}
