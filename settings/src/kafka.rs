//! The settings of the Kafka bus: checked before anything is dialled, and what the bus itself is told of them.

use std::time;

use kafka_config::layout::LayoutError;
use runtime::config::{Duration, Size};
use serde::{Deserialize, Serialize};

use super::{
    topics::Topics,
    values::{Brokers, Properties, text},
};

/// How the cluster is reached, and how quickly a failure is noticed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kafka {
    pub brokers: Brokers,
    #[serde(deserialize_with = "text")]
    pub prefix: String,
    #[serde(deserialize_with = "text")]
    pub instance: String,
    pub create_topics: bool,
    pub session_timeout: Duration,
    pub transaction_timeout: Duration,
    pub delivery_timeout: Duration,
    pub revocation: Duration,
    pub fetch_ahead: Size,
    pub properties: Properties,
    pub topics: Topics,
}

/// Why these settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    #[error(
        "`bus.kafka.brokers` names none; give --brokers host:9092, or set it in the configuration file, or as \
         HERALD__BUS__KAFKA__BROKERS"
    )]
    NoBrokers,
    #[error("`bus.kafka.{setting}` is {value}; it must be {expected}")]
    OutOfRange { setting: &'static str, value: String, expected: String },
    #[error("`bus.kafka.properties` sets `{name}`, which Herald sets itself: {why}; take it out")]
    Owned { name: String, why: &'static str },
    #[error("`bus.kafka.topics`: {0}")]
    Layout(#[from] LayoutError),
    #[error("`bus.kafka.instance` is empty and the host's name cannot be read: {0}; set it, or give --instance")]
    NoHostName(std::io::Error),
}

fn out_of_range(setting: &'static str, value: impl std::fmt::Display, expected: impl Into<String>) -> Wrong {
    Wrong::OutOfRange { setting, value: value.to_string(), expected: expected.into() }
}

impl Kafka {
    /// Checks what can be checked without a broker. `publish_timeout` is ingest's.
    ///
    /// # Errors
    /// [`Wrong`] names the setting, and says what it may be.
    pub fn check(&self, publish_timeout: Duration) -> Result<(), Wrong> {
        if self.brokers.list().is_empty() {
            return Err(Wrong::NoBrokers);
        }
        let is_named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.prefix.len() > 60 || !self.prefix.chars().all(is_named) {
            let expected = "at most 60 letters, digits, '.', '_' or '-', as in `herald.`";
            return Err(out_of_range("prefix", format!("{:?}", self.prefix), expected));
        }
        let within = |setting, value: Duration, (least, most): (u64, u64)| {
            if (Duration::secs(least)..=Duration::secs(most)).contains(&value) {
                return Ok(());
            }
            let expected = format!("between {} and {}", Duration::secs(least), Duration::secs(most));
            Err(out_of_range(setting, value, expected))
        };
        within("session-timeout", self.session_timeout, (1, 300))?;
        within("transaction-timeout", self.transaction_timeout, (1, 900))?;
        within("delivery-timeout", self.delivery_timeout, (1, 900))?;
        within("revocation", self.revocation, (1, 240))?;
        if self.delivery_timeout >= publish_timeout {
            // Else a webhook would be told "not yet" about a record that may still be written later.
            let expected = format!("below `ingest.publish-timeout`, which is {publish_timeout}");
            return Err(out_of_range("delivery-timeout", self.delivery_timeout, expected));
        }
        if self.delivery_timeout > self.transaction_timeout {
            let expected = format!("at least `bus.kafka.delivery-timeout`, which is {}", self.delivery_timeout);
            return Err(out_of_range("transaction-timeout", self.transaction_timeout, expected));
        }
        if self.fetch_ahead < Size::kib(64) {
            return Err(out_of_range("fetch-ahead", self.fetch_ahead, "at least 64KiB"));
        }
        self.topics.layout().check()?;
        let owned = |name: &&str| kafka_config::OWNED.iter().find(|(owned, _)| owned == name);
        match self.properties.names().find_map(|name| owned(&name)) {
            Some((name, why)) => Err(Wrong::Owned { name: (*name).to_owned(), why }),
            None => Ok(()),
        }
    }

    /// What the bus is told, for a process of that role.
    ///
    /// # Errors
    /// [`Wrong::NoHostName`].
    pub fn told(&self, role: &str) -> Result<kafka_config::Config, Wrong> {
        Ok(kafka_config::Config {
            brokers: self.brokers.list().to_vec(),
            prefix: self.prefix.clone(),
            role: role.to_owned(),
            instance: self.instance()?,
            create_topics: self.create_topics,
            session_timeout: self.session_timeout.get(),
            transaction_timeout: self.transaction_timeout.get(),
            delivery_timeout: self.delivery_timeout.get(),
            revocation: self.revocation.get(),
            fetch_ahead: self.fetch_ahead.len(),
            layout: self.topics.layout(),
            properties: self.properties.exposed(),
        })
    }

    /// Which process of its role this is: as configured, else the host's name.
    fn instance(&self) -> Result<String, Wrong> {
        match self.instance.trim() {
            "" => host_name().map_err(Wrong::NoHostName),
            given => Ok(given.to_owned()),
        }
    }
}

fn host_name() -> std::io::Result<String> {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().trim().to_owned();
    if name.is_empty() { Err(std::io::Error::other("it is empty")) } else { Ok(name) }
}

/// How long a restart may have to wait for what its predecessor left: its membership, and a little.
pub fn expiry(kafka: &Kafka) -> time::Duration {
    kafka.session_timeout.get() + time::Duration::from_secs(2)
}
