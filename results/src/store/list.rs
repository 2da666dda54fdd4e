//! Invocations newest first, along the index that leads to the fewest which may fit.

use contracts::{
    names::EventRef,
    summary::{self, State},
};
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, Row, ToSql, params};

use super::{
    Page, StoreError,
    marks::{self, SPAN},
    reader::PAGE_BYTES,
    row::{self, EVENTLESS, FAILED, Found, OVERDUE},
};

/// How many rows one page looks at, at most, when a filter passes over them.
const LOOKED_AT: usize = 20_000;

// Each is answered along an index, without sorting: a test asks for their plans. `?1` is the cursor, `?2` the oldest row that may
// be new enough, `?3` how many are looked at.

/// Invocations before a cursor, newest first.
pub(super) const ALL: &str =
    "SELECT id, state, flags FROM invocation WHERE id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3";
/// Those that are unfinished.
pub(super) const UNFINISHED: &str = "SELECT id, state, flags FROM invocation INDEXED BY invocation_unfinished \
    WHERE state < 2 AND id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3";
/// Those that failed.
pub(super) const FAILED_ONES: &str = "SELECT id, state, flags FROM invocation INDEXED BY invocation_failed \
    WHERE flags & 1 AND id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3";
/// Those without any event.
pub(super) const EVENTLESS_ONES: &str = "SELECT id, state, flags FROM invocation INDEXED BY invocation_eventless \
    WHERE flags & 2 AND id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3";
/// Those of a table.
pub(super) const OF_TABLE: &str = "SELECT id, state, flags FROM invocation INDEXED BY invocation_by_table \
    WHERE id < ?1 AND id >= ?2 AND about = ?4 ORDER BY id DESC LIMIT ?3";
/// Those with an event; what their rows say is read with their bodies.
pub(super) const OF_EVENT: &str = "SELECT invocation, NULL, NULL FROM happened \
    WHERE invocation < ?1 AND invocation >= ?2 AND event = ?4 ORDER BY invocation DESC LIMIT ?3";
/// Those of a row of a table, in one span.
pub(super) const OF_ROW: &str = "SELECT id, state, flags FROM invocation INDEXED BY invocation_by_row \
    WHERE id < ?1 AND id >= ?2 AND subject = ?4 AND id >> 12 = ?5 ORDER BY id DESC LIMIT ?3";
/// The spans that may have a row between two, newest first.
pub(super) const SPANS: &str = "SELECT number FROM span WHERE number <= ?1 AND number >= ?2 ORDER BY number DESC";
/// The oldest span with a row that was received since.
const SINCE: &str = "SELECT min(number) FROM span WHERE newest >= ?1";

/// Which invocations are listed: those that fit every part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those that have come just so far.
    pub state: Option<State>,
    /// Only those that failed.
    pub failed: bool,
    /// Only those that are beyond their deadline and unfinished.
    pub overdue: bool,
    /// Only those without any event.
    pub eventless: bool,
    /// Only those of a table, `schema.table`.
    pub table: Option<String>,
    /// Of that table only the row with this key.
    pub key: Option<String>,
    /// Only those in which this event was detected.
    pub event: Option<EventRef>,
    /// Only those that were received then or later.
    pub since: Option<Timestamp>,
}

pub(super) fn page(
    connection: &Connection,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<summary::Invocation>, Option<String>), StoreError> {
    let before: i64 = page.after.as_deref().and_then(|text| text.parse().ok()).unwrap_or(i64::MAX);
    let from = match filter.since {
        None => 0,
        Some(since) => match oldest_since(connection, since)? {
            None => return Ok((Vec::new(), None)),
            Some(span) => span << SPAN,
        },
    };
    let bodies = connection.prepare_cached(row::NAMED).map_err(StoreError::doing("read"))?;
    let mut found = Listed { filter, page, bodies, out: Vec::new(), looked: 0, bytes: 0, last: None };
    let most = LOOKED_AT as i64;
    let is_all = match (&filter.table, &filter.key, &filter.event) {
        (Some(table), Some(key), _) => found.of_row(connection, marks::of_row(table, key), before, from)?,
        (_, _, Some(event)) => found.walk(connection, OF_EVENT, params![before, from, most, marks::of_event(event)])?,
        (Some(table), ..) => found.walk(connection, OF_TABLE, params![before, from, most, marks::of_table(table)])?,
        (None, ..) => found.walk(connection, filter.sql(), params![before, from, most])?,
    };
    Ok((found.out, found.last.filter(|_| !is_all).map(|id| id.to_string())))
}

pub(super) fn oldest_since(connection: &Connection, since: Timestamp) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(SINCE).map_err(StoreError::doing("read"))?;
    statement.query_row([since.as_microsecond()], |row| row.get(0)).map_err(StoreError::doing("read"))
}

/// The numbers of the spans that have rows from one id to another, newest first.
pub(super) fn spans(connection: &Connection, from: i64, to: i64) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(SPANS).map_err(StoreError::doing("read"))?;
    let rows = statement.query_map([to >> SPAN, from >> SPAN], |row| row.get(0));
    rows.and_then(Iterator::collect).map_err(StoreError::doing("read"))
}

/// What is found for a page.
struct Listed<'a> {
    filter: &'a Filter,
    page: &'a Page,
    bodies: CachedStatement<'a>,
    out: Vec<summary::Invocation>,
    looked: usize,
    bytes: usize,
    /// The row that was looked at last.
    last: Option<i64>,
}

impl Listed<'_> {
    /// Looks at what a statement finds; answers whether that was all of it.
    fn walk(&mut self, connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<bool, StoreError> {
        let mut statement = connection.prepare_cached(sql).map_err(StoreError::doing("read"))?;
        let mut rows = statement.query(values).map_err(StoreError::doing("read"))?;
        while let Some(row) = rows.next().map_err(StoreError::doing("read"))? {
            if self.is_full() {
                return Ok(false);
            }
            self.look(row)?;
        }
        Ok(self.looked < LOOKED_AT)
    }

    /// Looks for a row of a table in each span.
    fn of_row(&mut self, connection: &Connection, subject: i64, before: i64, from: i64) -> Result<bool, StoreError> {
        for span in spans(connection, from, before)? {
            let most = (LOOKED_AT - self.looked) as i64;
            if !self.walk(connection, OF_ROW, params![before, from, most, subject, span])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.out.len() == self.page.limit || self.bytes > PAGE_BYTES
    }

    fn look(&mut self, row: &Row<'_>) -> Result<(), StoreError> {
        let columns = row.get(0).and_then(|id: i64| Ok((id, row.get(1)?, row.get(2)?)));
        let (id, state, flags): (i64, Option<i64>, Option<i64>) = columns.map_err(StoreError::doing("read"))?;
        self.looked += 1;
        self.last = Some(id);
        if state.zip(flags).is_some_and(|(state, flags)| !self.filter.takes(state, flags)) {
            return Ok(());
        }
        let mut found = self.bodies.query([id]).map_err(StoreError::doing("read"))?;
        if let Some(row) = found.next().map_err(StoreError::doing("read"))? {
            let (correlation, found) = row::named(row)?;
            if self.filter.fits(&found) {
                self.bytes += found.size;
                self.out.push(found.state.view(&correlation, found.invocation));
            }
        }
        Ok(())
    }
}

impl Filter {
    /// The statement that looks at the fewest rows which may fit.
    fn sql(&self) -> &'static str {
        match self {
            Self { failed: true, .. } => FAILED_ONES,
            Self { overdue: true, .. } | Self { state: Some(State::Pending | State::InProcess), .. } => UNFINISHED,
            Self { eventless: true, .. } => EVENTLESS_ONES,
            _ => ALL,
        }
    }

    /// Whether the columns of a row fit.
    fn takes(&self, state: i64, flags: i64) -> bool {
        let is = |flag| flags & flag != 0;
        let state_fits = self.state.is_none_or(|wanted| match wanted {
            State::Pending => state == 0,
            State::InProcess | State::Unknown(_) => state == 1,
            State::Complete => state == 2,
        });
        state_fits
            && (!self.failed || is(FAILED))
            && (!self.overdue || is(OVERDUE) && state < 2)
            && (!self.eventless || is(EVENTLESS))
    }

    /// Whether a row fits as a whole.
    fn fits(&self, Found { state, .. }: &Found) -> bool {
        let part = state.part();
        let origin = state.origin();
        let table = origin.and_then(|origin| origin.table.as_ref());
        let key = origin.and_then(|origin| origin.key.as_ref());
        self.takes(row::state(&part), row::flags(&part))
            && self.since.is_none_or(|since| state.received() >= since)
            && self.table.as_ref().is_none_or(|wanted| table == Some(wanted))
            && self.key.as_ref().is_none_or(|wanted| key == Some(wanted))
            && self.event.as_ref().is_none_or(|wanted| state.event_names().any(|event| event == wanted))
    }
}
