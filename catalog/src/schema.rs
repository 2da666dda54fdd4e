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
            (&job, "", &no_id),
            (&job, "/properties/parameters/additionalProperties/anyOf/1", keys::PARAMETER),
            (&job, "/properties/backoff", keys::BACKOFF),
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
