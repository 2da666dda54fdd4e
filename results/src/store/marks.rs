//! By what an invocation is found beside its ids: its table, its row and its events, as hashes, which whoever finds it holds
//! against its body. The names themselves come from strangers, and would have to be kept for ever.

use contracts::names::EventRef;
use rusqlite::{Connection, params};
use xxhash_rust::xxh3::xxh3_64;

use super::{StoreError, body};
use crate::fold::Invocation;

/// How many rows, by their numbers, are one span: `id >> SPAN`. What is random, an id or a row's key, is indexed span by span, so
/// that a transaction writes to the few pages of the last one, and whoever looks for it asks once for each span.
pub(super) const SPAN: i64 = 12;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The table.
    pub(super) about: Option<i64>,
    /// The row of that table.
    pub(super) subject: Option<i64>,
    /// The events, in order.
    pub(super) events: Vec<i64>,
}

impl Marks {
    pub(super) fn of(invocation: &Invocation) -> Self {
        let origin = invocation.origin();
        let table = origin.and_then(|origin| origin.table.as_deref());
        let key = origin.and_then(|origin| origin.key.as_deref());
        let mut events: Vec<i64> = invocation.event_names().map(of_event).collect();
        events.sort_unstable();
        events.dedup();
        Self { about: table.map(of_table), subject: table.zip(key).map(|(table, key)| of_row(table, key)), events }
    }

    /// Notes in the file what has become of those that were there.
    pub(super) fn write(&self, before: &Self, id: i64, connection: &Connection) -> rusqlite::Result<()> {
        let run = |sql: &str, event: i64| connection.prepare_cached(sql)?.execute([event, id]);
        for event in self.events.iter().filter(|event| before.events.binary_search(event).is_err()) {
            run("INSERT OR IGNORE INTO happened VALUES (?1, ?2)", *event)?;
        }
        for event in before.events.iter().filter(|event| self.events.binary_search(event).is_err()) {
            run(FORGET, *event)?;
        }
        if (self.about, self.subject) != (before.about, before.subject) {
            let sql = "UPDATE invocation SET about = ?2, subject = ?3 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![id, self.about, self.subject])?;
        }
        Ok(())
    }

    /// Deletes what was noted of a row beside it.
    pub(super) fn forget(&self, id: i64, connection: &Connection) -> rusqlite::Result<()> {
        self.events.iter().try_for_each(|event| connection.prepare_cached(FORGET)?.execute([*event, id]).map(drop))
    }
}

const FORGET: &str = "DELETE FROM happened WHERE event = ?1 AND invocation = ?2";

pub(super) fn of_table(table: &str) -> i64 {
    xxh3_64(table.as_bytes()).cast_signed()
}

pub(super) fn of_row(table: &str, key: &str) -> i64 {
    xxh3_64(format!("{table}|{key}").as_bytes()).cast_signed()
}

pub(super) fn of_event(event: &EventRef) -> i64 {
    xxh3_64(event.to_string().as_bytes()).cast_signed()
}

/// Notes the marks of rows that were written before there were any. A row that cannot be read is left without.
pub(super) fn fill(connection: &Connection) -> Result<(), StoreError> {
    const NEXT: &str = "SELECT id, body FROM invocation WHERE id > ?1 ORDER BY id LIMIT 500";
    let mut after = 0;
    loop {
        let mut statement = connection.prepare_cached(NEXT).map_err(StoreError::doing("migrate"))?;
        let rows = statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Vec<(i64, Vec<u8>)> = rows.and_then(Iterator::collect).map_err(StoreError::doing("migrate"))?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (id, body) in rows {
            if let Ok(state) = body::decode::<Invocation>(&body, id) {
                let noted = Marks::of(&state).write(&Marks::default(), id, connection);
                noted.map_err(StoreError::doing("migrate"))?;
            }
        }
    }
}
