//! Jobs that call a target over HTTP: what the target gets, what becomes of its answer, and what a crash does to either.

use std::process::Stdio;

use contracts::summary::Outcome;
use serde_json::{Value, json};
use tests::{Engine, FIRST, Herald, Receiver, Role, body, root};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::{job, result, with_jobs};

/// An event for every insert into `things`, with one job that calls.
fn calling(options: &Value) -> String {
    with_jobs("things", &format!("  - id: call\n    timeout: 20s\n    http: {options}\n"))
}

async fn calls(options: &Value) -> Herald {
    Herald::build().event("thing.made", &calling(options)).start().await
}

fn insert(id: &str) -> Value {
    body::insert(id, "things", json!({ "id": 1 }))
}

#[tokio::test]
async fn an_event_is_posted_and_the_answer_is_the_result() {
    let mut target = Receiver::start().await;
    let herald = calls(&json!(target.url("/things/${data.id}"))).await;
    let accepted = herald.post(insert("a")).await;
    let request = target.next().await;
    assert!(request.head.starts_with("POST /things/1 HTTP/1.1"), "{}", request.head);
    let event: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&event["type"], &event["data"]), (&json!("thing.made"), &json!({ "id": 1 })));
    assert_eq!(request.header("x-herald-correlation-id"), Some(accepted.correlation_id.as_str()));
    request.answer("201 Created", "", "{\"total\": 1.10}").await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    let call = job(&summary, "call");
    assert_eq!((call.outcome, result(call), call.attempts), (Some(Outcome::Success), "{\"total\": 1.10}", 1));
}

#[tokio::test]
async fn a_target_that_fails_is_told_with_its_status_and_what_it_said() {
    let mut target = Receiver::start().await;
    let herald = calls(&json!({ "url": target.url("/") })).await;
    let accepted = herald.post(insert("a")).await;
    target.next().await.answer("422 Unprocessable Entity", "", "{\"why\": \"no such customer\"}").await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    let call = job(&summary, "call");
    assert_eq!(call.error, Some(format!("422 from {}", target.host())));
    assert_eq!(call.stdout.as_deref(), Some("{\"why\": \"no such customer\"}"));
    let told = format!("422 from {}", target.host());
    herald.cli(&["show", summary.correlation.as_str()]).await.expect(0).has(&[&told]);
}

#[tokio::test]
async fn a_target_that_hangs_ends_with_the_time_of_the_job() {
    let mut target = Receiver::start().await;
    let options = json!({ "url": target.url("/") });
    let event = calling(&options).replace("timeout: 20s", "timeout: 1s\n    attempts: 1");
    let herald = Herald::build().event("thing.made", &event).start().await;
    let accepted = herald.post(insert("a")).await;
    let held = target.next().await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    let told =
        format!("timed out after 1s: no complete answer came from {}; it may have received the request", target.host());
    assert_eq!(job(&summary, "call").error.as_deref(), Some(told.as_str()));
    drop(held);
}

#[tokio::test]
async fn after_a_crash_between_the_answer_and_its_commit_the_target_sees_the_same_key_again_and_there_is_one_outcome() {
    let mut target = Receiver::start().await;
    let mut herald = calls(&json!(target.url("/"))).await;
    let accepted = herald.post(insert("a")).await;
    let first = target.next().await;
    let role = if herald.engine() == &Engine::Embedded { Role::Dev } else { Role::JobRunner };
    // The answer is there, and whoever asked is killed before it can read it.
    herald.fleet().freeze(role, FIRST);
    let key = first.header("idempotency-key").unwrap().to_owned();
    assert_eq!(first.header("x-herald-attempt"), Some("1"));
    first.answer("200 OK", "", "{\"answer\": 1}").await;
    herald.kill9();
    herald.start().await;
    let second = target.next().await;
    assert_eq!((second.header("idempotency-key"), second.header("x-herald-attempt")), (Some(key.as_str()), Some("2")));
    second.answer("200 OK", "", "{\"answer\": 2}").await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    let call = job(&summary, "call");
    assert_eq!((call.outcome, result(call), call.attempts), (Some(Outcome::Success), "{\"answer\": 2}", 2));
    assert_eq!(summary.counters.succeeded, 1);
}

#[tokio::test]
async fn a_secret_is_sent_to_the_target_and_shown_nowhere() {
    const SECRET: &str = "correct-horse-battery-staple";
    let mut target = Receiver::start().await;
    let options = json!({ "url": target.url("/"), "auth": { "bearer": { "secret": "billing-key" } } });
    let mut herald = Herald::build()
        .variable("BILLING_KEY", SECRET)
        .config("[job-runner.secrets]\nbilling-key = { env = \"BILLING_KEY\" }\n")
        .event("thing.made", &calling(&options))
        .start()
        .await;
    let mut shown = String::new();
    for (id, status) in [("a", "200 OK"), ("b", "400 Bad Request")] {
        let accepted = herald.post(insert(id)).await;
        let request = target.next().await;
        assert_eq!(request.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
        // A target that repeats what it is told.
        request.answer(status, "", &format!("{{\"you said\": \"{SECRET}\"}}")).await;
        let summary = herald.complete(&accepted.correlation_id, 1).await;
        let text = serde_json::to_string(&summary).unwrap();
        assert!(text.contains("***"), "{text}");
        let show = herald.cli(&["show", accepted.correlation_id.as_str()]).await.expect(0);
        shown.push_str(&format!("{text}{}{}", show.stdout, show.stderr));
    }
    let events: Value = herald.get("/v1/catalogs/1").await.json();
    shown.push_str(&format!("{events}{}{}", herald.stdout(), herald.stderr()));
    herald.sigterm().await;
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(shown.contains("billing-key"), "its name is no secret");
}

#[tokio::test]
async fn a_host_that_a_row_chooses_is_not_called_within_this_network() {
    let mut target = Receiver::start().await;
    let event = "from: { table: things, operations: [insert] }\ndata: { url: new.url }\nsample: { url: https://a.example/ }\n\
        jobs:\n  - { id: call, http: \"${data.url}\" }\n  - { id: allowed, http: { url: \"${data.url}\", allowPrivate: [127.0.0.1] } }\n";
    let herald = Herald::build().event("thing.made", event).start().await;
    let row = json!({ "id": 1, "url": target.url("/admin") });
    let accepted = herald.post(body::insert("a", "things", row)).await;
    let request = target.next().await;
    assert!(request.head.starts_with("POST /admin "), "{}", request.head);
    request.answer("200 OK", "", "").await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    assert_eq!(job(&summary, "allowed").outcome, Some(Outcome::Success));
    let told = job(&summary, "call").error.clone().unwrap();
    assert!(
        told.starts_with("127.0.0.1 is at 127.0.0.1, this machine itself, and the host comes from the event"),
        "{told}"
    );
}

/// The job of docs/catalog.md, with the target in place of the host.
fn documented(target: &Receiver) -> String {
    let page = include_str!("../../../docs/catalog.md");
    let (_, rest) = page.split_once("# jobs/bill-order.yaml\n").unwrap();
    let (job, _) = rest.split_once("```").unwrap();
    assert!(job.contains("https://billing.example/"), "{job}");
    job.replace("https://billing.example", target.url("").as_str())
}

#[tokio::test]
async fn the_job_of_the_page_about_catalogs_calls_as_it_says() {
    let mut target = Receiver::start().await;
    let event = "from: { table: shop.orders, operations: [insert] }\n\
        data: { orderId: new.id, total: new.total, carrier: new.carrier }\n\
        sample: { orderId: 7, total: 129.90, carrier: DHL }\njobs: [bill-order]\n";
    let herald = Herald::build()
        .variable("BILLING", "k3y-of-billing")
        .variable("SIGN", "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXc=")
        .config(
            "[job-runner.secrets]\nbilling-key = { env = \"BILLING\" }\nbilling-sign = { env = \"SIGN\" }\n\
             billing-sign-old = { env = \"SIGN\" }\n",
        )
        .file("jobs/bill-order.yaml", &documented(&target))
        .event("order.placed", event)
        .start()
        .await;
    let row = json!({ "id": "7/8", "total": 129.90, "carrier": "D & L" });
    let mut change = body::insert("a", "orders", row);
    change["table"]["schema"] = json!("shop");
    let accepted = herald.post(change).await;
    let request = target.next().await;
    let line = request.head.lines().next().unwrap();
    assert_eq!(line, "POST /orders/7%2F8/invoices?carrier=D%20%26%20L HTTP/1.1");
    let told = ["x-tenant", "x-api-key", "content-type"].map(|name| request.header(name).unwrap_or_default());
    assert_eq!(told, ["shop", "k3y-of-billing", "application/json"]);
    assert_eq!(request.body, "{\"total\":129.9}");
    assert_eq!(request.header("webhook-id"), request.header("idempotency-key"));
    let signatures: Vec<&str> = request.header("webhook-signature").unwrap().split(' ').collect();
    assert!(signatures.len() == 2 && signatures.iter().all(|one| one.starts_with("v1,")), "{signatures:?}");
    request.answer("200 OK", "", "").await;
    assert_eq!(herald.complete(&accepted.correlation_id, 1).await.counters.succeeded, 1);
}

#[tokio::test]
async fn the_example_tells_a_receiver_that_checks_who_it_was() {
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let folder = root().join("examples/webhook");
    let mut receiver = tokio::process::Command::new("python3");
    receiver.arg(folder.join("receiver.py")).arg("0").env("WEBHOOK_KEY", KEY).kill_on_drop(true);
    let mut receiver = receiver.stdout(Stdio::piped()).spawn().expect("python3 is needed, as by the example");
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let listening = lines.next_line().await.unwrap().unwrap();
    let address = listening.strip_prefix("listening on ").unwrap().to_owned();
    let event = std::fs::read_to_string(folder.join("events/order.paid.yaml")).unwrap();
    let (event, _) = event.split_once("tests:").unwrap();
    let herald = Herald::build()
        .variable("WEBHOOK_KEY", KEY)
        .config(&std::fs::read_to_string(folder.join("herald.toml")).unwrap())
        .event("order.paid", &event.replace("http://127.0.0.1:9000", &address))
        .start()
        .await;
    let payload = folder.join("payloads/order-paid.json").display().to_string();
    let sent = herald.cli(&["send", &payload, "--wait"]).await.expect(0);
    sent.has(&["✅ tell-partner  order.paid: order 7 is noted"]);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("order.paid: order 7 is noted"));
}
