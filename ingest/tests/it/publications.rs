//! Publishing by name over a real listener and a bus: the answers are those of a webhook.

use contracts::{ids::InvocationId, raw::Kind};
use ingest::Config;

use crate::support::{Ingest, request, send};

const BATCH: [(&str, &str); 1] = [("content-type", "application/cloudevents-batch+json")];

fn event(id: &str, data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"order.paid","data":{data}}}"#)
}

#[tokio::test]
async fn an_event_is_durable_and_answered_with_its_ids() {
    let ingest = Ingest::start(Config::default()).await;
    let answer = ingest.post("/events/order.paid", &[("idempotency-key", "k1")], r#"{"orderId":7}"#).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
    let raw = ingest.raw().await;
    let [(headers, record)] = &raw[..] else { panic!("{raw:?}") };
    assert_eq!((record.value(), record.key.as_deref()), (&br#"{"orderId":7}"#[..], Some(&b"k1"[..])));
    assert_eq!((headers.kind, headers.invocation), (Kind::Named, InvocationId::published("/events", "k1")));
    let expected = serde_json::json!({
        "correlationId": headers.correlation, "invocationId": headers.invocation,
        "raw": format!("{}/0", record.partition.0),
    });
    assert_eq!(answer.json(), expected);
    let batch = ingest.post("/events/order.paid", &BATCH, &format!("[{},{}]", event("a", "1"), event("b", "2"))).await;
    let ids = batch.json();
    assert_eq!((batch.status, ids.as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(ids[1]["invocationId"], InvocationId::published("/shop", "b").to_string());
    assert_eq!(ingest.post("/events/order.paid", &BATCH, "[]").await.json(), serde_json::json!([]));
    assert_eq!(ingest.raw().await.len(), 3);
    ingest.stop().await;
}

#[tokio::test]
async fn what_can_never_be_taken_is_refused_and_recorded_with_its_event() {
    let ingest = Ingest::start(Config::default()).await;
    for (method, path, headers, body, status, part) in [
        ("GET", "/events/order.paid", &[][..], "", 405, "POST"),
        ("POST", "/events/order..paid", &[], "{}", 404, "empty part"),
        ("POST", "/events/order.paid", &[("content-type", "text/plain")], "{}", 415, "application/json"),
        (
            "POST",
            "/events/order.paid",
            &[("content-type", "application/cloudevents+xml")],
            "{}",
            415,
            "application/json",
        ),
        ("POST", "/events/order.paid", &[], "{", 400, "not JSON"),
        ("POST", "/events/order.paid?key=7", &[], "{}", 400, "`key`"),
        ("POST", "/events/order.paid?wait=30s", &[], "{}", 501, "cannot wait"),
        ("POST", "/events/order.paid", &[("ce-specversion", "1.0")], "{}", 400, "`id` is missing"),
    ] {
        let answer = send(ingest.address, &request(method, path, headers, body.as_bytes())).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
        assert!(answer.body.contains(part), "{answer:?}");
    }
    let rejected = ingest.rejected(2).await;
    let told: Vec<_> = rejected.iter().map(|r| (r.source.as_str(), r.reason.as_str())).collect();
    assert_eq!(told, [("/events", "parameter"), ("/events", "cloud-event")]);
    let event = rejected[1].event.as_ref().map(ToString::to_string);
    assert_eq!(event.as_deref(), Some("order.paid"));
    assert!(ingest.raw().await.is_empty());
    ingest.stop().await;
}
