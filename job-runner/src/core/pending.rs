//! What waits for the next commit, over all partitions.

use bus::Outgoing;

/// How many outputs may wait for a commit before no inline run is made.
const MOST_OUTPUTS: usize = 2_000;
/// How many bytes of them.
const MOST_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// Outputs that wait for a commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    count: usize,
    bytes: usize,
}

impl Pending {
    pub(super) fn add(&mut self, output: &Outgoing) {
        self.count += 1;
        self.bytes += output.size();
    }

    pub(super) fn forget(&mut self, outputs: &[Outgoing]) {
        self.count = self.count.saturating_sub(outputs.len());
        self.bytes = self.bytes.saturating_sub(outputs.iter().map(Outgoing::size).sum());
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= MOST_OUTPUTS || self.bytes >= MOST_OUTPUT_BYTES
    }
}
