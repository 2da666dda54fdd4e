//! The pure core: what is known of an invocation, folded from progress facts.
//!
//! Every part of the state is a join (a highest, an earliest or a union), so that facts in any order, and however often,
//! give the same state. Of several raw records of one invocation the earliest that was really processed counts; a
//! duplicate that completes under its own correlation counts where there is none; then another change that came under the
//! same id; a redelivery, which waits for the first, only where there is none of them. The others are `repeated`. Nothing
//! here reads a clock.

mod distinct;
mod invocation;
mod tally;
mod view;

pub use distinct::Distinct;
pub use invocation::Invocation;
pub use tally::{Part, Tally};

use contracts::{
    progress::{Occurrence, Progress, ProgressError},
    raw::Place,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A line of a record of `progress`: a fact, and a fingerprint that tells it apart from others.
#[derive(Debug, Clone)]
pub struct Line {
    /// The fact.
    pub progress: Progress,
    /// A hash of its bytes: the same fact told again has the same.
    pub print: u64,
}

impl Line {
    /// Reads a line of a record of `progress`.
    ///
    /// # Errors
    /// It is none of Herald's, or the body of a known kind is malformed.
    pub fn read(line: &[u8]) -> Result<Self, ProgressError> {
        Ok(Self { progress: Progress::decode(line)?, print: xxh3_64(line) })
    }
}

/// What orders the raw records of one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    pub received: Timestamp,
    /// Where it stands.
    pub raw: Place,
}

impl From<&Occurrence> for Moment {
    fn from(occurrence: &Occurrence) -> Self {
        Self { received: occurrence.received, raw: occurrence.raw }
    }
}

#[cfg(test)]
mod tests;
