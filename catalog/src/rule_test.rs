//! The tests that an event's file carries: a change, and what is to come of it.

use contracts::{
    hasura::{Change, ChangeParts, Op},
    json::equal,
    names::GroupName,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    detector::Tables,
    event::{Event, Stage, Verdict},
    template::JobContext,
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
    /// Jobs that the event is to ask for; others are not looked at.
    pub jobs: Vec<ExpectedJob>,
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

/// A job that an event is to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedJob {
    /// Its name within the event.
    pub name: String,
    /// Options as they are filled in; of a map those keys that stand here.
    pub options: Option<Value>,
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

/// Fills in the options of a job's group for an event; none if there is no such job.
pub(crate) type Fill<'f> = dyn Fn(&GroupName, &JobContext<'_>) -> Option<Result<Value, String>> + 'f;

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

    /// Asks about the change as it comes to an event.
    fn with<T>(&self, event: &Event, ask: impl FnOnce(&Change<'_>) -> T) -> Result<T, String> {
        let body = self.body(event);
        let source = self.source.clone().or_else(|| event.selector()?.source.clone());
        let received = self.received.or_else(|| Timestamp::from_second(RECEIVED).ok()).unwrap_or_default();
        let parts = ChangeParts { body: &body, source: source.as_deref().unwrap_or("default"), received };
        Ok(ask(&Change::new(parts).map_err(|error| error.to_string())?))
    }
}

impl RuleTest {
    /// What the schema does not allow of the data that come of the change.
    pub(crate) fn refused(&self, event: &Event) -> Option<String> {
        let verdict = self.change.with(event, |change| event.evaluate(change)).ok()?;
        match verdict {
            Verdict::Failed { stage: Stage::Schema, error } => Some(error),
            _ => None,
        }
    }

    /// Runs the test; the error says what came instead of what was expected.
    pub(crate) fn run(&self, event: &Event, fill: &Fill<'_>) -> Result<(), String> {
        self.change.with(event, |change| self.look(event, change, fill))?
    }

    fn look(&self, event: &Event, change: &Change<'_>, fill: &Fill<'_>) -> Result<(), String> {
        let verdict = event.evaluate(change);
        self.verdict(event, change, &verdict)?;
        match &verdict {
            Verdict::Detected { data, key } => {
                let envelope = envelope(event, change, key.as_deref());
                let context = JobContext { data, event: &envelope, payload: Some(change.body()) };
                self.jobs.iter().try_for_each(|job| job.look(event, &|group| fill(group, &context)))
            }
            _ => Ok(()),
        }
    }

    fn verdict(&self, event: &Event, change: &Change<'_>, verdict: &Verdict) -> Result<(), String> {
        match (&self.expect, verdict) {
            (Expectation::None, Verdict::NotDetected(_)) => Ok(()),
            (Expectation::Detected, Verdict::Detected { .. }) => Ok(()),
            (Expectation::Failed, Verdict::Failed { .. } | Verdict::TooLarge { .. }) => Ok(()),
            (Expectation::Data(expected), Verdict::Detected { data, .. }) if equal(expected, data) => Ok(()),
            (Expectation::Data(expected), Verdict::Detected { data, .. }) => {
                Err(format!("expected {expected}, detected with {data}"))
            }
            (_, Verdict::Detected { data, .. }) => Err(format!("detected with {data}")),
            (_, Verdict::NotDetected(_)) => Err(format!("not detected: {}", event.why_not(change))),
            (_, Verdict::Failed { stage, error } | Verdict::TooLarge { stage, error }) => {
                Err(format!("{} failed: {error}", stage.as_str()))
            }
        }
    }
}

impl ExpectedJob {
    /// The error says what differs.
    fn look(&self, event: &Event, fill: &dyn Fn(&GroupName) -> Option<Result<Value, String>>) -> Result<(), String> {
        let listed = event.jobs().iter().find(|job| job.name.as_str() == self.name);
        let absent = || format!("the event does not ask for the job `{}`", self.name);
        let listed = listed.ok_or_else(absent)?;
        let Some(expected) = &self.options else { return Ok(()) };
        let filled = fill(&listed.group).ok_or_else(absent)?;
        let filled = filled.map_err(|error| format!("the job `{}` cannot be filled in: {error}", self.name))?;
        match difference("", expected, &filled) {
            None => Ok(()),
            Some(difference) => Err(format!("the job `{}`: {difference}", self.name)),
        }
    }
}

/// The first thing that is not as expected; keys that are not expected are not looked at.
fn difference(path: &str, expected: &Value, filled: &Value) -> Option<String> {
    match (expected, filled) {
        (Value::Object(expected), Value::Object(filled)) => expected.iter().find_map(|(key, expected)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            difference(&path, expected, filled.get(key).unwrap_or(&Value::Null))
        }),
        _ if equal(expected, filled) => None,
        _ => {
            let path = if path.is_empty() { "its options" } else { path };
            Some(format!("expected {path} {expected}, filled in {filled}"))
        }
    }
}

/// What `event` is in the options of a test's jobs. Ids are made up: nil, and `test` for the correlation.
fn envelope(event: &Event, change: &Change<'_>, key: Option<&str>) -> Value {
    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    let id = [change.old(), change.new_row()].into_iter().find_map(|row| row.get("id"));
    let id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).unwrap_or_default();
    let subject =
        key.map_or_else(|| format!("{}|{}.{}|{id}", change.source(), change.schema(), change.table()), str::to_owned);
    json!({
        "id": NIL,
        "name": event.name().name,
        "version": event.name().version,
        "source": change.source(),
        "subject": subject,
        "time": change.received(),
        "correlationId": "test",
        "causationId": NIL,
        "userId": change.user(),
        "organisationId": change.organisation(),
        "depth": 0,
    })
}
