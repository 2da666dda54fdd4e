//! Compacted topics: records that a newer one of their key has replaced go, and so do tombstones (records without a value)
//! a day after what they deleted has gone. A partition's last batch is left alone: where a partition ends is read from it.
//!
//! As in Kafka, a pass learns the newest offset of each key from what is new, then walks from the beginning and drops what is
//! older. It is due when as much is new as the last pass has kept, or after a day: so what it costs follows what is written, and
//! at most half of what is stored is dead. A thread of its own reads, decides and packs; it hands over a step at a time,
//! which the committing thread makes a transaction. Steps of a pass are written in order, older records first, so that
//! whenever it is cut short no deleted key is back. Offsets stay as they are, with holes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{body, sqlite};
use crate::{
    local::{
        batch::{Builder, Stored},
        storage::{TopicId, Trimmable},
    },
    record::{Offset, Outgoing, Partition, Record},
};

/// How often it is looked for what is new, in milliseconds.
const EVERY: i64 = 60_000;
/// For how long tombstones are kept, at least, once what they delete has gone (ms): who has read that can learn it.
const DELAY: i64 = 24 * 3_600_000;
/// How many batches one transaction changes at most, and about how many bytes it writes.
const STEP_BATCHES: usize = 256;
const STEP_BYTES: usize = 1024 * 1024;
/// About how many bytes are read at once.
const READ_BYTES: usize = 1024 * 1024;
/// About how many bytes of keys a pass remembers. What does not fit is for the next.
const KEY_BYTES: usize = 16 * 1024 * 1024;
/// What a key costs beyond its bytes.
const KEY_OVERHEAD: usize = 64;

/// Looks for what can go, and writes it a step at a time.
pub(super) struct Compaction {
    path: PathBuf,
    looked: Option<i64>,
    /// Of the thread that is on its way.
    steps: Option<Receiver<Step>>,
    /// Taken from it and not yet written.
    next: Option<Step>,
    /// Whether it was said that a step could not be written.
    said: bool,
}

/// One transaction: batches by their base, with what is left of them.
#[derive(Debug)]
pub(super) struct Step {
    topic: TopicId,
    partition: Partition,
    changes: Vec<(i64, Option<Vec<u8>>)>,
    bytes: usize,
    /// The pass ends with this step.
    done: Option<Mark>,
}

/// How far a partition is compacted.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Batches with a base below have no record that another below replaces.
    clean: i64,
    /// How many records were left there.
    kept: i64,
    /// Whether some of these were tombstones.
    tombstones: bool,
    /// What was clean at an earlier time (ms): tombstones below delete nothing any more.
    settled: i64,
    settled_at: i64,
}

impl Mark {
    fn waited(&self, now: i64) -> bool {
        // A clock that went back tells nothing, so the delay begins again; that takes a pass.
        now - self.settled_at >= DELAY || now < self.settled_at
    }

    fn is_due(&self, last: i64, now: i64) -> bool {
        let new = last - self.clean;
        new > 0 && (new >= self.kept || self.waited(now)) || self.tombstones && self.waited(now)
    }
}

impl Compaction {
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.into(), looked: None, steps: None, next: None, said: false }
    }

    /// Writes one step, if there is one; answers whether it has. One that cannot be written is said once and tried again: the
    /// next must not overtake it.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        candidates: &mut dyn FnMut() -> Vec<Trimmable>,
        now: Timestamp,
    ) -> bool {
        let now = now.as_millisecond();
        if let (None, Some(steps)) = (&self.next, &self.steps) {
            match steps.try_recv() {
                Ok(step) => self.next = Some(step),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.steps = None,
            }
        }
        if let Some(step) = &self.next {
            if let Err(error) = step.write(connection) {
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(error = %error, "compacted topics could not be written; it is tried again");
                }
                return false;
            }
            (self.next, self.said) = (None, false);
            return true;
        }
        if self.steps.is_none() && self.looked.is_none_or(|looked| now.abs_diff(looked) >= EVERY.unsigned_abs()) {
            self.looked = Some(now);
            self.look(candidates(), now);
        }
        false
    }

    fn look(&mut self, mut candidates: Vec<Trimmable>, now: i64) {
        candidates.retain(|candidate| candidate.compacted);
        if candidates.is_empty() {
            return;
        }
        let (sender, steps) = sync_channel(1);
        let path = self.path.clone();
        let work = move || {
            let passes = || -> rusqlite::Result<()> {
                let connection = sqlite::reader(&path)?;
                for at in &candidates {
                    pass(&connection, at, now, &mut |step| sender.send(step).is_ok())?;
                }
                Ok(())
            };
            if let Err(error) = passes() {
                tracing::warn!(error = %error, "compacted topics could not be read this time; what is replaced stays");
            }
        };
        match std::thread::Builder::new().name("compaction".into()).spawn(work) {
            Ok(_) => self.steps = Some(steps),
            Err(error) => tracing::warn!(error = %error, "no thread could be started to compact topics this time"),
        }
    }
}

impl Step {
    fn new(at: &Trimmable) -> Self {
        Self { topic: at.topic, partition: at.partition, changes: Vec::new(), bytes: 0, done: None }
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= STEP_BATCHES || self.bytes >= STEP_BYTES
    }

    fn push(&mut self, base: i64, left: Option<Vec<u8>>) {
        self.bytes += left.as_ref().map_or(0, Vec::len);
        self.changes.push((base, left));
    }

    fn write(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let (topic, partition) = (self.topic.0, self.partition.0);
        let transaction = connection.transaction()?;
        for (base, left) in &self.changes {
            match left {
                Some(body) => transaction
                    .prepare_cached("UPDATE batches SET body = ?4 WHERE topic = ?1 AND partition = ?2 AND base = ?3")?
                    .execute(params![topic, partition, base, body])?,
                None => transaction
                    .prepare_cached("DELETE FROM batches WHERE topic = ?1 AND partition = ?2 AND base = ?3")?
                    .execute(params![topic, partition, base])?,
            };
        }
        if let Some(Mark { clean, kept, tombstones, settled, settled_at }) = self.done {
            // Not of a topic that was deleted meanwhile.
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO compacted (topic, partition, clean, kept, tombstones, settled, settled_at)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
                     WHERE EXISTS (SELECT 1 FROM batches WHERE topic = ?1 AND partition = ?2)",
                )?
                .execute(params![topic, partition, clean, kept, tombstones, settled, settled_at])?;
        }
        transaction.commit()
    }
}

/// Compacts a partition, if that is due, and answers how many batches it has read. `hand_over` takes the steps in order, and
/// answers whether it takes more.
fn pass(
    connection: &Connection,
    at: &Trimmable,
    now: i64,
    hand_over: &mut dyn FnMut(Step) -> bool,
) -> rusqlite::Result<usize> {
    let mut last = connection
        .prepare_cached("SELECT base FROM batches WHERE topic = ?1 AND partition = ?2 ORDER BY base DESC LIMIT 1")?;
    let last: Option<i64> = last.query_row(params![at.topic.0, at.partition.0], |row| row.get(0)).optional()?;
    let Some(last) = last else { return Ok(0) };
    let mark =
        mark(connection, at)?.unwrap_or(Mark { clean: 0, kept: 0, tombstones: false, settled: 0, settled_at: now });
    if !mark.is_due(last, now) {
        return Ok(0);
    }
    let (newest, end, mut read) = newest(connection, at, mark.clean, last)?;
    let settled = if now - mark.settled_at >= DELAY { mark.settled } else { 0 };
    let (mut kept, mut tombstones) = (0, false);
    let mut step = Step::new(at);
    let mut from = 0;
    loop {
        let batches = batches(connection, at, from, end)?;
        let Some(batch) = batches.last() else { break };
        from = batch.base + 1;
        read += batches.len();
        for Batch { base, mut records } in batches {
            let before = records.len();
            records.retain(|record| {
                let replaced = newest.get(&key(record)).is_some_and(|newest| *newest > record.offset);
                !replaced && (record.value.is_some() || base >= settled)
            });
            kept += i64::try_from(records.len()).unwrap_or(i64::MAX);
            tombstones |= records.iter().any(|record| record.value.is_none());
            if records.len() < before {
                step.push(base, again(base, records));
            }
            if step.is_full() && !hand_over(std::mem::replace(&mut step, Step::new(at))) {
                return Ok(read);
            }
        }
    }
    let (settled, settled_at) =
        if mark.waited(now) || mark.settled == 0 { (end, now) } else { (mark.settled, mark.settled_at) };
    step.done = Some(Mark { clean: end, kept, tombstones, settled, settled_at });
    hand_over(step);
    Ok(read)
}

fn mark(connection: &Connection, at: &Trimmable) -> rusqlite::Result<Option<Mark>> {
    let mut query = connection.prepare_cached(
        "SELECT clean, kept, tombstones, settled, settled_at FROM compacted WHERE topic = ?1 AND partition = ?2",
    )?;
    let mark = query.query_row(params![at.topic.0, at.partition.0], |row| {
        let (clean, kept, tombstones) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Mark { clean, kept, tombstones, settled: row.get(3)?, settled_at: row.get(4)? })
    });
    mark.optional()
}

type Key = Option<Box<[u8]>>;

fn key(record: &Record) -> Key {
    record.key.as_deref().map(Box::from)
}

/// The newest offset of each key from a batch on, up to which batch that is known and may be compacted, and how many were read.
fn newest(
    connection: &Connection,
    at: &Trimmable,
    clean: i64,
    last: i64,
) -> rusqlite::Result<(HashMap<Key, Offset>, i64, usize)> {
    let (mut newest, mut bytes, mut read, mut from) = (HashMap::new(), 0, 0, clean);
    loop {
        let batches = batches(connection, at, from, i64::MAX)?;
        if batches.is_empty() {
            return Ok((newest, last, read));
        }
        for batch in batches {
            if bytes >= KEY_BYTES {
                return Ok((newest, batch.base.min(last), read));
            }
            read += 1;
            from = batch.base + 1;
            for record in &batch.records {
                let key = key(record);
                let size = key.as_ref().map_or(0, |key| key.len()) + KEY_OVERHEAD;
                if newest.insert(key, record.offset).is_none() {
                    bytes += size;
                }
            }
        }
    }
}

struct Batch {
    base: i64,
    /// None of one that is damaged: whoever reads it is told; here it is only kept.
    records: Vec<Record>,
}

/// The next batches at or after `from` and before `end`: at least one where there is one.
fn batches(connection: &Connection, at: &Trimmable, from: i64, end: i64) -> rusqlite::Result<Vec<Batch>> {
    let mut query = connection.prepare_cached(
        "SELECT base, body FROM batches WHERE topic = ?1 AND partition = ?2 AND base >= ?3 AND base < ?4 ORDER BY base",
    )?;
    let mut rows = query.query(params![at.topic.0, at.partition.0, from, end])?;
    let (mut out, mut bytes) = (Vec::new(), 0);
    while bytes < READ_BYTES
        && let Some(row) = rows.next()?
    {
        let base: i64 = row.get(0)?;
        let mut records = Vec::new();
        if let Ok(body) = body::unpack(row.get_ref(1)?.as_blob()?) {
            bytes += body.len();
            let offset = Offset(base.unsigned_abs());
            if (Stored { base: offset, next: offset, body })
                .decode(&"".into(), at.partition, offset, &mut records)
                .is_err()
            {
                records.clear();
            }
        }
        out.push(Batch { base, records });
    }
    Ok(out)
}

/// What is left of a batch, as it is stored; none if that is nothing.
fn again(base: i64, records: Vec<Record>) -> Option<Vec<u8>> {
    let mut builder = Builder::new(Offset(base.unsigned_abs()));
    let last = records.last()?;
    let (published, next) = (last.published, last.offset.next());
    for Record { topic, offset, key, value, headers, .. } in records {
        builder.push(offset, &Outgoing { topic, partition: None, key, value, headers });
    }
    Some(body::pack(&builder.finish(published, next).body))
}

#[cfg(test)]
mod tests;
