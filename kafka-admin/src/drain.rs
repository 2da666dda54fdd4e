//! Whether a topic is drained: every group that reads it has read all of it, and nobody writes to it.
//!
//! Offsets cannot say so: a transaction's marker takes one, too. So what is left is read.

use std::time::{Duration, Instant};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{ANSWER, Admin, Error, Heard, hear, nobody, observer, patiently, reader};
use bus::Topic;
use kafka::{Config, blocking};

/// How long nothing may be written until a topic counts as quiet: longer than any transaction that is under way.
const QUIET: Duration = Duration::from_secs(3);
/// How long reading the rest of a partition may take.
const REST: Duration = Duration::from_secs(30);

/// Why a topic is not drained, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undrained(pub Vec<String>);

/// A record that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    /// When it was published, in milliseconds.
    pub(crate) published: Option<i64>,
}

/// Why nothing can be read at a place.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The partition begins later: records were deleted.
    Gone,
    /// The cluster cannot be read.
    Failed(KafkaError),
}

impl Admin {
    /// Whether a topic is drained; nothing in it if so.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub async fn drained(&self, topic: &Topic) -> Result<Undrained, Error> {
        let (config, name, heard) = (self.config().clone(), self.full_name(topic), self.heard().clone());
        let checked = blocking(move || Check::open(&config, &name, &heard).and_then(|check| check.run()));
        let checked = checked.await.map_err(|error| self.refused("looking for readers", &error))?;
        checked.map_err(|error| match error {
            Failure::Kafka(error) => self.failed(&format!("looking whether `{topic}` is drained"), &error),
            Failure::Setup(error) => error,
        })
    }
}

pub(crate) enum Failure {
    Kafka(KafkaError),
    Setup(Error),
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Setup(error)
    }
}

struct Check<'c> {
    config: &'c Config,
    name: &'c str,
    heard: &'c Heard,
    observer: BaseConsumer<Heard>,
    reader: BaseConsumer<Heard>,
    partitions: Vec<i32>,
}

impl<'c> Check<'c> {
    fn open(config: &'c Config, name: &'c str, heard: &'c Heard) -> Result<Self, Failure> {
        let observer = observer(config, heard.clone())?;
        let reader = reader(config, heard.clone(), &nobody(config))?;
        let metadata = observer.fetch_metadata(None, ANSWER)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions = topic.map(|topic| topic.partitions().iter().map(|partition| partition.id()).collect());
        let partitions = partitions.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition))?;
        Ok(Self { config, name, heard, observer, reader, partitions })
    }

    fn run(&self) -> Result<Undrained, Failure> {
        let mut why = Vec::new();
        let before = self.extents()?;
        let begun = Instant::now();
        for group in self.groups()? {
            self.unread_by(&group, &before, &mut why)?;
        }
        std::thread::sleep(QUIET.saturating_sub(begun.elapsed()));
        for (partition, (_, end)) in self.partitions.iter().zip(&self.extents()?).filter(|(partition, (_, end))| {
            before.get(usize::try_from(**partition).unwrap_or(usize::MAX)).is_none_or(|(_, was)| was != end)
        }) {
            why.push(format!("something was written to partition {partition} just now (it ends at {end})"));
        }
        for (partition, (_, end)) in self.partitions.iter().zip(&before) {
            // A client that reads committed is told where the first open transaction begins.
            let (_, stable) = patiently(|| self.reader.fetch_watermarks(self.name, *partition, ANSWER))?;
            if stable < *end {
                why.push(format!("a transaction is open in partition {partition}"));
            }
        }
        hear(&self.observer);
        hear(&self.reader);
        Ok(Undrained(why))
    }

    /// Where the partitions begin and end, open transactions included.
    fn extents(&self) -> Result<Vec<(i64, i64)>, KafkaError> {
        let extent = |partition: &i32| patiently(|| self.observer.fetch_watermarks(self.name, *partition, ANSWER));
        self.partitions.iter().map(extent).collect()
    }

    /// Every group of the cluster, ours or not.
    fn groups(&self) -> Result<Vec<String>, KafkaError> {
        let list = patiently(|| self.observer.fetch_group_list(None, ANSWER))?;
        Ok(list.groups().iter().map(|group| group.name().to_owned()).collect())
    }

    /// What a group that has positions in this topic has not read.
    fn unread_by(&self, group: &str, extents: &[(i64, i64)], why: &mut Vec<String>) -> Result<(), Failure> {
        let positions = committed(self.config, self.heard, group, &[(self.name, &self.partitions)])?;
        if positions.iter().all(Option::is_none) {
            return Ok(());
        }
        for ((partition, position), (begin, end)) in self.partitions.iter().zip(positions).zip(extents) {
            let from = position.unwrap_or(*begin);
            if begin == end || from >= *end {
                continue;
            }
            match first(&self.reader, self.name, *partition, from) {
                Ok(None) => {}
                Ok(Some(found)) => why.push(format!(
                    "the group `{group}` has not read partition {partition}: it is at {from}, and a record is at {}",
                    found.offset
                )),
                Err(Unread::Gone) => why.push(format!(
                    "the group `{group}` is at {from} of partition {partition}, which begins at {begin}: it has lost records"
                )),
                Err(Unread::Failed(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The positions of a group in partitions of topics, in their order; none where it has none.
pub(crate) fn committed(
    config: &Config,
    heard: &Heard,
    group: &str,
    of: &[(&str, &[i32])],
) -> Result<Vec<Option<i64>>, Failure> {
    if of.iter().all(|(_, partitions)| partitions.is_empty()) {
        return Ok(Vec::new());
    }
    let client = reader(config, heard.clone(), group)?;
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in of {
        for partition in *partitions {
            list.add_partition(topic, *partition);
        }
    }
    let found = patiently(|| client.committed_offsets(list.clone(), ANSWER))?;
    hear(&client);
    let position = |topic: &str, partition: i32| {
        let element = found.find_partition(topic, partition)?;
        match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    };
    Ok(of.iter().flat_map(|(topic, partitions)| partitions.iter().map(|it| position(topic, *it))).collect())
}

/// The first record at or after an offset that a reader of committed records is given; none if there is none.
pub(crate) fn first(
    reader: &BaseConsumer<Heard>,
    name: &str,
    partition: i32,
    from: i64,
) -> Result<Option<Found>, Unread> {
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(name, partition, Offset::Offset(from)).map_err(Unread::Failed)?;
    reader.assign(&place).map_err(Unread::Failed)?;
    let found = next(reader)?;
    reader.unassign().map_err(Unread::Failed)?;
    Ok(found)
}

fn next(reader: &BaseConsumer<Heard>) -> Result<Option<Found>, Unread> {
    let deadline = Instant::now() + REST;
    loop {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                return Ok(Some(Found { offset: record.offset(), published: record.timestamp().to_millis() }));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                return Err(Unread::Gone);
            }
            // Connections that break are made anew by librdkafka.
            Some(Err(error)) if Instant::now() > deadline => return Err(Unread::Failed(error)),
            None if Instant::now() > deadline => {
                return Err(Unread::Failed(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
            }
            _ => {}
        }
    }
}
