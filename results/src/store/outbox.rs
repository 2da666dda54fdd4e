//! The outbox: which correlations completed in a transaction and were not yet published.
//!
//! One row per transaction, with ids alone: what is published is made from the state, so that what was left behind by
//! an earlier process is published as it stands now.

use contracts::{ids::CorrelationId, summary::Summary};
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, body};

/// Correlations that one transaction completed.
#[derive(Debug)]
pub struct Announced {
    /// Its place in the outbox, for [`super::Batch::sent`] once there is no rest.
    pub id: i64,
    /// What to publish.
    pub summaries: Vec<Summary>,
    /// About how many bytes they have as JSON.
    pub bytes: usize,
    /// The first of the transaction's correlations that is not among them, if there is one: it waits in the outbox.
    pub rest: Option<usize>,
}

/// A place in the outbox: a row, and one of its correlations. The next row stands for one that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// The row.
    pub id: i64,
    /// The correlation, counted from 0.
    pub index: usize,
}

impl Announced {
    pub(super) fn new(id: i64) -> Self {
        Self { id, summaries: Vec::new(), bytes: 0, rest: None }
    }

    /// Adds a summary of about so many bytes; false once there are `most`.
    pub(super) fn push(&mut self, summary: Summary, bytes: usize, most: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.summaries.push(summary);
        self.bytes < most
    }

    /// What comes behind it.
    pub fn next(&self) -> Waiting {
        match self.rest {
            Some(index) => Waiting { id: self.id, index },
            None => Waiting { id: self.id + 1, index: 0 },
        }
    }
}

pub(super) fn put(connection: &Connection, ids: &[CorrelationId]) -> Result<i64, StoreError> {
    connection
        .prepare_cached("INSERT INTO outbox (body) VALUES (?1)")
        .and_then(|mut statement| statement.insert([body::encode(&ids, 48 * ids.len())]))
        .map_err(StoreError::doing("write"))
}

pub(super) fn from(connection: &Connection, id: i64) -> Result<Option<(i64, Vec<CorrelationId>)>, StoreError> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT id, body FROM outbox WHERE id >= ?1 ORDER BY id LIMIT 1")
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
