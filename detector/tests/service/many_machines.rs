//! What a bus of many machines brings: outages, slow rebuilds, partitions that come and go, others' catalogs.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use bus::{
    Bus, Committed, Delivery, Note, Offset, Outgoing, Partition, Position, Share, Subscription, TopicPartition,
    TopicSpec,
    hostile::{Flaky, Hostile, Manners},
};
use contracts::{ids::InvocationId, progress::Fact, topics};
use detector::{CatalogView, Config, Deps, Error, GROUP, Service};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::*;

fn mild(partitions: u32) -> Arc<dyn Bus> {
    Arc::new(Hostile::with(1, partitions, Manners::MILD))
}

struct Running {
    catalog: watch::Sender<Option<CatalogView>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(bus: Arc<dyn Bus>) -> Self {
        let (catalog, receiver) = watch::channel(Some(view()));
        let stop = CancellationToken::new();
        let task = tokio::spawn(Service::new(Config::default(), Deps { bus, catalog: receiver }).run(stop.clone()));
        Self { catalog, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Commits a position with a note for the first partition of `raw`, as another process would have.
async fn leave_note(bus: &dyn Bus, note: &str) {
    let member = bus.join(GROUP, Subscription::to([topics::RAW])).await.unwrap();
    let Delivery::Assigned(assigned) = member.next().await.unwrap() else { panic!("expected an assignment") };
    let position = Position { next: Offset::ZERO, note: Note::new(note).unwrap() };
    let share = Share {
        partition: assigned[0].partition.clone(),
        generation: assigned[0].generation,
        outputs: vec![],
        position,
    };
    assert_eq!(member.commit(vec![share]).await.unwrap(), Committed::default());
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_for_and_ends_nothing() {
    let inner = mild(2);
    create(&*inner).await;
    let flaky = Arc::new(Flaky::new(inner.clone()));
    flaky.fail(true);
    let running = Running::start(flaky.clone());
    inner.publish(vec![raw("1", "done")]).await.unwrap();
    until("joining failed twice", || flaky.failed.load(SeqCst) >= 2).await;
    flaky.fail(false);
    settled(&*inner).await;
    // Now while memories are rebuilt: those of a second detector's share.
    flaky.fail(true);
    let before = flaky.failed.load(SeqCst);
    let second = Running::start(flaky.clone());
    until("the second failed", || flaky.failed.load(SeqCst) > before).await;
    flaky.fail(false);
    for id in 2..20 {
        inner.publish(vec![raw(&id.to_string(), "done")]).await.unwrap();
    }
    assert_eq!(settled(&*inner).await.len(), 19);
    running.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_bus_that_has_stopped_ends_the_stage() {
    let hostile = Arc::new(Hostile::with(1, 1, Manners::MILD));
    create(&*hostile).await;
    let running = Running::start(hostile.clone());
    while hostile.lag(GROUP).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    hostile.stop();
    let ended = running.task.await.unwrap();
    assert!(matches!(ended, Err(Error::Bus(bus::Error::Stopped(_)))), "{ended:?}");
}

#[tokio::test]
async fn a_partition_of_raw_that_seen_does_not_have_is_refused_and_says_what_to_do() {
    let bus = mild(2);
    bus.create(vec![TopicSpec { partitions: Some(1), ..TopicSpec::new(topics::SEEN) }]).await.unwrap();
    create(&*bus).await;
    let ended = Running::start(bus).task.await.unwrap();
    assert_eq!(
        ended.unwrap_err().to_string(),
        "`raw/1` cannot be read, since its recent ids have no place: the topic `seen` has 1 partitions and `raw` has 2; \
         `herald topics apply` adds those that are missing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_rebuild_delays_no_other_partition_and_is_dropped_when_its_own_goes() {
    let inner = mild(2);
    create(&*inner).await;
    // Something to be read in the side topic, so that reading it hangs.
    let side = Outgoing::new(topics::SEEN, "", vec![1]).to_partition(Partition(1));
    inner.publish(vec![side]).await.unwrap();
    let hangs = TopicPartition::new(topics::SEEN, 1);
    let flaky = Arc::new(Flaky { hangs: Some(hangs), ..Flaky::new(inner.clone()) });
    let running = Running::start(flaky.clone());
    let record = |id: &str, partition| raw(id, "done").to_partition(Partition(partition));
    inner.publish(vec![record("a", 0), record("b", 1)]).await.unwrap();
    let progress = settled_count(&*inner, 1).await;
    assert_eq!(progress[0].occurrence.invocation, InvocationId::derived("default", "a"));
    until("the rebuild hangs", || flaky.hanging.load(SeqCst) == 1).await;
    // A second member is given the partition, of which nothing was read.
    let member = inner.join(GROUP, Subscription::to([topics::RAW])).await.unwrap();
    let Delivery::Assigned(assigned) = member.next().await.unwrap() else { panic!("expected an assignment") };
    assert_eq!(assigned[0].partition, TopicPartition::new(topics::RAW, 1));
    until("the rebuild is dropped", || flaky.hanging.load(SeqCst) == 0).await;
    inner.publish(vec![record("c", 0)]).await.unwrap();
    settled_count(&*inner, 2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_rebuild_begins_where_the_note_says_and_the_next_note_says_it_anew() {
    let inner = mild(1);
    create(&*inner).await;
    let now = jiff::Timestamp::now().as_second();
    leave_note(&*inner, &format!("1 7 {}", now - 600)).await;
    let flaky = Arc::new(Flaky::new(inner.clone()));
    let running = Running::start(flaky.clone());
    inner.publish(vec![raw("1", "done")]).await.unwrap();
    settled(&*inner).await;
    running.stop().await;
    let times: Vec<i64> = flaky.times.lock().unwrap().iter().map(|time| time.as_second()).collect();
    assert_eq!(times, [now - 660]);
    let member = inner.join(GROUP, Subscription::to([topics::RAW])).await.unwrap();
    let Delivery::Assigned(assigned) = member.next().await.unwrap() else { panic!("expected an assignment") };
    let note = assigned[0].position.note.clone();
    let since: i64 = note.as_str().strip_prefix("1 7 ").unwrap().parse().unwrap();
    assert!((now..now + 60).contains(&since), "{note:?}");
}

#[tokio::test]
async fn a_partition_waits_for_the_catalog_that_decided_it_last() {
    let bus = mild(2);
    create(&*bus).await;
    leave_note(&*bus, "1 8").await;
    let record = |id: String, partition| raw(&id, "done").to_partition(Partition(partition));
    bus.publish(vec![record("waits".into(), 0)]).await.unwrap();
    let running = Running::start(bus.clone());
    // The other partition goes on, with the older catalog.
    for count in 1..20 {
        bus.publish(vec![record(count.to_string(), 1)]).await.unwrap();
        settled_count(&*bus, count).await;
    }
    running.catalog.send(Some(numbered(8))).unwrap();
    let waited = InvocationId::derived("default", "waits");
    for progress in settled(&*bus).await {
        let Fact::Detected(detected) = progress.fact else { panic!("expected a detection") };
        assert_eq!(detected.catalog, if progress.occurrence.invocation == waited { 8 } else { 7 });
    }
    running.stop().await;
}

/// A side record as the detector writes it.
fn side(ids: impl Iterator<Item = InvocationId>) -> Outgoing {
    let second = u32::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let mut value = vec![1];
    for id in ids {
        value.extend(id.0.as_u128().to_le_bytes());
        value.extend(0_u64.to_le_bytes());
        value.extend(second.to_le_bytes());
        value.extend(0_u32.to_le_bytes());
    }
    Outgoing { key: None, ..Outgoing::new(topics::SEEN, "", value).to_partition(Partition(0)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_recent_ids_are_rebuilt_in_well_under_twenty_seconds() {
    let bus = mild(1);
    create(&*bus).await;
    let known = InvocationId::derived("default", "known");
    bus.publish(vec![side(std::iter::once(known))]).await.unwrap();
    for batch in 0..1000_u128 {
        let id = |n: u128| {
            InvocationId(uuid::Uuid::from_u128((batch * 1000 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15_bf58_476d)))
        };
        bus.publish(vec![side((1..1000).map(id))]).await.unwrap();
    }
    bus.publish(vec![raw("first", "done"), raw("known", "done")]).await.unwrap();
    let begun = Instant::now();
    let running = Running::start(bus.clone());
    let progress = settled(&*bus).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(matches!(&progress[1].fact, Fact::Duplicate(duplicate) if duplicate.of.offset == 0), "{progress:#?}");
    running.stop().await;
}
