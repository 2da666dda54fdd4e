//! What a bus within one process needs of its store.

use jiff::Timestamp;

use crate::{
    local::batch::Stored,
    member::Position,
    record::{Offset, Partition},
    topic::TopicInfo,
};

/// A topic's number in the store; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(pub(crate) u32);

/// The store failed. The transaction is not in the store, as far as can be known.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StorageError(pub(crate) String);

/// Everything that one commit changes.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) published: Timestamp,
    pub(crate) create: Vec<(TopicId, TopicInfo)>,
    pub(crate) delete: Vec<TopicId>,
    pub(crate) appends: Vec<(TopicId, Partition, Stored)>,
    pub(crate) positions: Vec<(String, TopicId, Partition, Position)>,
    pub(crate) forget: Vec<String>,
}

impl Transaction {
    pub(crate) fn is_empty(&self) -> bool {
        self.create.is_empty()
            && self.delete.is_empty()
            && self.appends.is_empty()
            && self.positions.is_empty()
            && self.forget.is_empty()
    }
}

/// A partition as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) begin: Offset,
    pub(crate) end: Offset,
}

/// What is in the store at the start.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) topics: Vec<(TopicId, TopicInfo, Vec<Extent>)>,
    pub(crate) positions: Vec<(String, TopicId, Partition, Position)>,
    /// The next number for a topic.
    pub(crate) next_topic: u32,
}

/// A partition whose oldest batches may be deleted up to, but not including, the batch that holds `keep_from`.
#[derive(Debug, Clone)]
pub(crate) struct Trimmable {
    pub(crate) topic: TopicId,
    pub(crate) partition: Partition,
    pub(crate) compacted: bool,
    /// The lowest position of any group; the partition's end if no group has one.
    pub(crate) keep_from: Offset,
}

/// A partition whose begin was moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trimmed {
    pub(crate) topic: TopicId,
    pub(crate) partition: Partition,
    pub(crate) begin: Offset,
}

/// How much is stored, and how much may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

impl Usage {
    /// Whether publications are refused: at 90 % of the limit.
    pub(crate) fn is_full(self) -> bool {
        self.limit > 0 && self.used >= self.limit / 10 * 9
    }
}

/// The writing side, owned by the broker's thread.
pub(crate) trait Storage: Send {
    fn load(&mut self) -> Result<Loaded, StorageError>;

    /// Makes a transaction durable, whole or not at all.
    fn commit(&mut self, transaction: &Transaction) -> Result<(), StorageError>;

    /// Whether what was committed is still where the next process looks for it. If not, that is for good.
    fn in_place(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Deletes a little of what may go, oldest first, if retention wants it gone.
    fn trim(
        &mut self,
        candidates: &mut dyn FnMut() -> Vec<Trimmable>,
        now: Timestamp,
    ) -> Result<Vec<Trimmed>, StorageError>;

    /// How full it is; asked before publications are taken.
    fn usage(&self) -> Usage;
}

/// The reading side, shared by all readers.
pub(crate) trait Reader: Send + Sync {
    /// Batches that hold `from` or come after it, in order: at least one where there is one, at most about `max_bytes`.
    fn read(
        &self,
        topic: TopicId,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, StorageError>;

    /// Where the first batch published at or after a time begins, if there is one.
    fn at_time(&self, topic: TopicId, partition: Partition, time: Timestamp) -> Result<Option<Offset>, StorageError>;
}
