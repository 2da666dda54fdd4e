//! Reading a side topic back: what a stage wrote of a partition before it is read from its place up to the barrier, which is
//! asked for afterwards, so that everything that was begun before lies before it.

use std::collections::HashSet;

use crate::{
    Bus, Error, Outage,
    record::{Offset, Record, TopicPartition},
    topic::{Start, TopicInfo},
};

/// How many bytes are read at once.
const STEP: usize = 1024 * 1024;

/// A partition from a place up to the end that it had when reading began. While the bus is unavailable it waits.
pub struct Replay<'b> {
    bus: &'b dyn Bus,
    outage: &'b Outage,
    at: &'b TopicPartition,
    next: Offset,
    barrier: Offset,
}

impl<'b> Replay<'b> {
    /// Begins to read at a place.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`] or [`Error::Stopped`].
    pub async fn of(bus: &'b dyn Bus, outage: &'b Outage, at: &'b TopicPartition, from: Start) -> Result<Self, Error> {
        let barrier = outage.patiently(|| bus.offset(at, Start::End)).await?;
        let next = outage.patiently(|| bus.offset(at, from)).await?;
        Ok(Self { bus, outage, at, next, barrier })
    }

    /// Where it ends: what is written later stands from here on.
    pub fn barrier(&self) -> Offset {
        self.barrier
    }

    /// The next records, in order; none when the barrier is reached.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn next(&mut self) -> Result<Option<Vec<Record>>, Error> {
        if self.next >= self.barrier {
            return Ok(None);
        }
        let mut records = self.outage.patiently(|| self.bus.read(self.at, self.next, STEP)).await?;
        // Empty means that nothing more is to come before the barrier: what lies there are holes.
        self.next = records.last().map_or(self.barrier, |last| last.offset.next());
        records.retain(|record| record.offset < self.barrier);
        Ok(Some(records))
    }
}

/// Whether a compacted topic has anything under a key that begins so and was not deleted.
///
/// # Errors
/// As [`Replay::of`].
pub async fn has_any(bus: &dyn Bus, outage: &Outage, topic: &TopicInfo, begin: &str) -> Result<bool, Error> {
    for at in topic.each().collect::<Vec<_>>() {
        let mut there = HashSet::new();
        let mut replay = Replay::of(bus, outage, &at, Start::Earliest).await?;
        while let Some(records) = replay.next().await? {
            for Record { key, value, .. } in records {
                let Some(key) = key.filter(|key| key.starts_with(begin.as_bytes())) else { continue };
                if value.is_some() {
                    there.insert(key);
                } else {
                    there.remove(&key);
                }
            }
        }
        if !there.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
