//! What the cluster has, as it tells: brokers, topics with their partitions and settings.

use std::collections::BTreeMap;

use rdkafka::{
    admin::{ConfigEntry, ConfigResource, ConfigSource},
    metadata::{Metadata, MetadataTopic},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port` as it announces itself.
    pub address: String,
}

/// Who keeps a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replicas {
    /// The broker that leads it; none while there is none.
    pub leader: Option<i32>,
    /// How many brokers are to keep it.
    pub all: usize,
    /// How many are in sync.
    pub in_sync: usize,
}

/// One setting of a topic or a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its value; empty where it is secret.
    pub value: String,
    /// Whether it was set on this very topic.
    pub is_own: bool,
}

/// Settings by name.
pub type Settings = BTreeMap<String, Setting>;

/// A topic that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// Its partitions, by number.
    pub partitions: Vec<Replicas>,
    /// Its settings, those that it inherits included; empty if they may not be read.
    pub settings: Settings,
}

impl Existing {
    /// The value of a setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|setting| setting.value.as_str())
    }

    /// The value of a setting that is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.setting(name)?.parse().ok()
    }

    /// How many partitions it has.
    pub fn count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// How many brokers keep every partition.
    pub fn replication(&self) -> usize {
        self.partitions.iter().map(|partition| partition.all).min().unwrap_or(0)
    }

    pub(super) fn of(topic: &MetadataTopic) -> Self {
        let mut partitions = vec![Replicas::default(); topic.partitions().len()];
        for found in topic.partitions() {
            let index = usize::try_from(found.id()).unwrap_or(usize::MAX);
            if let Some(place) = partitions.get_mut(index) {
                let leader = Some(found.leader()).filter(|leader| *leader >= 0);
                *place = Replicas { leader, all: found.replicas().len(), in_sync: found.isr().len() };
            }
        }
        Self { partitions, settings: Settings::new() }
    }
}

/// What was told of the cluster as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The brokers that are up.
    pub brokers: Vec<Broker>,
    /// Every topic by its full name, without settings.
    pub topics: BTreeMap<String, Existing>,
}

impl Cluster {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let address = |host: &str, port: i32| format!("{host}:{port}");
        let brokers = metadata.brokers().iter();
        Self {
            brokers: brokers.map(|it| Broker { id: it.id(), address: address(it.host(), it.port()) }).collect(),
            topics: metadata
                .topics()
                .iter()
                .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
                .map(|topic| (topic.name().to_owned(), Existing::of(topic)))
                .collect(),
        }
    }
}

pub(super) fn settings(resource: &ConfigResource) -> Settings {
    let one = |entry: &ConfigEntry| {
        let setting = Setting {
            value: entry.value.clone().unwrap_or_default(),
            is_own: matches!(entry.source, ConfigSource::DynamicTopic),
        };
        (entry.name.clone(), setting)
    };
    resource.entries.iter().map(one).collect()
}
