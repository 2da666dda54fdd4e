//! A recorded Hasura payload made to look like a new one: a fresh `id` and `created_at`, and every other byte as it was.
//!
//! The two members are replaced where they stand, so that the digits of numbers, the order of keys and the white space
//! of the file are what Herald receives.

use std::{fmt, ops::Range};

use jiff::Timestamp;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::{Deserializer, value::RawValue};

/// The file holds no JSON object, so there is nothing to make fresh.
#[derive(Debug, thiserror::Error)]
#[error("it is not a JSON object, as every body of Hasura's is: {0}")]
pub(crate) struct NoObject(#[from] serde_json::Error);

/// The payload with that `id` and with `created_at` at that time. A member that it does not have is not added: a body
/// without an id is a new one anyway. In the console's wrapped form, the members of its `payload` are replaced.
///
/// # Errors
/// [`NoObject`].
pub(crate) fn fresh(text: &str, id: &str, now: Timestamp) -> Result<String, NoObject> {
    let members = members(text)?;
    let known = |name: &str| ["event", "scheduled_time", "action"].contains(&name);
    let within = match members.iter().rev().find(|member| member.name == "payload") {
        Some(payload) if !members.iter().any(|member| known(&member.name)) => payload.value.clone(),
        _ => 0..text.len(),
    };
    // A `payload` that is no object has no members to replace.
    let members = self::members(&text[within.clone()]).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 32);
    let mut copied = 0;
    for member in members {
        let place = within.start + member.value.start..within.start + member.value.end;
        let value = match member.name.as_str() {
            "id" => format!("\"{id}\""),
            "created_at" => format!("\"{}\"", created_at(&text[place.clone()], now)),
            _ => continue,
        };
        out.push_str(&text[copied..place.start]);
        out.push_str(&value);
        copied = place.end;
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// The time in the form that the old one has: Hasura writes it with or without `Z`, by version.
fn created_at(old: &str, now: Timestamp) -> String {
    let zone = if old.ends_with("Z\"") || !old.starts_with('"') { "Z" } else { "" };
    format!("{}{zone}", now.strftime("%Y-%m-%dT%H:%M:%S.%6f"))
}

/// A member of an object: its name, and where its value stands in the text.
struct Member {
    name: String,
    value: Range<usize>,
}

fn members(text: &str) -> Result<Vec<Member>, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').map_or((text, 0), |rest| (rest, '\u{feff}'.len_utf8()));
    let mut reader = Deserializer::from_str(text.0);
    let members = reader.deserialize_map(Members { start: text.0.as_ptr() as usize - text.1 })?;
    reader.end()?;
    Ok(members)
}

struct Members {
    /// Where the text begins in memory; a value's place is the distance from there.
    start: usize,
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            let start = value.get().as_ptr() as usize - self.start;
            members.push(Member { name, value: start..start + value.get().len() });
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00.5Z".parse().expect("a time")
    }

    #[test]
    fn only_the_id_and_the_time_of_creation_change() {
        let file = "\u{feff}{ \"created_at\" : \"2023-04-05T12:26:57.393668Z\",\n  \"event\": {\"id\": 1e3, \"op\":\"MANUAL\", \
                    \"data\":{\"old\":null,\"new\":{\"id\":12345678901234567890.10}}},\n\"id\":\"a\\u0062c\" }\n";
        let sent = fresh(file, "new-id", now()).expect("an object");
        let expected = file
            .replace("\"2023-04-05T12:26:57.393668Z\"", "\"2026-11-21T10:00:00.500000Z\"")
            .replace("\"a\\u0062c\"", "\"new-id\"");
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_time_without_a_zone_stays_without_one() {
        let sent = fresh(r#"{"created_at":"2024-06-24T14:22:32.128413","event":{}}"#, "x", now()).expect("an object");
        assert_eq!(sent, r#"{"created_at":"2026-11-21T10:00:00.500000","event":{}}"#);
    }

    #[test]
    fn of_duplicate_keys_each_is_replaced_and_missing_ones_stay_missing() {
        let sent = fresh(r#"{"id":1,"event":{},"id":null}"#, "x", now()).expect("an object");
        assert_eq!(sent, r#"{"id":"x","event":{},"id":"x"}"#);
        assert_eq!(fresh(r#"{"event":{}}"#, "x", now()).expect("an object"), r#"{"event":{}}"#);
    }

    #[test]
    fn the_console_s_wrapped_form_is_changed_inside() {
        let file = r#"{"id":"log","payload": {"event":{},"id":"a"},"version":"2"}"#;
        let sent = fresh(file, "x", now()).expect("an object");
        assert_eq!(sent, r#"{"id":"log","payload": {"event":{},"id":"x"},"version":"2"}"#);
        let scheduled = r#"{"id":"a","payload":{"id":7},"scheduled_time":"2026-01-01T00:00:00Z"}"#;
        let sent = fresh(scheduled, "x", now()).expect("an object");
        assert_eq!(sent, r#"{"id":"x","payload":{"id":7},"scheduled_time":"2026-01-01T00:00:00Z"}"#);
    }

    #[test]
    fn what_is_no_object_is_said_to_be_none() {
        for text in ["[1]", "{\"id\":", "", "{} {}"] {
            let error = fresh(text, "x", now()).expect_err("no object");
            assert!(error.to_string().contains("not a JSON object"), "{error}");
        }
    }
}
