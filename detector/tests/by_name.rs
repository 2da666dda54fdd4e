//! What becomes of an event that is published by name: the same gate, and no condition.

use bus::{Offset, Partition, Record};
use catalog::{Catalog, Kinds, Sources};
use contracts::{
    envelope::EventHeaders,
    headers::ce,
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    progress::{Detected, Fact, Progress},
    raw::{Kind, Named, RawHeaders},
    rejected::Rejected,
    topics,
};
use detector::{Config, Decider, Decision, Seen};
use serde_json::Value;
use uuid::Uuid;

struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &Value) -> Result<(), String> {
        Ok(())
    }
    fn names(&self) -> Vec<&str> {
        vec!["log"]
    }
}

const PUBLISHED: &str = "sample: {}\njobs: [{ id: note, log: {} }]\n";
const BOTH: &str = "from: { table: moves }\nwhen: new.id == 1\ndata: { id: new.id }\nkey: new.id\nsample: {}\n";
const KEYED: &str = "key: [data.tenant, data.id]\nsample: {}\n";

fn catalog() -> Catalog {
    let files = [("move.invoiced", PUBLISHED), ("move.done", BOTH), ("move.keyed", KEYED)];
    let files = files.map(|(name, text)| (format!("events/{name}.yaml"), text.to_owned()));
    let outcome = Catalog::compile(&Sources::new(files), &AnyKind);
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
}

/// A publication of an event by a job run, with a key.
fn headers(event: &str, id: &str) -> RawHeaders {
    RawHeaders {
        kind: Kind::Named,
        source: "/jobs/announce".into(),
        source_id: Some(id.into()),
        received: "2026-01-02T03:04:05Z".parse().expect("a time"),
        invocation: InvocationId::published("/jobs/announce", id),
        correlation: CorrelationId::published("/jobs/announce", id),
        depth: 1,
        related_to: None,
        traceparent: None,
        named: Some(Box::new(Named {
            event: event.parse().expect("a name"),
            cause: Some(JobRunId(Uuid::from_u128(7))),
            user: Some("me".into()),
            organisation: Some("us".into()),
        })),
    }
}

fn record(offset: u64, headers: &RawHeaders, data: &str) -> Record {
    Record {
        topic: topics::RAW.into(),
        partition: Partition(0),
        offset: Offset(offset),
        published: jiff::Timestamp::UNIX_EPOCH,
        key: Some("order-7".into()),
        value: Some(data.to_owned().into()),
        headers: headers.encode(),
    }
}

fn decide(record: &Record, seen: &mut Seen) -> Decision {
    Decider { catalog: &catalog(), number: 3, config: &Config::default() }.decide(record, seen)
}

fn decided(event: &str, data: &str) -> Decision {
    decide(&record(1, &headers(event, "1"), data), &mut memory())
}

fn memory() -> Seen {
    Seen::new(std::time::Duration::from_secs(3600), 100)
}

fn fact(decision: &Decision) -> Fact {
    let told = decision.outputs.iter().find(|output| output.topic.as_str() == topics::PROGRESS).expect("progress");
    Progress::decode(told.value.as_deref().unwrap_or_default()).expect("progress").fact
}

fn detected(decision: &Decision) -> Detected {
    match fact(decision) {
        Fact::Detected(detected) => detected,
        other => panic!("{other:?}"),
    }
}

/// The reason and the detail of a refusal, which `rejected` has, too.
fn refused(decision: &Decision) -> (String, String) {
    let Fact::Refused(refused) = fact(decision) else { panic!("it is not refused") };
    let rejected =
        decision.outputs.iter().find(|output| output.topic.as_str() == topics::REJECTED).expect("a rejection");
    let rejected: Rejected = serde_json::from_slice(rejected.value.as_deref().unwrap_or_default()).expect("JSON");
    assert_eq!((&rejected.reason, &rejected.detail), (&refused.reason, &refused.detail));
    assert!(!decision.outputs.iter().any(|output| output.topic.as_str().starts_with(topics::EVENT_PREFIX)));
    (refused.reason, refused.detail)
}

#[test]
fn it_is_published_with_its_data_its_key_and_whose_it_is() {
    let decision = decided("move.invoiced", r#"{"total": 12.50, "id": 9007199254740993}"#);
    let event = &decision.outputs[0];
    assert_eq!((event.topic.as_str(), event.key.as_deref()), ("event.move.invoiced", Some(&b"order-7"[..])));
    let data: Value = serde_json::from_slice(event.value.as_deref().unwrap_or_default()).expect("JSON");
    assert_eq!(data.to_string(), r#"{"id":9007199254740993,"total":12.50}"#);
    let made = EventHeaders::decode("event.move.invoiced", &event.headers).expect("an event");
    let sent = headers("move.invoiced", "1");
    assert_eq!(made.id, EventId::derived(sent.invocation, &made.event));
    assert_eq!((made.invocation, made.cause, made.depth), (sent.invocation, Some(JobRunId(Uuid::from_u128(7))), 1));
    assert_eq!((made.source.as_str(), made.subject.as_deref()), ("/jobs/announce", Some("order-7")));
    assert_eq!((made.user.as_deref(), made.organisation.as_deref()), (Some("me"), Some("us")));
    assert_eq!((made.time, made.jobs.len(), made.catalog), (sent.received, 1, 3));
    assert_eq!(event.headers.text(ce::CAUSATION_ID), Some(Uuid::from_u128(7).to_string().as_str()));
    let told = detected(&decision);
    assert_eq!((told.events.len(), told.events[0].jobs.len()), (1, 1));
    assert_eq!(told.origin.event, Some(made.event));
    assert_eq!((told.origin.cause, told.origin.key.as_deref()), (made.cause, Some("order-7")));
}

#[test]
fn a_declared_key_is_made_of_the_data_and_one_of_columns_is_the_records() {
    let key = |event: &str| {
        let decision = decided(event, r#"{"tenant":"t","id":7}"#);
        String::from_utf8(decision.outputs[0].key.as_deref().unwrap_or_default().to_vec()).expect("text")
    };
    assert_eq!(key("move.keyed"), "t|7");
    assert_eq!(key("move.done"), "order-7");
    let failed = detected(&decided("move.keyed", "{}")).failed;
    assert_eq!((failed.len(), failed[0].stage.as_str()), (1, "key"), "{failed:?}");
}

#[test]
fn neither_condition_nor_data_of_an_event_of_a_table_are_asked() {
    let decision = decided("move.done", r#"{"other":1}"#);
    assert_eq!(detected(&decision).events.len(), 1);
    assert_eq!(decision.outputs[0].value.as_deref(), Some(&br#"{"other":1}"#[..]));
}

#[test]
fn an_event_that_the_catalog_does_not_have_is_refused() {
    let (reason, detail) = refused(&decided("move.invoicd", "{}"));
    assert_eq!(reason, "unknown-event");
    assert_eq!(detail, "the catalog 3 has no event move.invoicd; did you mean move.invoiced?");
    assert!(!refused(&decided("move.invoiced.v2", "{}")).1.is_empty());
}

#[test]
fn what_is_too_deep_and_what_cannot_be_read_is_refused() {
    let deep = RawHeaders { depth: 17, ..headers("move.invoiced", "1") };
    let (reason, detail) = refused(&decide(&record(1, &deep, "{}"), &mut memory()));
    assert_eq!(reason, "depth");
    assert!(detail.contains("17 cascades deep"), "{detail}");
    assert_eq!(refused(&decided("move.invoiced", "{")).0, "malformed");
}

#[test]
fn the_same_id_again_is_a_duplicate_and_with_other_data_or_another_event_is_said_to_be_reused() {
    let mut seen = memory();
    let mut again = |offset, event: &str, data: &str| {
        let decision = decide(&record(offset, &headers(event, "1"), data), &mut seen);
        (decision.counts.events, decision.counts.duplicates, decision.counts.reused)
    };
    assert_eq!(again(1, "move.invoiced", r#"{"a":1,"b":2}"#), (1, 0, 0));
    assert_eq!(again(2, "move.invoiced", r#"{"b":2.0,"a":1}"#), (0, 1, 0));
    assert_eq!(again(3, "move.invoiced", r#"{"a":1,"b":3}"#), (0, 0, 1));
    assert_eq!(again(4, "move.keyed", r#"{"a":1,"b":2}"#), (0, 0, 1));
}

#[test]
fn data_that_are_too_large_for_an_event_fail_it_and_name_their_largest_leaf() {
    let large = format!(r#"{{"small":1,"large":"{}"}}"#, "x".repeat(bus::MAX_RECORD));
    let failed = detected(&decided("move.invoiced", &large)).failed;
    assert_eq!(failed.len(), 1);
    assert!(failed[0].error.contains("`large`"), "{}", failed[0].error);
}
