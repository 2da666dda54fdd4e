//! What the topics of a cluster are, what they are to be, and how one becomes the other.
//!
//! [`plan`] compares, and is pure; [`Admin`] asks and carries out. It has clients of its own, so that tools need no bus, and
//! never creates a topic by asking for it. [`doctor`] says what is wrong with a cluster, or will be.

mod acl;
mod apply;
pub mod doctor;
mod drain;
mod existing;
mod heard;
pub mod plan;
mod version;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

pub use acl::{Acl, Grant, Resource, roles, team};
pub use apply::Done;
pub use drain::Undrained;
pub(crate) use drain::{Failure, Found, Unread, committed, first};
pub use existing::{Broker, Cluster, Existing, Replicas, Setting, Settings};
pub use heard::Trouble;
pub(crate) use heard::{Features, Heard};
pub use plan::Plan;

use bus::{Topic, TopicSpec};
use kafka::{
    Config, blocking,
    client::{configured, reading, strict},
    codec::Names,
    layout::LayoutError,
};

/// How long a question may take, connecting included.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);
/// How many topics are asked for at once.
const AT_ONCE: usize = 500;

/// Why the cluster could not be asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The layout of topics cannot be used.
    #[error("the layout of topics cannot be used: {0}")]
    Layout(#[from] LayoutError),
    /// librdkafka does not take the configuration.
    #[error("the configuration of Kafka cannot be used: {0}")]
    Config(String),
    /// No broker answers.
    #[error("no broker of {brokers} answers: {reason}; `herald doctor` looks into it")]
    Unreachable {
        /// Who was asked.
        brokers: String,
        /// The last thing that librdkafka said.
        reason: String,
    },
    /// A broker answered, and refused.
    #[error("{doing}: the cluster refuses: {reason}")]
    Refused {
        /// What was to be done.
        doing: String,
        /// What it said.
        reason: String,
    },
}

/// Opens a cluster to look at its topics and to change them.
pub struct Admin {
    config: Config,
    names: Names,
    heard: Heard,
    admin: AdminClient<DefaultClientContext>,
    observer: Arc<BaseConsumer<Heard>>,
}

impl Admin {
    /// Sets up the clients; nothing is dialled yet.
    ///
    /// # Errors
    /// The layout or the configuration cannot be used.
    pub fn open(config: &Config) -> Result<Self, Error> {
        config.layout.check()?;
        if config.brokers.is_empty() {
            return Err(Error::Config("`bus.kafka.brokers` names no broker".to_owned()));
        }
        let heard = Heard::default();
        let admin = configured(config, &[], &[]).create().map_err(|error| Error::Config(error.to_string()))?;
        let observer = observer(config, heard.clone())?;
        let names = Names::new(&config.prefix);
        Ok(Self { config: config.clone(), names, heard, admin, observer: Arc::new(observer) })
    }

    /// What a topic is called on the cluster.
    pub fn full_name(&self, topic: &Topic) -> String {
        self.names.outer(topic.as_str())
    }

    /// The brokers and every topic, whoever it belongs to; without settings.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn cluster(&self) -> Result<Cluster, Error> {
        let observer = self.observer.clone();
        let asked = blocking(move || {
            let answer = observer.fetch_metadata(None, ANSWER).map(|metadata| Cluster::of(&metadata));
            hear(&observer);
            answer
        });
        asked.await.map_err(|error| self.unreachable(&error.to_string()))?.map_err(|error| self.failed("", &error))
    }

    /// The topics of these that exist, with their settings.
    ///
    /// # Errors
    /// Nobody answers, or settings may not be read.
    pub async fn existing(&self, specs: &[TopicSpec]) -> Result<BTreeMap<Topic, Existing>, Error> {
        let mut cluster = self.cluster().await?;
        let mut found: BTreeMap<Topic, Existing> = specs
            .iter()
            .filter_map(|spec| Some((spec.topic.clone(), cluster.topics.remove(&self.full_name(&spec.topic))?)))
            .collect();
        let topics: Vec<Topic> = found.keys().cloned().collect();
        for (topic, settings) in self.settings(&topics).await? {
            if let Some(existing) = found.get_mut(&topic) {
                existing.settings = settings;
            }
        }
        Ok(found)
    }

    /// The settings of topics; one that was deleted meanwhile is left out.
    pub(crate) async fn settings(&self, topics: &[Topic]) -> Result<Vec<(Topic, Settings)>, Error> {
        let mut all = Vec::with_capacity(topics.len());
        for topics in topics.chunks(AT_ONCE) {
            let names: Vec<String> = topics.iter().map(|topic| self.full_name(topic)).collect();
            let specifiers: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
            let doing = "reading the settings of topics";
            let results = self.admin.describe_configs(&specifiers, &options()).await;
            for (topic, result) in topics.iter().zip(results.map_err(|error| self.failed(doing, &error))?) {
                match result {
                    Ok(resource) => all.push((topic.clone(), existing::settings(&resource))),
                    Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {}
                    Err(code) => return Err(self.refused(format!("{doing} (`{topic}`)"), &code)),
                }
            }
        }
        Ok(all)
    }

    pub(crate) async fn broker_settings(&self, broker: i32) -> Result<Settings, Error> {
        let doing = "reading the settings of the brokers";
        let results = self.admin.describe_configs(&[ResourceSpecifier::Broker(broker)], &options()).await;
        match results.map_err(|error| self.failed(doing, &error))?.pop() {
            Some(Ok(resource)) => Ok(existing::settings(&resource)),
            Some(Err(code)) => Err(self.refused(doing, &code)),
            None => Err(self.refused(doing, &"it said nothing")),
        }
    }

    /// Which topics are needed and what is to be done, or kept from being done, about each. `drained` are those whose
    /// groups the caller promises to have stopped: [`Admin::apply`] holds him to it.
    ///
    /// # Errors
    /// Nobody answers, or settings may not be read.
    pub async fn plan(&self, specs: &[TopicSpec], drained: &[Topic]) -> Result<Plan, Error> {
        let existing = self.existing(specs).await?;
        Ok(plan::of(
            &plan::Wanted { layout: &self.config.layout, prefix: &self.config.prefix, specs, drained },
            &existing,
        ))
    }

    pub(crate) fn client(&self) -> &AdminClient<DefaultClientContext> {
        &self.admin
    }

    pub(crate) fn observer(&self) -> &Arc<BaseConsumer<Heard>> {
        &self.observer
    }

    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// An error of librdkafka while doing something: nobody answers, or somebody refuses.
    pub(crate) fn failed(&self, doing: &str, error: &KafkaError) -> Error {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(
                Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::SSL
                | Code::Authentication
                | Code::MessageTimedOut,
            ) => self.unreachable(&error.to_string()),
            Some(code) => self.refused(doing, &code),
            None => self.refused(doing, error),
        }
    }

    fn unreachable(&self, error: &str) -> Error {
        // "Timed out" says nothing; what went wrong on the way does.
        let last = self.heard.troubles().pop();
        let reason = last.map_or_else(|| error.to_owned(), |trouble| trouble.reason);
        Error::Unreachable { brokers: self.config.brokers.join(","), reason }
    }

    pub(crate) fn refused(&self, doing: impl Into<String>, reason: &(impl ToString + ?Sized)) -> Error {
        Error::Refused { doing: doing.into(), reason: reason.to_string() }
    }
}

/// A client in no group that reads uncommitted, so that an end includes open transactions.
pub(crate) fn observer(config: &Config, heard: Heard) -> Result<BaseConsumer<Heard>, Error> {
    let mut required = strict();
    required.push(("isolation.level", "read_uncommitted".to_owned()));
    client(config, heard, required, &[])
}

/// A client that reads committed, as every group of Herald does, by the name of a group that it never joins: librdkafka
/// assigns nothing to one without.
pub(crate) fn reader(config: &Config, heard: Heard, group: &str) -> Result<BaseConsumer<Heard>, Error> {
    let mut required = strict();
    required.push(("isolation.level", "read_committed".to_owned()));
    client(config, heard, required, &[("group.id", group), ("enable.partition.eof", "true")])
}

/// The name for [`reader`] of who reads for himself.
pub(crate) fn nobody(config: &Config) -> String {
    format!("{}doctor", config.prefix)
}

fn client(
    config: &Config,
    heard: Heard,
    mut required: Vec<(&'static str, String)>,
    more: &[(&str, &str)],
) -> Result<BaseConsumer<Heard>, Error> {
    // What the brokers can do is told by librdkafka's words alone.
    required.push(("debug", "feature".to_owned()));
    let mut client: ClientConfig = configured(config, &reading(1024 * 1024), &required);
    for (key, value) in more {
        client.set(*key, *value);
    }
    client.set_log_level(rdkafka::config::RDKafkaLogLevel::Debug);
    client.create_with_context(heard).map_err(|error| Error::Config(error.to_string()))
}

/// Asks again what a broker could not answer just now: leaders that move, coordinators that are being found.
pub(crate) fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    use RDKafkaErrorCode as Code;
    let begun = Instant::now();
    loop {
        match ask() {
            Err(error) if begun.elapsed() < ANSWER => match error.rdkafka_error_code() {
                Some(
                    Code::NotLeaderForPartition
                    | Code::LeaderNotAvailable
                    | Code::OffsetNotAvailable
                    | Code::UnstableOffsetCommit
                    | Code::NotCoordinator
                    | Code::CoordinatorNotAvailable
                    | Code::CoordinatorLoadInProgress,
                ) => std::thread::sleep(Duration::from_millis(100)),
                _ => return Err(error),
            },
            answer => return answer,
        }
    }
}

/// Takes what librdkafka has to say, which only a poll brings.
pub(crate) fn hear(client: &BaseConsumer<Heard>) {
    let begun = Instant::now();
    // It ends with the first call that finds nothing; the bound is for a client that never falls silent.
    while client.poll(Duration::from_millis(5)).is_some() && begun.elapsed() < Duration::from_secs(1) {}
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}
