//! A quick look at a change: most events did not happen, and most conditions begin with a demand on one column. So each column
//! is looked up once for all events, and what they demand of it costs a comparison.

use contracts::{hasura::Change, json};
use serde_json::Value;

use crate::event::Event;

/// How many columns are remembered: more would be sought longer than looked up.
const KEPT: usize = 16;

/// What is known of one change already.
pub struct Glance<'c> {
    change: &'c Change<'c>,
    columns: Vec<Column<'c>>,
}

#[derive(Clone, Copy)]
struct Column<'c> {
    name: &'c str,
    /// Whether it changed; not known of a list or an object, which the evaluation compares within its budget.
    changed: Option<bool>,
    /// Its new value, if that is a scalar.
    new: Option<&'c Value>,
}

impl<'c> Glance<'c> {
    /// A look at a change.
    pub fn new(change: &'c Change<'c>) -> Self {
        Self { change, columns: Vec::with_capacity(8) }
    }

    /// Whether an event did not happen, for its condition begins with what is false. Never so of one that
    /// [`Event::evaluate`] calls detected, failed or too large; of one that it calls not detected it may be.
    pub fn rules_out(&mut self, event: &'c Event) -> bool {
        let Some(opening) = &event.opening else { return false };
        let Column { changed, new, .. } = self.column(&opening.column);
        if opening.changes && changed == Some(false) {
            return true;
        }
        let Some((new, values)) = new.zip(opening.one_of.as_ref()) else { return false };
        !values.iter().any(|value| json::equal(value, new))
    }

    fn column(&mut self, name: &'c str) -> Column<'c> {
        if let Some(known) = self.columns.iter().find(|column| column.name == name) {
            return *known;
        }
        let (old, new) = (self.change.old().get(name), self.change.new_row().get(name));
        let changed = match (old, new) {
            (Some(old), Some(new)) if is_scalar(old) && is_scalar(new) => Some(!json::equal(old, new)),
            (Some(_), Some(_)) => None,
            _ => Some(false),
        };
        let column = Column { name, changed, new: new.filter(|new| is_scalar(new)) };
        if self.columns.len() < KEPT {
            self.columns.push(column);
        }
        column
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}
