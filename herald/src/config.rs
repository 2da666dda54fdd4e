//! The configuration of a process: every stage's settings, and how the layers make them.

use std::path::PathBuf;

use runtime::{
    config::{Duration, Size},
    listener::Listen,
    telemetry,
};
use serde::{Deserialize, Serialize};

/// The commented default file: it is the defaults.
pub(crate) const DEFAULTS: &str = include_str!("../config.default.toml");

/// Everything that can be configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// The folder of the log and the results.
    pub(crate) data: PathBuf,
    pub(crate) bus: Bus,
    pub(crate) ingest: ingest::Config,
    pub(crate) detector: detector::Config,
    pub(crate) job_runner: job_runner::Config,
    pub(crate) results: results::Config,
    pub(crate) api: Api,
    pub(crate) telemetry: telemetry::Config,
}

/// The embedded bus.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Bus {
    pub(crate) partitions: u32,
    pub(crate) max_bytes: Size,
    pub(crate) keep_bytes: Size,
    pub(crate) keep_age: Duration,
}

/// The API's listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Api {
    pub(crate) listen: Listen,
}

impl Config {
    /// What the embedded bus is told.
    pub(crate) fn embedded(&self) -> bus::embedded::Config {
        bus::embedded::Config {
            folder: self.data.clone(),
            partitions: self.bus.partitions.max(1),
            max_bytes: self.bus.max_bytes.bytes(),
            keep_bytes: self.bus.keep_bytes.bytes(),
            keep_age: self.bus.keep_age.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_defaults_of_every_stage() {
        let config: Config = runtime::config::load(runtime::config::Layers::new(DEFAULTS)).expect("the defaults");
        let same = |a: &dyn erased::Json, b: &dyn erased::Json| assert_eq!(a.json(), b.json());
        let ingest = ingest::Config { listen: config.ingest.listen.clone(), ..ingest::Config::default() };
        same(&config.ingest, &ingest);
        same(&config.detector, &detector::Config::default());
        same(&config.job_runner, &job_runner::Config::default());
        let results = results::Config { path: config.results.path.clone(), ..results::Config::default() };
        same(&config.results, &results);
        let embedded = bus::embedded::Config::new(".herald");
        assert_eq!(format!("{:?}", config.embedded()), format!("{embedded:?}"));
    }

    mod erased {
        pub(super) trait Json {
            fn json(&self) -> serde_json::Value;
        }
        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> serde_json::Value {
                serde_json::to_value(self).expect("settings are plain data")
            }
        }
    }
}
