//! `schema`: the JSON Schema of the data, and what of the file is held against it.

use std::collections::BTreeSet;

use expressions::closest;
use serde_json::Value;

use crate::{
    data_schema::DataSchema,
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{context::File, keys};

/// What to do about data that the schema refuses.
pub(super) const HELP: &str = "change them, or the `schema`: what it refuses is not published";

/// Reads the schema. One that cannot be used is told, and kept as it is written.
pub(super) fn schema(file: &mut File<'_>, node: &Yaml, members: Option<&BTreeSet<&str>>) -> Option<DataSchema> {
    let document = node.to_json();
    if !matches!(document, Value::Object(_) | Value::Bool(_) | Value::String(_)) {
        file.wrong_shape("schema", node, "a JSON Schema or the name of a type");
        return None;
    }
    match DataSchema::compile(document.clone()) {
        Ok(schema) => {
            keywords(file, node);
            if let Some(members) = members {
                never_made(file, node, members);
            }
            Some(schema)
        }
        Err(broken) => {
            file.schema(node.at(&broken.pointer).start, broken.message, broken.help);
            Some(DataSchema::unusable(document))
        }
    }
}

/// Says what a schema does not allow of an example that stands in the file.
pub(super) fn hold(file: &mut File<'_>, schema: &DataSchema, what: &str, node: &Yaml) -> bool {
    let violations = schema.violations(&node.to_json());
    for violation in &violations {
        let message = format!("the schema refuses {what}: {violation}");
        file.warning(Rule::Sample, node.at(&violation.pointer).start, message, HELP);
    }
    violations.is_empty()
}

/// What every event of the file would be refused for: a member that is wanted, and that `data` never have, or one that they have
/// and that nothing allows.
fn never_made(file: &mut File<'_>, node: &Yaml, members: &BTreeSet<&str>) {
    let items = |node: &Yaml| match &node.content {
        Content::List(items) => items.clone(),
        _ => Vec::new(),
    };
    for item in node.get("required").map(items).unwrap_or_default() {
        let Some(name) = item.scalar().filter(|name| !members.contains(name)) else { continue };
        let help = match closest(name, members.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "add it to `data`, or leave it out here".to_owned(),
        };
        file.always_fails(item.start, format!("the schema requires `{name}`, which the data never have"), help);
    }
    let is_closed = node.get("additionalProperties").is_some_and(|node| node.to_json() == Value::Bool(false));
    if !is_closed || node.get("patternProperties").is_some() {
        return;
    }
    let allowed: BTreeSet<&str> =
        node.get("properties").and_then(Yaml::entries).unwrap_or_default().iter().map(|entry| &*entry.key).collect();
    for name in members.iter().filter(|name| !allowed.contains(*name)) {
        let start = node.get("additionalProperties").unwrap_or(node).start;
        let help = match closest(name, allowed.iter().copied()) {
            Some(known) => format!("add it to `properties`; or is it `{known}` there?"),
            None => "add it to `properties`".to_owned(),
        };
        file.always_fails(start, format!("the data have `{name}`, which the schema does not allow"), help);
    }
}

/// Says which keywords nobody knows, and are nearly one: JSON Schema passes over what it does not know.
fn keywords(file: &mut File<'_>, node: &Yaml) {
    for entry in node.entries().unwrap_or_default() {
        let (name, value) = (entry.key.as_str(), &entry.value);
        if name == "nullable" {
            let help = "write `type: [string, \"null\"]`";
            file.warning(Rule::Shape, entry.start, "JSON Schema has no `nullable`".to_owned(), help);
        } else if !keys::SCHEMA.contains(&name)
            && let Some(known) = closest(name, keys::SCHEMA.iter().copied())
        {
            let message = format!("`{name}` is no keyword of JSON Schema, and without effect");
            file.warning(Rule::Shape, entry.start, message, &format!("did you mean `{known}`?"));
        }
        match (name, &value.content) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Content::Map { entries, .. },
            ) => {
                entries.iter().for_each(|entry| keywords(file, &entry.value));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Content::List(items)) => {
                items.iter().for_each(|item| keywords(file, item));
            }
            (
                "items"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "contains"
                | "not"
                | "if"
                | "then"
                | "else"
                | "propertyNames",
                Content::Map { .. },
            ) => keywords(file, value),
            _ => {}
        }
    }
}
