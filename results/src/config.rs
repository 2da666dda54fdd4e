//! What can be configured of the stage.

use std::path::PathBuf;

use runtime::config::{Duration, Size};
use serde::{Deserialize, Serialize};

/// What to do when the bus no longer has the records that the store's position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterLoss {
    /// Stop with an error: nothing is passed over without somebody deciding so.
    #[default]
    Stop,
    /// Say what is missing and go on with the oldest record that is there.
    Continue,
}

/// The settings of results.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The SQLite file of the store; its folder is created.
    pub path: PathBuf,
    /// How long after it was received an unfinished invocation is completed as incomplete.
    pub deadline: Duration,
    /// How long invocations are kept after they were received; an open one stays until its deadline.
    pub keep: Duration,
    /// How many invocations are kept at most; the oldest go first.
    pub keep_count: u64,
    /// How many bytes of progress are gathered, at most, while a transaction is under way.
    pub batch_size: Size,
    /// How many bytes of open invocations are remembered beside the file.
    pub memory: Size,
    /// What to do when records of `progress` were deleted before they were read.
    pub after_loss: AfterLoss,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/results.db"),
            deadline: Duration::secs(24 * 3600),
            keep: Duration::secs(7 * 24 * 3600),
            keep_count: 2_000_000,
            batch_size: Size::mib(8),
            memory: Size::mib(64),
            after_loss: AfterLoss::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_carry_units_and_unknown_keys_are_refused() {
        let config: Config = serde_json::from_str(r#"{"deadline": "90m", "memory": "1MiB"}"#).expect("a configuration");
        assert_eq!((config.deadline, config.memory.len()), (Duration::secs(5400), 1 << 20));
        for bad in [r#"{"deadline": "soon"}"#, r#"{"deadline": "-1h"}"#, r#"{"dead": 1}"#, r#"{"after-loss": "x"}"#] {
            assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
        }
    }
}
