//! What an id that somebody typed, or the beginning of one, may mean.

use contracts::{
    found::{Candidate, Found, IdKind},
    ids::{CorrelationId, InvocationId},
    summary,
};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    Page, Reader, StoreError,
    list::spans,
    reader::{summarise, tally},
    row,
};

/// Under how many correlations an invocation is looked at.
const LOOKED_AT: usize = 20;
/// The least characters that are taken for the beginning of an id.
pub(crate) const LEAST: usize = 4;

// Each is answered along an index: a test asks for their plans.

/// Correlations whose id begins with a text: all their characters are before the end.
pub(super) const BEGINNING: &str = "SELECT name FROM correlation WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT ?3";
/// Invocations whose id is between two, in one span.
pub(super) const BETWEEN: &str = "SELECT invocation, correlation FROM invocation INDEXED BY invocation_by_beginning \
    WHERE id >> 12 = ?1 AND invocation >= ?2 AND invocation <= ?3 ORDER BY invocation LIMIT ?4";
const NAME: &str = "SELECT name FROM correlation WHERE id = ?1";

impl Reader {
    /// What a text may mean: the correlation of that id, and else each correlation and invocation whose id begins with it, the
    /// source's event of that id included; at most so many.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(&self, text: &str, source: &str, most: usize) -> Result<Found, StoreError> {
        self.ask(|connection| find(connection, text, source, most))
    }

    /// An invocation under whichever correlation; of several, one that is no duplicate there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn invocation(&self, id: InvocationId) -> Result<Option<summary::Invocation>, StoreError> {
        self.ask(|connection| {
            let mut best: Option<summary::Invocation> = None;
            for (_, correlation) in between(connection, id.0, id.0, LOOKED_AT)? {
                let Some(row::Correlation { id: row, .. }) = row::correlation(connection, &correlation)? else {
                    continue;
                };
                let Some(found) = row::find(connection, row, id)? else { continue };
                if best.as_ref().is_none_or(|best| best.duplicate_of.is_some()) {
                    best = Some(found.state.view(&correlation, id));
                }
            }
            Ok(best)
        })
    }
}

fn find(connection: &Connection, text: &str, source: &str, most: usize) -> Result<Found, StoreError> {
    let mut out = Found::default();
    let Ok(id) = text.parse::<CorrelationId>() else { return Ok(out) };
    if let Some(exact) = candidate(connection, id.clone(), None)? {
        out.ids.push(exact);
        return Ok(out);
    }
    // One more than wanted tells that there are more.
    let most = most + 1;
    if text.len() >= LEAST {
        for name in beginning(connection, &id, most)? {
            out.ids.extend(candidate(connection, name, None)?);
        }
    }
    let own = InvocationId::derived(source, text).0;
    let ranges = [(IdKind::SourceEvent, Some((own, own))), (IdKind::Invocation, range(text))];
    for (kind, range) in ranges {
        let Some((low, high)) = range else { continue };
        for (invocation, correlation) in between(connection, low, high, most.saturating_sub(out.ids.len()))? {
            out.ids.extend(candidate(connection, correlation, Some((kind, invocation)))?);
        }
    }
    out.more = out.ids.len() >= most;
    out.ids.truncate(most - 1);
    Ok(out)
}

/// The correlations whose id begins so, in order.
fn beginning(connection: &Connection, id: &CorrelationId, most: usize) -> Result<Vec<CorrelationId>, StoreError> {
    let end = format!("{id}\u{7f}");
    let mut statement = connection.prepare_cached(BEGINNING).map_err(StoreError::doing("read"))?;
    let names = statement.query_map(params![id.as_str(), end, most as i64], |row| row.get::<_, String>(0));
    let names: Vec<String> = names.and_then(Iterator::collect).map_err(StoreError::doing("read"))?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// The first and the last UUID that begin so; none if no UUID does, or the text is too short to mean one.
fn range(text: &str) -> Option<(Uuid, Uuid)> {
    if text.len() < LEAST {
        return None;
    }
    let fill = |with: char| {
        let mut whole = text.to_ascii_lowercase();
        while whole.len() < 36 {
            whole.push(if matches!(whole.len(), 8 | 13 | 18 | 23) { '-' } else { with });
        }
        // Other forms of a UUID have another length.
        (whole.len() == 36).then(|| Uuid::parse_str(&whole).ok())?
    };
    fill('0').zip(fill('f'))
}

/// The invocations between two, each with its correlation, newest spans first.
fn between(
    connection: &Connection,
    low: Uuid,
    high: Uuid,
    most: usize,
) -> Result<Vec<(InvocationId, CorrelationId)>, StoreError> {
    let mut out = Vec::new();
    let mut statement = connection.prepare_cached(BETWEEN).map_err(StoreError::doing("read"))?;
    let mut names = connection.prepare_cached(NAME).map_err(StoreError::doing("read"))?;
    for span in spans(connection, 0, i64::MAX)? {
        if out.len() >= most {
            break;
        }
        let values = params![span, low.as_bytes(), high.as_bytes(), (most - out.len()) as i64];
        let rows = statement.query_map(values, |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?)));
        let rows: Vec<_> = rows.and_then(Iterator::collect).map_err(StoreError::doing("read"))?;
        for (invocation, correlation) in rows {
            let name: String = names.query_row([correlation], |row| row.get(0)).map_err(StoreError::doing("read"))?;
            let damaged = |error| StoreError::Damaged { row: correlation, why: format!("{error}") };
            out.push((InvocationId(Uuid::from_bytes(invocation)), name.parse().map_err(damaged)?));
        }
    }
    Ok(out)
}

/// A candidate with when and what; none if nothing is known of it any more.
fn candidate(
    connection: &Connection,
    correlation: CorrelationId,
    invocation: Option<(IdKind, InvocationId)>,
) -> Result<Option<Candidate>, StoreError> {
    let Some((row, tally)) = tally(connection, &correlation)? else { return Ok(None) };
    let one = match invocation {
        Some((_, id)) => row::find(connection, row, id)?.map(|found| found.state.view(&correlation, id)),
        None => {
            let first = Page { limit: 1, ..Page::default() };
            summarise(connection, &correlation, row, &tally, &first)?.invocations.pop()
        }
    };
    Ok(one.map(|one| Candidate {
        kind: invocation.map_or(IdKind::Correlation, |(kind, _)| kind),
        invocation: invocation.map(|(_, id)| id),
        correlation,
        received: one.received,
        state: one.state,
        outcome: one.outcome,
        events: one.events.into_iter().take(NAMED).map(|event| event.event).collect(),
        origin: one.origin,
        invocations: tally.counters.invocations,
    }))
}

/// How many events of a candidate are named.
const NAMED: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_uuid_is_all_that_begin_so() {
        let range = |text: &str| range(text).map(|(low, high)| (low.to_string(), high.to_string()));
        let from_to = |low: &str, high: &str| Some((low.to_owned(), high.to_owned()));
        let whole = "8b0c5a3e-1f28-59a5-a7f5-cb74087a62b6";
        assert_eq!(
            range("8B0C"),
            from_to("8b0c0000-0000-0000-0000-000000000000", "8b0cffff-ffff-ffff-ffff-ffffffffffff")
        );
        assert_eq!(
            range("8b0c5a3e-1"),
            from_to("8b0c5a3e-1000-0000-0000-000000000000", "8b0c5a3e-1fff-ffff-ffff-ffffffffffff")
        );
        assert_eq!(range(whole), from_to(whole, whole));
        for none in ["8b0", "order-7", "8b0c5a3e1f28", "8b0c5a3e1f2859a5a7f5cb74087a62b6", "", "8b0c-"] {
            assert_eq!(range(none), None, "{none:?}");
        }
    }
}
