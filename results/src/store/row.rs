//! The statements on rows, shared by the writer, its memory and the readers.

use contracts::{
    ids::{CorrelationId, InvocationId},
    summary::{Outcome, State},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, body};
use crate::fold::{Invocation, Part, Tally};

/// The flag of an invocation that failed.
pub(super) const FAILED: i64 = 1;
/// The flag of an invocation without any event.
pub(super) const EVENTLESS: i64 = 2;
/// The flag of an invocation beyond its deadline.
pub(super) const OVERDUE: i64 = 4;

// The questions by key; a test asks for their plans.

/// A correlation's row.
pub(super) const CORRELATION: &str = "SELECT id, tally FROM correlation WHERE name = ?1";
/// An invocation of a correlation.
pub(super) const FIND: &str = "SELECT id, invocation, body FROM invocation INDEXED BY invocation_by_id \
    WHERE correlation = ?1 AND invocation = ?2";
/// The only invocation of a correlation.
pub(super) const SINGLE: &str = "SELECT id, invocation, body FROM invocation INDEXED BY invocation_by_id \
    WHERE correlation = ?1";

/// An invocation with the name of its correlation.
pub(super) const NAMED: &str = "SELECT i.id, i.invocation, i.body, c.name FROM invocation i \
    JOIN correlation c ON c.id = i.correlation WHERE i.id = ?1";

/// A correlation's row.
pub(super) struct Correlation {
    pub(super) id: i64,
    /// Its counters, if it has, or had, more than one invocation; else those of its only one count.
    pub(super) tally: Option<Tally>,
}

/// An invocation's row.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) invocation: InvocationId,
    pub(super) state: Invocation,
    /// The size of its body in bytes.
    pub(super) size: usize,
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

/// The row of a correlation, if it is known.
pub(super) fn correlation(connection: &Connection, name: &CorrelationId) -> Result<Option<Correlation>, StoreError> {
    let found: Option<(i64, Option<Vec<u8>>)> = connection
        .prepare_cached(CORRELATION)
        .and_then(|mut statement| statement.query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(StoreError::doing("read"))?;
    found
        .map(|(id, tally)| Ok(Correlation { id, tally: tally.map(|tally| body::decode(&tally, id)).transpose()? }))
        .transpose()
}

/// Sets the counters of a correlation's row.
pub(super) fn set_tally(connection: &Connection, id: i64, tally: &Tally) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE correlation SET tally = ?2 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![id, body::encode(tally, 512)]))
        .map_err(StoreError::doing("write"))?;
    Ok(())
}

/// The row of an invocation of a correlation.
pub(super) fn find(
    connection: &Connection,
    correlation: i64,
    invocation: InvocationId,
) -> Result<Option<Found>, StoreError> {
    let mut statement = connection.prepare_cached(FIND).map_err(StoreError::doing("read"))?;
    next(&mut statement.query(params![correlation, key(&invocation)]).map_err(StoreError::doing("read"))?)
}

/// The row of the only invocation of a correlation.
pub(super) fn single(connection: &Connection, correlation: i64) -> Result<Option<Found>, StoreError> {
    let mut statement = connection.prepare_cached(SINGLE).map_err(StoreError::doing("read"))?;
    next(&mut statement.query([correlation]).map_err(StoreError::doing("read"))?)
}

/// Reads rows that begin with `id, invocation, body`.
pub(super) fn next(rows: &mut rusqlite::Rows<'_>) -> Result<Option<Found>, StoreError> {
    rows.next().map_err(StoreError::doing("read"))?.map(read).transpose()
}

/// Reads a row that begins with `id, invocation, body`.
pub(super) fn read(row: &Row<'_>) -> Result<Found, StoreError> {
    let id: i64 = row.get(0).map_err(StoreError::doing("read"))?;
    let damaged = |why: String| StoreError::Damaged { row: id, why };
    let bytes = |column| {
        let value = row.get_ref(column).map_err(StoreError::doing("read"))?;
        value.as_blob().map_err(|error| damaged(error.to_string()))
    };
    let invocation = uuid::Uuid::from_slice(bytes(1)?).map_err(|error| damaged(error.to_string()))?;
    let body = bytes(2)?;
    Ok(Found { id, invocation: InvocationId(invocation), state: body::decode(body, id)?, size: body.len() })
}

/// Reads a row of [`NAMED`].
pub(super) fn named(row: &Row<'_>) -> Result<(CorrelationId, Found), StoreError> {
    let found = read(row)?;
    let name: String = row.get(3).map_err(StoreError::doing("read"))?;
    let name = name.parse().map_err(|error| StoreError::Damaged { row: found.id, why: format!("{error}") })?;
    Ok((name, found))
}

/// An invocation's id as its column has it.
pub(super) fn key(invocation: &InvocationId) -> &[u8] {
    invocation.0.as_bytes()
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
