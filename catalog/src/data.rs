//! What an event carries: the shape of its data, and how it is filled in.

use expressions::{Bindings, Columns, Expression, Room};
use serde_json::Value;

/// How many bytes the data of an event, or the options of a job, may have as JSON.
pub const MAX_DATA: usize = 4 * 1024 * 1024;

/// The shape of an event's data, with an expression for each leaf.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    Leaf(Expression),
    List(Vec<Data>),
    Map(Vec<(String, Data)>),
}

impl Data {
    pub(crate) fn columns(&self, into: &mut Columns) {
        match self {
            Self::Null => {}
            Self::Leaf(expression) => expression.columns(into),
            Self::List(items) => items.iter().for_each(|item| item.columns(into)),
            Self::Map(entries) => entries.iter().for_each(|(_, data)| data.columns(into)),
        }
    }

    /// How long each leaf is on its own, by its path; one that is longer than the data may be has more than that.
    pub(crate) fn lengths(&self, bindings: &Bindings<'_>, path: &mut String, out: &mut Vec<(String, usize)>) {
        let mut inner = |name: &str, data: &Data| {
            let before = path.len();
            if before > 0 {
                path.push('.');
            }
            path.push_str(name);
            data.lengths(bindings, path, out);
            path.truncate(before);
        };
        match self {
            Self::Null => {}
            Self::Map(entries) => entries.iter().for_each(|(name, data)| inner(name, data)),
            Self::List(items) => items.iter().enumerate().for_each(|(at, data)| inner(&at.to_string(), data)),
            Self::Leaf(expression) => {
                let room = Room::new(MAX_DATA);
                match expression.value(bindings, &room) {
                    Ok(value) => out.push((path.clone(), contracts::json::size(&value))),
                    Err(_) if room.is_full() => out.push((path.clone(), MAX_DATA + 1)),
                    Err(_) => {}
                }
            }
        }
    }

    /// The expressions, in the order of the file.
    pub(crate) fn leaves(&self) -> Vec<&Expression> {
        match self {
            Self::Null => Vec::new(),
            Self::Leaf(expression) => vec![expression],
            Self::List(items) => items.iter().flat_map(Self::leaves).collect(),
            Self::Map(entries) => entries.iter().flat_map(|(_, data)| data.leaves()).collect(),
        }
    }

    pub(crate) fn value(&self, bindings: &Bindings<'_>, room: &Room) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Leaf(expression) => expression.value(bindings, room).map_err(|stop| expression.describe(&stop))?,
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.value(bindings, room)).collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => {
                let entries = entries.iter().map(|(key, data)| {
                    let value = data.value(bindings, room).map_err(|error| format!("{key}: {error}"))?;
                    Ok::<_, String>((key.clone(), value))
                });
                Value::Object(entries.collect::<Result<_, _>>()?)
            }
        })
    }
}
