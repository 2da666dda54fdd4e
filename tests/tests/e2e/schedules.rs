//! Events that are detected in what Hasura's cron triggers and scheduled events send.

use contracts::summary::Summary;
use serde_json::{Value, json};
use tests::{Builder, Herald, client::Request};

use crate::support::{job, names, result};

const REPORT: &str = "\
from: { scheduled: nightly }
when: payload.kind == \"full\"
data: { kind: payload.kind, due: scheduled_time, id: id }
key: payload.kind
sample: { kind: full, due: \"2026-03-02T09:00:00Z\", id: s }
jobs:
  - id: make
    simulate: { message: \"${data.kind} ${data.due}\" }
tests:
  - name: full
    scheduled: { payload: { kind: full } }
    expect: detected
";
const REMINDER: &str = "\
from: { scheduled: remind, source: shop }
sample: { to: ada }
jobs:
  - id: send
    input: payload.payload.to
    simulate: { message: \"${data.to} ${input}\" }
";

fn build() -> Builder {
    Herald::build().event("report.due", REPORT).event("reminder.due", REMINDER)
}

fn cron(id: &str, payload: Value) -> Value {
    json!({ "scheduled_time": "2026-03-02T09:00:00Z", "payload": payload, "name": "nightly", "id": id })
}

fn once(id: &str, comment: &str) -> Value {
    json!({
        "scheduled_time": "2026-03-02T09:00:00Z", "payload": { "to": "ada" }, "comment": comment, "id": id,
        "created_at": "2026-03-01T09:00:00Z",
    })
}

#[tokio::test]
async fn a_cron_trigger_is_an_event_by_its_name_and_one_delivery_runs_once() {
    let herald = build().start().await;
    let summary = herald.run(cron("s1", json!({ "kind": "full" }))).await;
    assert_eq!(names(&summary), ["report.due"]);
    assert_eq!(result(job(&summary, "make")), r#"{"message":"full 2026-03-02T09:00:00Z complete!"}"#);
    let origin = summary.invocations[0].origin.as_ref().expect("an origin");
    assert_eq!(origin.trigger.as_deref(), Some("nightly"));
    // The same again is a duplicate, and another under its id is told.
    let again: Summary = herald
        .hook(Request::post("/hasura?wait=60s", cron("s1", json!({ "kind": "full" })).to_string()))
        .await
        .expect(200)
        .json();
    assert_eq!((again.counters.events, again.invocations[0].repeated), (1, 1));
    let other = Request::post("/hasura?wait=60s", cron("s1", json!({ "kind": "other" })).to_string());
    let other: Summary = herald.hook(other).await.expect(200).json();
    assert_eq!((other.counters.events, other.invocations[0].reused), (1, 1));
    // What does not hold says why.
    let partial = herald.run(cron("s2", json!({ "kind": "partial" }))).await;
    assert_eq!(names(&partial), [""; 0]);
    let because = "payload.kind == \"full\" is false (payload.kind = \"partial\")";
    assert_eq!(partial.invocations[0].undetected[0].because, because);
    herald
        .cli(&["why", partial.correlation.as_str()])
        .await
        .expect(0)
        .has(&["report.due", "payload.kind == \"full\" → false"]);
    herald.cli(&["show", summary.correlation.as_str()]).await.expect(0).has(&["scheduled trigger nightly"]);
    herald.cli(&["ls"]).await.expect(0).has(&["nightly"]);
}

#[tokio::test]
async fn a_scheduled_event_without_a_name_is_one_by_its_comment_and_waits_for_no_other() {
    let herald = build().start().await;
    let posted = async |body: Value| -> Summary {
        herald.hook(Request::post("/hasura/shop?wait=60s", body.to_string())).await.expect(200).json()
    };
    let (one, other) = (posted(once("o1", "remind")).await, posted(once("o2", "remind")).await);
    for summary in [&one, &other] {
        assert_eq!(names(summary), ["reminder.due"]);
        assert_eq!(
            result(job(summary, "send")),
            r#"{"message":"ada ada complete!"}"#,
            "what the job works on is of the whole body"
        );
    }
    let subject = async |summary: &Summary| {
        let raw = herald.get(&format!("/v1/raw/{}", summary.invocations[0].raw)).await.expect(200);
        assert!(raw.text().contains("remind"));
        summary.invocations[0].raw
    };
    assert_ne!(subject(&one).await, subject(&other).await);
    let none = posted(once("o3", "remnid")).await;
    let because = "no event is about the scheduled trigger remnid; closest: nightly";
    let told = none.invocations[0].because.clone().expect("a reason");
    assert!(told == because || told == "no event is about the scheduled trigger remnid; closest: remind", "{told}");
}

#[tokio::test]
async fn the_tools_make_and_try_what_a_schedule_sends() {
    let herald = build().start().await;
    let catalog = herald.catalog().display().to_string();
    let sent = herald.cli(&["send", "--event", "reminder.due", "--catalog", &catalog, "--wait"]).await.expect(0);
    sent.has(&["⭐ reminder.due", "✅ send  ada ada"]);
    let sent = herald.cli(&["send", "--event", "report.due", "--catalog", &catalog, "--wait"]).await.expect(0);
    sent.has(&["⭐ report.due", "✅ make  full "]);
    let made = herald.cli(&["send", "--event", "report.due", "--catalog", &catalog, "--dry-run"]).await.expect(0);
    let body: Value = serde_json::from_str(&made.stdout).expect("JSON");
    assert_eq!((&body["name"], &body["payload"]["kind"]), (&json!("nightly"), &json!("full")));
    assert!(body.get("created_at").is_none(), "a cron trigger sends none");
    herald.cli(&["detect", &catalog, "--last"]).await.expect(0).has(&["✓ report.due"]);
    herald.cli(&["eval", "payload.kind + name", "--last"]).await.expect(0).has(&["\"fullnightly\""]);
    let wrong = herald.cli(&["eval", "new.kind", "--last"]).await.expect(2);
    assert!(wrong.stderr.contains("what came is `payload`"), "{}", wrong.stderr);
    herald.cli(&["test", &catalog, "--from-log", "10"]).await.expect(0);
}
