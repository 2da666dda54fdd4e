//! The rows of a test, held against the description of their table.

use expressions::{Column, ColumnType};
use serde_json::{Number, Value};

use crate::{described::Described, yaml::Yaml};

use super::context::File;

/// Says what such a row cannot have.
pub(super) fn check(file: &mut File<'_>, row: &Yaml, described: &Described) {
    let rows = described.rows();
    for entry in row.entries().unwrap_or_default() {
        match described.columns.get(&entry.key) {
            Some(column) => value(file, &entry.key, &entry.value, column),
            None => {
                let message = format!("{} has no column `{}`", rows.table, entry.key);
                file.column(entry.start, message, rows.advice(&entry.key));
            }
        }
    }
}

fn value(file: &mut File<'_>, name: &str, node: &Yaml, column: &Column) {
    let value = node.to_json();
    let is_fine = match (column.read, &value) {
        (_, Value::Null) => {
            if !column.nullable {
                let message = format!("`{name}` is never null");
                file.column(node.start, message, "write a value, or leave the column out".into());
            }
            true
        }
        (ColumnType::Text, Value::String(text)) if !column.values.is_empty() && !column.values.contains(text) => {
            file.column(node.start, format!("`{name}` is never {text:?}"), column.advice(text));
            true
        }
        // As Hasura may send it.
        (ColumnType::Number, Value::String(text)) => {
            text.parse::<Number>().is_ok() || ["NaN", "Infinity", "-Infinity"].contains(&text.as_str())
        }
        (ColumnType::Number, value) => value.is_number(),
        (ColumnType::Text, value) => value.is_string(),
        (ColumnType::Bool, value) => value.is_boolean(),
        (ColumnType::List, value) => value.is_array(),
        (ColumnType::Any, _) => true,
    };
    if !is_fine {
        let wanted = match column.read {
            ColumnType::Number => "a number",
            ColumnType::Text => "a text; write it in quotes",
            ColumnType::Bool => "true or false",
            ColumnType::List | ColumnType::Any => "a list",
        };
        let message = format!("`{name}` is {}, and never {value}", column.written);
        file.column(node.start, message, format!("its value is {wanted}"));
    }
}
