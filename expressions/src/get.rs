//! The paths of `get(x, "a.b", default)`: names with dots between them, where the position in a list is a name, too.

use crate::{
    budget::Budget,
    error::{Span, Stop},
    value::Value,
};

/// The names of a path, from the outside in.
pub(crate) fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('.')
}

/// Whether a text is a path.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if path.contains('[') {
        return Err(format!("{path:?} is no path: a position is written as a name, `items.0.sku`"));
    }
    if names(path).any(str::is_empty) {
        return Err(format!("{path:?} is no path: write names with dots between them, `address.city`"));
    }
    Ok(())
}

/// The member of a map, or the element of a list. Nothing else has any.
pub(crate) fn within<'a>(
    budget: &Budget,
    value: &Value<'a>,
    name: &str,
    span: Span,
) -> Result<Option<Value<'a>>, Stop> {
    match value {
        Value::Map(map) => {
            budget.look(map.looked_through(), span)?;
            Ok(map.field(name))
        }
        Value::List(list) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(name.parse().ok().and_then(|at| list.get(at)))
        }
        _ => Ok(None),
    }
}
