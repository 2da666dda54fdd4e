//! The bodies that Hasura sends to a webhook, recognised without reading more of them than is needed.
//!
//! Keys come in any order, the last of duplicate keys counts, and everything beside the operation, the rows and the
//! table's name may be missing or oddly shaped: Hasura v1 to v2.4x, its MSSQL backend and request transforms all differ,
//! and a body is refused only for what no detector could work without.

mod change;
mod fields;
mod partly;
mod print;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

pub use change::{Change, ChangeError, ChangeParts, Occasion};
pub use fields::Fields;
pub use partly::{Row, parse_partly};
pub use print::{print, print_of_publication};

use crate::{
    Label,
    document::{self, MAX_NESTING},
};

/// What happened to the row (`event.op`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Op {
    /// A row was inserted; `old` is null.
    Insert,
    /// A row was updated.
    Update,
    /// A row was deleted; `new` is null.
    Delete,
    /// Somebody invoked the trigger by hand; `old` is null.
    Manual,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

impl Op {
    /// As Hasura writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Manual => "MANUAL",
            Self::Unknown(label) => label.as_str(),
        }
    }

    /// Reads the upper-case form, exactly.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Insert, Self::Update, Self::Delete, Self::Manual].into_iter().find(|op| op.as_str() == text)
    }

    /// Whether a change of this kind has an old row.
    pub fn has_old(self) -> bool {
        matches!(self, Self::Update | Self::Delete)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a body is refused. Each is a 400 at the webhook: sending it again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No JSON at all.
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    /// JSON, but something that a Hasura event must have is not there.
    #[error("this looks like a Hasura event, but {0}")]
    Incomplete(&'static str),
    /// A Hasura action without what tells which.
    #[error("this looks like a Hasura action, but {0}")]
    Action(&'static str),
    /// JSON of no kind that is known.
    #[error(
        "this is no body that Hasura sends to an event trigger, a scheduled trigger or an action: it has none of `event`, \
         `scheduled_time` and `action`"
    )]
    Unknown,
}

impl Refusal {
    /// The label for metrics and for `rejected`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Incomplete(_) => "incomplete",
            Self::Action(_) => "action",
            Self::Unknown => "unknown-body",
        }
    }
}

/// A body that is known.
#[derive(Debug)]
pub enum Body<'a> {
    /// An event trigger's.
    Event(EventBody<'a>),
    /// A cron or one-off trigger's.
    Scheduled(ScheduledBody),
    /// An action's.
    Action(ActionBody<'a>),
}

impl Body<'_> {
    /// Hasura's id of it: the same on every delivery.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.id.as_deref(),
            Self::Scheduled(body) => body.id.as_deref(),
            // Hasura calls an action once, and gives it none.
            Self::Action(_) => None,
        }
    }
}

/// What is read of an event trigger's body.
#[derive(Debug)]
pub struct EventBody<'a> {
    /// Hasura's id of the event: the same on every delivery of it.
    pub id: Option<String>,
    /// The table's schema; `public` where the body names none.
    pub schema: String,
    /// The table's name.
    pub table: String,
    /// What happened.
    pub op: Op,
    /// The trigger's name, where there is one.
    pub trigger: Option<String>,
    /// The row before, as sent.
    pub old: Option<&'a RawValue>,
    /// The row after, as sent.
    pub new: Option<&'a RawValue>,
    /// `event.session_variables`, as sent; may be null or of any shape.
    pub session: Option<&'a RawValue>,
}

impl EventBody<'_> {
    /// A session variable that is a string. Names are the same in any case, as Hasura's are; it sends small letters.
    pub fn session_variable(&self, name: &str) -> Option<String> {
        variable(self.session, name)
    }

    /// `schema.table`.
    pub fn qualified_table(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

/// What is read of a cron or one-off trigger's body.
#[derive(Debug)]
pub struct ScheduledBody {
    /// The scheduled event's id.
    pub id: Option<String>,
    /// The cron trigger's name; one-off triggers have none.
    pub name: Option<String>,
}

/// What is read of an action's body.
#[derive(Debug)]
pub struct ActionBody<'a> {
    /// The action's name.
    pub name: String,
    /// `session_variables`, as sent; may be null or of any shape.
    pub session: Option<&'a RawValue>,
}

impl ActionBody<'_> {
    /// A session variable that is a string, as that of an event.
    pub fn session_variable(&self, name: &str) -> Option<String> {
        variable(self.session, name)
    }
}

fn variable(session: Option<&RawValue>, name: &str) -> Option<String> {
    text_of(Fields::of(session?)?.get_in_any_case(name)?)
}

/// Recognises a body as it was received.
///
/// # Errors
/// [`Refusal`] says what is wrong and, for malformed JSON, where.
pub fn recognise(body: &[u8]) -> Result<Body<'_>, Refusal> {
    let whole = document(body)?;
    let fields = Fields::of(whole).ok_or(Refusal::Unknown)?;
    match recognise_fields(&fields) {
        Err(Refusal::Unknown) => {
            let inner = fields.get("payload").and_then(Fields::of).ok_or(Refusal::Unknown)?;
            recognise_fields(&inner)
        }
        other => other,
    }
}

/// The document that a body is, without a byte order mark, unread.
///
/// # Errors
/// It is not UTF-8, no JSON, or nests deeper than anybody could read.
pub fn document(body: &[u8]) -> Result<&RawValue, Refusal> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Refusal::Malformed(format!("it is not UTF-8 from byte {} on", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_deeply(text)?;
    serde_json::from_str(text).map_err(|error| Refusal::Malformed(error.to_string()))
}

/// The JSON document that is the Hasura body itself: the `payload` of the console's wrapped form, else the whole.
pub fn unwrap(body: &Value) -> &Value {
    let known = |value: &Value| ["event", "scheduled_time", "action"].iter().any(|key| value.get(key).is_some());
    match body.get("payload") {
        Some(inner) if !known(body) && known(inner) => inner,
        _ => body,
    }
}

/// The same, to be changed.
pub fn unwrap_mut(body: &mut Value) -> &mut Value {
    let is_wrapped = !std::ptr::eq(unwrap(body), body);
    match is_wrapped {
        true => body.get_mut("payload").expect("what is unwrapped is its payload"),
        false => body,
    }
}

/// Parses a recognised body whole, byte order mark and all. Names of session variables become lower-case, as Hasura
/// itself sends them.
///
/// # Errors
/// The text is no JSON; a body that [`recognise`] took never is.
pub fn parse(body: &[u8]) -> Result<Value, serde_json::Error> {
    document::parse_bytes(body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)).map(with_lower_case_session)
}

/// The body with the names of its session variables in lower case; of two that differ only in case the last counts.
fn with_lower_case_session(mut body: Value) -> Value {
    let inner = unwrap_mut(&mut body);
    let variables = match Occasion::of(inner) {
        Occasion::Change => inner.get_mut("event").and_then(|event| event.get_mut("session_variables")),
        Occasion::Action => inner.get_mut("session_variables"),
        Occasion::Scheduled => None,
    };
    if let Some(Value::Object(variables)) = variables
        && variables.keys().any(|name| name.bytes().any(|b| b.is_ascii_uppercase()))
    {
        let named = std::mem::take(variables).into_iter();
        variables.extend(named.map(|(name, value)| (name.to_ascii_lowercase(), value)));
    }
    body
}

/// Reading lazily passes over lone surrogates and deep nesting; a body that could have either is read whole first.
fn check_deeply(text: &str) -> Result<(), Refusal> {
    let opened = text.bytes().filter(|b| matches!(b, b'{' | b'[')).count();
    if opened > MAX_NESTING || text.contains("\\u") {
        document::parse(text).map_err(|error| Refusal::Malformed(error.to_string()))?;
    }
    Ok(())
}

fn recognise_fields<'a>(fields: &Fields<'a>) -> Result<Body<'a>, Refusal> {
    if let Some(event) = fields.get("event") {
        recognise_event(fields, event).map(Body::Event)
    } else if fields.get("scheduled_time").is_some() {
        Ok(Body::Scheduled(ScheduledBody {
            id: fields.get("id").and_then(id_of),
            name: fields.get("name").and_then(text_of).filter(|name| !name.is_empty()),
        }))
    } else if let Some(action) = fields.get("action") {
        let action = Fields::of(action).ok_or(Refusal::Action("`action` is not an object"))?;
        let name = action.get("name").and_then(text_of).filter(|name| !name.is_empty());
        Ok(Body::Action(ActionBody {
            name: name.ok_or(Refusal::Action("`action.name` is missing or empty"))?,
            session: fields.get("session_variables"),
        }))
    } else {
        Err(Refusal::Unknown)
    }
}

fn recognise_event<'a>(fields: &Fields<'a>, event: &'a RawValue) -> Result<EventBody<'a>, Refusal> {
    let event = Fields::of(event).ok_or(Refusal::Incomplete("`event` is not an object"))?;
    let op = event.get("op").ok_or(Refusal::Incomplete("`event.op` is missing"))?;
    let op = text_of(op)
        .and_then(|op| Op::parse(&op))
        .ok_or(Refusal::Incomplete("`event.op` is not INSERT, UPDATE, DELETE or MANUAL"))?;
    let data = event.get("data").ok_or(Refusal::Incomplete("`event.data` is missing"))?;
    let data = Fields::of(data).ok_or(Refusal::Incomplete("`event.data` is not an object"))?;
    let table = fields.get("table").ok_or(Refusal::Incomplete("`table` is missing"))?;
    let table = Fields::of(table).ok_or(Refusal::Incomplete("`table` is not an object"))?;
    let name = table.get("name").and_then(text_of).filter(|name| !name.is_empty());
    let schema = match table.get("schema") {
        Some(schema) if schema.get() != "null" => text_of(schema)
            .filter(|schema| !schema.is_empty())
            .ok_or(Refusal::Incomplete("`table.schema` is not a name"))?,
        _ => "public".to_owned(),
    };
    Ok(EventBody {
        id: fields.get("id").and_then(id_of),
        schema,
        table: name.ok_or(Refusal::Incomplete("`table.name` is missing or empty"))?,
        op,
        trigger: fields.get("trigger").and_then(Fields::of).and_then(|trigger| trigger.get("name")).and_then(text_of),
        old: data.get("old"),
        new: data.get("new"),
        session: event.get("session_variables"),
    })
}

/// A string, or a number taken as its text; empty is none.
fn id_of(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => text_of(value).filter(|id| !id.is_empty()),
        b'-' | b'0'..=b'9' => Some(text.to_owned()),
        _ => None,
    }
}

fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests;
