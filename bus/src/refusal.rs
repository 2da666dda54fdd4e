//! What a bus will never take as it is: trying the same again is in vain, so that it goes back to whoever made it.

use std::fmt;

use crate::{
    MAX_RECORD,
    member::Share,
    record::{Outgoing, Topic},
};

/// Why something is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalCode {
    /// The record is larger than its topic, or any bus, takes.
    TooLarge,
    /// The topic does not exist.
    UnknownTopic,
    /// The topic has no such partition.
    UnknownPartition,
    /// We may not write there (an ACL).
    Forbidden,
    /// The bus cannot keep such a record in that topic, as a record without a key in a compacted one.
    Invalid,
    /// The position cannot be kept: its note is too large for the broker, or we may not commit for the group.
    Position,
}

impl RefusalCode {
    /// Its name in records, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::UnknownTopic => "unknown-topic",
            Self::UnknownPartition => "unknown-partition",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Position => "position",
        }
    }

    /// Whether it concerns every record for that topic, and not one record alone.
    pub fn is_of_topic(self) -> bool {
        matches!(self, Self::UnknownTopic | Self::Forbidden)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record or position that is refused for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{topic}` refuses it for good ({code}): {reason}")]
pub struct Refusal {
    /// Which of the records that were given, counted from 0; none if it is the position.
    pub record: Option<usize>,
    /// The topic that the record was for; for a position, the topic it is of.
    pub topic: Topic,
    /// Why, for machines.
    pub code: RefusalCode,
    /// Why, for people: what is wrong, and what to do.
    pub reason: String,
}

impl Refusal {
    /// A record of so many bytes is beyond [`MAX_RECORD`].
    pub fn too_large(record: usize, topic: &Topic, size: usize) -> Self {
        let reason = format!("the record has {size} bytes; at most {MAX_RECORD} are possible");
        Self { record: Some(record), topic: topic.clone(), code: RefusalCode::TooLarge, reason }
    }

    /// There is no such topic.
    pub fn unknown(record: usize, topic: &Topic) -> Self {
        let reason = "there is no such topic".to_owned();
        Self { record: Some(record), topic: topic.clone(), code: RefusalCode::UnknownTopic, reason }
    }

    /// There is no such partition.
    pub fn no_partition(record: usize, topic: &Topic, partition: u32, partitions: u32) -> Self {
        let reason = format!("it has {partitions} partitions, none of which is {partition}");
        Self { record: Some(record), topic: topic.clone(), code: RefusalCode::UnknownPartition, reason }
    }
}

/// A share that is refused, given back: nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedShare {
    /// The share as it was.
    pub share: Share,
    /// What of it is refused, at least one; what is not named may be refused the next time.
    pub refusals: Vec<Refusal>,
}

/// Whether every record is small enough for any bus.
pub fn check_sizes(records: &[Outgoing]) -> Result<(), Refusal> {
    oversize(records).next().map_or(Ok(()), Err)
}

/// The records that are too large for any bus.
pub fn oversize(records: &[Outgoing]) -> impl Iterator<Item = Refusal> {
    let sizes = records.iter().map(Outgoing::size).enumerate().zip(records);
    sizes
        .filter(|((_, size), _)| *size > MAX_RECORD)
        .map(|((at, size), record)| Refusal::too_large(at, &record.topic, size))
}
