//! What one evaluation has, for everything that takes part in it.

use std::cell::RefCell;

use contracts::hasura::Change;
use serde_json::Value as Json;

use crate::budget::Budget;

/// What the variables stand for in one evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bindings<'a> {
    /// The change, in the scopes that have one.
    pub change: Option<&'a Change<'a>>,
    /// The event's data, in the scopes that have it.
    pub data: Option<&'a Json>,
    /// The event's attributes, for the options of a job.
    pub event: Option<&'a Json>,
    /// What the event gives the job's parameters.
    pub params: Option<&'a Json>,
    /// What the job works on.
    pub input: Option<&'a Json>,
    /// The change as it came, where there is no `change`.
    pub payload: Option<&'a Json>,
}

/// What the variables stand for, what may still be spent, and the patterns that were computed, compiled.
pub(crate) struct Context<'a> {
    pub(crate) bindings: Bindings<'a>,
    pub(crate) budget: Budget,
    pub(crate) patterns: RefCell<Vec<regex::Regex>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(bindings: &Bindings<'a>) -> Self {
        Self { bindings: *bindings, budget: Budget::new(), patterns: RefCell::default() }
    }
}
