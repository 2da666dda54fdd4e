//! Counting what is there, by a plain `read_committed` client that knows nothing of the bus.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use crate::{
    given::{Given, PARTITIONS},
    harness::{LOOK, PATIENCE},
};

/// What became of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) inputs: usize,
    /// Inputs without a copy.
    pub(crate) lost: Vec<String>,
    /// Inputs with more than one copy, and what those say.
    pub(crate) repeated: BTreeMap<String, Vec<String>>,
    /// Copies that stand before a copy of an earlier record of the same partition.
    pub(crate) disordered: usize,
}

impl Count {
    pub(crate) fn assert_each_once(&self) {
        let some = |lost: &[String]| lost.iter().take(5).cloned().collect::<Vec<_>>();
        assert!(self.lost.is_empty(), "{} of {} are lost, as {:?}", self.lost.len(), self.inputs, some(&self.lost));
        let repeated: Vec<_> = self.repeated.iter().take(5).collect();
        assert!(repeated.is_empty(), "{} of {} are repeated, as {repeated:?}", self.repeated.len(), self.inputs);
        assert_eq!(self.disordered, 0, "copies out of order, of {}", self.inputs);
    }
}

/// Counts the copies of `in` that are in `out`. Blocks; to be called when nothing is copied any more.
pub(crate) fn count(given: &Given, accepted: u64) -> Count {
    let inputs = read(given, "in");
    let numbers: HashSet<&str> = inputs.iter().map(|input| input.key.as_str()).collect();
    for number in 0..accepted {
        assert!(numbers.contains(number.to_string().as_str()), "{number} was accepted and is not in the log");
    }
    let mut copies: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut last, mut disordered) = (BTreeMap::new(), 0);
    for copy in read(given, "out") {
        let (partition, offset) = copy.key.split_once('@').unwrap();
        let before = last.insert(partition.to_owned(), offset.parse::<i64>().unwrap());
        disordered += usize::from(before > last.get(partition).copied());
        copies.entry(copy.key).or_default().push(format!("{} ({}@{})", copy.value, copy.partition, copy.offset));
    }
    let places: Vec<String> = inputs.iter().map(|input| format!("in/{}@{}", input.partition, input.offset)).collect();
    let lost = places.iter().filter(|place| !copies.contains_key(*place)).cloned().collect();
    let known: HashSet<&String> = places.iter().collect();
    assert!(copies.keys().all(|place| known.contains(place)), "there are copies of nothing");
    copies.retain(|_, copies| copies.len() > 1);
    Count { inputs: inputs.len(), lost, repeated: copies, disordered }
}

/// A record, as far as it is counted.
struct Counted {
    partition: i32,
    offset: i64,
    key: String,
    value: String,
}

/// Everything committed in a topic, once no transaction is open in it.
fn read(given: &Given, topic: &str) -> Vec<Counted> {
    let name = format!("{}{topic}", given.prefix);
    settle(given, &name);
    let reader = client(given, "read_committed");
    let mut list = TopicPartitionList::new();
    for partition in partitions() {
        list.add_partition_offset(&name, partition, Offset::Beginning).unwrap();
    }
    reader.assign(&list).unwrap();
    let (mut records, mut ended, begun) = (Vec::new(), HashSet::new(), Instant::now());
    while ended.len() < PARTITIONS as usize {
        assert!(begun.elapsed() < PATIENCE, "{name} cannot be read to its end");
        match reader.poll(LOOK) {
            Some(Ok(message)) => records.push(Counted {
                partition: message.partition(),
                offset: message.offset(),
                key: String::from_utf8(message.key().unwrap_or_default().to_vec()).unwrap(),
                value: String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap(),
            }),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            Some(Err(error)) => panic!("{name}: {error}"),
            None => {}
        }
    }
    records
}

/// Waits until the last stable offset is the end, partition by partition.
fn settle(given: &Given, name: &str) {
    let (stable, all) = (client(given, "read_committed"), client(given, "read_uncommitted"));
    let end = |client: &BaseConsumer, partition| client.fetch_watermarks(name, partition, PATIENCE).unwrap().1;
    let begun = Instant::now();
    for partition in partitions() {
        while end(&stable, partition) < end(&all, partition) {
            assert!(begun.elapsed() < PATIENCE, "a transaction stays open in {name}/{partition}");
            std::thread::sleep(LOOK);
        }
    }
}

pub(crate) fn partitions() -> std::ops::Range<i32> {
    0..PARTITIONS.cast_signed()
}

/// A reader without a group.
pub(crate) fn client(given: &Given, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &given.brokers)
        .set("group.id", "none")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .set("fetch.wait.max.ms", "20")
        .create()
        .unwrap()
}

/// Waits for something that blocks.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::time::timeout(PATIENCE + Duration::from_secs(30), tokio::task::spawn_blocking(work)).await.unwrap().unwrap()
}
