//! What two states of a catalog promise differently. Pure.

use schema_diff::Change;
use serde::Serialize;
use serde_json::Value;

use super::side::{Promise, State};

/// Who must be able to read what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    /// Who reads by the new schema, what was written by the old one.
    Backward,
    /// Who reads by the old schema, what is written by the new one.
    Forward,
}

/// What becomes of one event.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub(super) event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    pub(super) what: What,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    New,
    /// Nobody publishes it any more.
    Gone,
    /// What cannot be compared, and why.
    Unknown(String),
    Changed(Vec<Directed>),
}

/// A change, for those who read in one direction.
#[derive(Debug, Serialize)]
pub(super) struct Directed {
    pub(super) direction: Direction,
    pub(super) breaks: bool,
    pub(super) text: &'static str,
    #[serde(flatten)]
    pub(super) change: Change,
}

impl Event {
    /// How many of its changes break somebody.
    pub(super) fn breaking(&self) -> usize {
        match &self.what {
            What::New => 0,
            What::Gone | What::Unknown(_) => 1,
            What::Changed(changes) => changes.iter().filter(|change| change.breaks).count(),
        }
    }
}

/// Every event that is not as it was, by name.
pub(super) fn compare(old: &State, new: &State, directions: &[Direction]) -> Vec<Event> {
    let gone = old.events.iter().filter(|(name, _)| !new.events.contains_key(*name));
    let gone = gone.map(|(name, (_, file))| Event { event: name.clone(), file: file.clone(), what: What::Gone });
    let there = new.events.iter().filter_map(|(name, (now, file))| {
        let what = match old.events.get(name) {
            None => What::New,
            Some((before, _)) => changed(before, now, directions)?,
        };
        Some(Event { event: name.clone(), file: file.clone(), what })
    });
    let mut events: Vec<Event> = gone.chain(there).collect();
    events.sort_by(|a, b| a.event.cmp(&b.event));
    events
}

fn changed(before: &Promise, now: &Promise, directions: &[Direction]) -> Option<What> {
    if before == now {
        return None;
    }
    let anything = Value::Bool(true);
    let schema = |promise: &'_ Promise| match promise {
        Promise::Nothing => Ok(anything.clone()),
        Promise::Schema(schema) => Ok(schema.clone()),
        Promise::Type(name) => Err(What::Unknown(format!(
            "its schema is the name of a type, `{name}`, which is not compared; write the JSON Schema of it"
        ))),
    };
    let (before, now) = match (schema(before), schema(now)) {
        (Ok(before), Ok(now)) => (before, now),
        (Err(unknown), _) | (_, Err(unknown)) => return Some(unknown),
    };
    let mut changes = Vec::new();
    for direction in directions {
        let (writer, reader) = match direction {
            Direction::Backward => (&before, &now),
            Direction::Forward => (&now, &before),
        };
        match schema_diff::compare(writer, reader) {
            Ok(found) => changes.extend(found.into_iter().map(|change| Directed {
                direction: *direction,
                breaks: change.breaks(),
                text: change.kind.text(),
                change,
            })),
            Err(error) => return Some(What::Unknown(error.to_string())),
        }
    }
    (!changes.is_empty()).then_some(What::Changed(changes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn state(events: &[(&str, Promise)]) -> State {
        let events = events.iter().map(|(name, promise)| ((*name).to_owned(), (promise.clone(), None)));
        State { name: "a".into(), events: events.collect::<BTreeMap<_, _>>() }
    }

    fn breaking(old: &[(&str, Promise)], new: &[(&str, Promise)], directions: &[Direction]) -> Vec<(String, usize)> {
        let found = compare(&state(old), &state(new), directions);
        found.iter().map(|event| (event.event.clone(), event.breaking())).collect()
    }

    #[test]
    fn each_direction_has_its_own_readers() {
        let closed = |properties: Value| {
            Promise::Schema(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
        };
        let old = [("a", closed(json!({ "x": { "type": "string" } })))];
        let new = [("a", closed(json!({ "x": { "type": "string" }, "y": { "type": "string" } })))];
        assert_eq!(breaking(&old, &new, &[Direction::Backward]), [("a".to_owned(), 0)]);
        assert_eq!(breaking(&old, &new, &[Direction::Forward]), [("a".to_owned(), 1)]);
        assert_eq!(breaking(&old, &old, &[Direction::Backward, Direction::Forward]), []);
    }

    #[test]
    fn an_event_that_left_breaks_those_who_subscribed_and_a_new_one_nobody() {
        let (one, other) = ([("a", Promise::Nothing)], [("b", Promise::Nothing)]);
        let found = breaking(&one, &other, &[Direction::Backward]);
        assert_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 0)]);
    }

    #[test]
    fn a_schema_that_is_new_is_held_against_anything_and_a_type_against_nothing() {
        let schema = [("a", Promise::Schema(json!({ "type": "object" })))];
        let (none, named) = ([("a", Promise::Nothing)], [("a", Promise::Type("shop::A".into()))]);
        assert_eq!(breaking(&none, &schema, &[Direction::Backward]), [("a".to_owned(), 1)]);
        assert_eq!(breaking(&none, &schema, &[Direction::Forward]), []);
        assert_eq!(breaking(&named, &schema, &[Direction::Forward]), [("a".to_owned(), 1)]);
        assert_eq!(breaking(&named, &named, &[Direction::Forward]), []);
    }
}
