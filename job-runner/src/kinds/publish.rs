//! `publish: move.invoiced`, or `publish { event, data, key }`: another event, by its name. Its `data` and `key` are expressions
//! over this event; without them it has this one's.

use contracts::{document, json, names::EventRef, outcomes::BoxFuture};
use serde_json::Value;

use super::map;
use crate::{
    kind::{Answer, Failure, Inline, Kind, Outcome, Run},
    publication::Publication,
};

pub(crate) struct Publish;

impl Kind for Publish {
    fn check(&self, options: &Value) -> Result<(), String> {
        Options::of(options).map(|_| ())
    }

    fn inline(&self) -> Option<&dyn Inline> {
        Some(self)
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.run_inline(&run) })
    }
}

impl Inline for Publish {
    fn run_inline(&self, run: &Run) -> Outcome {
        let Options { event, data, key } = Options::of(&run.options).map_err(Failure::last)?;
        let key = key.and_then(key_of);
        let publication = match data {
            Some(data) => Publication::new(run, event, data, key),
            None => {
                let own = if run.data.is_empty() { Ok(Value::Null) } else { document::parse_bytes(&run.data) };
                let own = own.map_err(|error| Failure::last(format!("the event's data are no JSON: {error}")))?;
                Publication::new(run, event, &own, key)
            }
        };
        publication.map(Answer::publishing)
    }
}

struct Options<'o> {
    event: EventRef,
    data: Option<&'o Value>,
    key: Option<&'o Value>,
}

impl<'o> Options<'o> {
    fn of(options: &'o Value) -> Result<Self, String> {
        let named = |name: &str| name.parse().map_err(|error| format!("`event`: {error}"));
        if let Value::String(name) = options {
            return Ok(Self { event: named(name)?, data: None, key: None });
        }
        let none = || "`publish` names no event; write `publish: { event: order.invoiced }`".to_owned();
        let map = map("publish", options, &["event", "data", "key", "mayRepeat"])?.ok_or_else(none)?;
        let event = map.get("event").ok_or_else(none)?;
        let event = event.as_str().ok_or_else(|| format!("`event` is {event}; it is the name of an event"))?;
        if let Some(wrong) = map.get("mayRepeat").filter(|may| !may.is_boolean()) {
            return Err(format!("`mayRepeat` is {wrong}; it is true or false"));
        }
        if let Some(wrong) = map.get("key").filter(|key| key.is_object()) {
            return Err(format!("`key` is {wrong}; it is an expression, or a list of them"));
        }
        Ok(Self { event: named(event)?, data: map.get("data"), key: map.get("key").filter(|key| !key.is_null()) })
    }
}

/// The text of a key: of a list its parts, joined as those of an event's key are.
fn key_of(key: &Value) -> Option<String> {
    match key {
        Value::Array(parts) => json::key(parts),
        one => json::key([one]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_that_are_wrong_are_named() {
        for good in
            [json!("a.b"), json!({ "event": "a.b.v2", "data": "data.x", "key": ["data.id"], "mayRepeat": true })]
        {
            assert_eq!(Publish.check(&good), Ok(()), "{good}");
        }
        for (wrong, named) in [
            (json!(null), "names no event"),
            (json!({ "data": {} }), "names no event"),
            (json!({ "event": "a..b" }), "`event`"),
            (json!({ "event": 7 }), "`event` is 7"),
            (json!({ "event": "a", "mayRepeat": "yes" }), "`mayRepeat` is \"yes\""),
            (json!({ "event": "a", "key": {} }), "`key` is {}"),
            (json!({ "event": "a", "with": {} }), "no option `with`"),
        ] {
            let error = Publish.check(&wrong).expect_err("wrong");
            assert!(error.contains(named), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_key_of_parts_is_joined() {
        assert_eq!(key_of(&json!(["t", 7])).as_deref(), Some("t|7"));
        assert_eq!(key_of(&json!("a|b")).as_deref(), Some("a|b"));
        assert_eq!(key_of(&json!([null, null])), None);
    }
}
