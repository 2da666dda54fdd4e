//! Reading of a body no more than is asked for: most columns of a wide row are looked at by nobody. What it says as a whole
//! is hashed in the same pass.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{fields::Key, parse, print};
use crate::document;

/// What a change and a scheduled body are recognised by, beside `event` and `payload`.
const OF_BODY: [&str; 5] = ["table", "trigger", "scheduled_time", "action", "name"];
/// What is read of `event`, beside `data`.
const OF_EVENT: [&str; 2] = ["op", "session_variables"];
/// How many columns a row often has.
const COLUMNS: usize = 16;

/// The rows of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// As it was.
    Old,
    /// As it is now.
    New,
}

/// Parses a recognised body as [`parse`] does, and leaves out the columns of its rows that are not to be kept, and what
/// says nothing about the change (when it was created, how it was delivered). Returns it with its [`print`](print()).
///
/// A body of another shape, one whose rows are no objects for instance, is parsed whole. What is left out is checked less:
/// [`super::recognise`] has done that when the body was accepted.
///
/// # Errors
/// The text is no JSON.
pub fn parse_partly(body: &[u8], keep: &dyn Fn(Row, &str) -> bool) -> Result<(Value, u32), serde_json::Error> {
    let text = str::from_utf8(body).ok().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let partly = |text: &str| {
        let text = document::escaped(text);
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let read = Object { part: Part::Body, keep }.deserialize(&mut deserializer).ok()?;
        deserializer.end().is_ok().then_some(read)
    };
    match text.and_then(partly) {
        Some((value, hash)) => {
            Ok((super::with_lower_case_session(value), hash.map_or_else(|| print(body), print::folded)))
        }
        None => parse(body).map(|value| (value, print(body))),
    }
}

/// The objects on the way to a column.
#[derive(Debug, Clone, Copy)]
enum Part {
    Body,
    /// What a body wraps.
    Payload,
    Event,
    Data,
    Row(Row),
}

/// An object, or null; anything else is refused, and so read whole.
#[derive(Clone, Copy)]
struct Object<'k> {
    part: Part,
    keep: &'k dyn Fn(Row, &str) -> bool,
}

/// What becomes of a member of an object.
enum Member {
    Inner(Part),
    Whole,
    Nothing,
}

impl Object<'_> {
    fn member(&self, key: &str) -> Member {
        let kept = |kept| if kept { Member::Whole } else { Member::Nothing };
        match (self.part, key) {
            (Part::Body | Part::Payload, "event") => Member::Inner(Part::Event),
            (Part::Body | Part::Payload, "payload") => Member::Inner(Part::Payload),
            (Part::Body | Part::Payload, _) => kept(OF_BODY.contains(&key)),
            (Part::Event, "data") => Member::Inner(Part::Data),
            (Part::Event, _) => kept(OF_EVENT.contains(&key)),
            (Part::Data, "old") => Member::Inner(Part::Row(Row::Old)),
            (Part::Data, "new") => Member::Inner(Part::Row(Row::New)),
            (Part::Data, _) => Member::Nothing,
            (Part::Row(row), _) => kept((self.keep)(row, key)),
        }
    }
}

/// An object, and the hash of what it says; none where it is no change.
type Read = (Value, Option<u64>);

/// What is hashed of an object on the way.
#[derive(Default)]
struct Hashes {
    /// Of the keys and values of a row, of `data` and of `event`.
    members: Vec<(u64, u64)>,
    /// Of a body.
    table: u64,
    event: Option<u64>,
    payload: Option<u64>,
    is_scheduled: bool,
}

impl Hashes {
    /// Whether a member of an object counts.
    fn wants(part: Part, key: &str) -> bool {
        match part {
            Part::Body | Part::Payload => key == "table",
            Part::Event => key == "op",
            Part::Data | Part::Row(_) => true,
        }
    }

    fn add(&mut self, part: Part, key: &str, hash: Option<u64>) {
        match (part, key) {
            (Part::Body | Part::Payload, "table") => self.table = hash.unwrap_or_default(),
            (Part::Body | Part::Payload, "event") => self.event = hash,
            (Part::Body | Part::Payload, "payload") => self.payload = hash,
            (Part::Body | Part::Payload, _) => self.is_scheduled |= key == "scheduled_time" || key == "action",
            _ => self.members.extend(hash.map(|hash| (print::bytes(key.as_bytes()), hash))),
        }
    }

    fn finish(self, part: Part) -> Option<u64> {
        match (part, self.event) {
            (Part::Body | Part::Payload, Some(event)) => Some(print::of_change(self.table, event)),
            (Part::Body, None) => self.payload.filter(|_| !self.is_scheduled),
            (Part::Payload, None) => None,
            _ => Some(print::of_members(self.members)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Read;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        let is_body = matches!(self.part, Part::Body | Part::Payload);
        Ok((Value::Null, (!is_body).then_some(print::NULL)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Read, A::Error> {
        let mut out = Map::new();
        let mut hashes = Hashes::default();
        if matches!(self.part, Part::Row(_)) {
            hashes.members.reserve(COLUMNS);
        }
        while let Some(Key(key)) = members.next_key()? {
            // With `arbitrary_precision` a number that is no integer comes as an object with one member of such a name.
            if key.starts_with("$serde_json::") {
                return Err(A::Error::custom("a number"));
            }
            let counts = Hashes::wants(self.part, &key);
            let (value, hash) = match self.member(&key) {
                Member::Inner(part) => {
                    let (value, hash) = members.next_value_seed(Object { part, ..self })?;
                    (Some(value), hash)
                }
                Member::Whole => {
                    let value = members.next_value()?;
                    let hash = counts.then(|| print::of_value(&value));
                    (Some(value), hash)
                }
                Member::Nothing if counts => (None, Some(members.next_value::<print::Hash>()?.0)),
                Member::Nothing => {
                    members.next_value::<IgnoredAny>()?;
                    (None, None)
                }
            };
            hashes.add(self.part, &key, hash);
            if let Some(value) = value {
                out.insert(key.into_owned(), value);
            }
        }
        Ok((Value::Object(out), hashes.finish(self.part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is to be left out, taken out of the whole.
    fn pruned(body: &str, keep: &dyn Fn(Row, &str) -> bool) -> Value {
        fn prune(value: &mut Value, keep: &dyn Fn(Row, &str) -> bool) {
            if let Some(wrapped) = value.get_mut("payload") {
                prune(wrapped, keep);
            }
            if let Some(map) = value.as_object_mut() {
                map.retain(|key, _| ["event", "payload"].contains(&key.as_str()) || OF_BODY.contains(&key.as_str()));
            }
            if let Some(map) = value.get_mut("event").and_then(Value::as_object_mut) {
                map.retain(|key, _| key == "data" || OF_EVENT.contains(&key.as_str()));
            }
            if let Some(map) = value.pointer_mut("/event/data").and_then(Value::as_object_mut) {
                map.retain(|key, _| ["old", "new"].contains(&key.as_str()));
                for (name, row) in map.iter_mut() {
                    let which = if name == "old" { Row::Old } else { Row::New };
                    row.as_object_mut().expect("a row").retain(|key, _| keep(which, key));
                }
            }
        }
        let mut whole = parse(body.as_bytes()).expect("JSON");
        prune(&mut whole, keep);
        whole
    }

    const EVENT: &str = r#"{"created_at":"2023-04-05T12:26:57Z","delivery_info":{"current_retry":0},"event":{"data":{
        "old":{"id":1.50,"a":"x","b":{"a":[1,{"a":2}]},"\u0061b":3},"new":{"id":1.5e0,"a":null,"id":2,"c":[]}},
        "op":"UPDATE","session_variables":{"x-hasura-role":"admin"},"trace_context":null},"id":"afcd8c6c",
        "table":{"name":"t","schema":"public"},"trigger":{"name":"follow"}}"#;

    #[test]
    fn what_is_kept_is_as_in_the_whole() {
        let wrapped = format!("\u{feff}{{\"headers\":[],\"payload\":{EVENT}}}");
        let twice = format!("{{\"payload\":{{\"payload\":{EVENT},\"name\":\"a\"}}}}");
        let scheduled = format!("{{\"payload\":{EVENT},\"action\":1}}");
        for names in [&[][..], &["id"], &["a", "b", "ab"], &["c", "missing"], &["id", "a", "b", "ab", "c"]] {
            let keep = |row, name: &str| names.contains(&name) && (row == Row::New || name != "a");
            for body in [EVENT, &wrapped, &twice, &scheduled] {
                let (value, hash) = parse_partly(body.as_bytes(), &keep).expect("JSON");
                assert_eq!(value, pruned(body, &keep), "{names:?}");
                assert_eq!(hash, print(body.as_bytes()), "{names:?}");
            }
        }
    }

    #[test]
    fn a_row_that_is_missing_is_so() {
        for data in [r#""old":null,"new":{}"#, "", r#""new":null"#] {
            let body = format!(r#"{{"event":{{"op":"INSERT","data":{{{data}}}}},"table":{{"name":"t"}}}}"#);
            let (found, hash) = parse_partly(body.as_bytes(), &|_, _| false).expect("JSON");
            assert_eq!(found, parse(body.as_bytes()).expect("JSON"));
            assert_eq!(hash, print(body.as_bytes()));
        }
    }

    #[test]
    fn what_has_another_shape_is_whole() {
        let event = |event: &str| format!(r#"{{"event":{event},"id":1,"table":{{"name":"t"}}}}"#);
        let data = |data: &str| event(&format!(r#"{{"op":"MANUAL","data":{data}}}"#));
        let bodies = ["7", "7.50", "[]", r#""x""#]
            .map(|odd| [odd.to_owned(), event(odd), data(odd), data(&format!(r#"{{"old":{{"id":1}},"new":{odd}}}"#))]);
        for body in bodies.iter().flatten() {
            let (found, hash) = parse_partly(body.as_bytes(), &|_, _| false).expect("JSON");
            assert_eq!(found, parse(body.as_bytes()).expect("JSON"), "{body}");
            assert_eq!(hash, print(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_as_ever() {
        for body in [&b"{\"a\":\n x}"[..], b"\xff{}", b"{} {}", b"", br#"{"event":{"data":{"new":{"a":tru}}}}"#] {
            let (partly, whole) = (parse_partly(body, &|_, _| false), parse(body));
            assert_eq!(partly.expect_err("no JSON").to_string(), whole.expect_err("no JSON").to_string());
        }
    }
}
