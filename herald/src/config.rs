//! The configuration of a process: every stage's settings, and how the layers make them.

mod kafka;
mod topics;
mod values;

use std::{net::SocketAddr, path::PathBuf};

use runtime::{
    config::{Auth, Duration, Layers, Size, deserialize_optional_address, load, secret_variables},
    listener::Listen,
    telemetry,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::kafka::expiry;
use crate::{cli::BusOptions, exit::Usage};

/// The commented default file: it is the defaults.
pub(crate) const DEFAULTS: &str = include_str!("../config.default.toml");

/// The smallest embedded bus, in bytes: it takes some records of the largest kind.
const LEAST_BUS: u64 = 16 * 1024 * 1024;
/// The most partitions of a topic of the embedded bus: each is a task and a row of every group.
const MOST_PARTITIONS: u64 = 256;
/// The most invocations that the detector remembers: 5 GB of them.
const MOST_IDS: u64 = 100_000_000;

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
    let layers = Layers::new(DEFAULTS).file(options.config.as_deref().filter(|path| !path.as_os_str().is_empty()));
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
        let config: Self = load(layers).map_err(usage)?;
        let is_secret = |name: &&String| name.starts_with("HERALD_") || secrets.contains(name.as_str());
        if let Some(name) = config.job_runner.environment.iter().find(is_secret) {
            return Err(Usage(format!(
                "`job-runner.environment` names `{name}`, which is Herald's own or holds one of its secrets; no job gets \
                 it: give jobs a variable of their own"
            )));
        }
        config.check_bounds().map_err(Usage)?;
        Ok(config)
    }

    /// The settings with which nothing would go through, or which no machine could bear, each by its name.
    fn check_bounds(&self) -> Result<(), String> {
        let millis = |time: Duration| u64::try_from(time.get().as_millis()).unwrap_or(u64::MAX);
        let least = |name: String, value: u64, least: u64, unit: &str| {
            (value < least).then(|| format!("`{name}` must be at least {least}{unit}"))
        };
        let most =
            |name: &str, value: u64, most: u64| (value > most).then(|| format!("`{name}` can be at most {most}"));
        let listeners = [("ingest.listen", &self.ingest.listen), ("api.listen", &self.api.listen)];
        let of_listeners = listeners.into_iter().flat_map(|(name, listen)| {
            [
                least(format!("{name}.max-connections"), listen.max_connections as u64, 1, ""),
                least(format!("{name}.header-timeout"), millis(listen.header_timeout), 1, "ms"),
                least(format!("{name}.write-timeout"), millis(listen.write_timeout), 1, "ms"),
            ]
        });
        let others = [
            ("bus.partitions", u64::from(self.bus.partitions), 1, ""),
            ("bus.max-bytes", self.bus.max_bytes.bytes(), LEAST_BUS, " bytes (16MiB)"),
            ("detector.ids", self.detector.ids as u64, 1, ""),
            ("job-runner.queue-records", self.job_runner.queue_records as u64, 1, ""),
            ("job-runner.queue-bytes", self.job_runner.queue_bytes.bytes(), 1, " byte"),
            ("results.keep", millis(self.results.keep), 1, "ms"),
            ("results.keep-count", self.results.keep_count, 1, ""),
            ("results.deadline", millis(self.results.deadline), 1, "ms"),
        ];
        let others = others.map(|(name, value, bound, unit)| least(name.to_owned(), value, bound, unit));
        let upper = [
            most("bus.partitions", u64::from(self.bus.partitions), MOST_PARTITIONS),
            most("detector.ids", self.detector.ids as u64, MOST_IDS),
        ];
        let url = &self.detector.schemas_url;
        let is_url = url.split_once("://").is_some_and(|(scheme, rest)| {
            matches!(scheme, "http" | "https") && !rest.is_empty() && url.parse::<axum::http::Uri>().is_ok()
        });
        let wrong_url =
            (!is_url).then(|| format!("`detector.schemas-url` must be an http or https URL, and is `{url}`"));
        let paths = [("data", &self.data), ("results.path", &self.results.path)];
        let empty = paths.map(|(name, path)| path.as_os_str().is_empty().then(|| format!("`{name}` names no path")));
        let all = of_listeners.chain(others).chain(upper).chain([wrong_url]).chain(empty);
        let wrong: Vec<String> = all.flatten().collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(format!("{}; leave it out for the default, which `herald config` shows", wrong.join("; ")))
    }

    /// What the Kafka bus is told, for a process of that role: checked, and nothing dialled.
    ///
    /// # Errors
    /// A setting is wrong; the text names it.
    pub(crate) fn kafka(&self, role: &str) -> Result<::kafka::Config, Usage> {
        let kafka = &self.bus.kafka;
        kafka.check(self.ingest.publish_timeout).map_err(|error| Usage(error.to_string()))?;
        kafka.told(role).map_err(|error| Usage(error.to_string()))
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
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_defaults_of_every_stage() {
        let config = Config::load(Layers::new(DEFAULTS)).expect("the defaults");
        let same = |a: &dyn erased::Json, b: &dyn erased::Json| assert_eq!(a.json(), b.json());
        let ingest = ingest::Config { listen: config.ingest.listen.clone(), ..ingest::Config::default() };
        same(&config.ingest, &ingest);
        same(&config.detector, &detector::Config::default());
        same(&config.job_runner, &job_runner::Config::default());
        let results = results::Config { path: config.results.path.clone(), ..results::Config::default() };
        same(&config.results, &results);
        let embedded = bus::embedded::Config::new(".herald");
        assert_eq!(format!("{:?}", config.embedded()), format!("{embedded:?}"));
        assert_eq!(config.bus.kind, Kind::Embedded);
        let told = config.bus.kafka.told("detector").expect("the host has a name");
        assert!(!told.instance.is_empty(), "without an instance it is the host's name");
        let kafka = ::kafka::Config::new([""; 0]);
        let kafka = ::kafka::Config { role: "detector".into(), instance: told.instance.clone(), ..kafka };
        assert_eq!(format!("{told:?}"), format!("{kafka:?}"));
    }

    #[test]
    fn no_variable_that_holds_a_secret_is_given_to_jobs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("herald.toml");
        let load = |environment: &str| {
            // PATH is a variable that is certainly set.
            let secrets = "[ingest.listen]\nauth = [\"written\", { env = \"PATH\" }]\n";
            std::fs::write(&path, format!("{secrets}[job-runner]\nenvironment = [{environment}]\n")).expect("written");
            Config::load(Layers::new(DEFAULTS).file(Some(&path)))
        };
        assert_eq!(load("\"PGHOST\"").expect("usable").job_runner.environment, ["PGHOST"]);
        for secret in ["PATH", "HERALD_API_TOKEN"] {
            let error = load(&format!("\"PGHOST\", \"{secret}\"")).expect_err("refused").to_string();
            assert!(error.starts_with(&format!("`job-runner.environment` names `{secret}`")), "{error}");
        }
    }

    #[test]
    fn settings_that_let_nothing_through_are_all_named() {
        let load = |env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, value)| (format!("HERALD__{name}"), (*value).to_owned()));
            Config::load(Layers::new(DEFAULTS).env(env)).map_err(|error| error.to_string())
        };
        let error = load(&[("DETECTOR__IDS", "0"), ("INGEST__LISTEN__WRITE_TIMEOUT", "0s"), ("BUS__PARTITIONS", "0")])
            .expect_err("unusable");
        let named =
            "`ingest.listen.write-timeout` must be at least 1ms; `bus.partitions` must be at least 1; `detector.ids`";
        assert!(error.starts_with(named), "{error}");
        for (name, value, says) in [
            ("BUS__PARTITIONS", "100000", "`bus.partitions` can be at most"),
            ("BUS__MAX_BYTES", "1B", "`bus.max-bytes` must be at least"),
            ("DETECTOR__IDS", "999999999999", "`detector.ids` can be at most"),
            ("DETECTOR__SCHEMAS_URL", "ftp://x", "`detector.schemas-url` must be an http"),
            ("DETECTOR__SCHEMAS_URL", "http://", "`detector.schemas-url` must be an http"),
            ("RESULTS__DEADLINE", "0s", "`results.deadline` must be at least"),
            ("RESULTS__PATH", "", "`results.path` names no path"),
            ("DATA", "", "`data` names no path"),
        ] {
            let error = load(&[(name, value)]).expect_err(name);
            assert!(error.starts_with(says), "{error}");
        }
        load(&[("DETECTOR__WINDOW", "0s"), ("JOB_RUNNER__QUEUE_RECORDS", "1")]).expect("usable");
    }

    fn with(settings: &str) -> Result<::kafka::Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("herald.toml");
        std::fs::write(&path, format!("[bus.kafka]\nbrokers = \"a:9092, b:9092\"\n{settings}")).expect("written");
        let config = Config::load(Layers::new(DEFAULTS).file(Some(&path)));
        config.and_then(|config| config.kafka("ingest")).map_err(|error| error.to_string())
    }

    #[test]
    fn brokers_are_a_text_or_a_list_and_must_be_named() {
        assert_eq!(with("").expect("usable").brokers, ["a:9092", "b:9092"]);
        let flags =
            BusOptions { brokers: Some("c:1,d:2".into()), instance: Some("007".into()), ..BusOptions::default() };
        let told = Config::load(layers(&flags).expect("layers")).and_then(|config| config.kafka("x")).expect("usable");
        assert_eq!((told.brokers, told.instance.as_str()), (vec!["c:1".to_owned(), "d:2".to_owned()], "007"));
        let flags = BusOptions { instance: Some("7".into()), ..BusOptions::default() };
        let config = Config::load(layers(&flags).expect("layers")).expect("a configuration");
        assert_eq!(config.bus.kafka.instance, "7");
        assert!(config.kafka("x").expect_err("no brokers").to_string().contains("--brokers"));
    }

    #[test]
    fn properties_are_passed_through_however_they_are_written() {
        let told = with(
            "[bus.kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\n\
             sasl.password = { env = \"PATH\" }\nfetch.wait.max.ms = 20\nsocket.keepalive.enable = true\n",
        )
        .expect("usable");
        let path = std::env::var("PATH").expect("a path");
        for (name, value) in [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.password", path.trim()),
            ("fetch.wait.max.ms", "20"),
            ("socket.keepalive.enable", "true"),
        ] {
            assert_eq!(told.properties.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!format!("{told:?}").contains(path.trim()), "a secret shows itself");
        let env = |name: &str, value: &str| (format!("HERALD__BUS__KAFKA__PROPERTIES__{name}"), value.to_owned());
        let layers = Layers::new(DEFAULTS).env([env("SASL_PASSWORD", "007"), env("DEBUG", "cgrp")]);
        let config = Config::load(layers).expect("a configuration");
        let exposed = config.bus.kafka.properties.exposed();
        assert_eq!(exposed.get("sasl.password").map(String::as_str), Some("007"));
        assert_eq!(exposed.len(), 2);
        assert!(!format!("{config:?}").contains("007") && !serde_json::json!(config).to_string().contains("007"));
    }

    #[test]
    fn a_property_that_is_ours_is_refused_by_name() {
        for name in ["transactional.id", "group.id", "isolation.level", "auto.offset.reset", "acks"] {
            let error = with(&format!("[bus.kafka.properties]\n{name} = \"x\"\n")).expect_err("ours");
            assert!(error.contains(&format!("`{name}`")) && error.contains("take it out"), "{error}");
        }
    }

    #[test]
    fn times_that_cannot_work_are_refused_with_what_they_may_be() {
        for (settings, part) in [
            ("delivery-timeout = \"5s\"", "below `ingest.publish-timeout`"),
            ("transaction-timeout = \"3s\"", "at least `bus.kafka.delivery-timeout`"),
            ("session-timeout = \"500ms\"", "between 1s and 5m"),
            ("prefix = \"a b\"", "`bus.kafka.prefix`"),
            ("[bus.kafka.topics.raw]\npartitions = 0", "the topics of `raw` have no partitions"),
            ("[bus.kafka.topics.table]\nretention = \"7d\"", "keeps the last of each key for ever"),
            ("[bus.kafka.topics.raw]\nretention = \"0s\"", "nothing would be kept"),
        ] {
            let error = with(settings).expect_err(settings);
            assert!(error.contains(part), "{settings}: {error}");
        }
        let told = with(
            "[bus.kafka.topics]\nraw = { partitions = 12 }\nevent = { retention = \"forever\" }\n\
             names.\"event.move.*\" = { partitions = 24 }\n[bus.kafka.topics.config]\nmin.insync.replicas = 2\n",
        )
        .expect("usable");
        let plan = |topic: &str| told.layout.plan(&bus::TopicSpec::new(topic));
        assert_eq!(plan("event.move.new").partitions, 24);
        assert_eq!((plan("raw").partitions, plan("seen").partitions, plan("event.a").partitions), (12, 12, 6));
        assert_eq!(plan("event.a").config.get("retention.ms").map(String::as_str), Some("-1"));
        assert_eq!(plan("raw").config.get("min.insync.replicas").map(String::as_str), Some("2"));
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
