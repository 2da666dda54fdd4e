//! Functions over strings and lists of them. Positions count characters, as CEL's do.

use regex::{Regex, RegexBuilder};

use crate::{
    arguments::Arguments,
    budget::Budget,
    error::{Span, Stop},
    functions::Function,
    value::Value,
};

/// How large a pattern that the catalog writes may be once it is compiled, in bytes; and one that comes from a row.
pub(crate) const PATTERN_SIZE: usize = 32 << 20;
const COMPUTED_PATTERN_SIZE: usize = 2 << 20;
/// What compiling a pattern from a row costs, in steps, if it is no larger than so many bytes.
const COMPILING: [(usize, usize); 2] = [(128 << 10, 500), (COMPUTED_PATTERN_SIZE, 10_000)];
/// What a part of a split text takes beside its bytes: the value, and what counts its owners.
const PART: usize = size_of::<Value<'_>>() + 2 * size_of::<usize>();

/// Compiles a pattern; matching takes time linear in the text, whatever the pattern.
pub(crate) fn pattern(text: &str, size: usize) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(size).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(size) => {
            format!("the pattern is too large: compiled, it would have more than {size} bytes; repeat less, or write [a-z] for \\w")
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("the pattern is wrong: {}", last.trim_start_matches("error: "))
        }
    })
}

/// Whether a text matches a pattern that was computed. Each is compiled once in an evaluation.
fn matches(text: &str, arguments: &Arguments<'_, '_>) -> Result<bool, Stop> {
    let wanted = arguments.text(1)?;
    let mut patterns = arguments.context.patterns.borrow_mut();
    if let Some(known) = patterns.iter().find(|known| known.as_str() == wanted) {
        return Ok(known.is_match(text));
    }
    let [(small, few), (large, many)] = COMPILING;
    arguments.context.budget.spend(few, arguments.span)?;
    let compiled = match RegexBuilder::new(wanted).size_limit(small).build() {
        Err(regex::Error::CompiledTooBig(_)) => {
            arguments.context.budget.spend(many, arguments.span)?;
            pattern(wanted, large)
        }
        _ => pattern(wanted, small),
    };
    let compiled = compiled.map_err(|message| arguments.failed(message))?;
    let found = compiled.is_match(text);
    patterns.push(compiled);
    Ok(found)
}

/// `size`: characters of a string, bytes, elements of a list, keys of a map.
pub(crate) fn size<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let count = match arguments.value(0) {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => return Err(arguments.wrong(0, "a string, a list or a map")),
    };
    Ok(Value::int(count as i64))
}

pub(crate) fn call<'a>(function: Function, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    if function == Function::Join {
        return join(arguments);
    }
    if function == Function::Contains && matches!(arguments.value(0), Value::List(_)) {
        return Err(arguments.failed("a list has elements, and no parts of a text: write `\"…\" in list`"));
    }
    let text = arguments.text(0)?;
    Ok(match function {
        Function::Contains => Value::Bool(text.contains(arguments.text(1)?)),
        Function::StartsWith => Value::Bool(text.starts_with(arguments.text(1)?)),
        Function::EndsWith => Value::Bool(text.ends_with(arguments.text(1)?)),
        Function::Matches => Value::Bool(matches(text, arguments)?),
        Function::Lower => arguments.made(text.to_lowercase())?,
        Function::Upper => arguments.made(text.to_uppercase())?,
        Function::LowerAscii => arguments.made(text.to_ascii_lowercase())?,
        Function::UpperAscii => arguments.made(text.to_ascii_uppercase())?,
        Function::Trim => arguments.made(text.trim())?,
        Function::Split => split(text, arguments)?,
        Function::Substring => substring(text, arguments)?,
        _ => replace(text, arguments)?,
    })
}

fn split<'a>(text: &str, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let separator = arguments.text(1)?;
    let limit = arguments.limit(2)?;
    let parts: Vec<&str> = match (limit, separator) {
        (0, _) => Vec::new(),
        (_, "") => text.split("").filter(|part| !part.is_empty()).collect(),
        _ => text.splitn(limit, separator).collect(),
    };
    let budget = &arguments.context.budget;
    budget.spend(parts.len(), arguments.span)?;
    budget.make(text.len() + parts.len() * PART, arguments.span)?;
    Ok(Value::list(parts.into_iter().map(Value::text).collect()))
}

fn join<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let separator = if arguments.count() > 1 { arguments.text(1)? } else { "" };
    let Value::List(items) = arguments.value(0) else { return Err(arguments.wrong(0, "a list of strings")) };
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let Value::String(part) = item else { return Err(arguments.failed("join is for a list of strings")) };
        arguments.context.budget.make(separator.len() + part.len(), arguments.span)?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&part);
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
    arguments.made(text.get(start..end).ok_or_else(|| arguments.failed("the substring ends before it begins"))?)
}

fn replace<'a>(text: &str, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let (from, to) = (arguments.text(1)?, arguments.text(2)?);
    let found = text.matches(from).take(arguments.limit(3)?).count();
    arguments.context.budget.make(text.len() + found.saturating_mul(to.len()), arguments.span)?;
    Ok(Value::text(text.replacen(from, to, found)))
}

/// Two strings or two lists, one behind the other.
pub(crate) fn concatenate<'a>(
    budget: &Budget,
    a: &Value<'a>,
    b: &Value<'a>,
    span: Span,
) -> Option<Result<Value<'a>, Stop>> {
    let make = |bytes| budget.make(bytes, span);
    Some(match (a, b) {
        (Value::String(a), Value::String(b)) => {
            make(a.len() + b.len()).map(|()| Value::text(format!("{}{}", &**a, &**b)))
        }
        (Value::List(a), Value::List(b)) => {
            make((a.len() + b.len()) * size_of::<Value<'_>>()).map(|()| Value::list(a.iter().chain(b.iter()).collect()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            make(a.len() + b.len()).map(|()| Value::Bytes([a.as_ref(), b.as_ref()].concat().into()))
        }
        _ => return None,
    })
}
