//! Equality over all values and order within a type.

use std::cmp::Ordering;

use crate::{
    budget::Budget,
    error::{Span, Stop},
    number::Number,
    value::{List, Map, Value},
};

/// Whether two values are equal: numbers by value, lists in order, maps regardless of order; different types differ.
#[inline]
pub(crate) fn equal(budget: &Budget, a: &Value<'_>, b: &Value<'_>, span: Span) -> Result<bool, Stop> {
    match (a, b) {
        (Value::List(a), Value::List(b)) => equal_lists(budget, a, b, span),
        (Value::Map(a), Value::Map(b)) => equal_maps(budget, a, b, span),
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
        (Value::Type(a), Value::Type(b)) => a == b,
        _ => order(a, b) == Some(Ordering::Equal),
    }
}

/// What comparing a scalar looks at, in words of 32 bytes.
pub(crate) fn words(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) => text.len() / 32,
        Value::Number(Number::Written(text)) => text.len() / 32,
        Value::Bytes(bytes) => bytes.len() / 32,
        _ => 0,
    }
}

fn equal_lists(budget: &Budget, a: &List<'_>, b: &List<'_>, span: Span) -> Result<bool, Stop> {
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

fn equal_maps(budget: &Budget, a: &Map<'_>, b: &Map<'_>, span: Span) -> Result<bool, Stop> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for key in a.keys().iter() {
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
    Some(match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.compare(b),
        (Value::String(a), Value::String(b)) => (**a).cmp(&**b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => return None,
    })
}
