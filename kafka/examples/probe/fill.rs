//! Raw records, as fast as they can be written.

use std::time::{Duration, Instant};

use contracts::{headers::Headers, topics::partition_of};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};

use crate::{
    Arguments, Outcome, PATIENCE, ends, partitions,
    payload::{Payload, Raw},
    reader,
};

/// Writes `count=` records of `size=` bytes to `topic=`, over 10,000 rows.
pub(crate) fn fill(given: &Arguments) -> Outcome<()> {
    let (topic, count) = (given.text("topic")?, given.or("count", 600_000_u64)?);
    let consumer = reader(given)?;
    let partitions = partitions(&consumer, topic)?;
    let producer: BaseProducer = producer(given, 20)?.create()?;
    let mut payload = Payload::new(given.or("size", 1536)?, given.or("run", 1)?, 10_000)?;
    let begun = Instant::now();
    for number in 0..count {
        let raw = payload.number(number);
        while !sent(producer.send(record(topic, partitions, &raw, payload.bytes())?))? {
            producer.poll(Duration::from_millis(5));
        }
        if number % 128 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE)?;
    let seconds = begun.elapsed().as_secs_f64();
    let written: i64 = ends(&consumer, topic, partitions)?.iter().sum();
    if u64::try_from(written)? != count {
        return Err(format!("`{topic}` has {written} records instead of {count}").into());
    }
    println!("records={written} seconds={seconds:.3}");
    Ok(())
}

/// An idempotent producer.
pub(crate) fn producer(given: &Arguments, linger: u32) -> Outcome<ClientConfig> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", given.text("brokers")?)
        .set("enable.idempotence", "true")
        .set("linger.ms", linger.to_string())
        .set("compression.type", given.or("compression", "none".to_owned())?);
    Ok(config)
}

/// A raw record for a producer, in the partition that its key chooses.
pub(crate) fn record<'a>(
    topic: &'a str,
    partitions: i32,
    raw: &'a Raw,
    value: &'a [u8],
) -> Outcome<BaseRecord<'a, [u8], [u8]>> {
    let partition = i32::try_from(partition_of(raw.key.as_bytes(), u32::try_from(partitions)?))?;
    let record = BaseRecord::to(topic).partition(partition).key(raw.key.as_bytes()).payload(value);
    Ok(record.headers(headers(&raw.headers)))
}

/// What a producer says when it is handed a record: it gives back what it does not take.
type Sending<'a> = Result<(), (KafkaError, BaseRecord<'a, [u8], [u8]>)>;

/// Whether a producer had room for a record.
pub(crate) fn sent(sending: Sending<'_>) -> Outcome<bool> {
    match sending {
        Ok(()) => Ok(true),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
        Err((error, _)) => Err(error.into()),
    }
}

fn headers(from: &Headers) -> OwnedHeaders {
    let all = OwnedHeaders::new_with_capacity(from.len());
    from.iter().fold(all, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

/// One that answers its own delivery reports, for a steady rate.
pub(crate) type Threaded = ThreadedProducer<DefaultProducerContext>;
