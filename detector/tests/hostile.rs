//! The detector on a bus that does everything the contract allows: each raw record is decided once, duplicates included.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{
    Bus, Offset, Outgoing, Record, Start, TopicSpec,
    hostile::{Hostile, Manners},
};
use catalog::{Catalog, Kinds, Sources};
use contracts::{
    ids::{CorrelationId, InvocationId},
    progress::{Fact, Progress},
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

fn view() -> CatalogView {
    let sources = Sources::new([("events/move.done.yaml", DONE), ("events/move.broken.yaml", BROKEN)]);
    let outcome = Catalog::compile(&sources, &AnyKind);
    let report = outcome.report;
    CatalogView { number: 7, catalog: Arc::new(outcome.catalog.unwrap_or_else(|| panic!("{report}"))) }
}

fn raw(id: &str, status: &str) -> Outgoing {
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
    };
    Outgoing::new(topics::RAW, id.to_owned(), body.to_string()).with_headers(headers.encode())
}

async fn everything(bus: &dyn Bus, topic: &str) -> Vec<Record> {
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

async fn create(bus: &dyn Bus) {
    let names = [topics::RAW, topics::REJECTED, topics::PROGRESS, topics::SEEN, "event.move.done", "event.move.broken"];
    bus.create(names.map(TopicSpec::new).to_vec()).await.unwrap();
}

fn detector(bus: Arc<dyn Bus>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let (_keep, catalog) = tokio::sync::watch::channel(Some(view()));
        Service::new(Config::default(), Deps { bus, catalog }).run(stop).await.unwrap();
    })
}

/// All progress, once there is some of every raw record.
async fn settled(bus: &dyn Bus) -> Vec<Progress> {
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let raws = everything(bus, topics::RAW).await.len();
        let progress = everything(bus, topics::PROGRESS).await;
        if progress.len() >= raws {
            return progress.iter().map(|record| Progress::decode(record.value()).unwrap()).collect();
        }
        let lag = bus.lag("detector").await.unwrap();
        assert!(tokio::time::Instant::now() < patience, "{} of {raws} are decided; {lag:?}", progress.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn decides_each_record_once(seed: u64) {
    let hostile = Arc::new(Hostile::new(seed));
    let bus: Arc<dyn Bus> = hostile.clone();
    create(&*bus).await;
    let stop = CancellationToken::new();
    let detectors = [detector(bus.clone(), stop.clone()), detector(bus.clone(), stop.clone())];
    for number in 0..400 {
        let status = ["done", "open", "broken"][number % 3];
        // Each comes twice, and more often where the publication is refused but in the log all the same.
        for _ in 0..2 {
            while bus.publish(vec![raw(&format!("id-{number}"), status)]).await.is_err() {}
        }
    }
    let progress = settled(&*bus).await;
    stop.cancel();
    for detector in detectors {
        detector.await.unwrap();
    }
    let mut decided: HashMap<String, usize> = HashMap::new();
    let (mut first, mut duplicates) = (HashMap::<InvocationId, usize>::new(), 0);
    for fact in &progress {
        *decided.entry(fact.occurrence.raw.to_string()).or_default() += 1;
        match &fact.fact {
            Fact::Detected(_) => *first.entry(fact.occurrence.invocation).or_default() += 1,
            Fact::Duplicate(duplicate) => {
                assert!(!duplicate.elsewhere && duplicate.of < fact.occurrence.raw);
                duplicates += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(decided.values().all(|count| *count == 1), "a record was decided twice");
    assert_eq!(first.len(), 400);
    assert!(first.values().all(|count| *count == 1), "an invocation was detected twice");
    assert_eq!(duplicates, everything(&*bus, topics::RAW).await.len() - 400);
    assert_eq!(everything(&*bus, "event.move.done").await.len(), 134);
    assert_eq!(everything(&*bus, "event.move.broken").await.len(), 0);
    assert_eq!(everything(&*bus, topics::REJECTED).await.len(), 133);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_decided_once_on_a_hostile_bus() {
    for seed in 1..=4 {
        decides_each_record_once(seed).await;
    }
}

#[tokio::test]
async fn nothing_is_decided_without_a_catalog_and_everything_once_there_is_one() {
    let bus: Arc<dyn Bus> = Arc::new(Hostile::with(1, 1, Manners::MILD));
    create(&*bus).await;
    let (catalog, watch) = tokio::sync::watch::channel(None);
    let stop = CancellationToken::new();
    let service = Service::new(Config::default(), Deps { bus: bus.clone(), catalog: watch });
    let handle = service.handle();
    let running = tokio::spawn(service.run(stop.clone()));
    bus.publish(vec![raw("1", "done")]).await.unwrap();
    // Its start is committed before there is a catalog, so that retention keeps what it has yet to read.
    while bus.lag("detector").await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    catalog.send(Some(view())).unwrap();
    let progress = settled(&*bus).await;
    assert!(
        matches!(&progress[0].fact, Fact::Detected(detected) if detected.catalog == 7 && detected.events.len() == 1)
    );
    // The record that came before the catalog was decided by it, and by nothing else.
    assert_eq!((progress.len(), handle.counts().records), (1, 1));
    stop.cancel();
    running.await.unwrap().unwrap();
}
