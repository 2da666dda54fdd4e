//! The key of a raw record: its source, its table and the row's key columns, so that one row's changes keep their order.

use contracts::{
    document,
    hasura::{EventBody, Fields, ScheduledBody},
    ids::InvocationId,
    json,
};

use crate::{config::Rules, notices::Notice};

/// The key column of tables that are not configured.
const DEFAULT_COLUMN: &str = "id";

/// The two rows of a change, their columns unread. What is not an object has no columns.
pub(crate) struct Rows<'a> {
    pub(crate) old: Option<Fields<'a>>,
    pub(crate) new: Option<Fields<'a>>,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(event: &EventBody<'a>) -> Self {
        Self { old: event.old.and_then(Fields::of), new: event.new.and_then(Fields::of) }
    }
}

/// The key of a change: from the row before it where there is one, so that a change of the key itself stays with the
/// row's history. Where a row lacks a key column (Hasura delivers only selected ones), the other row is asked; then the
/// whole table is one key, which the notice says.
pub(crate) fn of_change(
    rules: &Rules,
    source: &str,
    event: &EventBody<'_>,
    rows: &Rows<'_>,
) -> (String, Option<Notice>) {
    let table = event.qualified_table();
    let mut missing = None;
    if rules.keys.is_empty() {
        let column = [DEFAULT_COLUMN];
        if let Some(key) = from_rows(source, &table, &column, rows, &mut missing) {
            return (key, None);
        }
    } else {
        let columns = columns(rules, source, &table);
        if let Some(key) = from_rows(source, &table, &columns, rows, &mut missing) {
            return (key, None);
        }
    }
    let key = format!("{source}|{table}");
    // A row that is no object lacks the first.
    let missing =
        missing.or_else(|| columns(rules, source, &table).first().map(ToString::to_string)).unwrap_or_default();
    (key, Some(Notice::TableAsKey { source: source.to_owned(), table, missing }))
}

fn columns<'a>(rules: &'a Rules, source: &str, table: &str) -> Vec<&'a str> {
    let own = rules.keys.get(&format!("{source}/{table}")).or_else(|| rules.keys.get(table));
    own.map_or_else(|| vec![DEFAULT_COLUMN], |columns| columns.iter().map(String::as_str).collect())
}

fn from_rows(
    source: &str,
    table: &str,
    columns: &[&str],
    rows: &Rows<'_>,
    missing: &mut Option<String>,
) -> Option<String> {
    [&rows.old, &rows.new].into_iter().flatten().find_map(|row| {
        let mut key = format!("{source}|{table}");
        for column in columns {
            let value = row.get(column).and_then(|value| document::parse(value.get()).ok());
            let Some(value) = value else {
                *missing = Some((*column).to_owned());
                return None;
            };
            key.push('|');
            key.push_str(&json::canonical(&value));
        }
        Some(key)
    })
}

/// The key of a cron trigger's body: its source and name, so that one run follows another. A one-off has no name, and nothing to do with
/// the others.
pub(crate) fn of_scheduled(source: &str, body: &ScheduledBody, id: Option<&str>, invocation: InvocationId) -> String {
    body.name.as_deref().map_or_else(|| of_one(source, id, invocation), |name| format!("{source}|{name}"))
}

/// The key of what has nothing to do with others: its own id, or where it has none that of its invocation.
pub(crate) fn of_one(source: &str, id: Option<&str>, invocation: InvocationId) -> String {
    id.map_or_else(|| format!("{source}|{invocation}"), |id| format!("{source}|{id}"))
}
