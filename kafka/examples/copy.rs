//! A plain copy loop, as one would write it with rdkafka: what a hop of Herald is compared with.
//!
//! One thread reads records and hands them to an idempotent producer (`acks=all`), partition by partition; librdkafka's
//! own threads do the rest. No transaction, no positions, nothing is looked at.
//!
//! `copy brokers=… from=<topic> to=<topic>`, and where wanted `count=` (0: until it is killed), `headers=no` (copy only
//! keys and values), `compression=` and `linger=` (in ms).
#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

mod arguments;

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arguments::Arguments;
use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, DeliveryResult},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Counts what could not be delivered.
struct Reports(Arc<AtomicU64>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let given = Arguments::parse(std::env::args().skip(1))?;
    let (to, count, headers) =
        (given.text("to")?, given.or("count", 0_u64)?, given.or("headers", "yes".to_owned())? == "yes");
    let lost = Arc::new(AtomicU64::new(0));
    let consumer = consumer(&given)?;
    let producer = producer(&given, Reports(Arc::clone(&lost)))?;
    let (mut copied, mut begun) = (0, Instant::now());
    while count == 0 || copied < count {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            producer.poll(Duration::ZERO);
            continue;
        };
        let message = message?;
        if copied == 0 {
            begun = Instant::now();
        }
        send(&producer, &message, to, headers)?;
        copied += 1;
        if copied % 128 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE)?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("copied={copied} seconds={seconds:.3} rate={:.0}", copied as f64 / seconds);
    match lost.load(Ordering::Relaxed) {
        0 => Ok(()),
        lost => Err(format!("{lost} records could not be delivered").into()),
    }
}

/// Reads every partition from its begin.
fn consumer(given: &Arguments) -> Result<BaseConsumer, Box<dyn Error>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", given.text("brokers")?)
        .set("group.id", "copy")
        .set("enable.auto.commit", "false")
        .create()?;
    let from = given.text("from")?;
    let metadata = consumer.fetch_metadata(Some(from), PATIENCE)?;
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition_offset(from, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

fn producer(given: &Arguments, context: Reports) -> Result<BaseProducer<Reports>, Box<dyn Error>> {
    let producer = ClientConfig::new()
        .set("bootstrap.servers", given.text("brokers")?)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", given.or("linger", 5)?.to_string())
        .set("compression.type", given.or("compression", "none".to_owned())?)
        .create_with_context(context)?;
    Ok(producer)
}

fn send(
    producer: &BaseProducer<Reports>,
    message: &BorrowedMessage<'_>,
    to: &str,
    headers: bool,
) -> Result<(), KafkaError> {
    let mut record = BaseRecord::<[u8], [u8]>::to(to).partition(message.partition());
    record.key = message.key();
    record.payload = message.payload();
    record.headers = if headers { message.headers().map(|headers| headers.detach()) } else { None };
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error),
        }
    }
}
