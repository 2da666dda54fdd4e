//! The configuration of a process: every stage's settings, and how the layers make them.

mod bounds;
mod kafka;
mod topics;
mod values;

use std::{fmt, net::SocketAddr, path::PathBuf};

use runtime::{
    config::{Auth, Duration, Layers, Places, Size, deserialize_optional_address, load, secret_variables},
    listener::Listen,
    telemetry,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::kafka::expiry;
use crate::cli::BusOptions;
use client::exit::Usage;

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
    pub(crate) health: Health,
    pub(crate) telemetry: telemetry::Config,
    /// Where all of it was set.
    #[serde(skip)]
    places: Places,
}

/// Which bus there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// One SQLite file, for one process.
    Embedded,
    /// Apache Kafka, for many.
    Kafka,
}

/// The bus: which one, and the settings of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Bus {
    pub(crate) kind: Kind,
    pub(crate) partitions: u32,
    pub(crate) max_bytes: Size,
    pub(crate) keep_bytes: Size,
    pub(crate) keep_age: Duration,
    pub(crate) kafka: kafka::Kafka,
}

/// The API's listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Api {
    pub(crate) listen: Listen,
}

/// The listener for the health of a role that serves no API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Health {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_optional_address")]
    pub(crate) address: Option<SocketAddr>,
}

impl Health {
    /// The listener, where one is wanted. What it says is no secret.
    pub(crate) fn listen(&self) -> Option<Listen> {
        self.address.map(|address| Listen { address, auth: Auth::None, max_connections: 64, ..Listen::default() })
    }
}

/// The layers that every process has: the defaults, the file, the environment, and the flags that choose the bus.
///
/// # Errors
/// The environment cannot be read.
pub(crate) fn layers(options: &BusOptions) -> Result<Layers, Usage> {
    let layers = Layers::new(DEFAULTS).file(options.config.as_deref());
    let mut layers = layers.process_env().map_err(|error| Usage(error.to_string()))?;
    for (flag, key, value) in [
        ("--bus", "bus.kind", &options.bus),
        ("--brokers", "bus.kafka.brokers", &options.brokers),
        ("--prefix", "bus.kafka.prefix", &options.prefix),
        ("--instance", "bus.kafka.instance", &options.instance),
    ] {
        if let Some(value) = value {
            layers = layers.flag(flag, key, value);
        }
    }
    Ok(layers)
}

impl Config {
    /// Reads the layers.
    ///
    /// # Errors
    /// A setting is wrong; the text names it.
    pub(crate) fn load(layers: Layers) -> Result<Self, Usage> {
        let usage = |error: runtime::config::ConfigError| Usage(error.to_string());
        let secrets = secret_variables(&layers).map_err(usage)?;
        let places = Places::of(&layers).map_err(usage)?;
        let config = Self { places, ..load(layers).map_err(usage)? };
        let is_secret = |name: &&String| name.starts_with("HERALD_") || secrets.contains(name.as_str());
        if let Some(name) = config.job_runner.environment.iter().find(is_secret) {
            return Err(config.refuse(format!(
                "`job-runner.environment` names `{name}`, which is Herald's own or holds one of its secrets; no job gets \
                 it: give jobs a variable of their own"
            )));
        }
        config.check_bounds()?;
        Ok(config)
    }

    /// That a setting cannot be used, with where it was set, for an error that begins with it.
    pub(crate) fn refuse(&self, error: impl fmt::Display) -> Usage {
        Usage(self.places.told(&error.to_string()))
    }

    /// What the Kafka bus is told, for a process of that role: checked, and nothing dialled.
    ///
    /// # Errors
    /// A setting is wrong; the text names it.
    pub(crate) fn kafka(&self, role: &str) -> Result<::kafka::Config, Usage> {
        let kafka = &self.bus.kafka;
        kafka.check(self.ingest.publish_timeout).map_err(|error| self.refuse(error))?;
        kafka.told(role).map_err(|error| self.refuse(error))
    }

    /// What the embedded bus is told.
    pub(crate) fn embedded(&self) -> bus::embedded::Config {
        bus::embedded::Config {
            folder: self.data.clone(),
            partitions: self.bus.partitions,
            max_bytes: self.bus.max_bytes.bytes(),
            keep_bytes: self.bus.keep_bytes.bytes(),
            keep_age: self.bus.keep_age.get(),
        }
    }
}

#[cfg(test)]
mod tests;
