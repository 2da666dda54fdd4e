//! The JSON Schemas of a catalog's files: what an editor completes and checks. They are declared beside this crate, in
//! `catalog/schemas/`; the keys are held against the reader's here, and what they take and refuse against what `check` does in
//! `tools/src/schemas/tests.rs`. They take whatever the reader takes, with the kinds of jobs that Herald brings.

/// The folders whose files they are of, their names, and their texts: JSON Schema, draft 7, as editors read it.
pub const FILES: [(&str, &str, &str); 3] = [
    ("events", "event.json", include_str!("../schemas/event.json")),
    ("jobs", "job.json", include_str!("../schemas/job.json")),
    ("tables", "table.json", include_str!("../schemas/table.json")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::FILES;
    use crate::files::keys;

    /// What an editor fills in for a number is its default, or else 0.
    fn is_filled_in_well(value: &Value) -> bool {
        let least = value["minimum"].as_f64().filter(|_| value.get("description").is_some());
        let is_well = least.is_none_or(|least| least <= 0.0 || value["default"].as_f64() >= Some(least));
        let within: Vec<&Value> = match value {
            Value::Object(map) => map.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        is_well && within.into_iter().all(is_filled_in_well)
    }

    #[test]
    fn what_an_editor_offers_is_taken() {
        for (_, name, text) in FILES {
            assert!(is_filled_in_well(&serde_json::from_str(text).expect("it is JSON")), "{name}");
        }
        let job: Value = serde_json::from_str(FILES[1].2).expect("it is JSON");
        let method = &job.pointer("/properties/http/anyOf/1/properties/method").expect("a method");
        assert_eq!((&method["default"], &method["anyOf"][0]["enum"][5]), (&"POST".into(), &"HEAD".into()));
    }

    #[test]
    fn the_keys_of_the_schemas_are_those_that_are_read() {
        let schema = |name: &str| -> Value {
            let (.., text) = FILES.iter().find(|(_, known, _)| *known == name).expect("there is one");
            serde_json::from_str(text).expect("it is JSON")
        };
        let (event, job, table) = (schema("event.json"), schema("job.json"), schema("table.json"));
        let kinds = ["command", "http", "log", "publish", "simulate"];
        let no_id: Vec<&str> = keys::JOB.iter().copied().filter(|key| *key != "id").chain(kinds).collect();
        let inline: Vec<&str> = keys::JOB.iter().copied().filter(|key| *key != "parameters").chain(kinds).collect();
        for (schema, at, keys) in [
            (&event, "", keys::EVENT),
            (&event, "/properties/from", keys::FROM),
            (&event, "/definitions/job", &inline),
            (&event, "/definitions/use", keys::USE),
            (&event, "/definitions/test", keys::TEST),
            (&event, "/definitions/test/properties/change", keys::CHANGE),
            (&event, "/definitions/test/properties/scheduled", keys::SCHEDULED),
            (&event, "/definitions/test/properties/action", keys::ACTION),
            (&event, "/properties/otherwise/anyOf/1", keys::OTHERWISE),
            (&job, "", &no_id),
            (&job, "/properties/parameters/additionalProperties/anyOf/1", keys::PARAMETER),
            (&job, "/properties/backoff", keys::BACKOFF),
            (&job, "/properties/debounce", keys::DEBOUNCE),
            (&job, "/properties/rate/anyOf/1", keys::RATE),
            (&job, "/properties/concurrency/anyOf/1", keys::CONCURRENCY),
            (&job, "/properties/circuit/anyOf/1", keys::CIRCUIT),
            (&table, "", keys::TABLE),
            (&table, "/properties/columns/additionalProperties/anyOf/1", keys::COLUMN),
        ] {
            let of = schema.pointer(at).unwrap_or_else(|| panic!("{at}"));
            assert_eq!(of["additionalProperties"], false, "{at}");
            let known: BTreeSet<&str> =
                of["properties"].as_object().expect("a map").keys().map(String::as_str).collect();
            assert_eq!(known, keys.iter().copied().collect(), "{at}");
        }
    }
}
