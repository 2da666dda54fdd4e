//! What is to be done about topics: the layout compared with what exists. Pure.
//!
//! What is safe is done by `apply`: missing topics, longer retention, larger records, settings that lose nothing. What could
//! lose records or take long is shown with what to do by hand. Partitions are added to a keyed topic only once it is drained:
//! keys would move, so that of two records of one key the later could be worked on first.

use std::collections::BTreeMap;

use contracts::topics;

use super::existing::Existing;
use bus::{Topic, TopicSpec};
use kafka::layout::{Kind, Layout, Planned};

/// What a plan is made from.
pub struct Wanted<'w> {
    /// How topics are to be.
    pub layout: &'w Layout,
    /// What stands before every topic.
    pub prefix: &'w str,
    /// The topics that are needed.
    pub specs: &'w [TopicSpec],
    /// Those that the caller says are drained.
    pub drained: &'w [Topic],
}

/// What is to be done about every topic that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// By name.
    pub topics: Vec<TopicPlan>,
}

/// What is to be done about one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub topic: Topic,
    /// Its name on the cluster.
    pub name: String,
    pub kind: Kind,
    pub planned: Planned,
    pub state: State,
}

/// How a topic is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is to be created.
    Missing,
    /// It exists, with so many partitions; and how it differs.
    Exists(u32, Vec<Difference>),
}

/// How a topic differs from the plan in one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In what: `partitions`, `replication`, or a topic-level setting.
    pub what: String,
    pub is: String,
    pub planned: String,
    /// What becomes of it.
    pub step: Step,
}

/// What becomes of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `apply` does it.
    Apply,
    /// `apply` does it once it has seen that the topic is drained.
    ApplyDrained,
    /// `apply` refuses; what to do first.
    Refused(String),
    /// To be done by hand; how.
    ByHand(String),
    /// Left as it is; why. Nothing is to be done.
    Left(String),
}

impl Plan {
    /// Whether everything is as planned.
    pub fn is_done(&self) -> bool {
        self.topics.iter().all(TopicPlan::is_done)
    }
}

impl TopicPlan {
    /// Whether nothing is to be done about it.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Missing => false,
            State::Exists(_, differences) => differences.iter().all(|it| matches!(it.step, Step::Left(_))),
        }
    }
}

/// Compares what is wanted with what exists.
pub fn of(wanted: &Wanted<'_>, existing: &BTreeMap<Topic, Existing>) -> Plan {
    let mut specs: Vec<&TopicSpec> = wanted.specs.iter().collect();
    specs.sort_by(|a, b| a.topic.as_str().cmp(b.topic.as_str()));
    specs.dedup_by(|a, b| a.topic == b.topic);
    let topics = specs.into_iter().map(|spec| {
        let planned = planned(wanted, existing, spec);
        let state = match existing.get(&spec.topic) {
            None => State::Missing,
            Some(found) => State::Exists(found.count(), differences(wanted, spec, &planned, found)),
        };
        let name = format!("{}{}", wanted.prefix, spec.topic);
        TopicPlan { topic: spec.topic.clone(), name, kind: Kind::of(spec), planned, state }
    });
    Plan { topics: topics.collect() }
}

/// How a topic is to be. `seen` follows `raw` as it is, or as it will be after this.
fn planned(wanted: &Wanted<'_>, existing: &BTreeMap<Topic, Existing>, spec: &TopicSpec) -> Planned {
    let mut planned = wanted.layout.plan_beside(spec, |topic| existing.get(topic).map(Existing::count));
    let raw = existing.iter().find(|(topic, _)| topic.as_str() == topics::RAW).map(|(_, raw)| raw.count());
    if let (Kind::Seen, Some(raw)) = (Kind::of(spec), raw) {
        let grows = says_drained(wanted, topics::RAW);
        planned.partitions = if grows { planned.partitions.max(raw) } else { raw };
    }
    planned
}

fn says_drained(wanted: &Wanted<'_>, topic: &str) -> bool {
    wanted.drained.iter().any(|drained| drained.as_str() == topic)
}

fn differences(wanted: &Wanted<'_>, spec: &TopicSpec, planned: &Planned, found: &Existing) -> Vec<Difference> {
    let name = format!("{}{}", wanted.prefix, spec.topic);
    let partitions = partitions(wanted, spec, planned, found);
    let replication = replication(&name, planned, found);
    let settings = planned.config.iter().filter_map(|(key, value)| setting(&name, key, value, found));
    partitions.into_iter().chain(replication).chain(settings).collect()
}

fn partitions(wanted: &Wanted<'_>, spec: &TopicSpec, planned: &Planned, found: &Existing) -> Option<Difference> {
    let (topic, kind) = (spec.topic.as_str(), Kind::of(spec));
    let (is, want) = (found.count(), planned.partitions);
    let step = if is == want {
        return None;
    } else if is > want && kind == Kind::Seen {
        Step::Refused(format!("`raw` has only {want}: delete `seen` while the detectors stand still, and apply again"))
    } else if is > want {
        Step::Left("Kafka cannot take partitions away; say in the configuration what there is".to_owned())
    } else if kind == Kind::Seen || !spec.beside.is_empty() || !kind.is_keyed() && topic != topics::COMPLETED {
        // `seen`, lanes and dead letters are written by partition, not by key; the order of rejections means nothing.
        Step::Apply
    } else if says_drained(wanted, topic) {
        Step::ApplyDrained
    } else {
        Step::Refused(how_to_drain(topic))
    };
    Some(Difference { what: "partitions".to_owned(), is: is.to_string(), planned: want.to_string(), step })
}

/// What to do before partitions may be added.
pub fn how_to_drain(topic: &str) -> String {
    let stop = match topic {
        topics::RAW => "stop every ingest",
        topics::PROGRESS => {
            "stop every ingest, then every detector, then every job-runner, each once it has read everything"
        }
        topics::COMPLETED => "stop every results",
        _ => "stop every ingest, and every detector once it has read `raw`",
    };
    let afterwards = match topic {
        topics::RAW => {
            ". `seen` grows with it; what is redelivered within one deduplication window afterwards may count as new"
        }
        _ => "",
    };
    format!(
        "keys would move to other partitions, and their later records overtake unread ones. To add them: {stop}; wait until \
         every group has read all of `{topic}`; run herald topics apply --drained {topic}; start again{afterwards}"
    )
}

fn replication(name: &str, planned: &Planned, found: &Existing) -> Option<Difference> {
    let want = usize::from(planned.replication?);
    let is = found.replication();
    let step = if is < want {
        Step::ByHand(format!(
            "kafka-reassign-partitions.sh --execute with {want} replicas for each partition of {name}; it copies the data"
        ))
    } else if is > want {
        Step::Left("more copies than planned do no harm".to_owned())
    } else {
        return None;
    };
    Some(Difference { what: "replication".to_owned(), is: is.to_string(), planned: want.to_string(), step })
}

fn setting(name: &str, key: &str, value: &str, found: &Existing) -> Option<Difference> {
    let is = found.setting(key)?;
    if is == value {
        return None;
    }
    let by_hand = |why: &str| {
        let command =
            format!("kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {key}={value}");
        Step::ByHand(format!("{why}: {command}"))
    };
    let step = match key {
        "retention.ms" if lasts(is) > lasts(value) => {
            Step::Left("kept longer than planned; shortening it deletes records, and is done by hand".to_owned())
        }
        "max.message.bytes" if number(is) > number(value) => Step::Left("takes more than planned".to_owned()),
        "cleanup.policy" if is.contains("compact") => by_hand("what was compacted away does not come back"),
        "cleanup.policy" => by_hand("it deletes all but the last record of each key"),
        "min.insync.replicas" => by_hand("writes stop where fewer replicas are in sync"),
        _ => Step::Apply,
    };
    Some(Difference { what: key.to_owned(), is: is.to_owned(), planned: value.to_owned(), step })
}

/// A retention in milliseconds; -1 is for ever.
fn lasts(millis: &str) -> u64 {
    number(millis).and_then(|millis| u64::try_from(millis).ok()).unwrap_or(u64::MAX)
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests;
