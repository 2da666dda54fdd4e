//! Functions over strings and lists of them. Positions count characters, as CEL's do.

use regex::RegexBuilder;

use super::{
    Stop,
    arguments::Arguments,
    budget::{check_elements, check_text},
    functions::Function,
    node::Span,
    value::Value,
};

/// How large a compiled pattern may be, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// Compiles a pattern; matching takes time linear in the text, whatever the pattern.
pub(crate) fn pattern(text: &str) -> Result<regex::Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_SIZE).build().map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!("the pattern is wrong: {}", last.trim_start_matches("error: "))
    })
}

/// `size`: characters of a string, bytes, elements of a list, keys of a map.
pub(crate) fn size<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let count = match arguments.value(0) {
        Value::String(text) => text.chars().count(),
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::JsonList(items) => items.len(),
        Value::List(items) => items.len(),
        Value::JsonMap(map) => map.len(),
        Value::Map(entries) => entries.len(),
        _ => return Err(arguments.wrong(0, "a string, a list or a map")),
    };
    Ok(Value::Int(count as i64))
}

pub(crate) fn call<'a>(function: Function, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    if function == Function::Join {
        return join(arguments);
    }
    let text = arguments.text(0)?;
    Ok(match function {
        Function::Contains => Value::Bool(text.contains(arguments.text(1)?)),
        Function::StartsWith => Value::Bool(text.starts_with(arguments.text(1)?)),
        Function::EndsWith => Value::Bool(text.ends_with(arguments.text(1)?)),
        Function::Matches => {
            let pattern = pattern(arguments.text(1)?).map_err(|message| arguments.failed(message))?;
            Value::Bool(pattern.is_match(text))
        }
        Function::LowerAscii => Value::text(text.to_ascii_lowercase()),
        Function::UpperAscii => Value::text(text.to_ascii_uppercase()),
        Function::Trim => Value::text(text.trim()),
        Function::Split => split(text, arguments)?,
        Function::Substring => substring(text, arguments)?,
        _ => replace(text, arguments)?,
    })
}

fn split<'a>(text: &str, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let separator = arguments.text(1)?;
    let limit = if arguments.count() > 2 { arguments.position(2)? } else { usize::MAX };
    let parts: Vec<&str> = match (limit, separator) {
        (0, _) => Vec::new(),
        (_, "") => text.split("").filter(|part| !part.is_empty()).collect(),
        _ => text.splitn(limit, separator).collect(),
    };
    arguments.evaluator.budget.spend(parts.len(), arguments.span)?;
    check_elements(parts.len(), arguments.span)?;
    Ok(Value::list(parts.into_iter().map(Value::text).collect()))
}

fn join<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let separator = if arguments.count() > 1 { arguments.text(1)? } else { "" };
    let items = match arguments.value(0) {
        list @ (Value::JsonList(_) | Value::List(_)) => list.elements(),
        _ => None,
    };
    let items = items.ok_or_else(|| arguments.wrong(0, "a list of strings"))?;
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let part = item.as_str().ok_or_else(|| arguments.failed("join is for a list of strings"))?;
        check_text(joined.len() + separator.len() + part.len(), arguments.span)?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(part);
    }
    Ok(Value::text(joined))
}

fn substring<'a>(text: &str, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let byte = |position: usize| {
        let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.nth(position).ok_or_else(|| arguments.failed(format!("the string has no position {position}")))
    };
    let start = byte(arguments.position(1)?)?;
    let end = if arguments.count() > 2 { byte(arguments.position(2)?)? } else { text.len() };
    text.get(start..end).map(Value::text).ok_or_else(|| arguments.failed("the substring ends before it begins"))
}

fn replace<'a>(text: &str, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let (from, to) = (arguments.text(1)?, arguments.text(2)?);
    let limit = if arguments.count() > 3 { arguments.position(3)? } else { usize::MAX };
    let found = text.matches(from).take(limit).count();
    check_text(text.len() + found.saturating_mul(to.len()), arguments.span)?;
    Ok(Value::text(text.replacen(from, to, found)))
}

/// Two strings or two lists, one behind the other.
pub(crate) fn concatenate<'a>(a: &Value<'a>, b: &Value<'a>, span: Span) -> Option<Result<Value<'a>, Stop>> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Some(check_text(a.len() + b.len(), span).map(|()| Value::text(format!("{a}{b}"))));
    }
    match (a, b) {
        (Value::JsonList(_) | Value::List(_), Value::JsonList(_) | Value::List(_)) => {
            let (a, b) = (a.elements()?, b.elements()?);
            Some(check_elements(a.len() + b.len(), span).map(|()| Value::list(a.iter().chain(b.iter()).collect())))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            Some(check_text(a.len() + b.len(), span).map(|()| Value::Bytes([a.as_ref(), b.as_ref()].concat().into())))
        }
        _ => None,
    }
}
