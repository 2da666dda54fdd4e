//! What stops the detector.

use crate::seen::SeenError;

/// The detector cannot go on; it may be started again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus refused.
    #[error("the detector cannot go on: {0}")]
    Bus(#[from] bus::Error),
    /// The recent ids of a partition cannot be rebuilt.
    #[error("the recent ids of {partition} cannot be rebuilt: {source}")]
    Memory {
        /// Which.
        partition: bus::TopicPartition,
        /// Why.
        source: SeenError,
    },
    /// A task of its own failed.
    #[error("a task of the detector failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}
