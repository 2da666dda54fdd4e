//! A transaction under way: facts are folded in memory, and each row that changed is written once.

use std::collections::BTreeMap;

use bus::Record;
use contracts::{ids::CorrelationId, json, summary::Outcome};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{
    Announced, StoreError, body,
    marks::{Marks, SPAN},
    memory::{Key, Memory, Row},
    outbox, reader,
    row::{self, Found},
    writer::{Applied, Read},
};
use crate::{
    fold::{Invocation, Line, Part, Tally},
    watch::Change,
};

/// Of how many unreadable records of a partition, the newest, the store keeps why.
pub(super) const UNREADABLE: i64 = 1000;

/// How many bytes of summaries a transaction makes at most; the rest is made from the outbox.
const COMPLETED: usize = 4 * 1024 * 1024;

const INSERT: &str = "INSERT INTO invocation (correlation, invocation, received, state, flags, body, about, subject) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const UPDATE: &str = "UPDATE invocation SET state = ?2, flags = ?3, body = ?4 WHERE id = ?1";
const SPAN_OF: &str = "INSERT INTO span VALUES (?1, ?2) \
    ON CONFLICT (number) DO UPDATE SET newest = max(newest, excluded.newest)";
const MOVE: &str = "UPDATE invocation SET received = ?2 WHERE id = ?1";

/// By how much the totals of a file change.
#[derive(Debug, Default)]
struct Written {
    invocations: i64,
    unfinished: i64,
    /// The newest row that was written in each span.
    spans: BTreeMap<i64, i64>,
}

/// A transaction under way.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    memory: &'a mut Memory,
    /// The rows that changed.
    dirty: Vec<Key>,
    /// The rows that were read from the file.
    loaded: Vec<Key>,
    /// Their correlations, each with one of its invocations.
    touched: Vec<Key>,
    /// Whether deadlines, rather than facts, changed the rows.
    pub(super) expired: bool,
    unreadable: u64,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(connection: &'a Connection, memory: &'a mut Memory) -> Self {
        Self {
            connection,
            memory,
            dirty: Vec::new(),
            loaded: Vec::new(),
            touched: Vec::new(),
            expired: false,
            unreadable: 0,
        }
    }

    /// Moves a position, on condition that it is where the batch starts.
    pub(super) fn advance(&self, partition: u32, read: Read) -> Result<(), StoreError> {
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT next FROM position WHERE partition = ?1")
            .and_then(|mut statement| statement.query_row([partition], |row| row.get(0)).optional())
            .map_err(StoreError::doing("read"))?;
        let found = found.map(|next| next as u64);
        let expected = read.from.map(|from| from.0);
        if found != expected {
            return Err(StoreError::Moved { partition, expected, found });
        }
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO position VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![partition, read.to.0 as i64]))
            .map_err(StoreError::doing("write"))?;
        Ok(())
    }

    /// Notes a record that is no progress record.
    pub(super) fn unreadable(&mut self, record: &Record, error: &str) -> Result<(), StoreError> {
        tracing::error!(
            bus.topic = %record.topic, bus.partition = record.partition.0, bus.offset = record.offset.0, error,
            "passed over a record that is no progress record; it is noted in the store's table `unreadable`"
        );
        self.unreadable += 1;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO unreadable VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![record.partition.0, record.offset.0 as i64, error]))
            .map_err(StoreError::doing("write"))?;
        const OLDER: &str = "DELETE FROM unreadable WHERE partition = ?1 AND at <= \
            (SELECT at FROM unreadable WHERE partition = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)";
        self.connection
            .prepare_cached(OLDER)
            .and_then(|mut statement| statement.execute(params![record.partition.0, UNREADABLE]))
            .map_err(StoreError::doing("write"))?;
        Ok(())
    }

    /// Folds one fact.
    pub(super) fn fold(&mut self, line: Line) -> Result<(), StoreError> {
        let occurrence = &line.progress.occurrence;
        let key = (occurrence.correlation.clone(), occurrence.invocation);
        if !self.memory.rows.contains_key(&key) {
            self.load(&key)?;
        }
        match self.memory.rows.get_mut(&key) {
            Some(row) => {
                if row.state.apply(line) {
                    self.mark(key);
                }
                Ok(())
            }
            None => {
                let state = Invocation::first(line);
                self.create(key, state)
            }
        }
    }

    /// Changes a row by something that is no fact.
    pub(super) fn change(&mut self, key: Key, change: impl FnOnce(&mut Invocation)) -> Result<(), StoreError> {
        if !self.memory.rows.contains_key(&key) {
            self.load(&key)?;
        }
        if let Some(row) = self.memory.rows.get_mut(&key) {
            change(&mut row.state);
            self.mark(key);
        }
        Ok(())
    }

    fn create(&mut self, key: Key, state: Invocation) -> Result<(), StoreError> {
        let marks = Marks::default();
        let row = Row { id: None, state, part: None, marks, received: 0, dirty: false, size: 0 };
        match self.memory.groups.get_mut(&key.0) {
            Some(group) => group.many = true,
            None => {
                let id = self
                    .connection
                    .prepare_cached("INSERT INTO correlation (name) VALUES (?1)")
                    .and_then(|mut statement| statement.insert([key.0.as_str()]))
                    .map_err(StoreError::doing("write"))?;
                let nothing = Tally::nothing(row.state.received());
                self.memory.group(key.0.clone(), id, nothing, false);
            }
        }
        self.memory.insert(key.clone(), row);
        self.mark(key);
        Ok(())
    }

    fn mark(&mut self, key: Key) {
        let Some(row) = self.memory.rows.get_mut(&key) else { return };
        if row.dirty {
            return;
        }
        row.dirty = true;
        if let Some(group) = self.memory.groups.get_mut(&key.0).filter(|group| group.before.is_none()) {
            group.before = Some((group.tally.revision, group.tally.is_complete()));
            self.touched.push(key.clone());
        }
        self.dirty.push(key);
    }

    /// Brings a row, and its correlation, into memory if the file has them.
    fn load(&mut self, key: &Key) -> Result<(), StoreError> {
        let (correlation, invocation) = key;
        let id = match self.memory.groups.get(correlation) {
            Some(group) if group.many => group.id,
            Some(_) => return Ok(()),
            None => match row::correlation(self.connection, correlation)? {
                None => return Ok(()),
                Some(row::Correlation { id, tally: None }) => {
                    if let Some(found) = row::single(self.connection, id)? {
                        let tally = Tally::of(&found.state.part());
                        self.memory.group(correlation.clone(), id, tally, false);
                        self.remember(correlation, found);
                    }
                    return Ok(());
                }
                Some(row::Correlation { id, tally: Some(tally) }) => {
                    self.memory.group(correlation.clone(), id, tally, true);
                    id
                }
            },
        };
        if let Some(found) = row::find(self.connection, id, *invocation)? {
            self.remember(correlation, found);
        }
        Ok(())
    }

    fn remember(&mut self, correlation: &CorrelationId, found: Found) {
        let Found { id, invocation, state, size } = found;
        let key = (correlation.clone(), invocation);
        let (part, received, marks) = (state.part(), state.received().as_microsecond(), Marks::of(&state));
        let row = Row { id: Some(id), state, part: Some(part), marks, received, dirty: false, size };
        self.loaded.push(key.clone());
        self.memory.insert(key, row);
    }

    /// Writes what changed, and finds what completed.
    pub(super) fn finish(mut self) -> Result<(Vec<Key>, Applied), StoreError> {
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut totals = Written::default();
        for key in &dirty {
            self.store(key, &mut totals)?;
        }
        // It has no place in the outbox yet.
        let (mut completed, mut ids) = (Announced::new(0), Vec::new());
        let mut changes = Vec::with_capacity(self.touched.len());
        for one in std::mem::take(&mut self.touched) {
            self.settle(one, &mut changes, &mut completed, &mut ids)?;
        }
        let mut applied = Applied { changes, announced: None, unreadable: self.unreadable, steps: Vec::new() };
        if !ids.is_empty() {
            let id = outbox::put(self.connection, &ids)?;
            row::add_total(self.connection, "completed", ids.len() as i64)?;
            let rest = Some(completed.summaries.len()).filter(|next| *next < ids.len());
            applied.announced = Some(Announced { id, rest, ..completed });
        }
        for (span, newest) in totals.spans {
            let noted = self.connection.prepare_cached(SPAN_OF);
            noted.and_then(|mut sql| sql.execute([span, newest])).map_err(StoreError::doing("write"))?;
        }
        row::add_total(self.connection, "invocations", totals.invocations)?;
        row::add_total(self.connection, "unfinished", totals.unfinished)?;
        row::add_total(self.connection, "unreadable", self.unreadable as i64)?;
        dirty.append(&mut self.loaded);
        Ok((dirty, applied))
    }

    /// Writes a row.
    fn store(&mut self, key: &Key, totals: &mut Written) -> Result<(), StoreError> {
        let row = self.memory.rows.get_mut(key).zip(self.memory.groups.get_mut(&key.0));
        let Some((row, group)) = row else { return Ok(()) };
        let part = row.state.part();
        let received = row.state.received().as_microsecond();
        let body = body::encode(&row.state, row.size.max(512) + 256);
        let (state, flags, marks) = (row::state(&part), row::flags(&part), Marks::of(&row.state));
        let Marks { about, subject, .. } = marks;
        let run = |sql: &str, values: &[&dyn ToSql]| {
            self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values))
        };
        let is_new = row.id.is_none();
        let written = match row.id {
            None => {
                let values = params![group.id, row::key(&key.1), received, state, flags, body, about, subject];
                (row.marks.about, row.marks.subject) = (about, subject);
                run(INSERT, values).map(|_| self.connection.last_insert_rowid())
            }
            Some(id) => run(UPDATE, params![id, state, flags, body]).and_then(|_| {
                // Its indexes are written again, so only where it changed.
                if row.received != received {
                    run(MOVE, params![id, received])?;
                }
                Ok(id)
            }),
        };
        let noted = written.and_then(|id| marks.write(&row.marks, id, self.connection).map(|()| id));
        let id = noted.map_err(StoreError::doing("write"))?;
        if is_new || row.received != received {
            totals.spans.entry(id >> SPAN).and_modify(|newest| *newest = received.max(*newest)).or_insert(received);
        }
        (row.id, row.marks) = (Some(id), marks);
        match &row.part {
            Some(before) => group.tally.replace(before, &part),
            None => group.tally.add(&part),
        }
        totals.invocations += i64::from(row.part.is_none());
        totals.unfinished += i64::from(part.is_open()) - i64::from(row.part.as_ref().is_some_and(Part::is_open));
        (row.part, row.received, row.dirty) = (Some(part), received, false);
        self.memory.resize(key, body.len());
        Ok(())
    }

    /// Writes a correlation's counters, and notes what is to be told of it.
    fn settle(
        &mut self,
        one: Key,
        changes: &mut Vec<Change>,
        completed: &mut Announced,
        ids: &mut Vec<CorrelationId>,
    ) -> Result<(), StoreError> {
        let correlation = one.0.clone();
        let Some(group) = self.memory.groups.get_mut(&correlation) else { return Ok(()) };
        let (revision, was_complete) = group.before.take().unwrap_or_default();
        let (id, tally, many) = (group.id, group.tally.clone(), group.many);
        if many {
            row::set_tally(self.connection, id, &tally)?;
        }
        let complete = tally.is_complete();
        if complete && (tally.revision > revision || self.expired && !was_complete) {
            ids.push(correlation.clone());
            if completed.bytes < COMPLETED {
                // The only row of a correlation is in memory, and most correlations have only one.
                let (summary, bytes) = match self.memory.rows.get(&one).filter(|_| !many) {
                    // What is in its row makes nearly all of it, and need not be written again to be measured.
                    Some(row) => (reader::alone(&one, &row.state, &tally), row.size),
                    None => {
                        let summary = reader::announcement(self.connection, &correlation, id, &tally)?;
                        let bytes = json::size(&summary);
                        (summary, bytes)
                    }
                };
                completed.push(summary, bytes, COMPLETED);
            }
        }
        let failed = tally.outcome() == Some(Outcome::Failure);
        changes.push(Change { correlation, revision: tally.revision, complete, failed });
        Ok(())
    }
}

impl Tally {
    /// The tally of a correlation before its first invocation is added.
    fn nothing(received: Timestamp) -> Self {
        Self {
            counters: contracts::summary::Counters::default(),
            revision: 0,
            open: 0,
            overdue: 0,
            pending: 0,
            received,
            ended: None,
            forgotten: 0,
        }
    }
}
