//! Answering questions beside the writer: each question is one read transaction on a connection of its own.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use contracts::{
    ids::{CorrelationId, InvocationId},
    raw::Place,
    summary::{self, Expected, Summary},
};
use rusqlite::{Connection, params};
use serde::Serialize;
use uuid::Uuid;

use super::{
    StoreError, file,
    list::{self, Filter},
    memory::Key,
    row::{self, Found},
};
use crate::fold::{Invocation, Tally};

/// Up to how many invocations an announcement lists; of more it names the counters and the first page's cursor.
pub(super) const ANNOUNCED: usize = 100;
/// How many things a summary expects by name, at most.
const EXPECTED: usize = 100;
/// About how many bytes of rows a page may have.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;
/// How many idle connections are kept.
const IDLE: usize = 8;

// Each is answered along an index, without sorting: a test asks for their plans.

/// The unfinished invocations of a correlation, oldest first.
pub(super) const OPEN_OF: &str = "SELECT id, invocation, body FROM invocation INDEXED BY invocation_open \
    WHERE correlation = ?1 AND state < 2 ORDER BY received";
/// A correlation's invocations behind a cursor, oldest first.
pub(super) const PAGE_OF: &str = "SELECT id, invocation, body, received FROM invocation INDEXED BY invocation_by_time \
    WHERE correlation = ?1 AND (received, invocation) > (?2, ?3) ORDER BY received, invocation LIMIT ?4";
/// How many rows the outbox has: they are numbered without holes, and deleted from the front.
const UNPUBLISHED: &str = "SELECT coalesce((SELECT max(id) FROM outbox) - (SELECT min(id) FROM outbox) + 1, 0)";

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The cursor that the page before ended with.
    pub after: Option<String>,
    /// How many entries it has at most.
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: ANNOUNCED }
    }
}

/// How much the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Invocations kept.
    pub invocations: u64,
    /// Of these, unfinished.
    pub open: u64,
    /// Summaries announced, ever.
    pub completed: u64,
    /// Transactions whose announcements were not yet published.
    pub unpublished: u64,
    /// Records of `progress` that could not be read, ever.
    pub unreadable: u64,
    /// The file's size in bytes.
    pub bytes: u64,
}

/// Reads the store; cheap to clone. Its methods block.
#[derive(Debug, Clone)]
pub struct Reader {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), idle: Arc::default() }
    }

    /// Runs a question in one read transaction.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.try_ask(question).map_err(|error| error.at(&self.path))
    }

    fn try_ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| file::open_to_read(&self.path), Ok)?;
        let transaction = connection.unchecked_transaction().map_err(StoreError::doing("read"))?;
        let answer = question(&transaction)?;
        transaction.finish().map_err(StoreError::doing("read"))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(answer)
    }

    /// The counters of a correlation, if it is known.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tally(&self, correlation: &CorrelationId) -> Result<Option<Tally>, StoreError> {
        self.ask(|connection| Ok(tally(connection, correlation)?.map(|(_, tally)| tally)))
    }

    /// Whether an invocation is known under a correlation.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn knows(
        &self,
        correlation: &CorrelationId,
        invocation: InvocationId,
        raw: Option<Place>,
    ) -> Result<bool, StoreError> {
        self.ask(|connection| {
            let Some(row::Correlation { id, .. }) = row::correlation(connection, correlation)? else {
                return Ok(false);
            };
            let found = row::find(connection, id, invocation)?;
            Ok(found.is_some_and(|found| raw.is_none_or(|raw| found.state.places.may_have(&raw))))
        })
    }

    /// What happened under a correlation, with a page of its invocations; none if it is unknown.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn summary(&self, correlation: &CorrelationId, page: &Page) -> Result<Option<Summary>, StoreError> {
        self.ask(|connection| {
            let Some((id, tally)) = tally(connection, correlation)? else { return Ok(None) };
            summarise(connection, correlation, id, &tally, page).map(Some)
        })
    }

    /// Invocations, newest first, and the cursor of the next page. A page may be short, or even empty, and still have a
    /// next one: a filter looks at a bounded number of rows at a time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn invocations(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<(Vec<summary::Invocation>, Option<String>), StoreError> {
        self.ask(|connection| list::page(connection, filter, page))
    }

    /// How much the store holds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        self.ask(|connection| {
            let number = |sql| {
                let value = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
                value.map(|value| value.max(0) as u64).map_err(StoreError::doing("read"))
            };
            let total = |name| row::total(connection, name).map(|value| value.max(0) as u64);
            Ok(Totals {
                invocations: total("invocations")?,
                open: total("unfinished")?,
                completed: total("completed")?,
                unpublished: number(UNPUBLISHED)?,
                unreadable: total("unreadable")?,
                bytes: number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?,
            })
        })
    }
}

/// The row and the counters of a correlation, if it is known.
pub(super) fn tally(connection: &Connection, correlation: &CorrelationId) -> Result<Option<(i64, Tally)>, StoreError> {
    let Some(row::Correlation { id, tally }) = row::correlation(connection, correlation)? else { return Ok(None) };
    if let Some(tally) = tally {
        return Ok(Some((id, tally)));
    }
    Ok(row::single(connection, id)?.map(|only| (id, Tally::of(&only.state.part()))))
}

pub(super) fn alone((correlation, invocation): &Key, only: &Invocation, tally: &Tally) -> Summary {
    let mut out = bare(correlation, tally);
    out.invocations.push(only.view(correlation, *invocation));
    out.expected = if tally.open > 0 { only.expected(*invocation).take(EXPECTED).collect() } else { Vec::new() };
    out
}

/// The summary that is announced: with all invocations where they are few, else with none, so that one more member
/// costs no more however many there are.
pub(super) fn announcement(
    connection: &Connection,
    correlation: &CorrelationId,
    row: i64,
    tally: &Tally,
) -> Result<Summary, StoreError> {
    if tally.counters.invocations <= ANNOUNCED as u64 {
        return summarise(connection, correlation, row, tally, &Page::default());
    }
    let mut out = bare(correlation, tally);
    out.expected = expected(connection, row, tally)?;
    out.next = Some(first_page());
    Ok(out)
}

fn bare(correlation: &CorrelationId, tally: &Tally) -> Summary {
    Summary {
        v: summary::VERSION,
        correlation: correlation.clone(),
        state: tally.state(),
        outcome: tally.outcome(),
        incomplete: tally.is_incomplete(),
        revision: tally.revision,
        received: tally.received,
        ended: tally.ended.filter(|_| tally.is_complete()),
        counters: tally.counters.clone(),
        expected: Vec::new(),
        invocations: Vec::new(),
        next: None,
    }
}

fn expected(connection: &Connection, correlation: i64, tally: &Tally) -> Result<Vec<Expected>, StoreError> {
    let mut out = Vec::new();
    if tally.open == 0 {
        return Ok(out);
    }
    let mut statement = connection.prepare_cached(OPEN_OF).map_err(StoreError::doing("read"))?;
    let mut rows = statement.query([correlation]).map_err(StoreError::doing("read"))?;
    while out.len() < EXPECTED
        && let Some(Found { invocation, state, .. }) = row::next(&mut rows)?
    {
        out.extend(state.expected(invocation).take(EXPECTED - out.len()));
    }
    Ok(out)
}

/// A place in the list of a correlation's invocations: by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(i64, InvocationId);

impl Cursor {
    const START: Self = Self(i64::MIN, InvocationId(Uuid::nil()));

    /// Reads what it is written as. A number in the id's place, as older versions wrote it, stands before every id.
    pub fn parse(text: &str) -> Option<Self> {
        let (received, id) = text.split_once('.')?;
        let id = id.parse().or_else(|_| id.parse::<i64>().map(|_| Self::START.1));
        Some(Self(received.parse().ok()?, id.ok()?))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The cursor of the first page of a correlation's invocations.
pub fn first_page() -> String {
    Cursor::START.to_string()
}

pub(super) fn summarise(
    connection: &Connection,
    correlation: &CorrelationId,
    row: i64,
    tally: &Tally,
    page: &Page,
) -> Result<Summary, StoreError> {
    let mut out = bare(correlation, tally);
    out.expected = expected(connection, row, tally)?;
    // What is no cursor begins at the beginning; the API refuses it before.
    let Cursor(received, id) = page.after.as_deref().and_then(Cursor::parse).unwrap_or(Cursor::START);
    let limit = page.limit as i64 + 1;
    let mut statement = connection.prepare_cached(PAGE_OF).map_err(StoreError::doing("read"))?;
    let mut rows = statement.query(params![row, received, row::key(&id), limit]).map_err(StoreError::doing("read"))?;
    let (mut last, mut bytes) = (None, 0);
    while let Some(row) = rows.next().map_err(StoreError::doing("read"))? {
        if out.invocations.len() == page.limit || bytes > PAGE_BYTES {
            out.next = last.map(|last: Cursor| last.to_string());
            break;
        }
        let found = row::read(row)?;
        bytes += found.size;
        last = Some(Cursor(row.get(3).map_err(StoreError::doing("read"))?, found.invocation));
        out.invocations.push(found.state.view(correlation, found.invocation));
    }
    Ok(out)
}
