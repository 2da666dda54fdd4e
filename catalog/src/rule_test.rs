//! The tests that an event's file carries: a change, and what is to come of it.

use contracts::{
    hasura::{Change, ChangeParts, Op},
    json::equal,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    detector::Tables,
    event::{Event, Verdict},
};

/// One test of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// What happens.
    pub change: TestChange,
    /// What is to come of it.
    pub expect: Expectation,
    /// The line of the file, from 1.
    pub line: usize,
}

/// A change, as a test writes it: only what matters to it.
#[derive(Debug, Clone, PartialEq)]
pub struct TestChange {
    /// What happens to the row.
    pub operation: Op,
    /// The row before, or null.
    pub old: Value,
    /// The row after, or null.
    pub new: Value,
    /// The session variables.
    pub session: Option<Map<String, Value>>,
    /// `schema.name`; else the event's first table.
    pub table: Option<String>,
    /// Hasura's trigger.
    pub trigger: Option<String>,
    /// The source; else the event's, else `default`.
    pub source: Option<String>,
    /// When it was received; else the first moment of 2000.
    pub received: Option<Timestamp>,
}

/// What is to come of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// The event is not detected: `expect: none`.
    None,
    /// It is detected, whatever its data: `expect: detected`.
    Detected,
    /// It is detected with exactly this data.
    Data(Value),
    /// Its condition, data or key fails: `expect: failed`.
    Failed,
}

/// The moment at which a test's change is received that names none: 2000-01-01T00:00:00Z.
const RECEIVED: i64 = 946_684_800;

impl TestChange {
    /// The body that Hasura would send.
    pub fn body(&self, event: &Event) -> Value {
        let tables = event.selector().map(|selector| &selector.tables);
        let table = self.table.clone().unwrap_or_else(|| match tables {
            Some(Tables::These(tables)) => tables.first().map(ToString::to_string).unwrap_or_default(),
            _ => "public.table".to_owned(),
        });
        let (schema, name) = table.split_once('.').unwrap_or(("public", &table));
        let trigger = self.trigger.clone().or_else(|| event.selector()?.trigger.clone());
        json!({
            "id": "00000000-0000-0000-0000-000000000000",
            "table": { "schema": schema, "name": name },
            "trigger": trigger.map(|name| json!({ "name": name })),
            "event": {
                "op": self.operation.as_str(),
                "data": { "old": self.old, "new": self.new },
                "session_variables": self.session,
            },
        })
    }
}

impl RuleTest {
    /// Runs the test; the error says what came instead of what was expected.
    pub fn run(&self, event: &Event) -> Result<(), String> {
        let body = self.change.body(event);
        let source = self.change.source.clone().or_else(|| event.selector()?.source.clone());
        let received = self.change.received.or_else(|| Timestamp::from_second(RECEIVED).ok()).unwrap_or_default();
        let parts = ChangeParts { body: &body, source: source.as_deref().unwrap_or("default"), received };
        let change = Change::new(parts).map_err(|error| error.to_string())?;
        let verdict = event.evaluate(&change);
        match (&self.expect, &verdict) {
            (Expectation::None, Verdict::NotDetected(_)) => Ok(()),
            (Expectation::Detected, Verdict::Detected { .. }) => Ok(()),
            (Expectation::Failed, Verdict::Failed { .. } | Verdict::TooLarge { .. }) => Ok(()),
            (Expectation::Data(expected), Verdict::Detected { data, .. }) if equal(expected, data) => Ok(()),
            (Expectation::Data(expected), Verdict::Detected { data, .. }) => {
                Err(format!("expected {expected}, detected with {data}"))
            }
            (_, Verdict::Detected { data, .. }) => Err(format!("detected with {data}")),
            (_, Verdict::NotDetected(_)) => Err(format!("not detected: {}", event.why_not(&change))),
            (_, Verdict::Failed { stage, error } | Verdict::TooLarge { stage, error }) => {
                Err(format!("{} failed: {error}", stage.as_str()))
            }
        }
    }
}
