//! The statements on rows, shared by the writer, its memory and the readers.

use contracts::{
    ids::{CorrelationId, InvocationId},
    summary::{Outcome, State},
};
use rusqlite::{Connection, OptionalExtension, params};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{StoreError, body};
use crate::fold::{Invocation, Part, Tally};

/// The flag of an invocation that failed.
pub(super) const FAILED: i64 = 1;
/// The flag of an invocation without any event.
pub(super) const EVENTLESS: i64 = 2;
/// The flag of an invocation beyond its deadline.
pub(super) const OVERDUE: i64 = 4;

// The questions by key; a test asks for their plans.

/// Whether there is any row of a correlation's hash.
pub(super) const ANY: &str =
    "SELECT 1 FROM invocation INDEXED BY invocation_by_hash WHERE correlation_hash = ?1 LIMIT 1";
/// The counters of a correlation.
pub(super) const TALLY: &str = "SELECT body FROM correlation WHERE hash = ?1 AND correlation = ?2";
/// The rows that may be an invocation under a correlation.
pub(super) const FIND: &str = "SELECT id, body FROM invocation INDEXED BY invocation_by_hash \
    WHERE correlation_hash = ?1 AND invocation_hash = ?2";
/// The rows that may be a correlation's only one.
pub(super) const SINGLE: &str =
    "SELECT id, body FROM invocation INDEXED BY invocation_by_hash WHERE correlation_hash = ?1";

/// How ids become the numbers that rows are found by. The seed is the file's own, so that nobody can choose
/// correlation ids that collide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashes {
    seed: u64,
    mask: u64,
}

impl Hashes {
    /// The hashes of a file; `mask` is all ones but in tests, which want collisions.
    pub(super) fn of(connection: &Connection, mask: u64) -> Result<Self, StoreError> {
        Ok(Self { seed: total(connection, "seed")? as u64, mask })
    }

    pub(super) fn correlation(self, id: &CorrelationId) -> i64 {
        (xxh3_64_with_seed(id.as_str().as_bytes(), self.seed) & self.mask) as i64
    }

    /// An invocation's id is a hash or random already: its lower half.
    pub(super) fn invocation(self, id: InvocationId) -> i64 {
        (id.0.as_u64_pair().1 & self.mask) as i64
    }
}

pub(super) fn total(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection
        .prepare_cached("SELECT value FROM total WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)))
        .map_err(StoreError::doing("read"))
}

pub(super) fn add_total(connection: &Connection, name: &str, more: i64) -> Result<(), StoreError> {
    if more != 0 {
        connection
            .prepare_cached("UPDATE total SET value = value + ?2 WHERE name = ?1")
            .and_then(|mut statement| statement.execute(params![name, more]))
            .map_err(StoreError::doing("write"))?;
    }
    Ok(())
}

/// Whether there is any row of that hash.
pub(super) fn any(connection: &Connection, hash: i64) -> Result<bool, StoreError> {
    connection.prepare_cached(ANY).and_then(|mut statement| statement.exists([hash])).map_err(StoreError::doing("read"))
}

/// The counters of a correlation that has, or had, more than one invocation.
pub(super) fn tally(connection: &Connection, hash: i64, id: &CorrelationId) -> Result<Option<Tally>, StoreError> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached(TALLY)
        .and_then(|mut statement| statement.query_row(params![hash, id.as_str()], |row| row.get(0)).optional())
        .map_err(StoreError::doing("read"))?;
    body.map(|body| body::decode(&body, hash)).transpose()
}

/// The row of an invocation under a correlation.
pub(super) fn find(
    connection: &Connection,
    hashes: Hashes,
    correlation: &CorrelationId,
    invocation: InvocationId,
) -> Result<Option<(i64, Invocation)>, StoreError> {
    let mut statement = connection.prepare_cached(FIND).map_err(StoreError::doing("read"))?;
    let keys = params![hashes.correlation(correlation), hashes.invocation(invocation)];
    let mut rows = statement.query(keys).map_err(StoreError::doing("read"))?;
    while let Some((id, row)) = next(&mut rows)? {
        if row.invocation == invocation && row.correlation == *correlation {
            return Ok(Some((id, row)));
        }
    }
    Ok(None)
}

/// The only row of a correlation that has no row of counters.
pub(super) fn single(
    connection: &Connection,
    hash: i64,
    correlation: &CorrelationId,
) -> Result<Option<(i64, Invocation)>, StoreError> {
    let mut statement = connection.prepare_cached(SINGLE).map_err(StoreError::doing("read"))?;
    let mut rows = statement.query([hash]).map_err(StoreError::doing("read"))?;
    while let Some((id, row)) = next(&mut rows)? {
        if row.correlation == *correlation {
            return Ok(Some((id, row)));
        }
    }
    Ok(None)
}

/// Reads rows of `id, body`.
pub(super) fn next(rows: &mut rusqlite::Rows<'_>) -> Result<Option<(i64, Invocation)>, StoreError> {
    let Some(row) = rows.next().map_err(StoreError::doing("read"))? else { return Ok(None) };
    let id: i64 = row.get(0).map_err(StoreError::doing("read"))?;
    let bytes = row.get_ref(1).map_err(StoreError::doing("read"))?;
    let bytes = bytes.as_blob().map_err(|error| StoreError::Damaged { row: id, why: error.to_string() })?;
    Ok(Some((id, body::decode(bytes, id)?)))
}

pub(super) fn state(part: &Part) -> i64 {
    match part.state {
        State::Pending => 0,
        State::InProcess | State::Unknown(_) => 1,
        State::Complete => 2,
    }
}

pub(super) fn flags(part: &Part) -> i64 {
    let failed = if part.outcome() == Some(Outcome::Failure) { FAILED } else { 0 };
    let eventless = if part.counters.events == 0 { EVENTLESS } else { 0 };
    failed | eventless | if part.overdue { OVERDUE } else { 0 }
}
