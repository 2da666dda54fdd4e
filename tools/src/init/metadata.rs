//! The tables that Hasura tracks. Its metadata does not have their columns; some are named in permissions, triggers and relationships.

use super::table::{Column, Table};
use crate::hasura::metadata::Tracked;

/// Those that are tracked, without the tables whose rows are the values of an enum.
pub(super) fn tables(tracked: Vec<Tracked>) -> Vec<Table> {
    tracked.into_iter().filter(|table| !table.is_enum).map(table).collect()
}

fn table(tracked: Tracked) -> Table {
    let column = |name: String| Column {
        written: None,
        nullable: true,
        values: Vec::new(),
        comment: None,
        is_key: name == "id",
        name,
    };
    Table {
        source: tracked.database,
        schema: tracked.table.schema,
        name: tracked.table.name,
        comment: None,
        columns: tracked.columns.into_iter().map(column).collect(),
        is_complete: false,
    }
}
