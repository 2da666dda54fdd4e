//! `from`: which changes an event looks at, or which scheduled trigger or action.

use contracts::{
    hasura::{Occasion, Op},
    names::{SOURCE, is_source},
};
use expressions::closest;

use crate::{
    detector::{Called, DEFAULT_OPERATIONS, In, Selector, Table, Tables},
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{context::File, keys};

/// What `from` is about, as far as can be told of one that is wrong.
pub(super) fn occasion(node: &Yaml) -> Occasion {
    let has =
        |occasion: &Occasion| node.entries().unwrap_or_default().iter().any(|entry| entry.key == occasion.as_str());
    [Occasion::Change, Occasion::Scheduled, Occasion::Action].into_iter().find(has).unwrap_or(Occasion::Change)
}

/// Reads it; `None` if it is wrong.
pub(super) fn from(file: &mut File<'_>, node: &Yaml) -> Option<In> {
    let Some(entries) = node.entries() else {
        file.wrong_shape("from", node, "a map, `{ table: moves }`,");
        return None;
    };
    let has_unknown = file.known_keys(node, keys::FROM);
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let mut what = entries.iter().filter(|entry| keys::FROM_WHAT.contains(&entry.key.as_str()));
    if let (Some(one), Some(other)) = (what.next(), what.next()) {
        let message = format!("`from` has both `{}` and `{}`", one.key, other.key);
        let help = "an event is detected in one of them: write a second event for the other";
        file.error(Rule::Shape, other.start, message, Some(help.into()));
        return None;
    }
    let source = get("source").and_then(|node| file.text_of("source", node)).map(str::to_owned);
    if let Some(node) = get("source").filter(|_| source.as_deref().is_some_and(|name| !is_source(name))) {
        let message = "no webhook has a source of that name, so nothing is ever detected".to_owned();
        file.warning(Rule::AlwaysFails, node.start, message, &format!("a source is {SOURCE}"));
    }
    let occasion = occasion(node);
    if occasion != Occasion::Change {
        let mut only = entries.iter().filter(|entry| keys::FROM_TABLE.contains(&entry.key.as_str()));
        if let Some(entry) = only.next() {
            let message = format!("`{}` goes with `table`, and this is about {}", entry.key, occasion.with_article());
            file.error(Rule::Shape, entry.start, message, Some("leave it out".into()));
            return None;
        }
        let name = called(file, occasion, get(occasion.as_str())?)?;
        return Some(In::Called(Called { occasion, name, source }));
    }
    let operations = match get("operations") {
        Some(node) => operations(file, node)?,
        None => DEFAULT_OPERATIONS.to_vec(),
    };
    let trigger = get("trigger").and_then(|node| file.text_of("trigger", node)).map(str::to_owned);
    let Some(table) = get("table") else {
        if has_unknown {
            // It stands there under another name, as far as one can see.
            return None;
        }
        let help = "add `table: name`; all tables are spelt `table: \"*\"`; of a cron trigger write `scheduled: name`, of an action `action: name`";
        file.error(Rule::Shape, node.start, "`from` names no table".into(), Some(help.into()));
        return None;
    };
    Some(In::Changes(Selector { tables: tables(file, table)?, operations, source, trigger }))
}

/// The name of a scheduled trigger or an action.
fn called(file: &mut File<'_>, occasion: Occasion, node: &Yaml) -> Option<String> {
    let key = occasion.as_str();
    let (wanted, example) = match occasion {
        Occasion::Action => ("the name of an action", "placeOrder"),
        _ => ("the name of a cron trigger, or the comment of a scheduled event", "nightly-report"),
    };
    let Some(name) = node.scalar().filter(|name| !node.is_null() && !name.trim().is_empty()) else {
        let is = if node.scalar().is_some() { "empty" } else { node.kind() };
        let message = format!("`{key}` is {is}, and {wanted} is wanted");
        file.error(Rule::Shape, node.start, message, Some(format!("write `{key}: {example}`")));
        return None;
    };
    Some(name.to_owned())
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
