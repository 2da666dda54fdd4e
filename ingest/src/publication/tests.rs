use contracts::ids::JobRunId;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

const TIME: &str = "2026-01-02T03:04:05.678901Z";
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCH: &str = "application/cloudevents-batch+json";

fn interpreted(event: &str, headers: &[(&'static str, &str)], body: &str) -> Result<Publication, Refusal> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (name.parse().expect("a name"), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
        })
        .collect();
    let (event, body) = (event.parse().expect("a name"), Bytes::from(body.to_owned()));
    let given = Given { event: &event, headers: &headers, body: &body, received: TIME.parse().expect("a time") };
    interpret(&Config::default().compile().expect("settings"), &given)
}

fn one(event: &str, headers: &[(&'static str, &str)], body: &str) -> (Interpreted, Bytes) {
    let publication = interpreted(event, headers, body).expect("an event that is taken");
    assert!(!publication.is_batch);
    let [record] = <[_; 1]>::try_from(publication.records).expect("one record");
    record
}

fn refused(headers: &[(&'static str, &str)], body: &str) -> (u16, &'static str, String) {
    let refusal = interpreted("order.paid", headers, body).expect_err(body);
    (refusal.status.as_u16(), refusal.reason, refusal.detail)
}

/// As a structured event with those members instead of its own.
fn document(members: Value) -> String {
    let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid", "data": {} });
    for (name, value) in members.as_object().expect("members") {
        event[name] = value.clone();
    }
    event.to_string()
}

/// What the official packages make of one event: its own representation decides nothing.
#[test]
fn the_forms_of_one_event_become_one_record() {
    let data = r#"{"orderId":7,"total":"12.50"}"#;
    // npm cloudevents 10.0.0, HTTP.binary and HTTP.structured.
    let npm = [
        ("content-type", "application/json; charset=utf-8"),
        ("ce-id", "ü 7\"%"),
        ("ce-time", "2026-01-02T03:04:05.678Z"),
        ("ce-type", "order.paid"),
        ("ce-source", "https://shop.example/orders"),
        ("ce-specversion", "1.0"),
        ("ce-subject", "order 7"),
        ("ce-partitionkey", "7"),
        ("ce-correlationid", "order-7"),
    ];
    let structured = format!(
        r#"{{"id":"ü 7\"%","time":"2026-01-02T03:04:05.678Z","type":"order.paid","source":"https://shop.example/orders","specversion":"1.0","subject":"order 7","data":{data},"partitionkey":"7","correlationid":"order-7"}}"#
    );
    // PyPI cloudevents 2.2.0, to_binary_event: what is not printable ASCII is percent-encoded.
    let pypi = [
        ("ce-specversion", "1.0"),
        ("ce-id", "%C3%BC%207%22%25"),
        ("ce-source", "https://shop.example/orders"),
        ("ce-type", "order.paid"),
        ("ce-time", "2026-01-02T03:04:05.678000Z"),
        ("ce-subject", "order%207"),
        ("ce-partitionkey", "7"),
        ("ce-correlationid", "order-7"),
        ("content-type", "application/json"),
    ];
    let records = [
        one("order.paid", &npm, data),
        one("order.paid", &[("content-type", STRUCTURED)], &structured),
        one("order.paid", &pypi, data),
        one(
            "order.paid",
            &[("ce-id", "\"ü 7\\\"%\"")].into_iter().chain(npm[2..].iter().copied()).collect::<Vec<_>>(),
            data,
        ),
    ];
    for (interpreted, value) in &records {
        let headers = &interpreted.headers;
        assert_eq!((value.as_ref(), interpreted.key.as_str()), (data.as_bytes(), "7"));
        assert_eq!((headers.kind, headers.source.as_str()), (Kind::Named, "https://shop.example/orders"));
        assert_eq!(headers.source_id.as_deref(), Some("ü 7\"%"));
        assert_eq!(headers.invocation, InvocationId::published("https://shop.example/orders", "ü 7\"%"));
        assert_eq!(headers.correlation.as_str(), "order-7");
        assert_eq!(headers.named.as_ref().map(|named| named.event.to_string()).as_deref(), Some("order.paid"));
        assert_eq!(headers.received.to_string(), TIME);
    }
}

#[test]
fn plain_data_are_taken_as_they_are_and_known_by_the_requests_id() {
    let (interpreted, value) = one("order.paid.v2", &[("idempotency-key", "k")], "\u{feff} {\"id\": 7.00} ");
    assert_eq!(value.as_ref(), br#"{"id": 7.00}"#);
    let headers = interpreted.headers;
    assert_eq!(
        (headers.source.as_str(), headers.source_id.as_deref(), interpreted.key.as_str()),
        ("/events", Some("k"), "k")
    );
    assert_eq!(headers.invocation, InvocationId::published("/events", "k"));
    assert_eq!(headers.correlation, CorrelationId::published("/events", "k"));
    assert_eq!(headers.named.map(|named| named.event.version), Some(2));
    // An `id` of the data is theirs alone.
    let (fresh, _) = one("order.paid", &[], r#"{"id":"1"}"#);
    assert_eq!((fresh.headers.source_id, fresh.key), (None, fresh.headers.invocation.to_string()));
    let (keyed, _) = one("order.paid", &[("ce-id", "c"), ("ce-partitionkey", "a%20b")], "null");
    assert_eq!((keyed.headers.source_id.as_deref(), keyed.key.as_str()), (Some("c"), "a b"));
}

#[test]
fn attributes_are_the_key_the_correlation_the_trace_and_the_user() {
    let structured = |members: Value| one("order.paid", &[("content-type", STRUCTURED)], &document(members)).0;
    assert_eq!(structured(json!({ "subject": "s", "partitionkey": 7 })).key, "7");
    assert_eq!(structured(json!({ "subject": "s", "partitionkey": "" })).key, "s");
    assert_eq!(structured(json!({ "subject": null })).key, "1");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let run = JobRunId(uuid_of(7));
    let token = format!("herald-2|order-7|{run}");
    let headers =
        structured(json!({ "correlationid": token, "traceparent": trace, "userid": "u", "organisationid": "o" }))
            .headers;
    assert_eq!((headers.correlation.as_str(), headers.depth), ("order-7", 3));
    assert_eq!(headers.traceparent.as_deref(), Some(trace));
    let named = headers.named.expect("a name");
    assert_eq!((named.user.as_deref(), named.organisation.as_deref(), named.cause), (Some("u"), Some("o"), None));
    let by_header = [("content-type", STRUCTURED), ("x-correlation-id", "by-header")];
    let (interpreted, _) = one("order.paid", &by_header, &document(json!({ "correlationid": "by-attribute" })));
    assert_eq!(interpreted.headers.correlation.as_str(), "by-header");
    let (versioned, _) =
        one("order.paid.v2", &[("content-type", STRUCTURED)], &document(json!({ "type": "order.paid.v2" })));
    assert_eq!(versioned.headers.named.map(|named| named.event.to_string()).as_deref(), Some("order.paid.v2"));
}

fn uuid_of(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

#[test]
fn an_event_without_data_carries_null() {
    let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "order.paid")];
    assert_eq!(one("order.paid", &headers, "").1.as_ref(), b"null");
    let structured = r#"{"specversion":"1.0","id":"1","source":"/s","type":"order.paid"}"#;
    assert_eq!(one("order.paid", &[("content-type", STRUCTURED)], structured).1.as_ref(), b"null");
}

#[test]
fn what_is_no_cloud_event_is_refused_by_attribute() {
    let structured = |members: Value| refused(&[("content-type", STRUCTURED)], &document(members));
    for (members, status, named) in [
        (json!({ "specversion": null }), 400, "`specversion` is missing"),
        (json!({ "specversion": "0.3" }), 400, "\"0.3\", and 1.0 is read"),
        (json!({ "id": "" }), 400, "`id` is missing"),
        (json!({ "id": {} }), 400, "`id` is no text"),
        (json!({ "id": "x".repeat(1025) }), 400, "`id` has 1025 bytes"),
        (json!({ "source": "a b" }), 400, "`source` is \"a b\""),
        (json!({ "type": "order.placed" }), 400, "\"order.placed\", and this is where order.paid is published"),
        (json!({ "type": "order.paid.v2" }), 400, "`type`"),
        (json!({ "time": "yesterday" }), 400, "`time` is \"yesterday\""),
        (json!({ "datacontenttype": "text/xml" }), 415, "\"text/xml\", and JSON"),
        (json!({ "data_base64": "e30=" }), 415, "`data_base64`"),
    ] {
        let (found, _, detail) = structured(members.clone());
        assert!(found == status && detail.contains(named), "{members}: {found} {detail}");
    }
    let (status, reason, detail) = refused(&[("content-type", STRUCTURED)], "[]");
    assert_eq!((status, reason), (400, "cloud-event"), "{detail}");
    assert!(refused(&[("ce-type", "order.paid")], "{}").2.contains("`ce-specversion` is missing"));
    assert!(refused(&[("ce-specversion", "1.0"), ("ce-id", "%FF")], "{}").2.contains("`ce-id` is no UTF-8"));
    assert!(refused(&[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-id", "2")], "{}").2.contains("more than once"));
    assert!(refused(&[("idempotency-key", &"k".repeat(1025))], "{}").2.contains("the id has 1025 bytes"));
    assert_eq!(refused(&[], "").1, "malformed");
    assert_eq!(refused(&[], "{\"a\":").1, "malformed");
    assert_eq!(refused(&[], &format!("{}{}", "[".repeat(129), "]".repeat(129))).1, "malformed");
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let batch = |events: &[Value]| {
        let events: Vec<_> = events.iter().map(|members| document(members.clone())).collect();
        interpreted("order.paid", &[("content-type", BATCH)], &format!("[{}]", events.join(",")))
    };
    let two = batch(&[json!({ "id": "a", "data": [1] }), json!({ "id": "b", "data": 2.50 })]).expect("two");
    let shown: Vec<_> = two.records.iter().map(|(record, value)| (record.key.as_str(), value.as_ref())).collect();
    assert_eq!((two.is_batch, &shown[..]), (true, &[("a", &b"[1]"[..]), ("b", b"2.5")][..]));
    assert!(batch(&[]).expect("none").records.is_empty());
    let wrong = batch(&[json!({}), json!({ "type": "order.placed" })]).expect_err("another type");
    assert!(wrong.detail.starts_with("event 2 of the batch: `type`"), "{}", wrong.detail);
    let many = batch(&vec![json!({}); MAX_BATCH + 1]).expect_err("too many");
    assert_eq!((many.status.as_u16(), many.reason), (413, "too-many"));
    assert_eq!(refused(&[("content-type", BATCH)], "{}").1, "cloud-event");
}
