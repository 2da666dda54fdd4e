//! A table's file: its columns.

use std::collections::{BTreeMap, BTreeSet};

use contracts::names::{SOURCE, is_source};
use expressions::{Column, ColumnType};

use crate::{
    described::{Described, read_as},
    detector::Table,
    report::Rule,
    yaml::{Content, Entry, Yaml},
};

use super::{context::File, keys};

/// Reads one table; `None` if it is wrong.
pub(super) fn table(file: &mut File<'_>) -> Option<Described> {
    let stem = file.stem().to_owned();
    let Some(table) = Table::parse(&stem) else {
        let message = format!("{stem:?} is no table's name");
        file.whole_file(
            Rule::Name,
            format!("{message}; a table's file is named after the table, `public.orders.yaml`"),
        );
        return None;
    };
    let root = file.read()?;
    file.known_keys(&root, keys::TABLE);
    let entries = root.entries().unwrap_or_default();
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    if let Some(node) = get("description") {
        file.text_of("description", node);
    }
    let source = get("source").and_then(|node| source(file, node));
    let Some(columns) = get("columns") else {
        let help = "add `columns:` with the name of each column and its type: `id: integer`";
        file.error(Rule::Shape, root.start, "the file describes no columns".into(), Some(help.into()));
        return None;
    };
    if columns.entries().is_some_and(<[_]>::is_empty) {
        let help = "add the name of each column and its type: `id: integer`";
        file.error(Rule::Shape, columns.start, "`columns` is empty".into(), Some(help.into()));
        return None;
    }
    let Some(entries) = columns.entries() else {
        file.wrong_shape("columns", columns, "a map of columns and their types, `id: integer`,");
        return None;
    };
    let columns: BTreeMap<String, Column> =
        entries.iter().filter_map(|entry| Some((entry.key.clone(), column(file, entry)?))).collect();
    // What is wrong of one column is said; nothing is held against those that are left.
    (columns.len() == entries.len()).then(|| Described::new(table, source, columns, file.path()))
}

fn source(file: &mut File<'_>, node: &Yaml) -> Option<String> {
    let text = file.text_of("source", node)?;
    if !is_source(text) {
        let help = format!("a source is {SOURCE}");
        file.error(Rule::Shape, node.start, "no webhook has a source of that name".into(), Some(help));
    }
    Some(text.to_owned())
}

/// `amount: numeric`, or a map.
fn column(file: &mut File<'_>, entry: &Entry) -> Option<Column> {
    let Entry { key: name, value, .. } = entry;
    let Some(entries) = value.entries() else {
        let read = read(file, name, value)?;
        let written = value.scalar().unwrap_or_default().to_owned();
        return Some(Column { read, written, nullable: true, values: Vec::new() });
    };
    file.known_keys(value, keys::COLUMN);
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let Some(written) = get("type") else {
        let help = "add its type, as the database calls it: `type: text`";
        file.error(Rule::Shape, entry.start, format!("the column `{name}` has no type"), Some(help.into()));
        return None;
    };
    let values = get("values").map(|node| values(file, node));
    // What has values is an enum, whatever it is called.
    let is_enum = values.is_some() && !written.is_null();
    let read = match written.scalar().filter(|_| is_enum).map(read_as) {
        Some(Ok(ColumnType::Any) | Err(_)) => ColumnType::Text,
        _ => read(file, "type", written)?,
    };
    if let Some(node) = get("values").filter(|_| read != ColumnType::Text) {
        let message = "only a column of texts has `values`".to_owned();
        file.error(Rule::Shape, node.start, message, Some("leave it out".into()));
    }
    let nullable = get("nullable").map_or(Some(true), |node| truth(file, "nullable", node))?;
    let written = written.scalar().unwrap_or_default().to_owned();
    Some(Column { read, written, nullable, values: values.unwrap_or_default() })
}

fn read(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<ColumnType> {
    let text = file.text_of(key, node)?;
    Some(read_as(text).unwrap_or_else(|meant| {
        let help = format!("did you mean `{meant}`? Columns of types that are not known are read as they come");
        file.warning(Rule::Table, node.start, format!("the type `{text}` is not known"), &help);
        ColumnType::Any
    }))
}

fn truth(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<bool> {
    let truth = node.to_json().as_bool();
    if truth.is_none() {
        file.wrong_shape(key, node, "true or false");
    }
    truth
}

fn values(file: &mut File<'_>, node: &Yaml) -> Vec<String> {
    let Content::List(items) = &node.content else {
        file.wrong_shape("values", node, "a list of texts");
        return Vec::new();
    };
    if items.is_empty() {
        file.error(Rule::Shape, node.start, "`values` lists none".into(), Some("leave it out".into()));
    }
    let mut seen = BTreeSet::new();
    let mut values = Vec::new();
    for item in items {
        let json = item.to_json();
        let Some(text) = json.as_str() else {
            let help = item.scalar().map(|text| format!("write it in quotes: \"{text}\""));
            file.error(Rule::Shape, item.start, "a value is a text".into(), help);
            continue;
        };
        if !seen.insert(text.to_owned()) {
            file.error(Rule::Shape, item.start, format!("the value {text:?} is listed twice"), None);
        }
        values.push(text.to_owned());
    }
    values
}
