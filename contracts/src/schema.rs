//! The JSON Schemas of everything that travels, for consumers in other languages.

use schemars::{Schema, schema_for};

use crate::{
    cloud_event::CloudEvent, control, dead::DeadLetter, found::Found, lane, payload, progress, raw, rejected::Rejected,
    summary::Summary, why::Why,
};

/// Every wire type's name and schema.
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("cloud-event", schema_for!(CloudEvent<'static>)),
        ("control", schema_for!(control::Record)),
        ("control-letters", schema_for!(control::Letters)),
        ("control-rerun", schema_for!(control::Rerun)),
        ("dead-letter", schema_for!(DeadLetter)),
        ("found", schema_for!(Found)),
        ("hasura-event", schema_for!(payload::EventPayload)),
        ("hasura-scheduled", schema_for!(payload::ScheduledPayload)),
        ("hasura-action", schema_for!(payload::ActionPayload)),
        ("lane-state", schema_for!(lane::State)),
        ("progress-awaited", schema_for!(progress::Awaited)),
        ("progress-detected", schema_for!(progress::Detected)),
        ("progress-duplicate", schema_for!(progress::Duplicate)),
        ("progress-job", schema_for!(progress::JobStep)),
        ("progress-occurrence", schema_for!(progress::Occurrence)),
        ("progress-refused", schema_for!(progress::Refused)),
        ("raw-kind", schema_for!(raw::Kind)),
        ("rejected", schema_for!(Rejected)),
        ("summary", schema_for!(Summary)),
        ("why", schema_for!(Why)),
    ]
}

#[cfg(test)]
mod tests {
    /// The schemas are committed under `contracts/schemas`; regenerate with `HERALD_BLESS=1`.
    #[test]
    fn committed_schemas_are_those_of_the_types() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        for (name, schema) in super::all() {
            let path = folder.join(format!("{name}.json"));
            let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
            if std::env::var_os("HERALD_BLESS").is_some() {
                std::fs::write(&path, &text).expect("write a schema");
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(committed, text, "{} drifted; run with HERALD_BLESS=1", path.display());
        }
    }
}
