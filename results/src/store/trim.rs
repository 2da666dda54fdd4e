//! What time does to the store, in small steps: deadlines, and retention by age and count.

use contracts::ids::{CorrelationId, InvocationId};
use jiff::Timestamp;
use rusqlite::params;

use super::{Applied, StoreError, Writer, body, row};
use crate::fold::Invocation;

/// How many rows one step looks at.
const STEP: usize = 1000;
/// How many unfinished rows one step of the deadline sweep looks at in the index.
const SWEPT: i64 = 10_000;

/// The unfinished rows behind a place, in the order of their index.
pub(super) const SWEEP: &str = "SELECT correlation_hash, received, state, id FROM invocation INDEXED BY invocation_open \
    WHERE state < 2 AND (correlation_hash, received, state, id) > (?1, ?2, ?3, ?4) \
    ORDER BY correlation_hash, received, state, id LIMIT ?5";
/// The rows behind one, oldest first.
pub(super) const OLDEST: &str = "SELECT id, received, state < 2 FROM invocation WHERE id > ?1 ORDER BY id LIMIT ?2";

/// What is kept.
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
        let done = next.is_none();
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

    /// The next unfinished rows that are due, and where the sweep goes on.
    #[expect(clippy::type_complexity, reason = "a place in the index is its columns")]
    fn overdue(
        &self,
        since: Timestamp,
    ) -> Result<(Vec<(CorrelationId, InvocationId)>, Option<(i64, i64, i64, i64)>), StoreError> {
        // Along the index of the unfinished, whose order is that of hashes; only what is due is read.
        let read = |source| StoreError::Sqlite { doing: "read", source };
        let since = since.as_microsecond();
        let (a, b, c, d) = self.swept.unwrap_or((i64::MIN, 0, 0, 0));
        let mut statement = self.connection.prepare_cached(SWEEP).map_err(read)?;
        let mut bodies = self
            .connection
            .prepare_cached(&format!("SELECT id, body FROM invocation WHERE id = ?1 AND flags & {} = 0", row::OVERDUE))
            .map_err(read)?;
        let mut rows = statement.query(params![a, b, c, d, SWEPT]).map_err(read)?;
        let (mut keys, mut looked, mut last) = (Vec::new(), 0, None);
        while let Some(row) = rows.next().map_err(read)? {
            let place = row.get(0).and_then(|a| Ok((a, row.get(1)?, row.get(2)?, row.get(3)?))).map_err(read)?;
            last = Some(place);
            looked += 1;
            if place.1 < since
                && let Some((_, found)) = row::next(&mut bodies.query([place.3]).map_err(read)?)?
            {
                keys.push((found.correlation, found.invocation));
                if keys.len() == STEP {
                    return Ok((keys, last));
                }
            }
        }
        Ok((keys, last.filter(|_| looked == SWEPT)))
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
        let write = |source| StoreError::Sqlite { doing: "trim", source };
        let sql = self.connection.unchecked_transaction().map_err(write)?;
        for id in doomed {
            let found = {
                let mut bodies = sql.prepare_cached("SELECT id, body FROM invocation WHERE id = ?1").map_err(write)?;
                row::next(&mut bodies.query([id]).map_err(write)?)?
            };
            let Some((_, invocation)) = found else { continue };
            let hash = self.hashes.correlation(&invocation.correlation);
            if let Some(mut tally) = row::tally(&sql, hash, &invocation.correlation)? {
                tally.forget(&invocation.part());
                let keys = params![hash, invocation.correlation.as_str(), body::encode(&tally, 512)];
                let statement = if tally.counters.invocations == 0 {
                    sql.prepare_cached(
                        "DELETE FROM correlation WHERE hash = ?1 AND correlation = ?2 AND ?3 IS NOT NULL",
                    )
                } else {
                    sql.prepare_cached("INSERT OR REPLACE INTO correlation VALUES (?1, ?2, ?3)")
                };
                statement.and_then(|mut statement| statement.execute(keys)).map_err(write)?;
            }
            sql.prepare_cached("DELETE FROM invocation WHERE id = ?1")
                .and_then(|mut statement| statement.execute([id]))
                .map_err(write)?;
        }
        row::add_total(&sql, "invocations", -(doomed.len() as i64))?;
        sql.commit().map_err(write)
    }
}
