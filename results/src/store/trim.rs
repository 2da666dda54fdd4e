//! What time does to the store, in small steps: deadlines, and retention by age and count.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Applied, StoreError, Writer, body, marks::Marks, memory::Key, row};
use crate::fold::{Invocation, Part, Tally};

/// How many rows one step looks at.
const STEP: usize = 1000;
/// How many unfinished rows one step of the deadline sweep looks at in the index.
const SWEPT: i64 = 10_000;

/// The unfinished rows behind one.
pub(super) const SWEEP: &str = "SELECT id, received FROM invocation INDEXED BY invocation_unfinished \
    WHERE state < 2 AND id > ?1 ORDER BY id LIMIT ?2";
/// The rows behind one, oldest first.
pub(super) const OLDEST: &str = "SELECT id, received, state < 2 FROM invocation WHERE id > ?1 ORDER BY id LIMIT ?2";

/// The spans before the oldest row.
const EMPTY_SPANS: &str = "DELETE FROM span WHERE number < (SELECT min(id) FROM invocation) >> 12";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Invocations received before are deleted.
    pub since: Timestamp,
    /// At most so many are kept.
    pub count: u64,
    /// An unfinished one that was received at or after this time is never deleted: its deadline is to come.
    pub open_since: Timestamp,
}

/// What a step of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// How many invocations it deleted.
    pub deleted: u64,
    /// Whether a further step may find more at once.
    pub more: bool,
}

impl Writer {
    /// One step of the sweep: marks unfinished invocations that were received before `since` as overdue, and announces
    /// each correlation that is thereby complete. Answers whether the sweep is at its end; a further call begins anew.
    ///
    /// # Errors
    /// The file cannot be read or written; nothing was written then.
    pub fn expire(&mut self, since: Timestamp) -> Result<(Applied, bool), StoreError> {
        let (keys, next) = self.overdue(since)?;
        let done = next == 0;
        if keys.is_empty() {
            self.swept = next;
            return Ok((Applied::default(), done));
        }
        let applied = self.transaction(|transaction| {
            transaction.expired = true;
            for key in keys {
                transaction.change(key, Invocation::expire)?;
            }
            Ok(())
        })?;
        self.swept = next;
        Ok((applied, done))
    }

    /// The next unfinished rows that are due, and behind which row the sweep goes on: none, 0, at its end.
    fn overdue(&self, since: Timestamp) -> Result<(Vec<Key>, i64), StoreError> {
        let read = |source| StoreError::doing("read")(source).at(self.path());
        let since = since.as_microsecond();
        let mut statement = self.connection.prepare_cached(SWEEP).map_err(read)?;
        let not_yet = format!("{} AND flags & {} = 0", row::NAMED, row::OVERDUE);
        let mut due = self.connection.prepare_cached(&not_yet).map_err(read)?;
        let mut rows = statement.query(params![self.swept, SWEPT]).map_err(read)?;
        let (mut keys, mut looked, mut last) = (Vec::new(), 0, 0);
        while let Some(row) = rows.next().map_err(read)? {
            let received: i64 = row.get(1).map_err(read)?;
            last = row.get(0).map_err(read)?;
            looked += 1;
            if received < since
                && let Some(row) = due.query([last]).map_err(read)?.next().map_err(read)?
            {
                let (correlation, found) = row::named(row)?;
                keys.push((correlation, found.invocation));
                if keys.len() == STEP {
                    return Ok((keys, last));
                }
            }
        }
        Ok((keys, if looked == SWEPT { last } else { 0 }))
    }

    /// One step of retention.
    ///
    /// # Errors
    /// The file cannot be read or written; nothing was deleted then.
    pub fn trim(&mut self, kept: Kept) -> Result<Trimmed, StoreError> {
        let have = row::total(&self.connection, "invocations")?.max(0) as u64;
        let mut excess = have.saturating_sub(kept.count);
        let mut out = Trimmed::default();
        let mut doomed = Vec::new();
        let mut at = self.trimmed;
        let rows = self.oldest(at)?;
        let full = rows.len() == STEP;
        let mut reached = false;
        for (id, received, open) in rows {
            let old = received < kept.since.as_microsecond();
            if !old && excess == 0 {
                reached = true;
                break;
            }
            at = id;
            if open && received >= kept.open_since.as_microsecond() {
                continue;
            }
            excess = excess.saturating_sub(1);
            doomed.push(id);
        }
        if !doomed.is_empty() {
            out.deleted = doomed.len() as u64;
            // What was remembered of them would be written again.
            self.memory.clear();
            self.delete(&doomed)?;
        }
        out.more = full && !reached;
        self.trimmed = if out.more { at } else { 0 };
        Ok(out)
    }

    fn oldest(&self, after: i64) -> Result<Vec<(i64, i64, bool)>, StoreError> {
        let mut statement = self.connection.prepare_cached(OLDEST).map_err(StoreError::doing("read"))?;
        let rows = statement.query_map(params![after, STEP as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.and_then(Iterator::collect).map_err(StoreError::doing("read"))
    }

    fn delete(&self, doomed: &[i64]) -> Result<(), StoreError> {
        let write = |source| StoreError::doing("trim")(source).at(self.path());
        let sql = self.connection.unchecked_transaction().map_err(write)?;
        let run = |statement: &str, id: i64| {
            sql.prepare_cached(statement).and_then(|mut statement| statement.execute([id])).map_err(write)
        };
        let mut unfinished = 0;
        for id in doomed {
            let Some(Doomed { part, marks, correlation, tally }) = Doomed::read(&sql, *id)? else { continue };
            unfinished += i64::from(part.is_open());
            marks.forget(*id, &sql).map_err(write)?;
            run("DELETE FROM invocation WHERE id = ?1", *id)?;
            match tally {
                Some(mut tally) if tally.counters.invocations > 1 => {
                    tally.forget(&part);
                    row::set_tally(&sql, correlation, &tally)?;
                }
                _ => drop(run("DELETE FROM correlation WHERE id = ?1", correlation)?),
            }
        }
        sql.execute(EMPTY_SPANS, []).map_err(write)?;
        row::add_total(&sql, "unfinished", -unfinished)?;
        row::add_total(&sql, "invocations", -(doomed.len() as i64))?;
        sql.commit().map_err(write)
    }
}

/// A row that is to be deleted, with its correlation's.
struct Doomed {
    part: Part,
    marks: Marks,
    correlation: i64,
    tally: Option<Tally>,
}

impl Doomed {
    fn read(connection: &Connection, id: i64) -> Result<Option<Self>, StoreError> {
        const SQL: &str = "SELECT i.id, i.invocation, i.body, c.id, c.tally FROM invocation i \
            JOIN correlation c ON c.id = i.correlation WHERE i.id = ?1";
        let mut statement = connection.prepare_cached(SQL).map_err(StoreError::doing("read"))?;
        let mut rows = statement.query([id]).map_err(StoreError::doing("read"))?;
        let Some(row) = rows.next().map_err(StoreError::doing("read"))? else { return Ok(None) };
        let state = row::read(row)?.state;
        let columns = row.get(3).and_then(|correlation| Ok((correlation, row.get::<_, Option<Vec<u8>>>(4)?)));
        let (correlation, tally) = columns.map_err(StoreError::doing("read"))?;
        let tally = tally.map(|tally| body::decode(&tally, correlation)).transpose()?;
        Ok(Some(Self { part: state.part(), marks: Marks::of(&state), correlation, tally }))
    }
}
