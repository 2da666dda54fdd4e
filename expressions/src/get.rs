//! `get(x, "a.b", default)`: what a path leads to within a value, or else the default.

use crate::{
    error::{Span, Stop},
    eval::Evaluator,
    node::Node,
    value::{List, Map, Value},
};

/// The names of a path, from the outside in. A position in a list is written as a name: `items.0.sku`.
pub(crate) fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('.')
}

/// Whether a text is a path.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if path.contains('[') {
        return Err(format!("{path:?} is no path: write a position as a name, `items.0.sku`"));
    }
    if names(path).any(str::is_empty) {
        return Err(format!("{path:?} is no path: names with dots between them, `address.city`"));
    }
    Ok(())
}

/// What the path leads to, unless that is null or not there; the default is only looked at then.
pub(crate) fn get<'a>(evaluator: &Evaluator<'a>, arguments: &'a [Node], span: Span) -> Result<Value<'a>, Stop> {
    let [from, path, default] = arguments else { return Err(Stop::failed(span, "get takes three arguments")) };
    let Value::String(names_of_path) = evaluator.present(path)? else {
        return Err(Stop::failed(path.span, "a path is a text: names with dots between them, `address.city`"));
    };
    check_path(&names_of_path).map_err(|message| Stop::failed(path.span, message))?;
    let mut found = match evaluator.eval(from) {
        Err(Stop::Absent(_)) => Value::Null,
        other => other?,
    };
    for name in names(&names_of_path) {
        evaluator.context.budget.spend(1, span)?;
        found = match within(evaluator, &found, name, span)? {
            Some(Value::Null) | None => return evaluator.eval(default),
            Some(value) => value,
        };
    }
    Ok(found)
}

/// The member of a map, or the element of a list. Nothing else has any.
fn within<'a>(evaluator: &Evaluator<'a>, value: &Value<'a>, name: &str, span: Span) -> Result<Option<Value<'a>>, Stop> {
    match value {
        Value::Map(map) => {
            evaluator.context.budget.look(Map::looked_through(map), span)?;
            Ok(map.field(name))
        }
        Value::List(list) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(name.parse().ok().and_then(|at| List::get(list, at)))
        }
        _ => Ok(None),
    }
}
