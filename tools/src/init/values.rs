//! Example values of columns, and how values are written.

use serde_json::{Value, json};

use super::table::Column;
use crate::hasura::document;

/// A value that the column can have.
pub(super) fn example(column: &Column) -> Value {
    if let Some(value) = column.values.first() {
        return json!(value);
    }
    let Some(written) = &column.written else { return guessed(&column.name) };
    let written = written.to_lowercase();
    let is = |beginnings: &[&str]| beginnings.iter().any(|begin| written.starts_with(begin));
    match () {
        () if written.ends_with("[]") => json!([]),
        () if is(&["bool"]) => json!(true),
        () if is(&["json"]) => json!({}),
        () if is(&["uuid"]) => json!("00000000-0000-0000-0000-000000000001"),
        () if is(&["timestamp with time zone", "timestamptz"]) || written.ends_with(" with time zone") => {
            if is(&["time ", "time("]) { json!("12:00:00+00") } else { json!("2026-01-31T12:00:00+00:00") }
        }
        () if is(&["timestamp"]) => json!("2026-01-31T12:00:00"),
        () if is(&["date"]) => json!("2026-01-31"),
        () if is(&["time"]) => json!("12:00:00"),
        () if is(&["interval"]) => json!("1 day"),
        () if is(&["smallint", "integer", "bigint", "oid", "real", "double"]) => json!(1),
        () if is(&["numeric"]) => serde_json::from_str("12.50").unwrap_or_default(),
        () if is(&["bytea"]) => json!("\\x00"),
        () if is(&["inet", "cidr"]) => json!("192.0.2.1"),
        () if is(&["money"]) => json!("$12.50"),
        () if is(&["text", "character", "\"char\"", "name", "citext"]) => json!("text"),
        // A type of the database's own: nobody knows its values.
        () if column.nullable => Value::Null,
        () => json!("text"),
    }
}

fn guessed(name: &str) -> Value {
    match name {
        _ if name == "id" || name.ends_with("_id") => json!(1),
        _ if name.ends_with("_at") => json!("2026-01-31T12:00:00"),
        _ => json!("text"),
    }
}

/// As YAML on one line.
pub(super) fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) => document::scalar(text),
        other => other.to_string(),
    }
}

/// As one word of a shell.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(is_plain) && !text.is_empty() {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
