//! The configuration of a process: every stage's settings, and how the layers make them.

mod bounds;
mod kafka;
mod needed;
mod topics;
mod values;

use std::{fmt, net::SocketAddr, path::PathBuf};

use clap::Args;
use runtime::{
    config::{Auth, Duration, Layers, Places, Size, deserialize_optional_address, load, secret_variables},
    listener::Listen,
    telemetry,
};
use serde::{Deserialize, Serialize};

pub use self::{
    kafka::expiry,
    needed::{base_topics, kafka_topics},
};
use client::exit::Usage;

/// The commented default file: it is the defaults.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Everything that can be configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The folder of the log and the results.
    pub data: PathBuf,
    pub bus: Bus,
    pub ingest: ingest::Config,
    pub detector: detector::Config,
    pub job_runner: job_runner::Config,
    pub results: results::Config,
    pub api: Api,
    pub health: Health,
    pub telemetry: telemetry::Config,
    /// Where all of it was set.
    #[serde(skip)]
    places: Places,
}

/// Which bus there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One SQLite file, for one process.
    Embedded,
    /// Apache Kafka, for many.
    Kafka,
}

/// The bus: which one, and the settings of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bus {
    pub kind: Kind,
    pub partitions: u32,
    pub max_bytes: Size,
    pub keep_bytes: Size,
    pub keep_age: Duration,
    pub kafka: kafka::Kafka,
}

/// The API's listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Api {
    pub listen: Listen,
}

/// The listener for the health of a role that serves no API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Health {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_optional_address")]
    pub address: Option<SocketAddr>,
}

impl Health {
    /// The listener, where one is wanted. What it says is no secret.
    pub fn listen(&self) -> Option<Listen> {
        self.address.map(|address| Listen { address, auth: Auth::None, max_connections: 64, ..Listen::default() })
    }
}

/// Which bus, and where it is: for the roles and for the tools that open it. What is absent comes from the configuration
/// file, the environment or the defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct BusOptions {
    /// The bus: embedded, or kafka [default: embedded; kafka with --brokers]
    #[arg(long, value_name = "KIND")]
    pub bus: Option<String>,
    /// Kafka's brokers to begin with, as in a:9092,b:9092
    #[arg(long, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,
    /// What stands before every topic and group [default: herald.]
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Which process of its role this is: the same after a restart, and unique [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// A configuration file; `herald config` prints the default one
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Where a role without the API says how it is.
#[derive(Debug, Clone, Args)]
pub struct HealthOptions {
    /// Where /healthz and /readyz are served [default: nowhere]
    #[arg(long = "health", value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub address: Option<SocketAddr>,
}

/// The layers that every process has: the defaults, the file, the environment, and the flags that choose the bus.
///
/// # Errors
/// The environment cannot be read.
pub fn layers(options: &BusOptions) -> Result<Layers, Usage> {
    let layers = Layers::new(DEFAULTS).file(options.config.as_deref());
    let mut layers = layers.process_env().map_err(|error| Usage(error.to_string()))?;
    // Whoever names brokers means them.
    if options.brokers.is_some() && options.bus.is_none() {
        layers = layers.flag("--brokers", "bus.kind", "kafka");
    }
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
    pub fn load(layers: Layers) -> Result<Self, Usage> {
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
    pub fn refuse(&self, error: impl fmt::Display) -> Usage {
        Usage(self.places.told(&error.to_string()))
    }

    /// What the Kafka bus is told, for a process of that role: checked, and nothing dialled.
    ///
    /// # Errors
    /// A setting is wrong; the text names it.
    pub fn kafka(&self, role: &str) -> Result<kafka_config::Config, Usage> {
        let kafka = &self.bus.kafka;
        kafka.check(self.ingest.publish_timeout).map_err(|error| self.refuse(error))?;
        kafka.told(role).map_err(|error| self.refuse(error))
    }

    /// What the embedded bus is told.
    pub fn embedded(&self) -> bus::embedded::Config {
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
