//! The settings of topics, and the layout that they make.

use std::collections::BTreeMap;

use kafka_config::layout::{Keep, Kind, Layout, Overrides, Settings};
use runtime::config::Size;
use serde::{Deserialize, Serialize};

use super::values::{Config, Retention};

/// How topics are created.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topics {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replication: Option<u16>,
    raw: Topic,
    event: Topic,
    progress: Topic,
    seen: Topic,
    log: Topic,
    table: Topic,
    names: BTreeMap<String, Topic>,
    config: Config,
}

/// What is said of a kind of topic, or of those of a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Topic {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partitions: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention: Option<Retention>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replication: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compacted: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_record: Option<Size>,
    #[serde(default)]
    config: Config,
}

impl Topics {
    /// How the bus is to create topics. Whether it can be used, [`Layout::check`] says.
    pub fn layout(&self) -> Layout {
        let kinds = [
            (Kind::Raw, &self.raw),
            (Kind::Event, &self.event),
            (Kind::Progress, &self.progress),
            (Kind::Seen, &self.seen),
            (Kind::Log, &self.log),
            (Kind::Table, &self.table),
        ];
        let defaults = Layout::default();
        let default_of = |kind| defaults.kinds.get(&kind).cloned().unwrap_or_default();
        let kinds = kinds.map(|(kind, topic)| (kind, topic.settings(default_of(kind))));
        let names = self.names.iter().map(|(name, topic)| (name.clone(), topic.overrides())).collect();
        Layout { replication: self.replication, kinds: kinds.into(), names, config: self.config.pairs() }
    }
}

impl Topic {
    fn settings(&self, default: Settings) -> Settings {
        Settings {
            partitions: self.partitions.unwrap_or(default.partitions),
            retention: self.retention.map_or(default.retention, Retention::get),
            replication: self.replication,
            compacted: self.compacted,
            max_record: self.max_record.map(Size::len),
            config: self.config.pairs(),
        }
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            partitions: self.partitions,
            retention: self.retention.map(|retention| retention.get().map_or(Keep::Ever, Keep::For)),
            replication: self.replication,
            compacted: self.compacted,
            max_record: self.max_record.map(Size::len),
            config: self.config.pairs(),
        }
    }
}
