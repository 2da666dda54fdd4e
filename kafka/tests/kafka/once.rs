//! What a publication was told to be durable stands once, whatever the producer had to send again meanwhile.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use broker::Cluster;
use bus::{Bus as _, Offset, Outgoing, Partition, TopicPartition};
use kafka::Kafka;
use tokio::task::JoinSet;

use crate::{
    count::blocking,
    given::{Given, PARTITIONS},
    harness::{bus, long, prefix, wait_for},
    storm::report,
};

/// How many are published in a round, each by itself, one after another and without waiting for those before.
const EACH: u64 = 3000;
const APART: Duration = Duration::from_millis(2);
/// When the brokers find out that one of them is away: later than the first publications run out of time, and sooner than the last.
const FOUND_OUT: u64 = 5500;

/// Where the broker that is away leads, publications run out of time. Where it only follows, they are written and not acknowledged
/// until it is known to be away: sent again meanwhile, they must not count as new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_stands_once_although_others_ran_out_of_time() {
    let three = || Cluster::of_three().property("broker.session.timeout.ms", FOUND_OUT).start();
    let cluster = blocking(move || Arc::new(three().unwrap_or_else(|error| panic!("{error}")))).await;
    let given = Given::new(&cluster.bootstrap(), &prefix("once"));
    let bus = bus(&given).await;
    let mut accepted = BTreeSet::new();
    for round in 0..if long() { 12 } else { 2 } {
        // Again as it was, and warm.
        wait_for("publications to be accepted", async || {
            (publish_all(&bus, u64::MAX - (round + 1) * 100, 50).await.len() == 50).then_some(())
        })
        .await;
        let (publisher, from) = (bus.clone(), round * EACH);
        let publishing = tokio::spawn(async move { publish_all(&publisher, from, EACH).await });
        let node = cluster.node(i32::try_from(round % 3).unwrap() + 1);
        node.freeze();
        tokio::time::sleep(Duration::from_millis(FOUND_OUT + 2500)).await;
        node.thaw();
        accepted.extend(publishing.await.unwrap());
    }
    wait_for("publications to be accepted", async || {
        (publish_all(&bus, u64::MAX / 2, 50).await.len() == 50).then_some(())
    })
    .await;
    let stands = stands(&bus).await;
    report(&format!("{} accepted, {} in the log", accepted.len(), stands.len()));
    let wrong: Vec<_> = accepted.iter().filter(|number| stands.get(number) != Some(&1)).collect();
    assert!(wrong.is_empty(), "accepted, and not there once: {} of {}: {wrong:?}", wrong.len(), accepted.len());
}

/// Those that were accepted.
async fn publish_all(bus: &Arc<Kafka>, from: u64, count: u64) -> Vec<u64> {
    let (mut all, mut period) = (JoinSet::new(), tokio::time::interval(APART));
    for number in from..from + count {
        period.tick().await;
        let bus = bus.clone();
        all.spawn(async move { publish(&bus, number).await.then_some(number) });
    }
    all.join_all().await.into_iter().flatten().collect()
}

async fn publish(bus: &Kafka, number: u64) -> bool {
    let at = Partition(u32::try_from(number % u64::from(PARTITIONS)).unwrap());
    bus.publish(vec![Outgoing::new("in", format!("{number}"), format!("{number}")).to_partition(at)]).await.is_ok()
}

/// How often each number is there.
async fn stands(bus: &Kafka) -> HashMap<u64, u32> {
    let mut stands = HashMap::new();
    for partition in 0..PARTITIONS {
        let (at, mut from) = (TopicPartition::new("in", partition), Offset(0));
        loop {
            let records = bus.read(&at, from, 1024 * 1024).await.unwrap();
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            for record in &records {
                let number = std::str::from_utf8(record.value()).unwrap().parse().unwrap();
                *stands.entry(number).or_default() += 1;
            }
        }
    }
    stands
}
