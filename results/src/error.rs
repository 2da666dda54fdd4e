//! Why the stage ends before it is told to.

use bus::{Offset, TopicPartition};

use crate::store::StoreError;

/// What ended the stage. It is started again by whoever supervises it, unless [`Error::is_final`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be opened or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus does not deliver.
    #[error("failed to read progress: {0}")]
    Bus(#[from] bus::Error),
    /// Records were deleted before they were read.
    #[error(
        "`{partition}` begins at {begins}, but the results store has read it only up to {position}: progress was deleted \
         unread; set `results.after-loss = \"continue\"` to go on without it"
    )]
    Deleted {
        partition: TopicPartition,
        /// Where the store would go on.
        position: Offset,
        /// The oldest record that is there.
        begins: Offset,
    },
    /// The store has read further than the bus goes: the two do not belong together.
    #[error(
        "`{partition}` ends at {end}, but the results store has read it up to {position}: this is not the bus that the \
         store was filled from; put back the bus's files, or move the store's file away to begin anew"
    )]
    OtherBus {
        partition: TopicPartition,
        /// Where the store would go on.
        position: Offset,
        /// Where the partition ends.
        end: Offset,
    },
    /// The thread that writes to the store ended unasked; this is a bug.
    #[error("the store's thread ended unasked: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl Error {
    /// Whether starting again meets the same, so that somebody must act first.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Deleted { .. } | Self::OtherBus { .. } | Self::Bus(bus::Error::PositionLost { .. }) => true,
            Self::Store(error) => error.is_final(),
            Self::Bus(_) | Self::Thread(_) => false,
        }
    }
}
