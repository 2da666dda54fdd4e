//! What a topic holds for a `read_committed` reader, once whoever writes it has ended.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rdkafka::{Message as _, consumer::BaseConsumer, error::KafkaError};

use crate::{Arguments, Outcome, PATIENCE, assign, partitions, payload::number_of, reader};

#[derive(Default)]
struct Found {
    /// By number, whether it was there.
    numbers: Vec<bool>,
    /// Or lines, of a record that has several.
    records: u64,
    twice: u64,
    strangers: u64,
    /// Of the values, whatever their order.
    digest: u64,
}

impl Found {
    fn take(&mut self, line: &[u8]) {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        self.digest = self.digest.wrapping_add(hasher.finish());
        self.records += 1;
        let number = number_of(line).and_then(|number| usize::try_from(number).ok());
        match number.and_then(|number| self.numbers.get_mut(number)) {
            Some(there) if !*there => *there = true,
            Some(_) => self.twice += 1,
            None => self.strangers += 1,
        }
    }
}

/// Reads `topic=` and tells how many of `count=` numbers are missing, and how many are there twice.
pub(crate) fn check(given: &Arguments) -> Outcome<()> {
    let (topic, count) = (given.text("topic")?, given.or("count", 600_000_usize)?);
    let consumer = reader(given)?;
    let partitions = partitions(&consumer, topic)?;
    assign(&consumer, topic, &vec![0; usize::try_from(partitions)?])?;
    let found = read(&consumer, partitions, count)?;
    let missing = found.numbers.iter().filter(|there| !**there).count();
    let Found { records, twice, strangers, digest, .. } = found;
    println!("records={records} missing={missing} twice={twice} strangers={strangers} digest={digest:016x}");
    Ok(())
}

fn read(consumer: &BaseConsumer, partitions: i32, count: usize) -> Outcome<Found> {
    let mut found = Found { numbers: vec![false; count], ..Found::default() };
    let mut ended = 0;
    while ended < partitions {
        let message = match consumer.poll(PATIENCE) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) => {
                ended += 1;
                continue;
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Err(format!("nothing comes for {PATIENCE:?}").into()),
        };
        // A record of progress holds a fact on each line; the others have one line.
        let lines = message.payload().unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.for_each(|line| found.take(line));
    }
    Ok(found)
}
