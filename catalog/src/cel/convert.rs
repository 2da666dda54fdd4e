//! From one type to another, and out of the expression: to JSON.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use contracts::document;
use serde_json::{Map, Number, Value as Json};

use super::{
    Stop,
    arguments::Arguments,
    budget::Room,
    eval::Evaluator,
    node::Span,
    number,
    value::{Value, number_text},
};

/// `int`: truncates a number toward zero, reads a string of digits, counts a timestamp's seconds since 1970.
pub(crate) fn int<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let value = match arguments.value(0) {
        Value::Int(value) => return Ok(Value::Int(*value)),
        // The second it is in, also before 1970.
        Value::Timestamp(time) => {
            return Ok(Value::Int(time.as_second() - i64::from(time.subsec_nanosecond() < 0)));
        }
        Value::Duration(duration) => return Ok(Value::Int(duration.as_secs())),
        text @ (Value::String(_) | Value::Text(_)) => {
            let digits = text.as_str().unwrap_or_default().trim();
            return digits
                .parse()
                .map(Value::Int)
                .map_err(|_| arguments.failed(format!("{digits:?} is no whole number of 64 bits")));
        }
        Value::Number(_) | Value::Decimal(_) => {
            number::decimal(arguments.value(0)).map_err(|message| arguments.failed(message))?
        }
        _ => return Err(arguments.wrong(0, "a number or a string")),
    };
    value
        .with_scale_round(0, RoundingMode::Down)
        .to_i64()
        .map(Value::Int)
        .ok_or_else(|| arguments.failed("the number does not fit in 64 bits"))
}

/// `uint`: an int that is not negative.
pub(crate) fn uint<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match int(arguments)? {
        Value::Int(value) if value < 0 => Err(arguments.failed("a uint is not negative")),
        value => Ok(value),
    }
}

/// `double`: a number as it is, exactly; a string as the number it writes.
pub(crate) fn double<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match arguments.value(0) {
        Value::Int(value) => Ok(number::of_decimal(BigDecimal::from(*value))),
        value @ (Value::Number(_) | Value::Decimal(_)) => Ok(value.clone()),
        Value::String(_) | Value::Text(_) => {
            let text = arguments.text(0)?.trim();
            let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            match number::parse(text).filter(|_| is_number) {
                Some(value) => Ok(number::of_decimal(value)),
                None => Err(arguments.failed(format!("{text:?} is no number"))),
            }
        }
        _ => Err(arguments.wrong(0, "a number or a string")),
    }
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
            arguments.evaluator.budget.make(text.len(), arguments.span)?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
    }
}

/// `string`: scalars as text; a number keeps the digits it has.
pub(crate) fn string<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let value = arguments.value(0);
    if let Value::Bytes(bytes) = value {
        let text = str::from_utf8(bytes).map_err(|_| arguments.failed("the bytes are no UTF-8"))?;
        return arguments.made(text);
    }
    if value.as_str().is_some() {
        return Ok(value.clone());
    }
    arguments.made(scalar_text(value).ok_or_else(|| arguments.wrong(0, "a scalar"))?)
}

/// The text of a value that has one: also what a string template puts in its place.
pub(crate) fn scalar_text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Decimal(value) => Some(decimal_text(value)),
        Value::Int(_) | Value::Number(_) => number_text(value).map(std::borrow::Cow::into_owned),
        Value::String(_) | Value::Text(_) => value.as_str().map(str::to_owned),
        Value::Timestamp(time) => Some(time.to_string()),
        Value::Duration(duration) => Some(duration_text(*duration)),
        Value::Type(name) => Some((*name).to_owned()),
        _ => None,
    }
}

/// A duration as CEL writes it: seconds, with a fraction where there is one.
fn duration_text(duration: jiff::SignedDuration) -> String {
    let nanos = duration.subsec_nanos().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
    format!("{sign}{}{}s", duration.as_secs().unsigned_abs(), fraction.trim_end_matches('0'))
}

/// A computed number as JSON writes it, without superfluous zeros.
fn decimal_text(value: &BigDecimal) -> String {
    let text = value.to_scientific_notation();
    text.parse().map_or(text, |number: Number| contracts::json::canonical(&Json::Number(number)))
}

/// The value as JSON, as far as there is room. Numbers that were only passed on keep their digits.
pub(crate) fn to_json(evaluator: &Evaluator<'_>, value: &Value<'_>, span: Span, room: &Room) -> Result<Json, Stop> {
    evaluator.budget.spend(1, span)?;
    let take = |bytes| room.take(bytes).map_err(|full| Stop::TooLarge(span, full));
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => taken(Json::from(*value), take)?,
        Value::Number(text) => taken(number_json(text), take)?,
        Value::Decimal(value) => taken(number_json(&decimal_text(value)), take)?,
        Value::String(text) => {
            take(length_of_text(text))?;
            Json::from(*text)
        }
        Value::JsonList(items) => {
            items.iter().try_for_each(|item| take(length(item) + 1)).and_then(|()| take(2))?;
            Json::Array(items.to_vec())
        }
        Value::JsonMap(map) => {
            map.iter()
                .try_for_each(|(key, value)| take(length_of_text(key) + length(value) + 2))
                .and_then(|()| take(2))?;
            Json::Object((*map).clone())
        }
        Value::List(items) => {
            take(items.len() + 2)?;
            let items = items.iter().map(|item| to_json(evaluator, item, span, room));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries.iter() {
                let key = scalar_text(key).ok_or_else(|| Stop::failed(span, "the key of a map is a scalar"))?;
                take(length_of_text(&key) + 2)?;
                map.insert(document::key(&key).into_owned(), to_json(evaluator, value, span, room)?);
            }
            Json::Object(map)
        }
        Value::Bytes(_) => return Err(Stop::failed(span, "bytes have no JSON; convert them with string()")),
        other => {
            let text = scalar_text(other).unwrap_or_default();
            take(length_of_text(&text))?;
            Json::String(text)
        }
    })
}

fn taken(json: Json, take: impl Fn(usize) -> Result<(), Stop>) -> Result<Json, Stop> {
    take(length(&json))?;
    Ok(json)
}

/// How many bytes a value has as compact JSON: at least that, and at most a comma more for each list and map.
pub(crate) fn length(json: &Json) -> usize {
    match json {
        Json::Null => 4,
        Json::Bool(_) => 5,
        Json::Number(number) => number.as_str().len(),
        Json::String(text) => length_of_text(text),
        Json::Array(items) => 2 + items.iter().map(|item| length(item) + 1).sum::<usize>(),
        Json::Object(map) => 2 + map.iter().map(|(key, value)| length_of_text(key) + length(value) + 2).sum::<usize>(),
    }
}

/// A text with its quotes and escapes.
pub(crate) fn length_of_text(text: &str) -> usize {
    let escapes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    2 + text.len() + text.bytes().map(escapes).sum::<usize>()
}

fn number_json(text: &str) -> Json {
    text.parse::<Number>().map_or_else(|_| Json::from(text), Json::Number)
}
