//! A catalog, raw records, and what became of them.

use std::{sync::Arc, time::Duration};

use bus::{Bus, Offset, Outgoing, Record, Start, TopicSpec};
use catalog::{Catalog, Kinds, Sources};
use contracts::{
    ids::{CorrelationId, InvocationId},
    progress::{self, Progress},
    raw::{Kind, RawHeaders},
    topics,
};
use detector::{CatalogView, Config, Deps, Service};
use tokio_util::sync::CancellationToken;

struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
    fn names(&self) -> Vec<&str> {
        vec!["log"]
    }
}

const DONE: &str = r#"
from: { table: moves, operations: [update] }
when: |
  became("status", "done")
data: { id: new.id }
sample: { id: 1 }
jobs:
  - id: note
    log: {}
"#;

const BROKEN: &str = r#"
from: { table: moves, operations: [update] }
when: |
  became("status", "broken")
data:
  id: new.id + "x"
sample: { id: 1 }
"#;

pub(crate) fn view() -> CatalogView {
    numbered(7)
}

/// The same catalog under a number.
pub(crate) fn numbered(number: u64) -> CatalogView {
    let sources = Sources::new([("events/move.done.yaml", DONE), ("events/move.broken.yaml", BROKEN)]);
    let outcome = Catalog::compile(&sources, &AnyKind);
    let report = outcome.report;
    CatalogView { number, catalog: Arc::new(outcome.catalog.unwrap_or_else(|| panic!("{report}"))) }
}

pub(crate) fn raw(id: &str, status: &str) -> Outgoing {
    let body = serde_json::json!({
        "id": id,
        "event": { "op": "UPDATE", "data": { "old": { "id": 1, "status": "new" }, "new": { "id": 1, "status": status } } },
        "table": { "name": "moves" },
    });
    let headers = RawHeaders {
        kind: Kind::Hasura,
        source: "default".into(),
        source_id: Some(id.into()),
        received: jiff::Timestamp::now(),
        invocation: InvocationId::derived("default", id),
        correlation: CorrelationId::derived("default", id),
        depth: 0,
        related_to: None,
        traceparent: None,
        named: None,
    };
    Outgoing::new(topics::RAW, id.to_owned(), body.to_string()).with_headers(headers.encode())
}

pub(crate) async fn everything(bus: &dyn Bus, topic: &str) -> Vec<Record> {
    let info = bus.topics().await.unwrap().into_iter().find(|info| info.topic.as_str() == topic).unwrap();
    let mut out = Vec::new();
    for at in info.each() {
        let mut from = Offset::ZERO;
        while from < bus.offset(&at, Start::End).await.unwrap() {
            let records = bus.read(&at, from, 1 << 20).await.unwrap();
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            out.extend(records);
        }
    }
    out
}

pub(crate) async fn create(bus: &dyn Bus) {
    let names = [topics::RAW, topics::REJECTED, topics::PROGRESS, topics::SEEN, "event.move.done", "event.move.broken"];
    bus.create(names.map(TopicSpec::new).to_vec()).await.unwrap();
}

pub(crate) fn detector(bus: Arc<dyn Bus>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let (_keep, catalog) = tokio::sync::watch::channel(Some(view()));
        Service::new(Config::default(), Deps { bus, catalog }).run(stop).await.unwrap();
    })
}

/// All progress, once there is some of every raw record.
pub(crate) async fn settled(bus: &dyn Bus) -> Vec<Progress> {
    let raws = everything(bus, topics::RAW).await.len();
    settled_count(bus, raws).await
}

/// All progress, once there is some of that many raw records.
pub(crate) async fn settled_count(bus: &dyn Bus, raws: usize) -> Vec<Progress> {
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let records = everything(bus, topics::PROGRESS).await;
        let lines = records.iter().flat_map(|record| progress::lines(record.value()));
        let progress: Vec<_> = lines.map(|line| Progress::decode(line).unwrap()).collect();
        if progress.len() >= raws {
            return progress;
        }
        let lag = bus.lag("detector").await.unwrap();
        assert!(tokio::time::Instant::now() < patience, "{} of {raws} are decided; {lag:?}", progress.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until something is true.
pub(crate) async fn until(what: &str, is_true: impl Fn() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(tokio::time::Instant::now() < patience, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
