//! How the events of a job are gathered before it runs: what they have in common, and when that ends.

use std::time::Duration;

use contracts::json;
use expressions::{Bindings, CompileError, Expression, Room, Scope};
use serde_json::Value;

use crate::{data::MAX_DATA, template::JobContext};

/// How long a window lasts at most, unless the job says otherwise: so many times its `quiet`.
pub const MOST_QUIETS: u32 = 10;

/// What events have in common that belong together: expressions over the event, as those of an event's key.
#[derive(Debug, Clone)]
pub struct Common {
    pub(crate) parts: Vec<Expression>,
}

impl Common {
    /// What these expressions have the same values of.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn compile(parts: &[&str]) -> Result<Self, Vec<CompileError>> {
        let parts = parts.iter().map(|part| Expression::compile(part, Scope::With)).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// The value for an event, as text; none where it is null.
    ///
    /// # Errors
    /// The expression has no value, because.
    pub fn of(&self, context: &JobContext<'_>) -> Result<Option<String>, String> {
        let bindings = Bindings { data: Some(context.data), event: Some(context.event), ..Bindings::default() };
        let room = Room::new(MAX_DATA);
        let value = |part: &Expression| part.value(&bindings, &room).map_err(|stop| part.describe(&stop));
        let values: Vec<Value> = self.parts.iter().map(value).collect::<Result<_, _>>()?;
        Ok(json::key(&values))
    }

    /// The expressions, joined by `|`: two of one text mean the same.
    pub fn source(&self) -> String {
        self.parts.iter().map(|part| part.source().trim()).collect::<Vec<_>>().join("|")
    }
}

/// What a window is delivered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliver {
    /// Its last event runs, and takes the place of those before it.
    Last,
}

/// Events that have something in common gather in a *window*, and run together when it ends.
#[derive(Debug, Clone)]
pub struct Gathering {
    /// What they have in common; without it, the event's key.
    pub by: Option<Common>,
    /// How long after its last event a window ends; none where later ones do not prolong it.
    pub quiet: Option<Duration>,
    /// How long after its first it ends at the latest.
    pub most: Duration,
    /// What becomes of them.
    pub deliver: Deliver,
}
