//! The outbox: which correlations completed in a transaction and were not yet published.
//!
//! One row per transaction, with ids alone: what is published is made from the state, so that what was left behind by
//! an earlier process is published as it stands now.

use contracts::{ids::CorrelationId, summary::Summary};
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, body};

/// The correlations that one transaction completed.
#[derive(Debug)]
pub struct Announced {
    /// Its place in the outbox, for [`super::Batch::sent`].
    pub id: i64,
    /// What to publish.
    pub summaries: Vec<Summary>,
}

pub(super) fn put(connection: &Connection, ids: &[CorrelationId]) -> Result<i64, StoreError> {
    connection
        .prepare_cached("INSERT INTO outbox (body) VALUES (?1)")
        .and_then(|mut statement| statement.insert([body::encode(&ids, 48 * ids.len())]))
        .map_err(StoreError::doing("write"))
}

pub(super) fn after(connection: &Connection, id: i64) -> Result<Option<(i64, Vec<CorrelationId>)>, StoreError> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT id, body FROM outbox WHERE id > ?1 ORDER BY id LIMIT 1")
        .and_then(|mut statement| statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(StoreError::doing("read"))?;
    found.map(|(id, body)| Ok((id, body::decode(&body, id)?))).transpose()
}

pub(super) fn delete(connection: &Connection, upto: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM outbox WHERE id <= ?1")
        .and_then(|mut statement| statement.execute(params![upto]))
        .map_err(StoreError::doing("write"))?;
    Ok(())
}
