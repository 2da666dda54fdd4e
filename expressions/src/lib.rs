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

#![warn(missing_docs)]

mod advice;
mod arguments;
mod budget;
mod calls;
mod changes;
mod columns;
mod compare;
mod context;
mod convert;
mod demands;
mod described;
mod doubts;
mod error;
mod eval;
mod explain;
mod functions;
mod get;
mod holds;
mod json_text;
mod literal;
mod macros;
mod members;
mod mistakes;
mod names;
mod node;
mod number;
mod opening;
mod operators;
mod parse;
mod resolve;
mod scan;
mod slips;
mod strings;
mod suggest;
mod time;
mod types;
mod value;
mod wishes;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, sync::Arc};

use contracts::{hasura::Op, why::Explanation};
use serde_json::Value as Json;

pub use budget::{NoRoom, Room};
pub use columns::Columns;
pub use context::Bindings;
pub use described::{Column, ColumnType, Rows};
pub use error::{CompileError, Stop};
pub use explain::Effort;
pub use members::{Member, Named};
pub use node::Scope;
pub use opening::Opening;
pub use scan::{comment, hole_end};
pub use suggest::closest;
pub use wishes::{Wanted, Wish, WishOf};

use eval::Evaluator;
use explain::Explainer;
use node::{Kind, MacroKind, Node, Var};

/// One expression, compiled. Cheap to share and safe to evaluate from many threads.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    root: Arc<Node>,
    scope: Scope,
}

impl Expression {
    /// Compiles a text.
    ///
    /// # Errors
    /// Every name and call that means nothing, in the order of the text; or the first mistake in how it is written.
    pub fn compile(source: &str, scope: Scope) -> Result<Self, Vec<CompileError>> {
        let root = parse::parse(source, scope).map_err(|errors| said(errors, scope))?;
        Ok(Self { source: source.into(), root: Arc::new(root), scope })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the condition held. A null result counts as absent; anything but true and false is a failure.
    ///
    /// # Errors
    /// It has no value, because.
    pub fn holds(&self, bindings: &Bindings<'_>) -> Result<bool, Stop> {
        Evaluator::new(bindings).condition(&self.root)
    }

    /// The value as JSON, as far as there is room. What is only passed on keeps its digits.
    ///
    /// # Errors
    /// It has no value, or none that fits, because.
    pub fn value(&self, bindings: &Bindings<'_>, room: &Room) -> Result<Json, Stop> {
        let evaluator = Evaluator::new(bindings);
        let value = evaluator.eval(&self.root)?;
        convert::to_json(&evaluator.context.budget, &value, self.root.span, room)
    }

    /// What made a condition hold that did: each of its terms with the values that it saw, within what several explanations may
    /// cost together.
    pub fn why(&self, bindings: &Bindings<'_>, effort: &Effort) -> Vec<Explanation> {
        Explainer::new(&self.source, bindings, effort).why(&self.root)
    }

    /// Why the condition did not hold, within what several explanations may cost together; `None` if it did.
    pub fn why_not(&self, bindings: &Bindings<'_>, effort: &Effort) -> Option<Explanation> {
        Explainer::new(&self.source, bindings, effort).why_not(&self.root)
    }

    /// What an outcome without a value means, in words: the text of the part that was absent or failed.
    pub fn describe(&self, stop: &Stop) -> String {
        stop.describe(&self.source)
    }

    /// Whether the condition is provably false or without a value for this operation, whatever the rows hold.
    pub fn never_holds(&self, operation: Op) -> bool {
        holds::never(&self.root, operation)
    }

    /// Two parts of the condition of which never both hold, and it wants both.
    pub fn contradiction(&self) -> Option<(&str, &str)> {
        demands::contradiction(&self.root).map(|(one, other)| (one.of(&self.source), other.of(&self.source)))
    }

    /// What in it fails for every change, in the order of the text. It can be evaluated all the same.
    pub fn mistakes(&self) -> Vec<CompileError> {
        said(mistakes::of(&self.root, &self.source), self.scope)
    }

    /// What in it can be meant, and hardly is, in the order of the text.
    pub fn doubts(&self) -> Vec<CompileError> {
        let mut found = Vec::new();
        doubts::of(&self.root, &mut found);
        found
    }

    /// What in it, as a whole condition, is never true or false.
    pub fn no_condition(&self) -> Vec<CompileError> {
        said(mistakes::no_whole(&self.root, &self.source), self.scope)
    }

    /// The members of `data` and `event` without which it has no value, in the order of the text.
    pub fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        members::needed(&self.root, &self.source, &mut members);
        members
    }

    /// What it names of `params`.
    pub fn params(&self) -> Named {
        let mut found = Named::default();
        members::named(&self.root, Var::Params, &self.source, &mut found);
        found
    }

    /// Whether it looks at the payload that the event was found in.
    pub fn takes_payload(&self) -> bool {
        let mut found = Named::default();
        members::named(&self.root, Var::Payload, &self.source, &mut found);
        found != Named::default()
    }

    /// What in it cannot be meant where the rows have these columns, in the order of the text; `is_condition` where it is to be
    /// true or false.
    pub fn misuses(&self, rows: &Rows, is_condition: bool) -> Vec<CompileError> {
        described::misuses(&self.root, &self.source, rows, is_condition)
    }

    /// Whether its value is a list or a map, as far as can be seen; a row counts as the map that it almost always is.
    pub fn is_composite(&self) -> bool {
        match &self.root.kind {
            Kind::List(_) | Kind::Map(_) => true,
            Kind::Macro(parts) => parts.kind == MacroKind::Map,
            Kind::Var(var) => {
                matches!(
                    var,
                    Var::Table
                        | Var::Old
                        | Var::New
                        | Var::Row
                        | Var::Session
                        | Var::Payload
                        | Var::Body("payload" | "input" | "action")
                )
            }
            _ => false,
        }
    }

    /// Whether it looks at a change, without which it has no value.
    pub fn needs_change(&self) -> bool {
        members::is_about_change(&self.root)
    }

    /// What the condition begins with, where that is a demand on one column.
    pub fn opening(&self) -> Option<Opening> {
        opening::of(&self.root)
    }

    /// Single values that would make it hold, as far as they are easily guessed.
    pub fn wishes(&self) -> Vec<Wish> {
        wishes::of(&self.root)
    }

    /// The first of the terms that all have to hold which does not.
    pub fn unmet(&self, bindings: &Bindings<'_>) -> Option<&str> {
        let terms = if let Kind::And(terms) = &self.root.kind { terms } else { std::slice::from_ref(&*self.root) };
        let holds = |term: &Node| matches!(Evaluator::new(bindings).eval(term), Ok(value::Value::Bool(true)));
        terms.iter().find(|term| !holds(term)).map(|term| term.span.of(&self.source))
    }

    /// Columns of which at least one has changed wherever the condition holds; none if it can hold whatever changed.
    pub fn wanted_changes(&self) -> Option<BTreeSet<&str>> {
        changes::wanted(&self.root)
    }

    /// Whether the condition holds nowhere but where one of those columns has changed.
    pub fn holds_only_with_changes(&self, is_one: &dyn Fn(&str) -> bool) -> bool {
        changes::only_with(&self.root, is_one)
    }

    /// Adds the columns that it can look at.
    pub fn columns(&self, into: &mut Columns) {
        columns::collect(&self.root, into);
    }
}

/// What is said of an expression, as it is said where no change is looked at.
fn said(mut errors: Vec<CompileError>, scope: Scope) -> Vec<CompileError> {
    if scope.brought().is_some() {
        errors.iter_mut().filter_map(|error| error.help.as_mut()).for_each(|help| *help = scope.say(help));
    }
    errors
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.trim())
    }
}
