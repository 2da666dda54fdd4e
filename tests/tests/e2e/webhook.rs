//! The webhook, status by status, and the bodies that it takes.

use contracts::summary::{State, Summary};
use serde_json::{Value, json};
use tests::{Herald, body, client::Request};

use crate::support::{names, noted, shell, until, with_jobs};

async fn things() -> Herald {
    Herald::build().event("thing.made", &noted("things")).start().await
}

fn thing(id: &str) -> Value {
    body::insert(id, "things", json!({ "id": 1 }))
}

#[tokio::test]
async fn an_accepted_webhook_is_answered_with_its_ids() {
    let herald = things().await;
    let answer = herald.hook(Request::post("/hasura", thing("a").to_string())).await.expect(200);
    let ids: Value = answer.json();
    assert_eq!(ids.as_object().unwrap().len(), 3, "{ids}");
    assert_eq!(answer.header("content-type"), "application/json");
    let correlation = ids["correlationId"].as_str().unwrap().parse().unwrap();
    let summary = herald.complete(&correlation, 1).await;
    assert_eq!(summary.invocations[0].invocation.to_string(), ids["invocationId"].as_str().unwrap());
    assert_eq!(summary.invocations[0].raw.to_string(), ids["raw"].as_str().unwrap());
}

#[tokio::test]
async fn what_cannot_be_taken_says_why_and_what_was_refused_for_its_content_is_listed() {
    let herald = Herald::build().event("thing.made", &noted("things")).setting("ingest.max-body", "2KiB").start().await;
    let good = thing("good").to_string();
    let cases = [
        (Request::new("GET", "/hasura"), 405, ""),
        (Request::new("PUT", "/hasura"), 405, ""),
        (Request::post("/elsewhere", good.clone()), 404, ""),
        (Request::post("/hasura/a/b", good.clone()), 404, ""),
        (Request::post("/hasura", good.clone()).header("content-type", "text/plain"), 415, ""),
        (Request::post("/hasura", good.clone()).header("content-encoding", "gzip"), 415, ""),
        (Request::post("/hasura", "{"), 400, ""),
        (Request::post("/hasura?wait=soon", good.clone()), 400, "wait"),
        (Request::post("/hasura", "x".repeat(4096)), 413, "too-large"),
        (Request::post("/hasura", r#"{"hello": "world"}"#), 400, "unknown-body"),
        (Request::post("/hasura", r#"{"action": {"name": "login"}, "input": {}}"#), 400, "action"),
        (
            Request::post("/hasura", r#"{"event": {"op": "UPSERT", "data": {}}, "table": {"name": "things"}}"#),
            400,
            "incomplete",
        ),
        (
            Request::post("/hasura/shop", r#"{"event": {"op": "INSERT"}, "table": {"name": "things"}}"#),
            400,
            "incomplete",
        ),
        (Request::post("/hasura", r#"{"event": {"op": "INSERT", "data": {}}}"#), 400, "incomplete"),
    ];
    // The one that another source sent, of those that are listed.
    const SHOP: usize = 5;
    let mut expected = Vec::new();
    for (request, status, reason) in cases {
        let answer = herald.hook(request.clone()).await;
        assert_eq!(answer.status, status, "{request:?}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{request:?}");
        assert_eq!(answer.header("retry-after"), "", "it can never succeed: {request:?}");
        let problem: Value = answer.json();
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        if status == 405 {
            assert_eq!(answer.header("allow"), "POST");
        }
        expected.extend((!reason.is_empty()).then_some(reason));
    }
    let listed = herald
        .wait_for("the list of what was refused", async || {
            let list: Value = herald.get("/v1/rejected").await.expect(200).json();
            let list = list["rejected"].as_array().unwrap().clone();
            (list.len() == expected.len()).then_some(list)
        })
        .await;
    // In order of those of one source, whose records have one partition.
    let shop = expected.remove(SHOP);
    let of = |source: &str| -> Vec<&str> {
        let own = listed.iter().rev().filter(|one| one["source"] == source);
        own.map(|one| one["reason"].as_str().unwrap()).collect()
    };
    assert_eq!((of("default"), of("shop")), (expected, vec![shop]));
    let shop = listed.iter().find(|one| one["source"] == "shop").unwrap();
    assert!(shop["detail"].as_str().unwrap().contains("`event.data` is missing"), "{shop}");
    let large = listed.iter().find(|one| one["reason"] == "too-large").unwrap();
    assert_eq!(large["size"], 4096);
}

#[tokio::test]
async fn who_waits_is_told_the_outcome_or_how_far_it_is() {
    let slow = with_jobs("slow", &shell("wait", &until("go"), ""));
    let herald = Herald::build().event("thing.made", &noted("things")).event("slow.made", &slow).start().await;
    let waited: Summary =
        herald.hook(Request::post("/hasura?wait=30s", thing("a").to_string())).await.expect(200).json();
    assert_eq!(waited.state, State::Complete);
    let preferred = Request::post("/hasura", thing("b").to_string()).header("prefer", "respond-async, wait=30");
    let waited: Summary = herald.hook(preferred).await.expect(200).json();
    assert_eq!((waited.state, waited.counters.succeeded), (State::Complete, 1));

    // A wait that runs out is no failure: it is durable, and the answer is 202 with the state so far.
    let late = body::insert("c", "slow", json!({ "id": 1 })).to_string();
    let so_far: Summary = herald.hook(Request::post("/hasura?wait=400ms", late.clone())).await.expect(202).json();
    assert_ne!(so_far.state, State::Complete);
    herald.mark("go");
    // Sent again, it waits for the outcome of the first.
    let done: Summary = herald.hook(Request::post("/hasura?wait=30s", late)).await.expect(200).json();
    assert_eq!((done.state, done.counters.invocations, done.counters.jobs), (State::Complete, 1, 1));
}

#[tokio::test]
async fn a_body_wrapped_by_the_console_is_read_through_its_wrapper() {
    let herald = things().await;
    let wrapped = json!({ "headers": [{ "name": "a", "value": "b" }], "payload": thing("wrapped"), "version": "2" });
    let summary = herald.run(wrapped.clone()).await;
    assert_eq!(names(&summary), ["thing.made"]);
    let again = herald.post(thing("wrapped")).await;
    assert_eq!(again.invocation_id, summary.invocations[0].invocation, "the wrapper is no part of its identity");
    let raw = herald.get(&format!("/v1/raw/{}", summary.invocations[0].raw)).await.expect(200);
    assert_eq!(raw.text(), wrapped.to_string());
}

#[tokio::test]
async fn a_scheduled_body_is_recorded_and_nothing_is_detected_in_it() {
    let herald = things().await;
    let scheduled = json!({
        "scheduled_time": "2026-03-02T09:00:00Z", "payload": { "any": 1 }, "name": "nightly",
        "id": "f1d2c3b4-0000-4000-8000-000000000001", "created_at": "2026-03-02T09:00:01Z",
    });
    let summary = herald.run(scheduled).await;
    let origin = summary.invocations[0].origin.as_ref().unwrap();
    assert_eq!(
        (serde_json::to_value(origin.body).unwrap(), origin.trigger.as_deref()),
        ("scheduled".into(), Some("nightly"))
    );
    assert_eq!(summary.counters.events, 0);
}

#[tokio::test]
async fn bodies_that_are_odd_but_legal_are_taken() {
    let herald = things().await;
    let media = ["application/json; charset=utf-8", "application/cloudevents+json"];
    for (index, kind) in media.iter().enumerate() {
        let request = Request::post("/hasura?wait=30s", thing(&format!("media-{index}")).to_string());
        let summary: Summary = herald.hook(request.header("content-type", kind)).await.expect(200).json();
        assert_eq!(names(&summary), ["thing.made"], "{kind}");
    }
    let minimal = r#"{"event":{"op":"INSERT","data":{"new":{"id":1}}},"table":{"name":"things"}}"#;
    let marked = format!("\u{feff}{minimal}");
    let no_media = Request::post("/hasura?wait=30s", marked).without("content-type");
    let summary: Summary = herald.hook(no_media).await.expect(200).json();
    assert_eq!(names(&summary), ["thing.made"]);
    // Without an id of its own nothing is recognised, so it counts each time; with a key of the request it is.
    let twice = [herald.post(minimal).await, herald.post(minimal).await];
    assert_ne!(twice[0], twice[1]);
    let keyed = Request::post("/hasura", minimal).header("idempotency-key", "k-1");
    let [first, second]: [Value; 2] =
        [herald.hook(keyed.clone()).await.expect(200).json(), herald.hook(keyed).await.expect(200).json()];
    assert_eq!(first["invocationId"], second["invocationId"]);
}

#[tokio::test]
async fn digits_survive_the_whole_way() {
    let event = "from: { table: things, operations: [insert] }\ndata: { id: new.id, price: new.price, list: new.list }\nsample: { id: 1 }\n\
        jobs:\n  - id: show\n    command: [cat]\n";
    let herald = Herald::build().event("thing.made", event).start().await;
    let row = r#"{"id":9007199254740993,"price":1.10,"list":[25e-1,123456789012345678901234567890.000]}"#;
    let body = format!(
        r#"{{"id":"x","event":{{"op":"INSERT","data":{{"old":null,"new":{row}}}}},"table":{{"name":"things"}}}}"#
    );
    let summary: Summary = herald.hook(Request::post("/hasura?wait=30s", body)).await.expect(200).json();
    let result = crate::support::result(crate::support::job(&summary, "show"));
    for digits in ["9007199254740993", "1.10", "25e-1", "123456789012345678901234567890.000"] {
        assert!(result.contains(digits), "{digits} is not in {result}");
    }
}
