//! A change as conditions see it: a body that is parsed already, read through lazily. A scheduled trigger's body and an action
//! are seen the same way: they have a name and no rows.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Op;
use crate::Label;

/// What an event is detected in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Occasion {
    /// A change of a row.
    Change,
    /// The body of a cron trigger or of a one-off scheduled event.
    Scheduled,
    /// A call of an action.
    Action,
}

impl Occasion {
    /// As a file calls it in `from`, where it is chosen by a name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "table",
            Self::Scheduled => "scheduled",
            Self::Action => "action",
        }
    }

    /// What one is called, in words for people.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Scheduled => "scheduled trigger",
            Self::Action => "action",
        }
    }

    /// The same with its article.
    pub fn with_article(self) -> String {
        let article = if self == Self::Action { "an" } else { "a" };
        format!("{article} {}", self.noun())
    }

    /// The member of a body that is carried by an event without data of its own; a change has its rows instead.
    pub fn carried(self) -> Option<&'static str> {
        match self {
            Self::Change => None,
            Self::Scheduled => Some("payload"),
            Self::Action => Some("input"),
        }
    }

    /// What a body is, as [`super::recognise`] tells it.
    pub fn of(body: &Value) -> Self {
        if body.get("event").is_some() {
            Self::Change
        } else if body.get("scheduled_time").is_some() {
            Self::Scheduled
        } else if body.get("action").is_some() {
            Self::Action
        } else {
            Self::Change
        }
    }
}

/// What a change is made of.
#[derive(Debug, Clone, Copy)]
pub struct ChangeParts<'a> {
    /// The Hasura event, unwrapped: the object with `event`, `table`, `trigger`, `id` …
    pub body: &'a Value,
    /// The source's name, as in the webhook's path.
    pub source: &'a str,
    /// When the raw record was received: the only clock a condition knows.
    pub received: Timestamp,
}

/// Why a body is no change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// `event.op` is missing or none of the four.
    #[error("`event.op` is not INSERT, UPDATE, DELETE or MANUAL")]
    Operation,
    /// `event.data` is missing or no object.
    #[error("`event.data` is not an object")]
    Data,
    /// `table.name` is missing or empty.
    #[error("`table.name` is missing or empty")]
    Table,
}

/// A change of one row, or what else an event is detected in: see [`Occasion`]. Making one looks up a handful of keys; everything else is read when a condition asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    parts: ChangeParts<'a>,
    occasion: Occasion,
    operation: Op,
    schema: &'a str,
    table: &'a str,
    old: &'a Value,
    new: &'a Value,
    session: Option<&'a Map<String, Value>>,
}

static NULL: Value = Value::Null;

impl<'a> Change<'a> {
    /// Reads what selects an event; the rest of the body may be missing, null or oddly shaped.
    pub fn new(parts: ChangeParts<'a>) -> Result<Self, ChangeError> {
        let event = parts.body.get("event").ok_or(ChangeError::Operation)?;
        let op = event.get("op").and_then(Value::as_str).ok_or(ChangeError::Operation)?;
        let operation = Op::parse(op).ok_or(ChangeError::Operation)?;
        let data = event.get("data").and_then(Value::as_object).ok_or(ChangeError::Data)?;
        let table = parts.body.get("table").ok_or(ChangeError::Table)?;
        let name = table.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        Ok(Self {
            parts,
            occasion: Occasion::Change,
            operation,
            schema: table.get("schema").and_then(Value::as_str).unwrap_or("public"),
            table: name.ok_or(ChangeError::Table)?,
            old: data.get("old").unwrap_or(&NULL),
            new: data.get("new").unwrap_or(&NULL),
            session: event.get("session_variables").and_then(Value::as_object),
        })
    }

    /// The same of a body of any kind. One that is no change has no rows, no table, and an operation that nothing listens to.
    ///
    /// # Errors
    /// It is to be a change, and is none.
    pub fn of(occasion: Occasion, parts: ChangeParts<'a>) -> Result<Self, ChangeError> {
        if occasion == Occasion::Change {
            return Self::new(parts);
        }
        Ok(Self {
            parts,
            occasion,
            operation: Op::Unknown(Label::new(occasion.as_str())),
            schema: "",
            table: "",
            old: &NULL,
            new: &NULL,
            session: parts.body.get("session_variables").and_then(Value::as_object),
        })
    }

    /// What it is.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// What `from` compares of what is no change: the name of a cron trigger, the comment of a scheduled event without a name, the
    /// name of an action.
    pub fn name(&self) -> Option<&'a str> {
        match self.occasion {
            Occasion::Change => None,
            Occasion::Scheduled => ["name", "comment"]
                .into_iter()
                .find_map(|key| self.member(key).as_str().filter(|name| !name.is_empty())),
            Occasion::Action => self.member("action").get("name")?.as_str(),
        }
    }

    /// A member of the body, or null.
    pub fn member(&self, name: &str) -> &'a Value {
        self.parts.body.get(name).unwrap_or(&NULL)
    }

    /// What happened.
    pub fn operation(&self) -> Op {
        self.operation
    }

    /// What happened, as Hasura writes it.
    pub fn op(&self) -> &str {
        self.operation.as_str()
    }

    /// The table's schema; `public` where the body names none.
    pub fn schema(&self) -> &'a str {
        self.schema
    }

    /// The table's name.
    pub fn table(&self) -> &'a str {
        self.table
    }

    /// The row before, or null.
    pub fn old(&self) -> &'a Value {
        self.old
    }

    /// The row after, or null.
    pub fn new_row(&self) -> &'a Value {
        self.new
    }

    /// The row after, or where there is none, the row before.
    pub fn row(&self) -> &'a Value {
        if self.new.is_null() { self.old } else { self.new }
    }

    /// The session variables, where the write went through Hasura.
    pub fn session(&self) -> Option<&'a Map<String, Value>> {
        self.session
    }

    /// A session variable that is a text and not empty.
    pub fn variable(&self, name: &str) -> Option<&'a str> {
        self.session?.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Who wrote: `x-hasura-user-id`, else `x-hasura-user-email`, else `system` for the role `admin`.
    pub fn user(&self) -> Option<&'a str> {
        self.variable("x-hasura-user-id")
            .or_else(|| self.variable("x-hasura-user-email"))
            .or_else(|| (self.role() == Some("admin")).then_some("system"))
    }

    /// The role of the write: `x-hasura-role`.
    pub fn role(&self) -> Option<&'a str> {
        self.variable("x-hasura-role")
    }

    /// The writer's organisation: `x-hasura-organisation-id`.
    pub fn organisation(&self) -> Option<&'a str> {
        self.variable("x-hasura-organisation-id")
    }

    /// The name of Hasura's trigger.
    pub fn trigger(&self) -> Option<&'a str> {
        self.parts.body.get("trigger")?.get("name")?.as_str()
    }

    /// The source's name.
    pub fn source(&self) -> &'a str {
        self.parts.source
    }

    /// When it was received.
    pub fn received(&self) -> Timestamp {
        self.parts.received
    }

    /// The whole body.
    pub fn body(&self) -> &'a Value {
        self.parts.body
    }
}
