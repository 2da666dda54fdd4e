//! Hasura's actions: answered at once, by the catalog in force, after the record is durable.

use catalog::{Catalog, Kinds, Sources};
use contracts::{ids::EventId, raw::Kind};
use ingest::Config;
use serde_json::{Value, json};

use crate::support::{Ingest, bus};

struct NoKinds;

impl Kinds for NoKinds {
    fn check(&self, _: &str, _: &Value) -> Result<(), String> {
        Ok(())
    }
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

async fn start(event: Option<&str>) -> Ingest {
    let catalog = event.map(|text| {
        let outcome = Catalog::compile(&Sources::new([("events/order.placed.yaml", text)]), &NoKinds);
        outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
    });
    let bus = bus().await;
    Ingest::answering(catalog, Config::default(), bus.clone(), bus, None).await
}

const EVENT: &str =
    "from: { action: placeOrder }\nwhen: input.total > 0\nanswer: { id: event.id, correlation: event.correlationId }\n";

fn body(name: &str, total: i64) -> String {
    let session = json!({ "x-hasura-correlation-id": "by-session" });
    json!({ "action": { "name": name }, "input": { "total": total }, "session_variables": session, "request_query": null })
        .to_string()
}

#[tokio::test]
async fn the_answer_is_what_the_file_says_and_the_record_is_durable() {
    let ingest = start(Some(EVENT)).await;
    let answer = ingest.post("/hasura", &[("idempotency-key", "k-1")], &body("placeOrder", 7)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let raw = ingest.raw().await;
    let headers = &raw[0].0;
    assert_eq!(
        (headers.kind, headers.source_id.as_deref(), headers.correlation.as_str()),
        (Kind::Action, Some("k-1"), "by-session")
    );
    assert_eq!(raw[0].1.key.as_deref(), Some(&b"default|k-1"[..]));
    let id = EventId::derived(headers.invocation, &"order.placed".parse().expect("a name"));
    assert_eq!(answer.json(), json!({ "id": id, "correlation": "by-session" }));
    assert_eq!(answer.header("x-invocation-id"), Some(headers.invocation.to_string().as_str()));
    // The same call has the same answer; one without an id is another.
    let again = ingest.post("/hasura", &[("idempotency-key", "k-1")], &body("placeOrder", 7)).await;
    assert_eq!(again.json(), answer.json());
    let another = ingest.post("/hasura", &[], &body("placeOrder", 7)).await;
    assert_ne!(another.json()["id"], answer.json()["id"]);
    ingest.stop().await;
}

#[tokio::test]
async fn what_is_not_accepted_is_told_as_hasura_reads_it_and_nothing_is_published() {
    let ingest = start(Some(EVENT)).await;
    for (body, code) in [
        (body("placeOrder", 0), "not-accepted"),
        (r#"{"action":{"name":"placeOrder"},"input":{"total":"x"}}"#.to_owned(), "invalid-input"),
        (body("other", 1), "no-such-action"),
        (r#"{"action":{}}"#.to_owned(), "action"),
    ] {
        let answer = ingest.post("/hasura", &[], &body).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["extensions"]["code"]), (400, &json!(code)), "{told}");
        assert_eq!(told["message"], told["detail"]);
    }
    assert!(ingest.raw().await.is_empty());
    assert_eq!(ingest.rejected(4).await.len(), 4);
    ingest.stop().await;
}

#[tokio::test]
async fn without_a_catalog_the_caller_is_to_come_again_and_changes_are_taken() {
    let ingest = start(None).await;
    let answer = ingest.post("/hasura", &[], &body("placeOrder", 7)).await;
    assert_eq!((answer.status, &answer.json()["extensions"]["code"]), (503, &json!("unavailable")));
    assert!(answer.header("retry-after").is_some());
    let change = r#"{"event":{"op":"INSERT","data":{"new":{"id":1}}},"table":{"name":"t"}}"#;
    assert_eq!(ingest.post("/hasura", &[], change).await.status, 200);
    ingest.stop().await;
}
