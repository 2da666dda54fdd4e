//! What the detector is told.

use serde::{Deserialize, Serialize};

/// The detector's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// For how long an id is recognised, by the records' own times.
    pub window: runtime::config::Duration,
    /// How many recent ids a partition remembers at most; 48 bytes each. Where this cuts the window, the log says so.
    pub ids: usize,
    /// How many cascades deep an invocation may be; deeper it is refused, so that a loop ends and is seen.
    pub max_depth: u32,
    /// What stands before `/v1/schemas/{event}/{version}` in `dataschema`.
    pub schemas_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: runtime::config::Duration::secs(3600),
            ids: 1_000_000,
            max_depth: 16,
            schemas_url: "http://127.0.0.1:8081".into(),
        }
    }
}
