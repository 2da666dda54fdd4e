//! What the detector tells about itself.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What the detector has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Raw records decided.
    pub records: u64,
    /// Events detected.
    pub events: u64,
    /// Duplicates recognised.
    pub duplicates: u64,
    /// Records refused.
    pub refused: u64,
    /// Those of them whose id another change had before.
    pub reused: u64,
    /// Events that failed.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    records: AtomicU64,
    events: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    reused: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(crate) fn add(&self, counts: Counts) {
        self.records.fetch_add(counts.records, Ordering::Relaxed);
        self.events.fetch_add(counts.events, Ordering::Relaxed);
        self.duplicates.fetch_add(counts.duplicates, Ordering::Relaxed);
        self.refused.fetch_add(counts.refused, Ordering::Relaxed);
        self.reused.fetch_add(counts.reused, Ordering::Relaxed);
        self.failed.fetch_add(counts.failed, Ordering::Relaxed);
    }
}

/// Asks a running detector.
#[derive(Debug, Clone)]
pub struct Handle(pub(crate) Arc<Counters>);

impl Handle {
    /// What it has counted since its start.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            records: read(&self.0.records),
            events: read(&self.0.events),
            duplicates: read(&self.0.duplicates),
            refused: read(&self.0.refused),
            reused: read(&self.0.reused),
            failed: read(&self.0.failed),
        }
    }
}
