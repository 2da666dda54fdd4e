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

    /// The value for an event, as text that no other value has; none where it is null.
    ///
    /// # Errors
    /// The expression has no value, because.
    pub fn of(&self, context: &JobContext<'_>) -> Result<Option<String>, String> {
        let bindings = Bindings { data: Some(context.data), event: Some(context.event), ..Bindings::default() };
        let room = Room::new(MAX_DATA);
        let value = |part: &Expression| part.value(&bindings, &room).map_err(|stop| part.describe(&stop));
        let values: Vec<Value> = self.parts.iter().map(value).collect::<Result<_, _>>()?;
        let is_null = values.iter().all(Value::is_null);
        Ok(if is_null { None } else { json::key([&Value::Array(values)]) })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_two_values_have_one_text_and_null_has_none() {
        let of = |parts: &[&str], data: Value| {
            let event = json!({ "id": "e" });
            let common = Common::compile(parts).expect("expressions");
            common.of(&JobContext { data: &data, event: &event, payload: None })
        };
        let two = |a: Value, b: Value| of(&["data.a", "data.b"], json!({ "a": a, "b": b })).expect("a value");
        assert_ne!(two(json!("x|y"), json!("z")), two(json!("x"), json!("y|z")));
        assert_ne!(two(json!(1), json!(2)), two(json!("1"), json!(2)));
        assert_eq!(two(json!(1.0), json!(null)), two(json!(1), json!(null)), "numbers are numbers");
        assert_ne!(two(json!(null), json!("x")), two(json!("null"), json!("x")));
        assert_eq!(two(json!(null), json!(null)), None);
        assert_eq!(of(&["data.a"], json!({ "a": null })), Ok(None));
        assert!(of(&["data.a"], json!({})).is_err_and(|error| error.contains("data.a")));
    }
}
