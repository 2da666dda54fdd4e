//! The options that gather events: `debounce`.

use std::time::Duration;

use expressions::Scope;

use crate::{
    report::Rule,
    window::{Common, Deliver, Gathering, MOST_QUIETS},
    yaml::{Content, Yaml},
};

use super::{
    context::File,
    keys,
    parameters::Uses,
    parts::{look, span},
};

/// What is written, for whoever wrote something else.
const DEBOUNCE: &str = "a map, `{ quiet: 30s, by: data.orderId }`,";

/// Reads how the job gathers events, if it does; the inner is none if that is wrong.
pub(super) fn gathering(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Option<Gathering>> {
    match option(node, "debounce") {
        Some(node) => debounce(file, node, uses).map(Some),
        None => Some(None),
    }
}

/// The value of a key, where it has one: null counts as left out.
fn option<'y>(node: &'y Yaml, key: &str) -> Option<&'y Yaml> {
    let entry = node.entries()?.iter().find(|entry| entry.key == key)?;
    Some(&entry.value).filter(|value| !value.is_null())
}

fn debounce(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Gathering> {
    if node.entries().is_none() {
        file.wrong_shape("debounce", node, DEBOUNCE);
        return None;
    }
    let errors = file.errors();
    file.known_keys(node, keys::DEBOUNCE);
    let without = "an event runs at once without `debounce`";
    let Some(written) = option(node, "quiet") else {
        let help = "say how long nothing more must come before the job runs: `debounce: { quiet: 30s }`";
        file.error(Rule::Job, node.start, "`debounce` has no `quiet`".into(), Some(help.into()));
        return None;
    };
    let quiet = time(file, "quiet", written, without)?;
    let most = match option(node, "most") {
        Some(node) => time(file, "most", node, "without `most` it is ten times `quiet`")?,
        None => quiet.saturating_mul(MOST_QUIETS),
    };
    if let Some(node) = option(node, "most").filter(|_| most < quiet) {
        let help = "a window lasts `quiet` at least, and `most` at the latest: make this the longer one";
        file.error(Rule::Job, node.start, "`most` is shorter than `quiet`".into(), Some(help.into()));
    }
    if let Some(node) = option(node, "deliver")
        && node.scalar() != Some("last")
    {
        file.error(Rule::Job, node.start, "`deliver` is `last`".into(), None);
    }
    let by = match option(node, "by") {
        Some(node) => Some(by(file, node, uses)?),
        None => None,
    };
    (file.errors() == errors).then_some(Gathering { by, quiet: Some(quiet), most, deliver: Deliver::Last })
}

/// A time that is longer than nothing.
fn time(file: &mut File<'_>, key: &str, node: &Yaml, help: &str) -> Option<Duration> {
    let found = span(file, key, node)?;
    if found.is_zero() {
        let help = format!("write how long, as in `{key}: 30s`; {help}");
        file.error(Rule::Job, node.start, format!("`{key}` is nothing, and a time is wanted"), Some(help));
        return None;
    }
    Some(found)
}

/// An expression, or a list of some, as an event's key is.
fn by(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Common> {
    let parts = match &node.content {
        Content::List(items) if !items.is_empty() => items.iter().collect(),
        _ => vec![node],
    };
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let expression = file.expression("by", part, Scope::With)?;
            if expression.is_composite() {
                let help = "write what tells them apart: an expression, `by: data.id`, or a list of some, `by: [data.tenant, data.id]`";
                let message = "`by` is made of texts, numbers and truth values".to_owned();
                file.error(Rule::Expression, part.start, message, Some(help.into()));
                return None;
            }
            look(file, part, &expression, uses);
            Some(expression)
        })
        .collect();
    Some(Common { parts: parts.into_iter().collect::<Option<_>>()? })
}
