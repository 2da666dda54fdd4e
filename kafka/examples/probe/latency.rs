//! How long a record takes from the raw topic to its output, at a steady rate.
//!
//! **Open loop.** Each record has a time at which it is due, and its latency counts from then until a `read_committed`
//! reader of the output has it: writing the raw record, the hop, and reading its output.

use std::time::{Duration, Instant};

use rdkafka::{Message as _, consumer::BaseConsumer, error::KafkaError, producer::Producer as _};

use crate::{
    Arguments, Outcome, PATIENCE, assign, ends,
    fill::{Threaded, producer, record, sent},
    partitions,
    payload::{Payload, number_of},
    reader,
};

/// How long the first output may take: processes start, join, and are compiled while they run.
const FIRST: Duration = Duration::from_secs(120);

/// Writes `rate=` records a second to `from=`, and reads `to=`: `warm=` records that do not count, then `count=`.
pub(crate) fn measure(given: &Arguments) -> Outcome<()> {
    let (from, to) = (given.text("from")?.to_owned(), given.text("to")?);
    let (warm, count) = (given.or("warm", 1000_u64)?, given.or("count", 6000_u64)?);
    let every = Duration::from_secs_f64(1.0 / given.or("rate", 100.0)?);
    let consumer = reader(given)?;
    let output = partitions(&consumer, to)?;
    let input = partitions(&consumer, &from)?;
    assign(&consumer, to, &ends(&consumer, to, output)?)?;
    let producer: Threaded = producer(given, 0)?.create()?;
    let payload = Payload::new(given.or("size", 1536)?, given.or("run", 1)?, 10_000)?;
    println!("measuring={to}");
    let begun = Instant::now() + Duration::from_millis(100);
    let due = move |number: u64| begun + every.mul_f64(number as f64);
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let written =
                write(&producer, payload, (&from, input), (0..warm + count).map(|number| (number, due(number))));
            written.map_err(|error| error.to_string())
        });
        let latencies = read(&consumer, warm, count, due);
        writing.join().map_err(|_| "the writer has panicked")??;
        tell(latencies?)
    })
}

/// Writes each number when it is due.
fn write(
    producer: &Threaded,
    mut payload: Payload,
    (topic, partitions): (&str, i32),
    numbers: impl Iterator<Item = (u64, Instant)>,
) -> Outcome<()> {
    for (number, due) in numbers {
        let raw = payload.number(number);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if !sent(producer.send(record(topic, partitions, &raw, payload.bytes())?))? {
            return Err("the producer's queue is full".into());
        }
    }
    Ok(producer.flush(PATIENCE)?)
}

/// The latency of each record that counts.
fn read(consumer: &BaseConsumer, warm: u64, count: u64, due: impl Fn(u64) -> Instant) -> Outcome<Vec<Duration>> {
    let mut seen = vec![false; usize::try_from(warm + count)?];
    let mut latencies = Vec::with_capacity(usize::try_from(count)?);
    let mut missing = warm + count;
    let deadline = due(warm + count) + FIRST;
    while missing > 0 {
        let message = match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) | None if Instant::now() < deadline => continue,
            Some(Err(KafkaError::PartitionEOF(_))) | None => {
                return Err(format!("{missing} outputs are missing").into());
            }
            Some(Err(error)) => return Err(error.into()),
        };
        let now = Instant::now();
        let number = message.payload().and_then(number_of).ok_or("an output without a number")?;
        let there =
            usize::try_from(number).ok().and_then(|number| seen.get_mut(number)).ok_or("an output of a stranger")?;
        if std::mem::replace(there, true) {
            return Err(format!("the output of {number} is there twice").into());
        }
        missing -= 1;
        if number >= warm {
            latencies.push(now.saturating_duration_since(due(number)));
        }
    }
    Ok(latencies)
}

fn tell(mut latencies: Vec<Duration>) -> Outcome<()> {
    latencies.sort_unstable();
    let part = |part: f64| {
        let place = ((latencies.len() as f64 * part).ceil() as usize).clamp(1, latencies.len());
        latencies.get(place - 1).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    let records = latencies.len();
    println!("records={records} p50={:.2} p90={:.2} p99={:.2} max={:.2}", part(0.5), part(0.9), part(0.99), part(1.0));
    Ok(())
}
