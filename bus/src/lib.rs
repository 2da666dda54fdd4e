//! How records travel: topics, partitions, consumer groups, and the *hop* that commits what a stage writes and how far
//! it has read as one.
//!
//! [`Bus`] and [`Member`] are what a bus owes its stages; [`embedded`] keeps them on one SQLite file in one process,
//! [`hostile`] keeps them in memory and is as unpleasant as the contract allows. The crate `kafka` keeps them on brokers.
//! The suite in `tests/tests/conformance` states the contract and runs against each.
//!
//! Topics are named without the configured prefix; only a bus that shares its broker with others adds it.

#![warn(missing_docs)]

mod back_off;
pub mod embedded;
pub mod hostile;
pub mod lines;
mod local;
mod member;
mod outage;
pub mod place;
mod record;
mod refusal;
mod replay;
mod topic;

pub use back_off::BackOff;
pub use member::{
    Assignment, Begin, Committed, Delivery, Generation, InvalidNote, Member, Note, Position, Share, Subscription,
};
pub use outage::{Outage, Waiting};
pub use record::{Offset, Outgoing, Partition, Record, Spot, Topic, TopicPartition};
pub use refusal::{Refusal, RefusalCode, RefusedShare, check_sizes, oversize};
pub use replay::{Replay, has_any};
pub use topic::{GroupInfo, Lag, Start, TopicInfo, TopicSpec};

use std::collections::{BTreeMap, HashMap};

use contracts::outcomes::BoxFuture;
use jiff::Timestamp;

/// The largest record (key, value and headers), in bytes, that every bus takes: the 4 MiB that a webhook's body may
/// have, and room for its headers.
pub const MAX_RECORD: usize = 4 * 1024 * 1024 + 64 * 1024;

/// Why a publication was not accepted. Nothing of the batch is in the log, unless the bus could not learn its end, or a broker
/// refused one of several records.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The bus cannot take anything now; the same publication may succeed later.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// The bus has reached its size; publishing is refused while hops may drain it.
    #[error("the bus is full: {used} of {limit} bytes are in use; raise `bus.max-bytes` or let consumers catch up")]
    Full {
        /// Bytes in use.
        used: u64,
        /// The configured limit in bytes.
        limit: u64,
    },
    /// One record of it will never be taken as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why reading, joining or committing failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The bus cannot be reached, or refuses, for now.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// The bus is shutting down or has failed for good; the process must be started again.
    #[error("the bus has stopped: {0}")]
    Stopped(String),
    /// There is no such topic.
    #[error("there is no topic `{0}`")]
    UnknownTopic(Topic),
    /// What the position names is gone: going on would skip records, so the group stops.
    #[error(
        "`{partition}` begins at {begins}, but the position of `{group}` is {position}: records were deleted unread. Say from \
         where it goes on with `herald groups set {group} begin|end|<time> --topic {topic}`",
        topic = partition.topic
    )]
    PositionLost {
        /// The group.
        group: String,
        /// Where.
        partition: TopicPartition,
        /// The position.
        position: Offset,
        /// Where the partition begins.
        begins: Offset,
    },
    /// The group had a position there, and has none: beginning anew would do everything again, so the group stops.
    #[error(
        "`{group}` had a position in `{partition}`, which is gone: the group was deleted, or nobody was in it for longer than \
         Kafka keeps positions. Say from where it goes on with `herald groups set {group} begin|end|<time> --topic {topic}`, \
         or let it begin as a new one with `herald groups forget {group}`",
        topic = partition.topic
    )]
    PositionGone {
        /// The group.
        group: String,
        /// Where.
        partition: TopicPartition,
    },
    /// The group's first position is refused for good.
    #[error(transparent)]
    Refused(Refusal),
}

/// A message bus: everything that the stages of Herald need of one.
pub trait Bus: Send + Sync + 'static {
    /// Publishes a batch. Ok means that every record of it is durable; the spots are in the order of the batch.
    ///
    /// # Errors
    /// See [`PublishError`]; of [`PublishError::Unavailable`] the end may be unknown. Of [`PublishError::Refused`] the record
    /// that it names was not written; the others are not either, unless it was the broker that refused.
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Spot>, PublishError>>;

    /// Joins a consumer group; what it reads may change later.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Stopped`].
    fn join(&self, group: &str, to: Subscription) -> BoxFuture<'_, Result<Box<dyn Member>, Error>>;

    /// Reads what is there without a group: at most about `max_bytes`, at least one record where there is one, from the
    /// first record at or after `from`. Empty at the end.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or the bus cannot be read. An offset before the partition's begin reads from its begin.
    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>>;

    /// Ends when the partition has a record at or after `from`, or at some later time of the bus's choice; to be called
    /// again. What a live reader waits with between two [`Bus::read`]s.
    fn changed<'a>(&'a self, at: &'a TopicPartition, from: Offset) -> BoxFuture<'a, Result<(), Error>>;

    /// The offset of a place in a partition. [`Start::End`] is a **barrier**: the end with open transactions included, so
    /// that who has read up to it has read everything that was begun before.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or the bus cannot be read.
    fn offset<'a>(&'a self, at: &'a TopicPartition, place: Start) -> BoxFuture<'a, Result<Offset, Error>>;

    /// [`Bus::offset`] of many partitions, in as few questions as the bus can do with. What cannot be told now, or is not
    /// there, is left out.
    ///
    /// # Errors
    /// The bus cannot be read.
    fn offsets<'a>(
        &'a self,
        of: &'a [TopicPartition],
        place: Start,
    ) -> BoxFuture<'a, Result<HashMap<TopicPartition, Offset>, Error>>;

    /// Creates topics; one that exists is left as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn create(&self, topics: Vec<TopicSpec>) -> BoxFuture<'_, Result<(), Error>>;

    /// Deletes a topic with everything in it. Groups that have it assigned lose it.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or the bus cannot be reached.
    fn delete<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), Error>>;

    /// Every topic, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>>;

    /// How far a group is behind, by partition; partitions without a position are left out. It may be told a moment
    /// late: a broker answers a commit once it is decided, and shows its positions soon after.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn lag<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<Vec<Lag>, Error>> {
        Box::pin(async move { Ok(self.lags(&[group.to_owned()]).await?.remove(group).unwrap_or_default()) })
    }

    /// [`Bus::lag`] of many groups, by name: as few questions as the bus can do with, and each partition's end once.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn lags<'a>(&'a self, groups: &'a [String]) -> BoxFuture<'a, Result<BTreeMap<String, Vec<Lag>>, Error>>;

    /// Every consumer group that has positions or members, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, Error>>;

    /// Says from where a group goes on in these partitions; what it had noted about them is forgotten.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while the group has members; [`Error::UnknownTopic`].
    fn place<'a>(
        &'a self,
        group: &'a str,
        positions: Vec<(TopicPartition, Offset)>,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Forgets a group's positions, which then hold back retention no longer.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while the group has members.
    fn forget<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

/// The time of a record that is published now.
pub fn now() -> Timestamp {
    Timestamp::now()
}
