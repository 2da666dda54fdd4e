//! From one type to another, and out of the expression: to JSON.

use std::fmt::Display;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use contracts::{document, json};
use jiff::SignedDuration;
use serde_json::{Map as JsonMap, Number as JsonNumber, Value as Json};

use crate::{
    arguments::Arguments,
    budget::{Budget, Room},
    error::{Span, Stop},
    literal,
    node::Node,
    number::{self, Number},
    value::{List, Map, Text, Value},
};

/// How many letters of a text an error shows.
const SHOWN: usize = 40;

/// `int`: truncates a number toward zero, reads a string of digits, counts a timestamp's seconds since 1970.
pub(crate) fn int<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let value = match arguments.value(0) {
        Value::Number(Number::Int(value)) => Some(*value),
        Value::Number(number) => {
            let value = number.decimal().map_err(|message| arguments.failed(message))?;
            value.with_scale_round(0, RoundingMode::Down).to_i64()
        }
        // The second it is in, also before 1970.
        Value::Timestamp(time) => Some(time.as_second() - i64::from(time.subsec_nanosecond() < 0)),
        Value::Duration(duration) => Some(duration.as_secs()),
        Value::String(text) => {
            let digits = text.trim();
            let value = digits.parse();
            Some(value.map_err(|_| arguments.failed(format!("{digits:?} is no whole number of 64 bits")))?)
        }
        _ => return Err(arguments.wrong(0, "a number or a string")),
    };
    value.map(Value::int).ok_or_else(|| arguments.failed("the number does not fit in 64 bits"))
}

/// `uint`: an int that is not negative.
pub(crate) fn uint<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match int(arguments)? {
        Value::Number(Number::Int(value)) if value < 0 => Err(arguments.failed("a uint is not negative")),
        value => Ok(value),
    }
}

/// `double`: a number as it is, exactly, and no longer an int; a string as the number it writes.
pub(crate) fn double<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match arguments.value(0) {
        Value::Number(Number::Int(value)) => Ok(Value::Number(BigDecimal::from(*value).into())),
        value @ Value::Number(_) => Ok(value.clone()),
        Value::String(text) => {
            let text = text.trim();
            let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            match number::parse(text).filter(|_| is_number) {
                Some(value) => Ok(Value::Number(value.into())),
                None => Err(arguments.failed(format!("{text:?} is no number"))),
            }
        }
        _ => Err(arguments.wrong(0, "a number or a string")),
    }
}

/// `num`: a number as it is; a string as the number it writes, with its digits.
pub(crate) fn num<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match arguments.value(0) {
        // Out of the data almost always: then it need not be read before it is compared.
        Value::String(Text::Borrowed(text)) if is_json_number(text) => Ok(Value::Number(Number::Written(text))),
        Value::Bool(_) => Err(arguments.failed("a bool is no number; write `new.paid ? 1 : 0`")),
        _ => double(arguments),
    }
}

/// What to do about a text that was compared with a number, if that helps: behind an error.
pub(crate) fn to_number(text: &str, node: &Node) -> String {
    if is_json_number(text) {
        return match literal::unquoted(node) {
            Some(number) => format!("; write {number}, without quotes"),
            None => "; convert the text with num()".to_owned(),
        };
    }
    let shown: String = text.chars().take(SHOWN).collect();
    format!("; {shown:?}{} is no number", if shown.len() < text.len() { "…" } else { "" })
}

/// Whether a text is a number by JSON's grammar.
fn is_json_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) && text.parse::<JsonNumber>().is_ok()
}

/// `bool`: a bool, or one of CEL's ways to write one.
pub(crate) fn bool<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    if let Value::Bool(value) = arguments.value(0) {
        return Ok(Value::Bool(*value));
    }
    match arguments.text(0)? {
        "1" | "t" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        other => Err(arguments.failed(format!("{other:?} is no bool"))),
    }
}

/// `bytes`: the UTF-8 of a string.
pub(crate) fn bytes<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match arguments.value(0) {
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
        _ => {
            let text = arguments.text(0)?;
            arguments.context.budget.make(text.len(), arguments.span)?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
    }
}

/// `string`: scalars as text; a number keeps the digits it has.
pub(crate) fn string<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match arguments.value(0) {
        text @ Value::String(_) => Ok(text.clone()),
        Value::Bytes(bytes) => {
            arguments.made(str::from_utf8(bytes).map_err(|_| arguments.failed("the bytes are no UTF-8"))?)
        }
        value => arguments.made(scalar_text(value).ok_or_else(|| arguments.wrong(0, "a scalar"))?),
    }
}

/// The text of a value that has one: also what a string template puts in its place.
pub(crate) fn scalar_text(value: &Value<'_>) -> Option<String> {
    let shown: &dyn Display = match value {
        Value::Bool(value) => value,
        Value::Number(Number::Computed(value)) => return Some(decimal_text(value)),
        Value::Number(number) => return Some(number.text().into_owned()),
        Value::String(text) => return Some(text.to_string()),
        Value::Timestamp(time) => time,
        Value::Duration(duration) => return Some(duration_text(*duration)),
        Value::Type(name) => name,
        _ => return None,
    };
    Some(shown.to_string())
}

/// A duration as CEL writes it: seconds, with a fraction where there is one.
fn duration_text(duration: SignedDuration) -> String {
    let nanos = duration.subsec_nanos().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
    format!("{sign}{}{}s", duration.as_secs().unsigned_abs(), fraction.trim_end_matches('0'))
}

/// A computed number as people write it: spelt out, or with one digit before the point and an exponent.
fn decimal_text(value: &BigDecimal) -> String {
    let text = value.normalized().to_scientific_notation();
    let spelt_out = text.parse().map(|number: JsonNumber| json::canonical(&Json::Number(number)));
    spelt_out.ok().filter(|spelt| !spelt.contains('e')).unwrap_or(text)
}

/// The value as JSON, as far as there is room. Numbers that were only passed on keep their digits.
pub(crate) fn to_json(budget: &Budget, value: &Value<'_>, span: Span, room: &Room) -> Result<Json, Stop> {
    budget.spend(1, span)?;
    let no_room = |full| Stop::TooLarge(span, full);
    let made = match value {
        Value::Null => return Ok(Json::Null),
        Value::Bool(value) => return Ok(Json::Bool(*value)),
        // Measured before they are copied.
        Value::List(List::Json(items)) => {
            return room.fit(items).map(|()| Json::Array(items.to_vec())).map_err(no_room);
        }
        Value::Map(Map::Json(map)) => return room.fit(map).map(|()| Json::Object((*map).clone())).map_err(no_room),
        Value::String(text) => return room.fit(&&**text).map(|()| Json::from(&**text)).map_err(no_room),
        Value::List(items) => {
            room.take(items.len() + 2).map_err(no_room)?;
            let items = items.iter().map(|item| to_json(budget, &item, span, room));
            return items.collect::<Result<_, _>>().map(Json::Array);
        }
        Value::Map(Map::Made(entries)) => {
            let mut map = JsonMap::new();
            for (key, value) in entries.iter() {
                let key = scalar_text(key).ok_or_else(|| Stop::failed(span, "the key of a map is a scalar"))?;
                room.fit(&key).and_then(|()| room.take(2)).map_err(no_room)?;
                map.insert(document::key(&key).into_owned(), to_json(budget, value, span, room)?);
            }
            return Ok(Json::Object(map));
        }
        Value::Bytes(_) => return Err(Stop::failed(span, "bytes have no JSON; convert them with string()")),
        Value::Number(_) => {
            let text = scalar_text(value).unwrap_or_default();
            text.parse::<JsonNumber>().map_or_else(|_| Json::from(text), Json::Number)
        }
        other => Json::String(scalar_text(other).unwrap_or_default()),
    };
    room.fit(&made).map(|()| made).map_err(no_room)
}
