//! What a partition remembers of the records before: written to a side topic in their hop, rebuilt from there by the next owner.

use jiff::Timestamp;

/// A record of a side topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// It has a newer version.
    #[error("a record has version {0}; this herald reads up to {1}")]
    Version(u8, u8),
    #[error("a record is cut")]
    Cut,
}

/// The memory of one partition.
pub(crate) trait Memory: Send + 'static {
    /// What deciding about one record adds to it.
    type Entry: Send;
    /// The side topic: each of its partitions belongs to that of the same number.
    const SIDE: &'static str;

    /// What is remembered from now on is written to the side topic at this time, or a little later.
    fn written(&mut self, at: Timestamp);

    /// Since when the side topic has to be read to remember the same, in seconds since 1970; none if nothing is remembered.
    fn since(&self) -> Option<u32>;

    /// The values of the side records that hold these entries, each small enough for the bus.
    fn encode(entries: &[Self::Entry]) -> Vec<Vec<u8>>;

    /// Remembers what a side record holds.
    ///
    /// # Errors
    /// It is cut, or of a version that this one does not read.
    fn fold(&mut self, value: &[u8]) -> Result<(), SideError>;
}
