//! What the Kafka bus is told.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::layout::Layout;

/// How the cluster is reached, and how quickly a failure is noticed.
///
/// The times are our own, far below librdkafka's defaults: how long others wait for a process that died is
/// `session_timeout` for its partitions and `transaction_timeout` for what it left open.
#[derive(Clone)]
pub struct Config {
    /// `host:port` of brokers to begin with; one that answers is enough.
    pub brokers: Vec<String>,
    /// What stands before every topic, group and `transactional.id`, so that several Heralds share a cluster.
    pub prefix: String,
    /// Which role this process plays, as in `detector`: part of the `transactional.id`.
    pub role: String,
    /// Which process of its role this is: unique among those that run at the same time, and the same after a restart, so
    /// that a restart takes up at once what its predecessor left open.
    pub instance: String,
    /// Whether missing topics may be created by [`bus::Bus::create`]; otherwise it names them.
    pub create_topics: bool,
    /// After how long without a sign of life a member's partitions go to others.
    pub session_timeout: Duration,
    /// After how long the broker aborts a transaction that nobody ends.
    pub transaction_timeout: Duration,
    /// How long a publication may take before it counts as unavailable.
    pub delivery_timeout: Duration,
    /// How long a member may take to finish what it has of a partition that is being revoked.
    pub revocation: Duration,
    /// The most bytes that one member fetches ahead.
    pub fetch_ahead: usize,
    /// Partitions, replication and retention of topics that are created.
    pub layout: Layout,
    /// Any property of librdkafka, as in `security.protocol`; they win over ours, but not over what correctness needs.
    pub properties: BTreeMap<String, String>,
}

impl Config {
    /// The defaults, for brokers.
    pub fn new(brokers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            brokers: brokers.into_iter().map(Into::into).collect(),
            prefix: "herald.".to_owned(),
            role: "herald".to_owned(),
            instance: "1".to_owned(),
            create_topics: true,
            session_timeout: Duration::from_secs(6),
            transaction_timeout: Duration::from_secs(5),
            delivery_timeout: Duration::from_secs(4),
            revocation: Duration::from_secs(5),
            fetch_ahead: 8 * 1024 * 1024,
            layout: Layout::default(),
            properties: BTreeMap::new(),
        }
    }
}

/// Without the values of properties: they may be passwords.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("brokers", &self.brokers)
            .field("prefix", &self.prefix)
            .field("role", &self.role)
            .field("instance", &self.instance)
            .field("create_topics", &self.create_topics)
            .field("session_timeout", &self.session_timeout)
            .field("transaction_timeout", &self.transaction_timeout)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("revocation", &self.revocation)
            .field("fetch_ahead", &self.fetch_ahead)
            .field("layout", &self.layout)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Properties of librdkafka that the bus sets itself, and why nobody else may.
pub const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it is the setting `brokers`"),
    ("metadata.broker.list", "it is the setting `brokers`"),
    ("client.id", "it names the role and the instance"),
    ("group.id", "every stage and every job has its own"),
    ("group.instance.id", "it is made of the instance and the member's number, so that a restart goes on at once"),
    ("group.protocol", "positions are fetched and assigned by Herald, which the classic protocol allows"),
    ("partition.assignment.strategy", "partitions move one by one, without stopping the others"),
    ("session.timeout.ms", "it is the setting `session-timeout`"),
    ("isolation.level", "what a transaction aborted must not be read"),
    ("enable.auto.commit", "a position is committed with what was made of the records"),
    ("auto.commit.interval.ms", "a position is committed with what was made of the records"),
    ("enable.auto.offset.store", "a position is committed with what was made of the records"),
    ("auto.offset.reset", "a position that is gone must stop the group instead of jumping"),
    ("enable.partition.eof", "Herald knows itself where a partition ends"),
    ("allow.auto.create.topics", "topics are created as they are laid out, or not at all"),
    ("transactional.id", "it is made of the role and the instance, so that a restart ends what its predecessor left"),
    ("transaction.timeout.ms", "it is the setting `transaction-timeout`"),
    ("message.timeout.ms", "it is the setting `delivery-timeout`"),
    ("delivery.timeout.ms", "it is the setting `delivery-timeout`"),
    ("enable.idempotence", "without it a record could be written twice, or out of order"),
    ("acks", "a record counts as written when all in-sync replicas have it"),
    ("request.required.acks", "a record counts as written when all in-sync replicas have it"),
    ("partitioner", "a key's partition is chosen by Herald, the same on every bus"),
    ("message.max.bytes", "there is one limit for records, the same on every bus"),
];
