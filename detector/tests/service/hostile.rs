//! On a bus that does everything the contract allows: each raw record is decided once, duplicates included.

use std::{collections::HashMap, sync::Arc};

use bus::{
    Bus,
    hostile::{Hostile, Manners},
};
use contracts::{ids::InvocationId, progress::Fact, topics};
use detector::{Config, Deps, Service};
use tokio_util::sync::CancellationToken;

use crate::support::*;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_bus_never_takes_fails_alone_and_says_so() {
    let hostile = Arc::new(Hostile::with(5, 2, Manners::ROUGH));
    let bus: Arc<dyn Bus> = hostile.clone();
    create(&*bus).await;
    hostile.forbid("event.move.done");
    let stop = CancellationToken::new();
    let detector = detector(bus.clone(), stop.clone());
    for number in 0..60 {
        bus.publish(vec![raw(&format!("id-{number}"), ["done", "open", "broken"][number % 3])]).await.unwrap();
    }
    let progress = settled(&*bus).await;
    let failed = |fact: &Fact| match fact {
        Fact::Detected(detected) => {
            assert!(detected.events.is_empty(), "{detected:?}");
            detected.failed.iter().any(|failed| failed.stage == "publish" && failed.error.contains("forbidden"))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((progress.len(), progress.iter().filter(|progress| failed(&progress.fact)).count()), (60, 20));
    assert_eq!(everything(&*bus, "event.move.done").await.len(), 0);
    let rejected = everything(&*bus, topics::REJECTED).await;
    let is_refused = |record: &&bus::Record| String::from_utf8_lossy(record.value()).contains("refused-by-bus");
    assert_eq!(rejected.iter().filter(is_refused).count(), 20);
    // Once it may be written, it is.
    hostile.allow();
    bus.publish(vec![raw("id-again", "done")]).await.unwrap();
    settled_count(&*bus, 61).await;
    assert_eq!(everything(&*bus, "event.move.done").await.len(), 1);
    stop.cancel();
    detector.await.unwrap();
}
