//! The expression language of the catalog: CEL's grammar, with a parser and an evaluator of our own.
//!
//! Why our own: a condition runs for every change of its table, so it must be *lazy* (it borrows from the parsed body and
//! converts nothing), *exact* (numbers by decimal value, whichever side the literal stands on), *bounded* (a budget of
//! steps and of sizes) and *explaining* (it says which part was false, with the values it saw).
//!
//! The way of an expression: `scan` makes tokens of the text, `parse` makes nodes of those, where every name is
//! resolved and every literal prepared; `eval` walks them. Nothing here reads a clock or the outside world.
//!
//! A value that is not there is neither false nor an error: see [`Stop::Absent`].

mod arguments;
mod budget;
mod columns;
mod compare;
mod convert;
mod eval;
mod explain;
mod functions;
mod holds;
mod literal;
mod macros;
mod node;
mod number;
mod opening;
mod parse;
mod resolve;
mod scan;
mod slips;
mod strings;
mod suggest;
mod time;
mod value;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use serde_json::Value as Json;

use crate::change::{Change, Operation};

pub use budget::{MAX_DATA, MAX_KEY, MAX_STEPS, NoRoom, Room};
pub(crate) use columns::Columns;
pub(crate) use convert::length;
pub use explain::Effort;
pub(crate) use opening::Opening;
pub(crate) use scan::{Kind as TokenKind, Scanner, scan};
pub(crate) use suggest::closest;

use node::{Node, Span};

/// Which variables an expression may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `when` and `data`: the change.
    Change,
    /// `key`: the change, and `data` as it was computed.
    Key,
    /// The options of a job: `data` and `event`.
    Job,
}

/// What the variables stand for in one evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bindings<'a> {
    /// The change, in the scopes that have one.
    pub change: Option<&'a Change<'a>>,
    /// The event's data, in the scopes that have it.
    pub data: Option<&'a Json>,
    /// The event's attributes, for the options of a job.
    pub event: Option<&'a Json>,
}

/// One expression, compiled. Cheap to share and safe to evaluate from many threads.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    root: Arc<Node>,
}

/// A mistake in an expression, found before anything ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Where it begins, in bytes of the expression's text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where we know.
    pub help: Option<String>,
}

/// Why an evaluation ended without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A column, key or element that the operation needed is missing or null. Passes through operators as an error
    /// does (so `true || absent` is true), but ends as "not detected" instead of as a failure.
    Absent(Absence),
    /// A wrong type, a division by zero, a text that is no timestamp, a budget spent.
    Failed(Box<Failure>),
    /// The value does not fit where it is to go.
    TooLarge(Span, NoRoom),
}

/// What was absent, by its place in the expression; costs nothing to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    span: Span,
    /// Whether it was there as null, or not there at all.
    pub null: bool,
}

/// An error of the evaluation, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    span: Span,
    /// What went wrong.
    pub message: String,
}

impl Expression {
    /// Compiles a text; every mistake that can be found is reported, in the order of the text.
    pub fn compile(source: &str, scope: Scope) -> Result<Self, Vec<CompileError>> {
        let root = parse::parse(source, scope)?;
        Ok(Self { source: source.into(), root: Arc::new(root) })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the condition held. A null result counts as absent; anything but true and false is a failure.
    pub fn holds(&self, bindings: &Bindings<'_>) -> Result<bool, Stop> {
        eval::Evaluator::new(bindings).condition(&self.root)
    }

    /// The value as JSON, as far as there is room. What is only passed on keeps its digits.
    pub fn value(&self, bindings: &Bindings<'_>, room: &Room) -> Result<Json, Stop> {
        let evaluator = eval::Evaluator::new(bindings);
        let value = evaluator.eval(&self.root)?;
        convert::to_json(&evaluator, &value, self.root.span, room)
    }

    /// Why the condition did not hold, in words; `None` if it did.
    pub fn why_not(&self, bindings: &Bindings<'_>) -> Option<String> {
        self.why_not_within(bindings, &Effort::default())
    }

    /// The same within what several explanations may cost together. Once that is spent it says no more than so.
    pub fn why_not_within(&self, bindings: &Bindings<'_>, effort: &Effort) -> Option<String> {
        explain::Explanation::new(self, bindings, effort).condition()
    }

    /// What an outcome without a value means, in words: the text of the part that was absent or failed.
    pub fn describe(&self, stop: &Stop) -> String {
        match stop {
            Stop::Absent(absence) => {
                format!("{} is {}", self.text(absence.span), if absence.null { "null" } else { "missing" })
            }
            Stop::Failed(failure) => self.located(failure.span, failure.message.clone()),
            Stop::TooLarge(span, full) => self.located(*span, full.to_string()),
        }
    }

    /// Whether the condition is provably false or without a value for this operation, whatever the rows hold.
    pub(crate) fn never_holds(&self, operation: Operation) -> bool {
        holds::never(&self.root, operation)
    }

    /// Two parts of the condition of which never both hold, and it wants both.
    pub(crate) fn contradiction(&self) -> Option<(&str, &str)> {
        holds::contradiction(&self.root).map(|(one, other)| (self.text(one), self.text(other)))
    }

    /// Adds the columns that it can look at.
    pub(crate) fn columns(&self, into: &mut Columns) {
        columns::collect(&self.root, into);
    }

    fn located(&self, span: Span, message: String) -> String {
        let text = self.text(span);
        if text == self.source.trim() { message } else { format!("{text}: {message}") }
    }

    fn text(&self, span: Span) -> &str {
        span.of(&self.source)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.trim())
    }
}

impl Stop {
    fn failed(span: Span, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure { span, message: message.into() }))
    }

    fn missing(span: Span) -> Self {
        Self::Absent(Absence { span, null: false })
    }

    fn null(span: Span) -> Self {
        Self::Absent(Absence { span, null: true })
    }
}
