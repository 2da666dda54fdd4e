//! `from`: which changes an event looks at.

use contracts::{
    hasura::Op,
    names::{SOURCE, is_source},
};
use expressions::closest;

use crate::{
    detector::{DEFAULT_OPERATIONS, Selector, Table, Tables},
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{context::File, keys};

/// Reads the selector; `None` if it is wrong.
pub(super) fn selector(file: &mut File<'_>, node: &Yaml) -> Option<Selector> {
    let Some(entries) = node.entries() else {
        file.wrong_shape("from", node, "a map, `{ table: moves }`,");
        return None;
    };
    let has_unknown = file.known_keys(node, keys::FROM);
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let operations = match get("operations") {
        Some(node) => operations(file, node)?,
        None => DEFAULT_OPERATIONS.to_vec(),
    };
    let mut text = |key: &str| get(key).and_then(|node| file.text_of(key, node)).map(str::to_owned);
    let (source, trigger) = (text("source"), text("trigger"));
    if let Some(node) = get("source").filter(|_| source.as_deref().is_some_and(|name| !is_source(name))) {
        let message = "no webhook has a source of that name, so nothing is ever detected".to_owned();
        file.warning(Rule::AlwaysFails, node.start, message, &format!("a source is {SOURCE}"));
    }
    let Some(table) = get("table") else {
        if has_unknown {
            // It stands there under another name, as far as one can see.
            return None;
        }
        let help = "add `table: name`; all tables are spelt `table: \"*\"`";
        file.error(Rule::Shape, node.start, "`from` names no table".into(), Some(help.into()));
        return None;
    };
    Some(Selector { tables: tables(file, table)?, operations, source, trigger })
}

fn tables(file: &mut File<'_>, node: &Yaml) -> Option<Tables> {
    match &node.content {
        Content::List(items) if !items.is_empty() => {
            let tables: Vec<Option<Table>> = items.iter().map(|item| table(file, item)).collect();
            tables.into_iter().collect::<Option<_>>().map(Tables::These)
        }
        Content::Scalar(text, _) if text == "*" => Some(Tables::All),
        Content::Scalar(..) => table(file, node).map(|table| Tables::These(vec![table])),
        _ => {
            file.wrong_shape("table", node, "a table's name");
            None
        }
    }
}

fn table(file: &mut File<'_>, node: &Yaml) -> Option<Table> {
    let text = file.text_of("table", node)?;
    let table = Table::parse(text);
    if text.contains('"') {
        let message = format!("{text:?} would be a table with quotes in its name");
        let schema = text.trim_start_matches('"').split_once("\".").map(|(schema, _)| schema).unwrap_or_default();
        let help = match schema.contains('.') {
            true => format!(
                "a schema that has a dot in its name is told by the condition: `table: \"*\"` and `when: table.schema == \"{schema}\" && …`"
            ),
            false => format!("write `{}`: names are compared as they are", text.replace('"', "")),
        };
        file.error(Rule::Shape, node.start, message, Some(help));
        return None;
    }
    if table.is_none() {
        let help = "write `moves` or `public.moves`; all tables are spelt `table: \"*\"`";
        file.error(Rule::Shape, node.start, format!("{text:?} is no table's name"), Some(help.into()));
    }
    table
}

fn operations(file: &mut File<'_>, node: &Yaml) -> Option<Vec<Op>> {
    let items: &[Yaml] = match &node.content {
        Content::List(items) => items,
        Content::Scalar(..) if !node.is_null() => std::slice::from_ref(node),
        _ => &[],
    };
    if items.is_empty() {
        let help = "leave `operations` out for insert, update and delete";
        file.error(Rule::Shape, node.start, "`operations` lists none".into(), Some(help.into()));
        return None;
    }
    let mut found = Vec::new();
    for item in items {
        let text = file.text_of("operations", item)?;
        match Op::parse(&text.to_uppercase()) {
            Some(operation) if found.contains(&operation) => {
                file.error(Rule::Shape, item.start, format!("`{text}` is listed twice"), None);
            }
            Some(operation) => found.push(operation),
            None => {
                let known = ["insert", "update", "delete", "manual"];
                let help = match closest(text, known) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("there are {}", known.join(", ")),
                };
                file.error(Rule::Shape, item.start, format!("`{text}` is no operation"), Some(help));
                return None;
            }
        }
    }
    Some(found)
}
