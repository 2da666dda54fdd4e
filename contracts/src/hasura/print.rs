//! Tells two bodies under one id apart: a hash of what a change says, by value, in one pass that keeps nothing.
//!
//! Of a change it covers the table, the operation and the rows; of a scheduled body its name, its payload and, where it has one, its
//! comment, which stands for the name of one without; of an action its name, its input and who calls it; of a publication the event and its data. How a body was
//! delivered (`delivery_info`, `created_at` …) and how its JSON is written (order of keys, white space, `1.0` for `1`) make
//! no difference. The hash is stored in the topic `seen`, so it never changes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::fields::Key;
use crate::{document, names::EventRef};

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// The hash of null.
pub(super) const NULL: u64 = mix(3, 0);

/// The hash of a body that was recognised; 0, which no other has, of one that cannot be read.
pub fn print(body: &[u8]) -> u32 {
    let text = str::from_utf8(body).ok().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let hash = text.and_then(|text| of_body(&document::escaped(text), true));
    hash.map_or(0, folded)
}

/// The hash of what is published by name, as [`print()`] is that of a change: of the event and its data.
pub fn print_of_publication(event: &EventRef, data: &Value) -> u32 {
    folded(mix(mix(8, of_text(&event.to_string())), of_value(data)))
}

/// What is kept of a hash: never 0.
pub(super) fn folded(hash: u64) -> u32 {
    ((hash ^ hash >> 32) as u32).max(1)
}

/// The hash of a change, from those of its table and event.
pub(super) fn of_change(table: u64, event: u64) -> u64 {
    mix(mix(1, table), event)
}

/// The hash of an object, from those of its keys and values; of duplicate keys the last counts.
pub(super) fn of_members(mut found: Vec<(u64, u64)>) -> u64 {
    found.sort_by_key(|(key, _)| *key);
    let last_of_key = |at: usize| found.get(at + 1).is_none_or(|next| next.0 != found[at].0);
    let counted = (0..found.len()).filter(|at| last_of_key(*at)).map(|at| found[at]);
    counted.fold(7, |hash, (key, value)| mix(mix(hash, key), value))
}

/// The hash of a value that was read already: the same as of its text.
pub(super) fn of_value(value: &Value) -> u64 {
    match value {
        Value::Null => NULL,
        Value::Bool(value) => of_bool(*value),
        Value::Number(digits) => number(digits.as_str()),
        Value::String(text) => of_text(text),
        Value::Array(items) => mix(items.iter().fold(6, |hash, item| mix(hash, of_value(item))), 6),
        Value::Object(members) => {
            of_members(members.iter().map(|(key, value)| (bytes(key.as_bytes()), of_value(value))).collect())
        }
    }
}

fn of_bool(value: bool) -> u64 {
    mix(4, u64::from(value))
}

fn of_text(text: &str) -> u64 {
    mix(5, bytes(text.as_bytes()))
}

fn of_body(text: &str, may_be_wrapped: bool) -> Option<u64> {
    let Body { table, event, name, comment, payload, is_scheduled, action, input, session } =
        serde_json::from_str(text).ok()?;
    match (event, payload) {
        (None, _) if !is_scheduled && action.is_some() => Some(mix(mix(mix(12, action?), input), session)),
        (Some(event), _) => Some(of_change(table, event)),
        (None, Some(inner)) if !is_scheduled && may_be_wrapped => of_body(inner.get(), false),
        (None, payload) => {
            let payload = payload.map(|payload| serde_json::from_str::<Hash>(payload.get())).transpose().ok()?;
            let named = mix(mix(2, name), payload.map_or(0, |Hash(hash)| hash));
            Some(if [0, NULL].contains(&comment) { named } else { mix(named, comment) })
        }
    }
}

/// What is hashed of a body. Of duplicate keys the last counts.
#[derive(Default)]
struct Body<'a> {
    table: u64,
    event: Option<u64>,
    name: u64,
    comment: u64,
    payload: Option<&'a RawValue>,
    is_scheduled: bool,
    action: Option<u64>,
    input: u64,
    session: u64,
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BodyVisitor;
        impl<'de> Visitor<'de> for BodyVisitor {
            type Value = Body<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Body<'de>, A::Error> {
                let mut out = Body::default();
                while let Some(Key(key)) = members.next_key()? {
                    match &*key {
                        "table" => out.table = members.next_value::<Hash>()?.0,
                        "event" => out.event = Some(members.next_value_seed(Of(&["op", "data"]))?),
                        "name" => out.name = members.next_value::<Hash>()?.0,
                        "comment" => out.comment = members.next_value::<Hash>()?.0,
                        "payload" => out.payload = Some(members.next_value()?),
                        "action" => out.action = Some(members.next_value::<Hash>()?.0),
                        "input" => out.input = members.next_value::<Hash>()?.0,
                        "session_variables" => out.session = members.next_value::<Hash>()?.0,
                        other => {
                            out.is_scheduled |= other == "scheduled_time";
                            members.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(out)
            }
        }
        deserializer.deserialize_map(BodyVisitor)
    }
}

/// The hash of any JSON value.
pub(super) struct Hash(pub(super) u64);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Of(&[]).deserialize(deserializer).map(Hash)
    }
}

/// Hashes a value; of an object only these members, or all where none is named.
#[derive(Clone, Copy)]
struct Of(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Of {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Of {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(NULL)
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(of_bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(integer(value, false))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(integer(value.unsigned_abs(), value < 0))
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(of_text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut hash = 6;
        while let Some(Hash(item)) = items.next_element()? {
            hash = mix(hash, item);
        }
        Ok(mix(hash, 6))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut found: Vec<(u64, u64)> = Vec::new();
        while let Some(Key(key)) = members.next_key()? {
            // With `arbitrary_precision` a number that is no integer comes as an object with one member of such a name.
            if key.starts_with("$serde_json::private::Number") {
                let Key(digits) = members.next_value()?;
                return Ok(number(&digits));
            }
            if self.0.is_empty() || self.0.contains(&&*key) {
                found.push((bytes(key.as_bytes()), members.next_value::<Hash>()?.0));
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(of_members(found))
    }
}

const fn mix(hash: u64, with: u64) -> u64 {
    let product = (hash ^ with.rotate_left(23) ^ MULTIPLIER) as u128 * (MULTIPLIER ^ with) as u128;
    (product as u64) ^ (product >> 64) as u64
}

/// The hash of a key.
pub(super) fn bytes(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let step = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let hash = words.iter().fold(text.len() as u64, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
    mix(step(hash, last), 8)
}

/// A number by its value: significant digits without zeros at either end, and the power of ten of the first of them.
#[derive(Default)]
struct Digits {
    hash: u64,
    /// Digits so far, trailing zeros included.
    count: i64,
    /// Zeros that count only if another digit follows.
    zeros: i64,
}

impl Digits {
    fn push(&mut self, digit: u8) {
        match digit {
            b'0' if self.count == 0 => {}
            b'0' => {
                self.zeros += 1;
                self.count += 1;
            }
            _ => {
                (0..self.zeros).for_each(|_| self.hash = self.hash.wrapping_mul(MULTIPLIER).wrapping_add(1));
                self.zeros = 0;
                self.hash = self.hash.wrapping_mul(MULTIPLIER).wrapping_add(u64::from(digit));
                self.count += 1;
            }
        }
    }

    fn finish(self, negative: bool, exponent: i64) -> u64 {
        if self.count == 0 { mix(9, 0) } else { mix(mix(10 + u64::from(negative), self.hash), exponent as u64) }
    }
}

fn integer(mut value: u64, negative: bool) -> u64 {
    let mut digits = [0; 20];
    let mut first = digits.len();
    while value > 0 {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    let mut out = Digits::default();
    digits[first..].iter().for_each(|digit| out.push(*digit));
    let exponent = out.count;
    out.finish(negative, exponent)
}

fn number(text: &str) -> u64 {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let bound = if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    let power = power.parse::<i64>().map_or(bound, |power| power.clamp(i64::MIN / 2, i64::MAX / 2));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut out = Digits::default();
    whole.bytes().for_each(|digit| out.push(digit));
    let mut exponent = out.count;
    for digit in fraction.bytes() {
        exponent -= i64::from(out.count == 0 && digit == b'0');
        out.push(digit);
    }
    out.finish(negative, exponent.saturating_add(power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::json;

    fn of(text: &str) -> u64 {
        serde_json::from_str::<Hash>(text).expect("JSON").0
    }

    #[test]
    fn how_a_body_is_written_and_delivered_makes_no_difference() {
        let first = r#"{"id":"1","delivery_info":{"current_retry":0},"created_at":"a","event":{"op":"UPDATE","data":
            {"old":{"a":1.0,"b":[1,{"x":null,"y":"ü"}]},"new":null},"trace_context":null},"table":{"schema":"s","name":"t"}}"#;
        let again = r#"{"table":{"name":"t","schema":"s"},"event":{"data":{"new":null,"old":{"b":[1e0,{"y":"\u00fc",
            "x":null}],"a":7,"a":10e-1}},"op":"UPDATE"},"delivery_info":{"current_retry":9},"id":"1"}"#;
        assert_ne!(print(first.as_bytes()), 0);
        assert_eq!(print(first.as_bytes()), print(again.as_bytes()));
        let wrapped = format!("\u{feff}{{\"headers\":[],\"payload\":{again},\"version\":\"2\"}}");
        assert_eq!(print(first.as_bytes()), print(wrapped.as_bytes()));
        for (from, to) in [("UPDATE", "DELETE"), ("\"t\"", "\"u\""), ("\"s\"", "\"r\""), ("1.0", "1.01"), ("[1", "[2")]
        {
            assert_ne!(print(first.as_bytes()), print(first.replace(from, to).as_bytes()), "{to}");
        }
        assert_eq!(print(b"{"), 0);
    }

    #[test]
    fn scheduled_bodies_differ_by_name_and_payload() {
        let body = |name: &str, payload: &str| {
            print(
                format!(r#"{{"scheduled_time":"x","id":"{name}{payload}","name":"{name}","payload":{payload}}}"#)
                    .as_bytes(),
            )
        };
        assert_eq!(body("nightly", r#"{"event":{}}"#), body("nightly", r#"{ "event": {} }"#));
        assert_ne!(body("nightly", "{}"), body("daily", "{}"));
        assert_ne!(body("nightly", "{}"), body("nightly", "[]"));
    }

    #[test]
    fn scheduled_bodies_without_a_name_differ_by_comment() {
        let body = |rest: &str| print(format!(r#"{{"scheduled_time":"x","id":"7","payload":{{}}{rest}}}"#).as_bytes());
        let [none, null, one, other] =
            ["", r#","comment":null"#, r#","comment":"one""#, r#","comment":"other""#].map(body);
        assert_eq!(none, null);
        assert!(none != one && one != other);
        assert_ne!(body(r#","name":"n","comment":"one""#), body(r#","name":"n","comment":"other""#));
        let wrapped = format!(r#"{{"payload":{}}}"#, r#"{"scheduled_time":"x","id":"7","payload":{},"comment":"one"}"#);
        assert_eq!(print(wrapped.as_bytes()), one);
        let was = mix(mix(2, of("\"nightly\"")), of("{}"));
        assert_eq!(print(br#"{"scheduled_time":"x","name":"nightly","payload":{}}"#), folded(was), "as it ever was");
    }

    #[test]
    fn actions_differ_by_name_input_and_caller() {
        let body = |name: &str, input: &str, user: &str| {
            let body = format!(
                r#"{{"action":{{"name":"{name}"}},"input":{input},"session_variables":{{"x-hasura-user-id":"{user}"}},"request_query":null}}"#
            );
            assert_eq!(print(body.as_bytes()), print(format!(r#"{{"payload":{body}}}"#).as_bytes()));
            print(body.as_bytes())
        };
        let one = body("a", r#"{"x":1.0,"y":[]}"#, "7");
        assert_eq!(one, body("a", r#"{"y":[],"x":1}"#, "7"));
        let others = [
            body("b", r#"{"x":1,"y":[]}"#, "7"),
            body("a", r#"{"x":2,"y":[]}"#, "7"),
            body("a", r#"{"x":1,"y":[]}"#, "8"),
        ];
        assert!(!others.contains(&one));
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(
            print(br#"{"event":{"op":"INSERT","data":{"old":null,"new":{"id":7,"n":1.50}}},"table":{"name":"t"}}"#),
            2_181_852_560
        );
    }

    fn a_number() -> impl Strategy<Value = String> {
        (
            "-?",
            prop_oneof!["0", "[1-9][0-9]{0,24}"],
            prop_oneof!["", "\\.[0-9]{1,6}"],
            prop_oneof!["", "[eE][+-]?[0-9]{1,3}"],
        )
            .prop_map(|(sign, whole, fraction, power)| format!("{sign}{whole}{fraction}{power}"))
    }

    fn a_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-c0]{0,12}".prop_map(Value::from),
            a_number().prop_map(|number| serde_json::from_str(&number).expect("a number")),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c]{0,2}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_body_that_is_read_in_part_has_the_hash_of_all_of_it(old in a_value(), new in a_value(), table in a_value(), id in a_value()) {
            let body = serde_json::json!({ "id": id, "table": table,
                "event": { "op": "UPDATE", "session_variables": new, "data": { "old": old, "new": new } } });
            for body in [&body, &serde_json::json!({ "payload": body })] {
                let text = body.to_string();
                let (_, hash) = crate::hasura::parse_partly(text.as_bytes(), &|_, name| name < "b").expect("JSON");
                prop_assert_eq!(hash, print(text.as_bytes()), "{}", text);
            }
        }

        #[test]
        fn numbers_have_one_hash_for_one_value(a in a_number(), b in a_number(), shift in 0..30usize) {
            prop_assert_eq!(of(&a) == of(&b), json::numbers_equal(&a, &b), "{} {}", a, b);
            let (whole, power) = a.split_once(['e', 'E']).unwrap_or((&a, "0"));
            let shifted = format!("{whole}{}{}e{}", if whole.contains('.') { "" } else { "." }, "0".repeat(shift + 1), power);
            prop_assert_eq!(of(&a), of(&shifted), "{} {}", a, shifted);
        }

        #[test]
        fn equal_values_have_one_hash_and_others_another(a in a_value(), b in a_value()) {
            prop_assert_eq!(of(&a.to_string()) == of(&b.to_string()), json::equal(&a, &b), "{} {}", a, b);
            prop_assert_eq!(of(&a.to_string()), of_value(&a), "{}", a);
        }
    }
}
