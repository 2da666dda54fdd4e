//! What ends the stage, and what stops a single job; the latter never ends the former.

use bus::{Offset, Topic, TopicPartition};
use contracts::lane::StateError;

use crate::ledger::NoteError;

/// Why the whole stage ended. The process must be started again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus has stopped for good.
    #[error("the job runner cannot go on: {0}")]
    Bus(#[source] bus::Error),
    /// Nobody follows the catalog any more.
    #[error("the job runner cannot go on: whoever follows the catalog has ended")]
    CatalogGone,
    /// Nobody follows what is said about jobs any more.
    #[error("the job runner cannot go on: whoever follows the topic `control` has ended")]
    ControlGone,
}

/// Why one job's group does not run; shown by [`crate::Handle::status`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum GroupError {
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// What it writes, or its position, is refused for good.
    #[error(transparent)]
    Refused(#[from] bus::Refusal),
    /// The position of a partition holds a note that this version cannot read.
    #[error("the position of `{partition}` cannot be understood: {source}")]
    Note {
        /// The partition.
        partition: TopicPartition,
        /// What is wrong with its note.
        source: NoteError,
    },
    /// A record that was read once is gone before it was run.
    #[error(
        "the record {offset} of `{partition}` was deleted before it was run: going on would skip it. If it may be skipped, say \
         from where this job's group goes on with `herald groups set job.<job> begin|end|<time>`"
    )]
    Vanished {
        /// The partition.
        partition: TopicPartition,
        /// The record's place.
        offset: Offset,
    },
    /// The topic of what waits, or of the dead letters, has fewer partitions than an input.
    #[error("`{topic}` has {have} partitions, and what the job reads has {need}: run `herald topics apply`")]
    NoLane {
        /// The topic.
        topic: Topic,
        /// How many it has.
        have: u32,
        /// How many it needs.
        need: u32,
    },
    /// What waits cannot be read.
    #[error(
        "the record {offset} of `{partition}` cannot be read: {source}; run the version that wrote it, or a newer one"
    )]
    Lane {
        /// The partition.
        partition: TopicPartition,
        /// The record's place.
        offset: Offset,
        /// What is wrong with it.
        source: StateError,
    },
    /// The catalog names a kind of job that this process does not have.
    #[error("there is no kind of job `{kind}` in this process; it has {known}; upgrade it, or correct the catalog")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Those there are.
        known: String,
    },
    /// The job left the catalog, and this version cannot use its definition.
    #[error(
        "the job left the catalog, and this version cannot use its definition, so that what names it is not run; run the \
         version before, or put the job back into the catalog"
    )]
    Unusable,
    /// A defect of Herald.
    #[error("the group panicked, which is a defect of Herald: {0}")]
    Panicked(String),
}

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nobody: joining again later may help.
    Rejoin,
    /// Whoever writes the catalog or deploys the process: wait for the next catalog.
    NextCatalog,
    /// An operator: the group stays stopped.
    Operator,
    /// The process must be started again.
    Restart,
}

impl GroupError {
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Bus(bus::Error::Unavailable(_) | bus::Error::UnknownTopic(_) | bus::Error::Refused(_))
            | Self::Refused(_) => Remedy::Rejoin,
            Self::Bus(bus::Error::Stopped(_)) => Remedy::Restart,
            Self::UnknownKind { .. } | Self::Unusable => Remedy::NextCatalog,
            Self::Bus(bus::Error::PositionLost { .. } | bus::Error::PositionGone { .. })
            | Self::Note { .. }
            | Self::NoLane { .. }
            | Self::Lane { .. }
            | Self::Vanished { .. }
            | Self::Panicked(_) => Remedy::Operator,
        }
    }

    /// The label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bus(bus::Error::Unavailable(_)) => "unavailable",
            Self::Bus(bus::Error::Stopped(_)) => "stopped",
            Self::Bus(bus::Error::UnknownTopic(_)) => "unknown-topic",
            Self::Bus(bus::Error::PositionLost { .. } | bus::Error::PositionGone { .. }) => "position-lost",
            Self::Bus(bus::Error::Refused(refusal)) | Self::Refused(refusal) => refusal.code.as_str(),
            Self::Note { .. } => "note",
            Self::NoLane { .. } => "no-lane",
            Self::Lane { .. } => "lane",
            Self::Vanished { .. } => "vanished",
            Self::UnknownKind { .. } => "unknown-kind",
            Self::Unusable => "unusable",
            Self::Panicked(_) => "panicked",
        }
    }
}
