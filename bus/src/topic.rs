//! Topics as they are created, listed and measured.

use jiff::Timestamp;

use crate::record::{Offset, Topic, TopicPartition};

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub topic: Topic,
    /// How many partitions; the bus's configured number if absent.
    pub partitions: Option<u32>,
    /// Whether only the last record of each key is kept, for ever, instead of all for a time.
    pub compacted: bool,
    /// Unless it says how many partitions it has: as many as the widest of these.
    pub beside: Vec<Topic>,
}

impl TopicSpec {
    /// A topic whose records are kept for a time.
    pub fn new(topic: impl Into<Topic>) -> Self {
        Self { topic: topic.into(), partitions: None, compacted: false, beside: Vec::new() }
    }

    /// A compacted topic of one partition: a small table.
    pub fn table(topic: impl Into<Topic>) -> Self {
        Self { partitions: Some(1), compacted: true, ..Self::new(topic) }
    }

    /// A compacted topic in which whoever owns a partition of others keeps something in that of the same number.
    pub fn beside(topic: impl Into<Topic>, others: impl IntoIterator<Item = Topic>) -> Self {
        Self { compacted: true, beside: others.into_iter().collect(), ..Self::new(topic) }
    }
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub topic: Topic,
    /// How many partitions it has.
    pub partitions: u32,
    /// Whether it is compacted.
    pub compacted: bool,
}

impl TopicInfo {
    /// Its partitions.
    pub fn each(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        (0..self.partitions).map(|partition| TopicPartition::new(self.topic.clone(), partition))
    }
}

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that is still there.
    Earliest,
    /// Behind the newest, open transactions included.
    End,
    /// The first record published at or after a time.
    Time(Timestamp),
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Where.
    pub partition: TopicPartition,
    /// The committed position.
    pub position: Offset,
    /// The partition's end.
    pub end: Offset,
    /// How many records lie between, at most (holes count); 0 only if there is none.
    pub records: u64,
}

/// A consumer group that exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// Whether anybody is in it now.
    pub has_members: bool,
}
