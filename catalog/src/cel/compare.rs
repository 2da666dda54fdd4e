//! Equality over all values and order within a type.

use std::cmp::Ordering;

use super::{Stop, budget::Budget, node::Span, number, value::Value};

/// Whether two values are equal: numbers by value, lists in order, maps regardless of order; different types differ.
#[inline]
pub(crate) fn equal(budget: &Budget, a: &Value<'_>, b: &Value<'_>, span: Span) -> Result<bool, Stop> {
    match (a, b) {
        (Value::JsonList(_) | Value::List(_), Value::JsonList(_) | Value::List(_)) => equal_lists(budget, a, b, span),
        (Value::JsonMap(_) | Value::Map(_), Value::JsonMap(_) | Value::Map(_)) => equal_maps(budget, a, b, span),
        _ => {
            budget.look(words(a).min(words(b)), span)?;
            Ok(equal_scalars(a, b))
        }
    }
}

/// The same of two that are neither lists nor maps.
pub(crate) fn equal_scalars(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (
            Value::Int(_) | Value::Number(_) | Value::Decimal(_),
            Value::Int(_) | Value::Number(_) | Value::Decimal(_),
        ) => number::compare(a, b) == Some(Ordering::Equal),
        (Value::String(_) | Value::Text(_), Value::String(_) | Value::Text(_)) => a.as_str() == b.as_str(),
        _ => false,
    }
}

/// What comparing a scalar looks at, in words of 32 bytes.
pub(crate) fn words(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) | Value::Number(text) => text.len() / 32,
        Value::Text(text) => text.len() / 32,
        Value::Bytes(bytes) => bytes.len() / 32,
        _ => 0,
    }
}

fn equal_lists(budget: &Budget, a: &Value<'_>, b: &Value<'_>, span: Span) -> Result<bool, Stop> {
    let (Some(a), Some(b)) = (a.elements(), b.elements()) else { return Ok(false) };
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        budget.look(1, span)?;
        if !equal(budget, &a, &b, span)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(budget: &Budget, a: &Value<'_>, b: &Value<'_>, span: Span) -> Result<bool, Stop> {
    let (Some(keys), Some(others)) = (a.elements(), b.elements()) else { return Ok(false) };
    if keys.len() != others.len() {
        return Ok(false);
    }
    for key in keys.iter() {
        budget.look(1 + a.looked_through() + b.looked_through(), span)?;
        match (a.get(&key), b.get(&key)) {
            (Some(a), Some(b)) if equal(budget, &a, &b, span)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The order of two values of one type; `None` where there is none.
#[inline]
pub(crate) fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        _ => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => Some(a.cmp(b)),
            (None, None) => number::compare(a, b),
            _ => None,
        },
    }
}
