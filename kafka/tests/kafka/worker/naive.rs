//! A worker as one would write it with librdkafka: it subscribes, lets librdkafka look up the positions, and commits them with
//! its copies in a transaction. It is careful in everything else, so that what it repeats is not its own fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::mpsc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::{
    given::{Given, Kind},
    worker::say,
};

const CALL: Duration = Duration::from_secs(20);
const BATCH: usize = 200;
const GATHER: Duration = Duration::from_millis(20);

/// Says what it was assigned; librdkafka does the rest.
struct Told;

impl ClientContext for Told {}

impl ConsumerContext for Told {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let what = match rebalance {
            Rebalance::Assign(_) => "assigned",
            _ => "revoked",
        };
        let count = consumer.assignment().map_or(0, |list| list.count());
        say(&format!("{what}, has {count}"));
    }
}

/// A copy that is to be made: where its original stands, and what is in it.
struct Copied {
    partition: i32,
    offset: i64,
    value: Vec<u8>,
}

pub(super) fn run(given: &Given, commands: &mpsc::Receiver<String>) -> Result<(), Box<dyn Error>> {
    let consumer = consumer(given)?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &given.brokers)
        .set("transactional.id", format!("{}copy.{}", given.prefix, given.instance))
        .set("transaction.timeout.ms", given.transaction.as_millis().to_string())
        .set("linger.ms", "0")
        .create()?;
    producer.init_transactions(CALL)?;
    say("joined");
    let mut holds = false;
    loop {
        match commands.try_recv() {
            Ok(command) if command == "leave" => {
                drop(consumer);
                return Ok(());
            }
            Ok(_) => {
                holds = given.kind == Kind::Holder;
                say("will hold");
            }
            Err(_) => {}
        }
        let batch = gather(&consumer, holds);
        if batch.is_empty() {
            continue;
        }
        if let Err(error) = commit(given, &consumer, &producer, &batch, holds) {
            say(&format!("aborting: {error}"));
            if let Err(error) = producer.abort_transaction(CALL) {
                say(&format!("ended: {error}"));
                // Closing a consumer whose group has gone on without it can take for ever.
                std::process::exit(1);
            }
            seek_back(given, &consumer, &batch)?;
        }
    }
}

fn consumer(given: &Given) -> Result<BaseConsumer<Told>, KafkaError> {
    let consumer: BaseConsumer<Told> = ClientConfig::new()
        .set("bootstrap.servers", &given.brokers)
        .set("group.id", format!("{}copy", given.prefix))
        .set("session.timeout.ms", given.session.as_millis().to_string())
        .set("heartbeat.interval.ms", (given.session / 6).as_millis().to_string())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20")
        .create_with_context(Told)?;
    consumer.subscribe(&[&format!("{}in", given.prefix)])?;
    Ok(consumer)
}

/// What is there; for one that is to hold a transaction, something of every partition that it has.
fn gather(consumer: &BaseConsumer<Told>, all: bool) -> Vec<Copied> {
    let (mut batch, begun): (Vec<Copied>, _) = (Vec::new(), Instant::now());
    let wanted = if all { consumer.assignment().map_or(0, |list| list.count()) } else { 0 };
    let partitions = |batch: &[Copied]| batch.iter().map(|copied| copied.partition).collect::<BTreeSet<_>>().len();
    while batch.len() < BATCH && (begun.elapsed() < GATHER || (!batch.is_empty() && partitions(&batch) < wanted)) {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(5)) {
            let value = message.payload().unwrap_or_default().to_vec();
            batch.push(Copied { partition: message.partition(), offset: message.offset(), value });
        }
    }
    batch
}

fn commit(
    given: &Given,
    consumer: &BaseConsumer<Told>,
    producer: &BaseProducer,
    batch: &[Copied],
    holds: bool,
) -> Result<(), Box<dyn Error>> {
    let group = consumer.group_metadata().ok_or("no group")?;
    producer.begin_transaction()?;
    let (topic, mut positions) = (format!("{}out", given.prefix), BTreeMap::new());
    for Copied { partition, offset, value } in batch {
        let key = format!("in/{partition}@{offset}");
        let record = BaseRecord::to(&topic).partition(*partition).key(&key).payload(value);
        producer.send(record).map_err(|(error, _)| error)?;
        positions.insert(*partition, offset + 1);
    }
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_micros(200));
    }
    let (memory, mut list) = (format!("{}side", given.prefix), TopicPartitionList::new());
    for (partition, next) in &positions {
        let next = next.to_string();
        let record = BaseRecord::to(&memory).partition(*partition).key("position").payload(&next);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    for (partition, next) in &positions {
        list.add_partition_offset(&format!("{}in", given.prefix), *partition, Offset::Offset(*next))?;
    }
    producer.send_offsets_to_transaction(&list, &group, CALL)?;
    if holds {
        say(&format!("holding {}", positions.len()));
        // Stopped here by the test, which is as good as anywhere before the end of the transaction.
        std::thread::sleep(given.transaction);
    }
    producer.commit_transaction(CALL)?;
    say("committed");
    Ok(())
}

/// What was aborted is read again.
fn seek_back(given: &Given, consumer: &BaseConsumer<Told>, batch: &[Copied]) -> Result<(), KafkaError> {
    let mut first = BTreeMap::new();
    for Copied { partition, offset, .. } in batch {
        first.entry(*partition).or_insert(*offset);
    }
    for (partition, offset) in first {
        // One that is no longer ours is read by whoever has it.
        if let Err(error) = consumer.seek(&format!("{}in", given.prefix), partition, Offset::Offset(offset), CALL) {
            say(&format!("no seek: {error}"));
        }
    }
    Ok(())
}
