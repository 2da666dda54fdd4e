//! Membership of a consumer group: what is delivered, and how progress is committed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use contracts::outcomes::BoxFuture;

use crate::{
    Error,
    record::{Offset, Outgoing, Record, Topic, TopicPartition},
    refusal::RefusedShare,
};

/// Which assignment of a partition this is. A share of an older one is left out of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// What a stage remembers within its position: printable ASCII (Kafka keeps text, not bytes), at most [`Note::MAX`]
/// characters. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note(Arc<str>);

/// A text that cannot be a [`Note`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNote {
    /// It is beyond [`Note::MAX`].
    #[error("a position's note has {0} characters; at most {max} are possible", max = Note::MAX)]
    TooLong(usize),
    /// It has something in it that is not printable ASCII.
    #[error("a position's note has {found:?} at byte {at}; only printable ASCII is possible")]
    NotPrintable {
        /// Where, in bytes.
        at: usize,
        /// What.
        found: char,
    },
}

impl Note {
    /// The most characters that a note may have on any bus (Kafka's default `offset.metadata.max.bytes` is 4,096).
    pub const MAX: usize = 4000;

    /// A note of this text.
    ///
    /// # Errors
    /// It has more than [`Note::MAX`] characters, or one that is not printable ASCII.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidNote> {
        let text = text.into();
        if let Some((at, found)) = text.char_indices().find(|(_, c)| !matches!(c, ' '..='~')) {
            return Err(InvalidNote::NotPrintable { at, found });
        }
        if text.len() > Self::MAX { Err(InvalidNote::TooLong(text.len())) } else { Ok(Self(text)) }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a group has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The next record to read.
    pub next: Offset,
    /// What is to be remembered beside it: finished beyond it, attempts under way.
    pub note: Note,
}

impl Position {
    /// A position with nothing to remember.
    pub fn at(next: Offset) -> Self {
        Self { next, note: Note::default() }
    }
}

/// What a member reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The topics; those that do not exist yet are read once they do.
    pub topics: BTreeSet<Topic>,
    /// Where its group begins.
    pub begin: Begin,
}

/// Where a group begins in a partition in which it has no position. The bus commits that as the group's first position there,
/// so that a group that has begun always has one, and retention keeps what it is yet to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Begin {
    /// At the first record that is kept.
    #[default]
    Earliest,
    /// At these offsets; in a partition that is not named, at the first record that is kept.
    At(Arc<HashMap<TopicPartition, Offset>>),
    /// The stage keeps its positions itself and advises the bus of them ([`Member::advise`]): nothing is committed for it, and
    /// that the bus has none means nothing.
    Elsewhere,
}

impl Subscription {
    /// To topics, beginning at the first record that is kept.
    pub fn to(topics: impl IntoIterator<Item = impl Into<Topic>>) -> Self {
        Self { topics: topics.into_iter().map(Into::into).collect(), begin: Begin::Earliest }
    }
}

impl Begin {
    /// The offset that is said for a partition.
    pub fn at(&self, partition: &TopicPartition) -> Option<Offset> {
        match self {
            Self::At(offsets) => offsets.get(partition).copied(),
            Self::Earliest | Self::Elsewhere => None,
        }
    }
}

/// A partition that is ours from now on. It delivers nothing until it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Which assignment of it.
    pub generation: Generation,
    /// What the group committed last: where it begins, if it never did.
    pub position: Position,
}

/// What a member is told, in this order for each partition: assigned, records, then revoking or lost.
#[derive(Debug)]
pub enum Delivery {
    /// These partitions are ours from now on.
    Assigned(Vec<Assignment>),
    /// Records of one open partition, in order.
    Records(TopicPartition, Generation, Vec<Record>),
    /// These partitions are about to be taken: the last chance to commit. [`Member::release`] ends it early.
    Revoking {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// When they are gone in any case.
        deadline: Instant,
    },
    /// These are no longer ours: drop all memory of them.
    Lost(Vec<TopicPartition>),
}

/// What is committed for one partition, all or nothing: outputs and the new position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The input partition.
    pub partition: TopicPartition,
    /// The assignment it was read under.
    pub generation: Generation,
    /// What was made of it.
    pub outputs: Vec<Outgoing>,
    /// How far it has been read.
    pub position: Position,
}

impl Share {
    /// The assignment it is of.
    pub fn assigned(&self) -> (TopicPartition, Generation) {
        (self.partition.clone(), self.generation)
    }

    /// How many outputs shares have together, and how many bytes these have.
    pub fn outputs(shares: &[Self]) -> (usize, usize) {
        let outputs = shares.iter().flat_map(|share| &share.outputs);
        outputs.fold((0, 0), |(count, bytes), output| (count + 1, bytes + output.size()))
    }
}

/// What became of the shares of a commit, by assignment: what is said of one says nothing of a later one of the same
/// partition. Those not named are done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Not ours any more: nothing of these was written.
    pub left_out: Vec<(TopicPartition, Generation)>,
    /// Their end is unknown: they will be [`Delivery::Lost`], and whoever is assigned next finds out.
    pub lost: Vec<(TopicPartition, Generation)>,
    /// The bus will never take these as they are: nothing of them was written, and they are still ours.
    pub refused: Vec<RefusedShare>,
}

/// One member of a consumer group. Dropping it leaves the group at once, as a crash would.
///
/// All methods take `&self`, so that reading goes on while a commit is under way; only one commit may be.
///
/// A whole stage, which copies `in` to `out`. It remembers nothing between two deliveries, so that whatever goes can go at once:
/// ```
/// # use bus::{Assignment, Bus, Delivery, Error, Outgoing, Position, Share, Subscription};
/// # async fn copy(bus: &dyn Bus) -> Result<(), Error> {
/// let member = bus.join("copy", Subscription::to(["in"])).await?;
/// loop {
///     match member.next().await? {
///         Delivery::Assigned(assignments) => {
///             for Assignment { partition, generation, position } in assignments {
///                 member.open(&partition, generation, position.next);
///             }
///         }
///         Delivery::Records(partition, generation, records) => {
///             let outputs = records.iter().map(|it| Outgoing::new("out", "key", it.value().to_vec())).collect();
///             let next = records.last().map_or(bus::Offset::ZERO, |last| last.offset.next());
///             member.commit(vec![Share { partition, generation, outputs, position: Position::at(next) }]).await?;
///         }
///         Delivery::Revoking { partitions, .. } => member.release(&partitions),
///         Delivery::Lost(_) => {}
///     }
/// }
/// # }
/// ```
pub trait Member: Send + Sync {
    /// What happens next. Safe to cancel: nothing is lost.
    ///
    /// # Errors
    /// [`Error::PositionLost`], [`Error::PositionGone`], [`Error::UnknownTopic`] when an assigned topic was deleted, or [`Error::Stopped`].
    fn next(&self) -> BoxFuture<'_, Result<Delivery, Error>>;

    /// Lets an assigned partition deliver, from there on. Ignored if the assignment is over.
    fn open(&self, partition: &TopicPartition, generation: Generation, from: Offset);

    /// Stops a partition from delivering. What was already delivered is ours.
    fn pause(&self, partition: &TopicPartition);

    /// Lets a paused partition deliver again.
    fn resume(&self, partition: &TopicPartition);

    /// Replaces what is read.
    fn subscribe(&self, to: Subscription);

    /// Commits shares, each all or nothing, tried again until it is done or refused for good: what can never be taken is in
    /// [`Committed::refused`], and the other shares are done all the same. Outputs of one partition of a topic of lines
    /// ([`crate::lines`]) become one record, or few.
    ///
    /// # Errors
    /// [`Error::Stopped`] alone.
    fn commit(&self, shares: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>>;

    /// Tells a position that is kept elsewhere, for lag and retention alone. Not awaited, and not durable at once.
    fn advise(&self, partition: &TopicPartition, next: Offset);

    /// Gives back partitions that are being revoked, after the last commit.
    fn release(&self, partitions: &[TopicPartition]);

    /// Leaves the group, giving back everything.
    fn leave(&self) -> BoxFuture<'_, ()>;
}
