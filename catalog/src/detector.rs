//! What an event is detected in, and how: a selector and a function from a change to a verdict.
//!
//! CEL is one implementation of the function, Rust another; what is around it (index, verdicts, explanations) is the same.

use std::{borrow::Cow, fmt, sync::Arc};

use contracts::hasura::{Change, Occasion, Op};
use expressions::closest;
use serde_json::Value;

/// All operations.
pub const OPERATIONS: [Op; 4] = [Op::Insert, Op::Update, Op::Delete, Op::Manual];
/// What an event listens to that lists no operations: a manual invocation matches only where it is listed.
pub const DEFAULT_OPERATIONS: [Op; 3] = [Op::Insert, Op::Update, Op::Delete];

/// The place of an operation among [`OPERATIONS`]; none of one that is not known.
pub(crate) fn place(operation: Op) -> Option<usize> {
    OPERATIONS.iter().position(|known| *known == operation)
}

/// A table by schema and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    /// `public` where nothing else is said.
    pub schema: String,
    /// The table's name.
    pub name: String,
}

/// Which tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tables {
    /// Every one: `table: "*"`.
    All,
    /// These.
    These(Vec<Table>),
}

/// Which changes a detector looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Of which tables.
    pub tables: Tables,
    /// Of which kind.
    pub operations: Vec<Op>,
    /// Only of this source, where one is named.
    pub source: Option<String>,
    /// Only of this trigger of Hasura's, where one is named.
    pub trigger: Option<String>,
}

/// A scheduled trigger or an action, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Which of the two.
    pub occasion: Occasion,
    /// The name of a cron trigger or of an action; of a scheduled event without a name, its comment.
    pub name: String,
    /// Only of this source, where one is named.
    pub source: Option<String>,
}

/// What an event is detected in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum In {
    Changes(Selector),
    Called(Called),
}

/// What a detector written in Rust says about a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Detection {
    /// The event happened, with this data.
    Detected(Value),
    /// It did not, because.
    NotDetected(Cow<'static, str>),
    /// It cannot be said, because.
    Failed(String),
}

/// A detector written in Rust. It has no side effects and reads no clock but the change's, for it is asked again when
/// someone wants to know why.
pub trait Detector: Send + Sync {
    /// Whether the event happened.
    fn detect(&self, change: &Change<'_>) -> Detection;
}

impl<F: Fn(&Change<'_>) -> Detection + Send + Sync> Detector for F {
    fn detect(&self, change: &Change<'_>) -> Detection {
        self(change)
    }
}

/// A detector that can be shared and shown.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<dyn Detector>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detector")
    }
}

/// Which part of a selector a change does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It is of another table.
    Table,
    /// It is of another kind.
    Operation,
    /// It comes from another source.
    Source,
    /// It comes from another trigger.
    Trigger,
    /// It is no change, or none but a change is looked at.
    Occasion,
    /// It is of another scheduled trigger or action.
    Name,
}

impl Table {
    /// Reads `moves` (which means `public.moves`) or `sales.orders`.
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text));
        let fine = |part: &str| !part.is_empty() && part.trim() == part && part != "*";
        (fine(schema) && fine(name)).then(|| Self { schema: schema.to_owned(), name: name.to_owned() })
    }

    /// Of known tables the one that this was meant to be, for all that its letters tell: by its name in the same schema, or by
    /// its schema. What both have of `schema.` says nothing.
    pub fn slip_of<'t>(&self, known: &[&'t Self]) -> Option<&'t Self> {
        let same = |is_same: fn(&Self, &Self) -> bool| known.iter().copied().filter(move |table| is_same(self, table));
        let by_name = closest(&self.name, same(|a, b| a.schema == b.schema).map(|table| &*table.name));
        let by_schema = closest(&self.schema, same(|a, b| a.name == b.name).map(|table| &*table.schema));
        known.iter().copied().find(|table| match (by_name, by_schema) {
            (Some(name), _) => table.schema == self.schema && table.name == name,
            (None, schema) => table.name == self.name && Some(&*table.schema) == schema,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl Selector {
    /// All inserts, updates and deletes of a table.
    pub fn table(table: Table) -> Self {
        Self {
            tables: Tables::These(vec![table]),
            operations: DEFAULT_OPERATIONS.to_vec(),
            source: None,
            trigger: None,
        }
    }

    /// What does not match, if anything.
    pub fn mismatch(&self, change: &Change<'_>) -> Option<Mismatch> {
        if change.occasion() != Occasion::Change {
            return Some(Mismatch::Occasion);
        }
        if !self.tables.includes(change.schema(), change.table()) {
            return Some(Mismatch::Table);
        }
        if !self.operations.contains(&change.operation()) {
            return Some(Mismatch::Operation);
        }
        if self.source.as_deref().is_some_and(|source| source != change.source()) {
            return Some(Mismatch::Source);
        }
        let trigger = self.trigger.as_deref();
        trigger.is_some_and(|trigger| change.trigger() != Some(trigger)).then_some(Mismatch::Trigger)
    }

    /// The mismatch in a sentence.
    pub(crate) fn explain(&self, mismatch: Mismatch, change: &Change<'_>) -> String {
        match mismatch {
            Mismatch::Table => {
                format!("the change is of {}.{}, not of {}", change.schema(), change.table(), self.tables)
            }
            Mismatch::Operation => {
                let listed: Vec<&str> = self.operations.iter().map(|operation| operation.as_str()).collect();
                format!("the change is {}, and the event listens to {}", change.operation(), listed.join(", "))
            }
            Mismatch::Source => other_source(self.source.as_deref(), change),
            Mismatch::Occasion | Mismatch::Name => {
                format!("the event is about changes of {}, and this is {}", self.tables, described(change))
            }
            Mismatch::Trigger => {
                let wanted = self.trigger.as_deref().unwrap_or_default();
                format!("the change comes from the trigger {}, not from {wanted}", change.trigger().unwrap_or("(none)"))
            }
        }
    }
}

impl Called {
    /// What does not match, if anything.
    pub fn mismatch(&self, change: &Change<'_>) -> Option<Mismatch> {
        if self.occasion != change.occasion() {
            return Some(Mismatch::Occasion);
        }
        if change.name() != Some(&self.name) {
            return Some(Mismatch::Name);
        }
        self.source.as_deref().is_some_and(|source| source != change.source()).then_some(Mismatch::Source)
    }

    /// The mismatch in a sentence.
    pub(crate) fn explain(&self, mismatch: Mismatch, change: &Change<'_>) -> String {
        match mismatch {
            Mismatch::Source => other_source(self.source.as_deref(), change),
            _ => format!(
                "the event is about the {} {}, and this is {}",
                self.occasion.noun(),
                self.name,
                described(change)
            ),
        }
    }
}

impl In {
    pub(crate) fn mismatch(&self, change: &Change<'_>) -> Option<Mismatch> {
        match self {
            Self::Changes(selector) => selector.mismatch(change),
            Self::Called(called) => called.mismatch(change),
        }
    }

    pub(crate) fn explain(&self, mismatch: Mismatch, change: &Change<'_>) -> String {
        match self {
            Self::Changes(selector) => selector.explain(mismatch, change),
            Self::Called(called) => called.explain(mismatch, change),
        }
    }

    pub(crate) fn occasion(&self) -> Occasion {
        match self {
            Self::Changes(_) => Occasion::Change,
            Self::Called(called) => called.occasion,
        }
    }

    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::Changes(selector) => selector.source.as_deref(),
            Self::Called(called) => called.source.as_deref(),
        }
    }
}

fn other_source(wanted: Option<&str>, change: &Change<'_>) -> String {
    let what = if change.occasion() == Occasion::Change { "change" } else { change.occasion().noun() };
    format!("the {what} comes from the source {}, not from {}", change.source(), wanted.unwrap_or_default())
}

/// What came, in a few words.
pub(crate) fn described(change: &Change<'_>) -> String {
    match (change.occasion(), change.name()) {
        (Occasion::Change, _) => format!("a change of {}.{}", change.schema(), change.table()),
        (occasion, Some(name)) => format!("the {} {name}", occasion.noun()),
        (Occasion::Scheduled, None) => "a scheduled event with neither a name nor a comment".to_owned(),
        (occasion, None) => format!("the body of an {} without a name", occasion.noun()),
    }
}

impl Tables {
    /// Whether a table is one of these.
    pub fn includes(&self, schema: &str, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(tables) => tables.iter().any(|table| table.schema == schema && table.name == name),
        }
    }
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::These(tables) => f.write_str(&tables.iter().map(Table::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}
