//! How topics are laid out: partitions, replication, retention and sizes, by kind of topic and by name.
//!
//! [`Layout::plan`] says how one topic is to be; what a topic that exists lacks of it is found by `kafka-admin`.

mod check;

use std::{collections::BTreeMap, time::Duration};

use contracts::{pattern, topics};

pub use check::LayoutError;

use bus::{MAX_RECORD, Topic, TopicSpec};

/// What librdkafka and the broker add around a batch of one record.
const AROUND: usize = 64 * 1024;

/// Which kind of topic a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `raw`.
    Raw,
    /// `event.<name>`.
    Event,
    /// `progress`.
    Progress,
    /// `seen`: always partitioned as `raw`.
    Seen,
    /// `rejected`, `completed`, and whatever else is kept for a time.
    Log,
    /// A compacted table of one partition, as `catalog`.
    Table,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Raw, Self::Event, Self::Progress, Self::Seen, Self::Log, Self::Table];

    /// Of a topic that is to be created.
    pub fn of(spec: &TopicSpec) -> Self {
        match spec.topic.as_str() {
            _ if spec.compacted => Self::Table,
            topics::RAW => Self::Raw,
            topics::SEEN => Self::Seen,
            topics::PROGRESS => Self::Progress,
            name if name.starts_with(topics::EVENT_PREFIX) => Self::Event,
            _ => Self::Log,
        }
    }

    /// What it is called in a configuration and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Event => "event",
            Self::Progress => "progress",
            Self::Seen => "seen",
            Self::Log => "log",
            Self::Table => "table",
        }
    }

    /// Whether the partition of a record means something to whoever reads it: order by key, or whose memory it is. More
    /// partitions would move keys.
    pub fn is_keyed(self) -> bool {
        !matches!(self, Self::Log)
    }
}

/// How topics of one kind are created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How many partitions.
    pub partitions: u32,
    /// For how long records are kept; none for ever.
    pub retention: Option<Duration>,
    /// How many brokers keep each record; the layout's if absent.
    pub replication: Option<u16>,
    /// Whether only the last record of each key is kept. Only a log may be told so: for every other kind the pipeline
    /// decides it.
    pub compacted: Option<bool>,
    /// The largest record in bytes; what every bus takes ([`MAX_RECORD`]) if absent.
    pub max_record: Option<usize>,
    /// Any topic-level configuration; it wins over the layout's.
    pub config: BTreeMap<String, String>,
}

impl Settings {
    /// So many partitions, kept for so long.
    pub fn new(partitions: u32, retention: Option<Duration>) -> Self {
        Self { partitions, retention, ..Self::default() }
    }
}

/// For how long records are kept, where an override says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// For so long.
    For(Duration),
    Ever,
}

/// What topics of a certain name have instead of their kind's settings; what is absent stays as the kind has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// How many partitions.
    pub partitions: Option<u32>,
    /// For how long records are kept.
    pub retention: Option<Keep>,
    /// How many brokers keep each record.
    pub replication: Option<u16>,
    /// Whether only the last record of each key is kept; for a log alone.
    pub compacted: Option<bool>,
    /// The largest record in bytes.
    pub max_record: Option<usize>,
    /// Any topic-level configuration; it wins over the kind's.
    pub config: BTreeMap<String, String>,
}

/// How every topic is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// How many brokers keep each record; the cluster's default if absent.
    pub replication: Option<u16>,
    pub kinds: BTreeMap<Kind, Settings>,
    /// By name without the prefix, where `*` stands for anything, as in `event.move.*`; where several fit, the longest
    /// pattern wins.
    pub names: BTreeMap<String, Overrides>,
    /// Any topic-level configuration, for all topics.
    pub config: BTreeMap<String, String>,
}

impl Default for Layout {
    fn default() -> Self {
        let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
        let kinds = [
            (Kind::Raw, Settings::new(6, days(7))),
            (Kind::Event, Settings::new(6, days(7))),
            (Kind::Progress, Settings::new(6, days(7))),
            (Kind::Seen, Settings::new(6, days(2))),
            (Kind::Log, Settings::new(6, days(7))),
            (Kind::Table, Settings::new(1, None)),
        ];
        Self { replication: None, kinds: kinds.into(), names: BTreeMap::new(), config: BTreeMap::new() }
    }
}

/// A topic as it is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// How many partitions.
    pub partitions: u32,
    /// How many brokers keep each record; the cluster's default if absent.
    pub replication: Option<u16>,
    /// Topic-level configuration.
    pub config: BTreeMap<String, String>,
}

impl Layout {
    /// How a topic is to be created, where nothing exists yet.
    pub fn plan(&self, spec: &TopicSpec) -> Planned {
        self.plan_beside(spec, |_| None)
    }

    /// How a topic is to be created beside what exists: a topic, by its number of partitions.
    pub fn plan_beside(&self, spec: &TopicSpec, exists: impl Fn(&Topic) -> Option<u32>) -> Planned {
        let kind = Kind::of(spec);
        let own = self.kinds.get(&kind).cloned().unwrap_or_default();
        let named = self.overrides(spec.topic.as_str());
        // Who owns a partition of `raw` remembers its ids in the same partition of `seen`; a table has as many as it says.
        let width = |topic: &Topic| exists(topic).unwrap_or_else(|| self.partitions(&TopicSpec::new(topic.clone())));
        let partitions = match kind {
            _ if spec.partitions.is_none() && !spec.beside.is_empty() => {
                spec.beside.iter().map(width).max().unwrap_or(1)
            }
            Kind::Seen => spec.partitions.unwrap_or_else(|| self.partitions(&TopicSpec::new(topics::RAW))),
            _ => self.partitions(spec),
        };
        let retention = match named.and_then(|named| named.retention) {
            Some(Keep::For(time)) => Some(time),
            Some(Keep::Ever) => None,
            None => own.retention,
        };
        let compacted = named.and_then(|named| named.compacted).or(own.compacted).unwrap_or(spec.compacted);
        let max_record = named.and_then(|named| named.max_record).or(own.max_record).unwrap_or(MAX_RECORD);
        let replication = named.and_then(|named| named.replication).or(own.replication).or(self.replication);

        let millis = retention.map_or(-1, |retention| i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        let mut config = BTreeMap::from([
            ("retention.ms".to_owned(), millis.to_string()),
            ("cleanup.policy".to_owned(), if compacted { "compact" } else { "delete" }.to_owned()),
            ("max.message.bytes".to_owned(), (max_record + AROUND).to_string()),
            ("message.timestamp.type".to_owned(), "CreateTime".to_owned()),
        ]);
        // What is said freely wins, the nearest last; what correctness needs of it is checked beforehand.
        for more in [Some(&self.config), Some(&own.config), named.map(|named| &named.config)].into_iter().flatten() {
            config.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Planned { partitions, replication, config }
    }

    /// The smallest of what topics take at most in one record, in bytes: a batch that is no larger fits every topic.
    pub fn smallest_record(&self) -> usize {
        let own = self.kinds.values().map(|own| (own.max_record, &own.config));
        let named = self.names.values().map(|named| (named.max_record, &named.config));
        let said = own.chain(named).chain([(None, &self.config)]);
        let free =
            |config: &BTreeMap<String, String>| config.get("max.message.bytes").and_then(|bytes| bytes.parse().ok());
        said.flat_map(|(record, config)| record.into_iter().chain(free(config))).min().unwrap_or(MAX_RECORD)
    }

    fn partitions(&self, spec: &TopicSpec) -> u32 {
        let named = self.overrides(spec.topic.as_str()).and_then(|named| named.partitions);
        let own = self.kinds.get(&Kind::of(spec)).map(|own| own.partitions);
        spec.partitions.or(named).or(own).unwrap_or(1).max(1)
    }

    /// What the longest pattern that fits says of a topic.
    fn overrides(&self, topic: &str) -> Option<&Overrides> {
        let fitting = self.names.iter().filter(|(name, _)| pattern::fits(name, topic));
        fitting.max_by_key(|(name, _)| name.len()).map(|(_, overrides)| overrides)
    }
}

#[cfg(test)]
mod tests;
