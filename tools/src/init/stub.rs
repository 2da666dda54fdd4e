//! For a table: its description, an event for each row that is inserted, and a payload to try that with.

use std::{collections::BTreeSet, fmt::Write as _};

use expressions::{Expression, Scope};
use serde_json::{Map, Value, json};

use super::{
    files::Plan,
    table::{Column, Table},
    values::{example, yaml},
};
use crate::hasura::{DEFAULT_SOURCE, document::scalar, name};

/// How many columns become data of a stub.
const CARRIED: usize = 8;
/// How long each part of an event's name may be: three of them fit into one.
const LONGEST: usize = 50;
/// How long the name of a file may be, in bytes.
const MAX_NAME: usize = 255;

/// The files for these tables; with `describe` their descriptions alone.
pub(super) fn plan(tables: &[Table], describe: bool, notes: Vec<String>) -> Plan {
    let mut plan = Plan::default();
    plan.notes = notes;
    let mut names = BTreeSet::new();
    let mut undescribed = Vec::new();
    // Without a source an event is about tables of that name in each.
    let names_source = tables.iter().any(|table| table.source != tables[0].source);
    for table in tables {
        let Some(file) = file(table) else {
            plan.notes.push(format!("{} has a name that no catalog can write, and is left out", table.full_name()));
            continue;
        };
        match table.is_complete {
            true => plan.add(format!("tables/{file}"), description(table)),
            false => undescribed.push(table.full_name()),
        }
        if describe {
            continue;
        }
        let event = event_name(table, &mut names);
        plan.add(format!("events/{event}.yaml"), event_file(table, &event, names_source));
        let payload = format!("payloads/{event}.json");
        plan.add(payload.clone(), self::payload(table));
        if !plan.payloads.iter().any(|(_, source)| *source == table.source) {
            plan.payloads.push((payload, table.source.clone()));
        }
    }
    if let Some(first) = undescribed.first() {
        let more = undescribed.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        plan.notes.push(format!(
            "Not known: which columns {first}{more} have, of which types, and which of these are views, which can have no event \
             triggers. Hasura's metadata does not say; their events carry what permissions, triggers and relationships name. With \
             --from-postgres beside --from-hasura the tables are described, and views left out"
        ));
    }
    plan
}

/// The file that describes a table, within `tables/`.
fn file(table: &Table) -> Option<String> {
    let name = format!("{}.yaml", table.full_name());
    let is_fine = table.has_name() && !name.contains('/') && !name.starts_with('.') && name.len() <= MAX_NAME;
    let folder = if table.source == DEFAULT_SOURCE { String::new() } else { format!("{}/", table.source) };
    is_fine.then(|| format!("{folder}{name}"))
}

/// `orders.created`, `shop.order-items.created`; none twice.
fn event_name(table: &Table, taken: &mut BTreeSet<String>) -> String {
    let plain = |part: &str| {
        let parts = part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        let mut name = parts.collect::<Vec<_>>().join("-");
        name.truncate(LONGEST);
        if name.is_empty() { "table".to_owned() } else { name }
    };
    let mut parts = Vec::new();
    if table.source != DEFAULT_SOURCE {
        parts.push(plain(&table.source));
    }
    if table.schema != "public" && table.schema != table.source {
        parts.push(plain(&table.schema));
    }
    let stem = parts.into_iter().chain([plain(&table.name)]).collect::<Vec<_>>().join(".");
    let numbered = (2..).map(|number| format!("{stem}-{number}.created"));
    let mut all = std::iter::once(format!("{stem}.created")).chain(numbered);
    all.find(|name| taken.insert(name.to_lowercase())).unwrap_or_default()
}

fn description(table: &Table) -> String {
    let mut out = String::new();
    if let Some(comment) = &table.comment {
        let _ = writeln!(out, "description: {}", scalar(comment));
    }
    if table.source != DEFAULT_SOURCE {
        let _ = writeln!(out, "source: {}", scalar(&table.source));
    }
    out.push_str("columns:\n");
    for column in &table.columns {
        let _ = writeln!(out, "  {}: {}", scalar(&column.name), typed(column));
    }
    out
}

fn typed(column: &Column) -> String {
    let written = scalar(column.written.as_deref().unwrap_or_default());
    let mut parts = vec![format!("type: {written}")];
    if !column.nullable {
        parts.push("nullable: false".to_owned());
    }
    if !column.values.is_empty() {
        let values: Vec<String> = column.values.iter().map(|value| scalar(value)).collect();
        parts.push(format!("values: [{}]", values.join(", ")));
    }
    if let Some(comment) = &column.comment {
        parts.push(format!("description: {}", scalar(comment)));
    }
    if parts.len() == 1 { written } else { format!("{{ {} }}", parts.join(", ")) }
}

/// The columns that the event carries: those of the key, and the first of the others whose values are single.
fn carried(table: &Table) -> Vec<&Column> {
    let is_single = |column: &&Column| !example(column).is_object() && !example(column).is_array();
    let (keys, others): (Vec<&Column>, Vec<&Column>) = table.columns.iter().partition(|column| column.is_key);
    let chosen: BTreeSet<&str> = keys
        .iter()
        .copied()
        .chain(others.into_iter().filter(is_single))
        .take(CARRIED)
        .map(|it| it.name.as_str())
        .collect();
    table.columns.iter().filter(|column| chosen.contains(column.name.as_str())).collect()
}

/// How an expression names a column of the new row.
fn path(name: &str) -> String {
    let dotted = format!("new.{name}");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.chars().all(is_name) && Expression::compile(&dotted, Scope::Change).is_ok() {
        true => dotted,
        false => format!("new[{}]", json!(name)),
    }
}

fn event_file(table: &Table, event: &str, names_source: bool) -> String {
    let full_name = table.full_name();
    let carried = carried(table);
    let row: Map<String, Value> = carried.iter().map(|column| (column.name.clone(), example(column))).collect();
    let whole = json!({ "op": "INSERT", "old": null, "new": row });
    let mut out = String::new();
    let about = scalar(&format!(
        "A row of {full_name} was inserted. What does that mean? Say so here, and call the file by it."
    ));
    let _ = writeln!(out, "description: {about}");
    let _ = writeln!(out, "from:\n  table: {}\n  operations: [insert]", scalar(&full_name));
    if names_source || table.source != DEFAULT_SOURCE {
        let _ = writeln!(out, "  source: {}", scalar(&table.source));
    }
    if !carried.is_empty() {
        out.push_str("data:\n");
        for column in &carried {
            let _ = writeln!(out, "  {}: {}", scalar(&column.name), scalar(&path(&column.name)));
        }
    }
    let keys: Vec<String> = carried.iter().filter(|it| it.is_key).map(|it| scalar(&path(&it.name))).collect();
    match keys.as_slice() {
        [] => {}
        [key] => drop(writeln!(out, "key: {key}")),
        keys => drop(writeln!(out, "key: [{}]", keys.join(", "))),
    }
    let data = if carried.is_empty() { whole.as_object().cloned().unwrap_or_default() } else { row.clone() };
    let _ = writeln!(out, "sample:\n{}", lines(&data, 2));
    let _ = writeln!(out, "jobs:\n  - id: note\n    log: {{ message: {} }}", scalar(&format!("{event}: a new row")));
    out.push_str("tests:\n  - name: a row is inserted\n    change:\n      op: insert\n");
    let _ = writeln!(out, "      new:{}", below(&row, 8));
    let _ = writeln!(out, "    expect:\n{}", lines(&data, 6));
    out.push_str("  - name: a row is deleted\n    change:\n      op: delete\n");
    let _ = writeln!(out, "      old:{}\n    expect: none", below(&row, 8));
    out
}

fn below(map: &Map<String, Value>, indent: usize) -> String {
    if map.is_empty() { " {}".to_owned() } else { format!("\n{}", lines(map, indent)) }
}

/// A line for each entry.
fn lines(map: &Map<String, Value>, indent: usize) -> String {
    let line = |(key, value): (&String, &Value)| format!("{:indent$}{}: {}", "", scalar(key), yaml(value));
    map.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What Hasura would send.
fn payload(table: &Table) -> String {
    let new: Map<String, Value> = table.columns.iter().map(|column| (column.name.clone(), example(column))).collect();
    let body = json!({
        "id": "00000000-0000-0000-0000-000000000001",
        "created_at": "2026-01-31T12:00:00.000000",
        "table": { "schema": table.schema, "name": table.name },
        "trigger": { "name": name::of(&table.source, &table.id()) },
        "event": {
            "op": "INSERT",
            "data": { "old": null, "new": new },
            "session_variables": { "x-hasura-role": "admin" },
        },
    });
    format!("{body:#}\n")
}
