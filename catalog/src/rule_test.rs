//! The tests that an event's file carries: a change or a scheduled trigger, and what is to come of it.

use contracts::{
    hasura::{Change, ChangeParts, Occasion, Op},
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
    pub happens: Happens,
    /// What is to come of it.
    pub expect: Expectation,
    /// What the caller of an action is to be answered; or where the event does not happen, the `message` and `code` that it is told.
    pub answer: Option<Value>,
    /// Jobs that the event is to ask for; others are not looked at.
    pub jobs: Vec<ExpectedJob>,
    /// The line of the file, from 1.
    pub line: usize,
}

/// What happens in a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Happens {
    /// A change of a row.
    Change(TestChange),
    /// Something else comes.
    Comes(TestBody),
}

/// What comes in a test and is no change.
#[derive(Debug, Clone, PartialEq)]
pub struct TestBody {
    /// What it is.
    pub occasion: Occasion,
    /// What Hasura would send, with only what matters to the test.
    pub given: Map<String, Value>,
    /// The source; else the event's, else `default`.
    pub source: Option<String>,
    /// When it was received; else the first moment of 2000.
    pub received: Option<Timestamp>,
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
const RECEIVED_AT: &str = "2000-01-01T00:00:00Z";

const NIL: &str = "00000000-0000-0000-0000-000000000000";

impl TestBody {
    /// The body that Hasura would send: with the name that the event looks for, where the test has none.
    fn body(&self, event: &Event) -> Value {
        let mut body = self.given.clone();
        let called = event.called().map(|called| called.name.as_str()).unwrap_or_default();
        let mut or = |name: &str, value: Value| {
            body.entry(name).or_insert(value);
        };
        match self.occasion {
            Occasion::Change => {}
            Occasion::Scheduled => {
                if !["name", "comment"].iter().any(|key| self.given.contains_key(*key)) {
                    or("name", called.into());
                }
                or("id", NIL.into());
                or("scheduled_time", RECEIVED_AT.into());
                or("payload", Value::Null);
            }
            Occasion::Action => {
                or("action", json!({ "name": called }));
                or("input", json!({}));
                or("session_variables", json!({}));
            }
        }
        Value::Object(body)
    }
}

impl Happens {
    /// The body that Hasura would send.
    pub fn body(&self, event: &Event) -> Value {
        match self {
            Self::Change(change) => change.body(event),
            Self::Comes(body) => body.body(event),
        }
    }

    /// What it is.
    pub fn occasion(&self) -> Occasion {
        match self {
            Self::Change(_) => Occasion::Change,
            Self::Comes(body) => body.occasion,
        }
    }

    /// Where it comes from.
    pub(crate) fn source(&self, event: &Event) -> String {
        let own = match self {
            Self::Change(change) => &change.source,
            Self::Comes(body) => &body.source,
        };
        own.as_deref().or_else(|| event.source()).unwrap_or("default").to_owned()
    }

    /// Asks about it as it comes to an event.
    fn with<T>(&self, event: &Event, ask: impl FnOnce(&Change<'_>) -> T) -> Result<T, String> {
        let (body, source) = (self.body(event), self.source(event));
        let received = match self {
            Self::Change(change) => change.received,
            Self::Comes(body) => body.received,
        };
        let received = received.or_else(|| Timestamp::from_second(RECEIVED).ok()).unwrap_or_default();
        let parts = ChangeParts { body: &body, source: &source, received };
        Ok(ask(&Change::of(self.occasion(), parts).map_err(|error| error.to_string())?))
    }
}

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
            "id": NIL,
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
    /// What the schema does not allow of the data that come of the change.
    pub(crate) fn refused(&self, event: &Event) -> Option<String> {
        let verdict = self.happens.with(event, |change| event.evaluate(change)).ok()?;
        match verdict {
            Verdict::Failed { stage: Stage::Schema, error } => Some(error),
            _ => None,
        }
    }

    /// Runs the test; the error says what came instead of what was expected.
    pub(crate) fn run(&self, event: &Event, fill: &Fill<'_>) -> Result<(), String> {
        self.happens.with(event, |change| self.look(event, change, fill))?
    }

    fn look(&self, event: &Event, change: &Change<'_>, fill: &Fill<'_>) -> Result<(), String> {
        let verdict = event.evaluate(change);
        self.verdict(event, change, &verdict)?;
        self.answered(event, change)?;
        match &verdict {
            Verdict::Detected { data, key } => {
                let envelope = envelope(event, change, key.as_deref());
                let context = JobContext { data, event: &envelope, payload: Some(change.body()) };
                self.jobs.iter().try_for_each(|job| job.look(event, &|group| fill(group, &context)))
            }
            _ => Ok(()),
        }
    }

    /// The error says what is answered instead of what was expected.
    fn answered(&self, event: &Event, change: &Change<'_>) -> Result<(), String> {
        let Some(expected) = &self.answer else { return Ok(()) };
        let told = event.told(change, &envelope(event, change, None));
        if equal(expected, &told) { Ok(()) } else { Err(format!("expected the answer {expected}, answered {told}")) }
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
    let id = [change.old(), change.new_row()].into_iter().find_map(|row| row.get("id"));
    let id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).unwrap_or_default();
    let raw = || match change.occasion() {
        Occasion::Change => format!("{}|{}.{}|{id}", change.source(), change.schema(), change.table()),
        _ => format!("{}|{}", change.source(), change.name().unwrap_or_default()),
    };
    let subject = key.map_or_else(raw, str::to_owned);
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
