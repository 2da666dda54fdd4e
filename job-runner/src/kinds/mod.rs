//! The kinds of jobs that Herald brings.

mod command;
mod http;
mod log;
mod publish;
mod simulate;

pub(crate) use command::Command;
pub(crate) use http::Http;
pub(crate) use log::Log;
pub(crate) use publish::Publish;
pub(crate) use simulate::Simulate;

use command::json_document;

use serde_json::{Map, Value};

/// Whether a string is filled in per event, so that nothing is known of it yet. `$${` is a written `${`.
fn is_template(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| !text[..at].ends_with('$'))
}

/// The options as a map; none at all is an empty one.
fn map<'a>(kind: &str, options: &'a Value, known: &[&str]) -> Result<Option<&'a Map<String, Value>>, String> {
    let map = match options {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        _ => return Err(format!("`{kind}` takes a map of options: {}", known.join(", "))),
    };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(format!("`{kind}` has no option `{unknown}`; it has {}", known.join(", "))),
        None => Ok(Some(map)),
    }
}

/// An option's text; scalars count as theirs.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
