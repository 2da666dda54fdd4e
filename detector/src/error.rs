//! What stops the detector.

use crate::memory::SideError;

/// The detector cannot go on; it may be started again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus refused.
    #[error("the detector cannot go on: {0}")]
    Bus(#[from] bus::Error),
    /// What it writes is refused for good.
    #[error("the detector cannot go on: {0}")]
    Refused(#[from] bus::Refusal),
    /// The recent ids of a partition cannot be rebuilt.
    #[error("the recent ids of {partition} cannot be rebuilt from `seen`: {source}")]
    Memory { partition: bus::TopicPartition, source: SideError },
    /// The side topic has no partition for the recent ids of one of `raw`.
    #[error(
        "`{partition}` cannot be read, since its recent ids have no place: the topic `seen` has {have} partitions and \
         `raw` has {need}; `herald topics apply` adds those that are missing"
    )]
    NoSide {
        /// The partition of `raw`.
        partition: bus::TopicPartition,
        /// How many partitions `seen` has; 0 if it does not exist.
        have: u32,
        /// How many `raw` has.
        need: u32,
    },
    /// A task of its own failed.
    #[error("a task of the detector failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}
