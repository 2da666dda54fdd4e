//! Topics and groups that come and go, each a transaction of its own; and retention, a small step now and then.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use super::{Broker, TRIM, TRIM_COMMITS, TRIM_FULL};
use crate::{
    Error,
    local::{
        groups::Groups,
        log::{Log, TopicLog},
        storage::{Extent, TopicId, Transaction, Trimmable},
    },
    member::Position,
    now,
    record::{Offset, Topic, TopicPartition},
    topic::{TopicInfo, TopicSpec},
};

impl Broker {
    pub(crate) fn create(&mut self, topics: Vec<TopicSpec>) -> Result<(), Error> {
        let mut transaction = Transaction { published: now(), ..Transaction::default() };
        let mut seen = HashSet::new();
        for spec in topics {
            if self.log.get(&spec.topic).is_some() || !seen.insert(spec.topic.clone()) {
                continue;
            }
            let new = |topic: &Topic| transaction.create.iter().find(|(_, info)| info.topic == *topic);
            let of = |topic: &Topic| {
                let there = self.log.get(topic).map(|log| log.info.partitions);
                there.or_else(|| new(topic).map(|(_, info)| info.partitions))
            };
            let widest = spec.beside.iter().filter_map(of).max();
            let partitions = spec.partitions.or(widest).unwrap_or(self.partitions).max(1);
            let info = TopicInfo { topic: spec.topic, partitions, compacted: spec.compacted };
            transaction.create.push((TopicId(self.next_topic + transaction.create.len() as u32), info));
        }
        if transaction.is_empty() {
            return Ok(());
        }
        self.store(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.next_topic += transaction.create.len() as u32;
        let mut names = Vec::with_capacity(transaction.create.len());
        for (id, info) in transaction.create {
            names.push(info.topic.clone());
            let extents = vec![Extent { begin: Offset::ZERO, end: Offset::ZERO }; info.partitions as usize];
            self.log.insert(TopicLog::new(id, info, extents));
        }
        self.groups.created(&names);
        Ok(())
    }

    pub(crate) fn delete(&mut self, topic: &Topic) -> Result<(), Error> {
        let log = self.log.get(topic).ok_or_else(|| Error::UnknownTopic(topic.clone()))?;
        let transaction = Transaction { delete: vec![log.id], ..Transaction::default() };
        self.store(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.log.remove(topic);
        self.groups.dropped(topic);
        Ok(())
    }

    pub(crate) fn place(&mut self, group: &Arc<str>, positions: Vec<(TopicPartition, Offset)>) -> Result<(), Error> {
        self.check_idle(group)?;
        let mut transaction = Transaction::default();
        for (at, next) in &positions {
            let log = self.log.find(at)?;
            transaction.positions.push((group.to_string(), log.id, at.partition, Position::at(*next)));
        }
        self.store(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        for (at, next) in positions {
            self.groups.set_position(group, &at, Position::at(next));
        }
        Ok(())
    }

    fn check_idle(&self, group: &str) -> Result<(), Error> {
        match self.groups.has_members(group) {
            true => Err(Error::Unavailable(format!("the group `{group}` has members; stop them first"))),
            false => Ok(()),
        }
    }

    pub(crate) fn forget(&mut self, group: &str) -> Result<(), Error> {
        self.check_idle(group)?;
        let transaction = Transaction { forget: vec![group.into()], ..Transaction::default() };
        self.store(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.groups.forget(group);
        Ok(())
    }

    /// A small step of retention, now and then.
    pub(super) fn trim(&mut self) {
        let usage = self.storage.usage();
        let waited = self.last_trim.elapsed();
        let due = waited >= TRIM || self.commits_since_trim >= TRIM_COMMITS || usage.is_full() && waited >= TRIM_FULL;
        if !due {
            return;
        }
        self.last_trim = Instant::now();
        if self.look().is_err() || self.failed_since.is_some() {
            return;
        }
        self.commits_since_trim = 0;
        let (log, groups) = (&self.log, &self.groups);
        let mut candidates = || trimmable(log, groups);
        match self.storage.trim(&mut candidates, now()) {
            Ok(trimmed) => {
                if trimmed.is_empty() {
                    return;
                }
                let by_id: HashMap<_, _> = self.log.list().into_iter().map(|topic| (topic.id, topic)).collect();
                for moved in trimmed {
                    if let Some(topic) = by_id.get(&moved.topic) {
                        self.log.trimmed(topic, moved.partition, moved.begin);
                    }
                }
            }
            Err(error) => tracing::warn!(error = %error, "retention could not delete anything this time"),
        }
    }
}

fn trimmable(log: &Log, groups: &Groups) -> Vec<Trimmable> {
    let held = groups.held();
    let mut out = Vec::new();
    for topic in log.list() {
        for at in topic.info.each() {
            let extent = topic.extent(at.partition);
            let keep_from = held.get(&at).copied().unwrap_or(extent.end);
            if extent.begin < extent.end {
                let (partition, compacted) = (at.partition, topic.info.compacted);
                out.push(Trimmable { topic: topic.id, partition, compacted, keep_from });
            }
        }
    }
    out
}
