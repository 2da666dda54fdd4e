//! What a comparison asks of the broker itself, the same for whatever is compared: see `docs/benchmarks.md`.
//!
//! - `create` and `drop` make topics, and remove them and the groups of a prefix;
//! - `fill` writes raw records as ingest does;
//! - `watch` tells how fast a topic grows, as a `read_committed` reader would see it, by its offsets alone;
//! - `check` reads a topic with `read_committed` and tells what is missing, what is there twice, and a digest of all;
//! - `latency` writes at a steady rate, and tells how long each record takes until its output is read.
//!
//! A command is followed by `name=value`; figures are printed likewise.
#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

#[path = "../arguments/mod.rs"]
mod arguments;
mod check;
mod fill;
mod latency;
mod payload;
mod topics;
mod watch;

use std::{error::Error, time::Duration};

use arguments::Arguments;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

/// How long one question to the broker may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut given = std::env::args().skip(1);
    let command = given.next().unwrap_or_default();
    let given = Arguments::parse(given)?;
    match command.as_str() {
        "create" => topics::create(&given),
        "drop" => topics::drop(&given),
        "fill" => fill::fill(&given),
        "watch" => watch::watch(&given),
        "check" => check::check(&given),
        "latency" => latency::measure(&given),
        other => Err(format!("`{other}` is none of create, drop, fill, watch, check, latency").into()),
    }
}

/// A `read_committed` client. It is told by [`rdkafka::error::KafkaError::PartitionEOF`] where it has read everything.
fn reader(given: &Arguments) -> Outcome<BaseConsumer> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", given.text("brokers")?)
        .set("group.id", "probe")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()?;
    Ok(consumer)
}

/// How many partitions a topic has.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Outcome<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.map_or(0, |found| found.partitions().len());
    if count == 0 { Err(format!("there is no topic `{topic}`").into()) } else { Ok(i32::try_from(count)?) }
}

/// The end of each partition, as far as transactions are committed.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Outcome<Vec<i64>> {
    (0..partitions).map(|partition| Ok(consumer.fetch_watermarks(topic, partition, PATIENCE)?.1)).collect()
}

/// Reads a topic from these offsets on.
fn assign(consumer: &BaseConsumer, topic: &str, from: &[i64]) -> Outcome<()> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in from.iter().enumerate() {
        list.add_partition_offset(topic, i32::try_from(partition)?, Offset::Offset(*offset))?;
    }
    Ok(consumer.assign(&list)?)
}
