//! Equality over all values and order within a type.

use std::cmp::Ordering;

use super::{number, value::Value};

/// Whether two values are equal: numbers by value, lists in order, maps regardless of order; different types differ.
pub(crate) fn equal(a: &Value<'_>, b: &Value<'_>) -> bool {
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
        (Value::JsonList(_) | Value::List(_), Value::JsonList(_) | Value::List(_)) => equal_lists(a, b),
        (Value::JsonMap(_) | Value::Map(_), Value::JsonMap(_) | Value::Map(_)) => equal_maps(a, b),
        _ => false,
    }
}

fn equal_lists(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::JsonList(a), Value::JsonList(b)) => {
            a.len() == b.len() && a.iter().zip(*b).all(|(a, b)| contracts::json::equal(a, b))
        }
        _ => match (a.elements(), b.elements()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(&a, &b)),
            _ => false,
        },
    }
}

fn equal_maps(a: &Value<'_>, b: &Value<'_>) -> bool {
    let (Some(keys), Some(others)) = (a.elements(), b.elements()) else { return false };
    keys.len() == others.len()
        && keys.iter().all(|key| match (a.get(&key), b.get(&key)) {
            (Some(a), Some(b)) => equal(&a, &b),
            _ => false,
        })
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
