//! Which batches go: the oldest that every group has read, once they are older or more than is kept. A few at a time, so
//! that no commit waits long. Compacted topics are left to [`super::compaction`].

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Config;
use crate::{
    local::storage::{TopicId, Trimmable, Trimmed},
    record::{Offset, Partition},
};

/// How many batches one step deletes at most.
const STEP_BATCHES: usize = 512;
/// How many bytes one step deletes at most, about.
const STEP_BYTES: u64 = 64 * 1024 * 1024;

pub(super) struct Retention {
    keep_bytes: u64,
    keep_age_ms: i64,
    /// Nothing can be older than allowed before this time (ms), so that idle steps cost nothing.
    next_by_age: i64,
}

/// The oldest batch of a partition.
struct Oldest {
    topic: TopicId,
    partition: Partition,
    keep_from: Offset,
    next: Offset,
    at: i64,
    bytes: u64,
}

impl Retention {
    pub(super) fn new(config: &Config) -> Self {
        let keep_age_ms = i64::try_from(config.keep_age.as_millis()).unwrap_or(i64::MAX);
        // Below what refuses publications, so that a bus on which everybody has caught up is never full.
        let keep_bytes = config.keep_bytes.min(config.max_bytes / 100 * 75);
        Self { keep_bytes, keep_age_ms, next_by_age: 0 }
    }

    /// Deletes a little, if anything is due.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        used: u64,
        candidates: &mut dyn FnMut() -> Vec<Trimmable>,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<Trimmed>> {
        let now = now.as_millisecond();
        if used <= self.keep_bytes && now < self.next_by_age {
            return Ok(Vec::new());
        }
        let horizon = now.saturating_sub(self.keep_age_ms);
        let transaction = connection.transaction()?;
        let mut heads = Vec::new();
        for candidate in candidates() {
            if !candidate.compacted {
                heads.extend(oldest(&transaction, candidate.topic, candidate.partition, candidate.keep_from)?);
            }
        }
        let mut excess = used.saturating_sub(self.keep_bytes);
        let (mut trimmed, mut freed, mut deleted) = (Vec::<Trimmed>::new(), 0, 0);
        while deleted < STEP_BATCHES && freed < STEP_BYTES {
            let Some(index) = (0..heads.len()).min_by_key(|index| heads[*index].at) else { break };
            let head = heads.swap_remove(index);
            if head.at >= horizon && excess == 0 {
                heads.push(head);
                break;
            }
            delete(&transaction, &head)?;
            excess = excess.saturating_sub(head.bytes);
            freed += head.bytes;
            deleted += 1;
            let (topic, partition, begin) = (head.topic, head.partition, head.next);
            trimmed.retain(|moved| (moved.topic, moved.partition) != (topic, partition));
            trimmed.push(Trimmed { topic, partition, begin });
            heads.extend(oldest(&transaction, topic, partition, head.keep_from)?);
        }
        transaction.commit()?;
        self.next_by_age = match heads.iter().map(|head| head.at).min() {
            Some(at) => at.saturating_add(self.keep_age_ms),
            // Everything left is still to be read; look again soon.
            None => now + 1000,
        };
        Ok(trimmed)
    }
}

/// The oldest batch of a partition, if every group has read it.
fn oldest(
    connection: &Connection,
    topic: TopicId,
    partition: Partition,
    keep_from: Offset,
) -> rusqlite::Result<Option<Oldest>> {
    let mut query = connection.prepare_cached(
        "SELECT next, at, length(body) FROM batches WHERE topic = ?1 AND partition = ?2 ORDER BY base LIMIT 1",
    )?;
    let found: Option<(i64, i64, i64)> =
        query.query_row(params![topic.0, partition.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    Ok(found.and_then(|(next, at, bytes)| {
        let next = Offset(u64::try_from(next).unwrap_or(0));
        let bytes = u64::try_from(bytes).unwrap_or(0);
        (next <= keep_from).then_some(Oldest { topic, partition, keep_from, next, at, bytes })
    }))
}

fn delete(connection: &Connection, head: &Oldest) -> rusqlite::Result<()> {
    let next = i64::try_from(head.next.0).unwrap_or(i64::MAX);
    connection
        .prepare_cached("DELETE FROM batches WHERE topic = ?1 AND partition = ?2 AND base < ?3")?
        .execute(params![head.topic.0, head.partition.0, next])?;
    connection
        .prepare_cached(
            "INSERT INTO extents (topic, partition, begin, next) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT DO UPDATE SET begin = excluded.begin, next = max(next, excluded.next)",
        )?
        .execute(params![head.topic.0, head.partition.0, next])?;
    Ok(())
}
