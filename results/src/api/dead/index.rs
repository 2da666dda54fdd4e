//! Which dead letters there are: of each what a list shows, kept in memory and read on whenever somebody asks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bus::{Bus, Error, Offset, Record, Start, TopicInfo, TopicPartition};
use bytes::Bytes;
use contracts::{
    control::{Filter, Letter},
    dead::DeadLetter,
    headers,
    ids::CorrelationId,
    names::{EventRef, GroupName},
    topics::DEAD_PREFIX,
};
use tokio::sync::{Mutex, MutexGuard};

/// How many bytes are read at once.
const STEP: usize = 1024 * 1024;
/// How many letters are kept in mind: the newest.
const MOST: usize = 100_000;
/// How many characters of an error a list shows.
const ERROR: usize = 200;

/// The dead letters of every job. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letters(Arc<Mutex<Index>>);

/// As far as they were read.
#[derive(Debug, Default)]
pub(in crate::api) struct Index {
    parts: BTreeMap<TopicPartition, Part>,
    /// How many are not kept in mind any more, or cannot be read.
    pub(super) unlisted: u64,
}

#[derive(Debug, Default)]
struct Part {
    /// Where reading goes on; none before it has begun.
    next: Option<Offset>,
    letters: BTreeMap<Offset, Entry>,
    keys: HashMap<Bytes, Offset>,
}

/// A dead letter, as a list shows it.
#[derive(Debug, Clone)]
pub(in crate::api) struct Entry {
    pub(super) group: GroupName,
    pub(super) at: TopicPartition,
    pub(super) offset: Offset,
    pub(super) event: EventRef,
    pub(super) correlation: CorrelationId,
    /// With no more of the error than is shown.
    pub(super) letter: DeadLetter,
}

impl Letters {
    /// All that there are now.
    pub(in crate::api) async fn now(&self, bus: &dyn Bus) -> Result<MutexGuard<'_, Index>, Error> {
        let mut index = self.0.lock().await;
        index.catch_up(bus).await?;
        Ok(index)
    }

    /// How many each job has now, of those that are kept in mind.
    pub(in crate::api) async fn counts(&self, bus: &dyn Bus) -> Result<BTreeMap<GroupName, usize>, Error> {
        let index = self.now(bus).await?;
        let mut counts = BTreeMap::new();
        for (at, part) in index.parts.iter().filter(|(_, part)| !part.letters.is_empty()) {
            *counts.entry(group_of(at.topic.as_str())).or_default() += part.letters.len();
        }
        Ok(counts)
    }
}

fn group_of(topic: &str) -> GroupName {
    GroupName::from(topic.strip_prefix(DEAD_PREFIX).unwrap_or(topic))
}

impl Index {
    /// Those that a filter takes, of one job or of all, the one that died last first.
    pub(in crate::api) fn find(&self, group: Option<&GroupName>, filter: &Filter) -> Vec<&Entry> {
        let mut found: Vec<&Entry> = self.all().filter(|one| group.is_none_or(|group| *group == one.group)).collect();
        found.retain(|one| filter.takes(&one.view()));
        found.sort_by_key(|one| std::cmp::Reverse(one.place()));
        found
    }

    /// Every one that is kept in mind.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.parts.values().flat_map(|part| part.letters.values())
    }

    /// Where each partition of a job's dead letters was read to.
    pub(in crate::api) fn until(&self, group: &GroupName) -> BTreeMap<u32, u64> {
        let parts = self.parts.iter().filter(|(at, _)| group_of(at.topic.as_str()) == *group);
        parts.filter_map(|(at, part)| Some((at.partition.0, part.next?.0))).collect()
    }

    async fn catch_up(&mut self, bus: &dyn Bus) -> Result<(), Error> {
        let topics = bus.topics().await?;
        let dead = topics.iter().filter(|info| info.topic.as_str().starts_with(DEAD_PREFIX));
        let partitions: Vec<TopicPartition> = dead.flat_map(TopicInfo::each).collect();
        self.parts.retain(|at, _| partitions.binary_search(at).is_ok());
        let ends = bus.offsets(&partitions, Start::End).await?;
        for at in &partitions {
            let end = *ends.get(at).ok_or_else(|| Error::Unavailable(format!("{at} cannot be asked now")))?;
            self.read(bus, at, end).await?;
            self.forget();
        }
        Ok(())
    }

    async fn read(&mut self, bus: &dyn Bus, at: &TopicPartition, end: Offset) -> Result<(), Error> {
        let part = self.parts.entry(at.clone()).or_default();
        if part.next.is_some_and(|next| next > end) {
            // It was deleted, and is another one now.
            *part = Part::default();
        }
        while part.next.is_none_or(|next| next < end) && end > Offset::ZERO {
            let records = bus.read(at, part.next.unwrap_or(Offset::ZERO), STEP).await?;
            // Empty means that what lies before the end are holes.
            let Some(last) = records.last().map(|last| last.offset.next()) else { break };
            for record in records.into_iter().filter(|record| record.offset < end) {
                self.unlisted += u64::from(!part.take(at, record));
            }
            part.next = Some(last.min(end));
        }
        part.next = Some(end);
        Ok(())
    }

    /// Keeps the newest in mind.
    fn forget(&mut self) {
        if self.parts.values().map(|part| part.letters.len()).sum::<usize>() <= MOST {
            return;
        }
        let mut died: Vec<_> = self.all().map(|one| one.letter.last).collect();
        died.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = died[MOST];
        for part in self.parts.values_mut() {
            let before = part.letters.len();
            part.letters.retain(|_, one| one.letter.last > oldest);
            part.keys.retain(|_, offset| part.letters.contains_key(offset));
            self.unlisted += (before - part.letters.len()) as u64;
        }
    }
}

impl Part {
    /// Takes a record: a letter, or that one is gone. False if it cannot be read.
    fn take(&mut self, at: &TopicPartition, record: Record) -> bool {
        let key = record.key.clone().unwrap_or_default();
        if let Some(before) = self.keys.remove(&key) {
            self.letters.remove(&before);
        }
        if record.value.is_none() && record.headers.get(headers::DEAD).is_none() {
            return true;
        }
        let Some(entry) = Entry::read(at, &record) else { return false };
        self.keys.insert(key, entry.offset);
        self.letters.insert(entry.offset, entry);
        true
    }
}

impl Entry {
    fn read(at: &TopicPartition, record: &Record) -> Option<Self> {
        let mut letter = DeadLetter::of(&record.headers).ok()?;
        if let Some((end, _)) = letter.error.char_indices().nth(ERROR) {
            letter.error.truncate(end);
            letter.error.push('…');
        }
        letter.error.shrink_to_fit();
        Some(Self {
            group: group_of(at.topic.as_str()),
            at: at.clone(),
            offset: record.offset,
            event: EventRef::from_topic(&letter.origin.topic)?,
            correlation: record.headers.text(headers::ce::CORRELATION_ID)?.parse().ok()?,
            letter,
        })
    }

    pub(super) fn view(&self) -> Letter<'_> {
        let Self { event, correlation, letter, .. } = self;
        Letter { run: letter.run, event, correlation, reason: letter.reason.as_str(), died: letter.last }
    }

    /// Its place in lists: by when it died.
    pub(super) fn place(&self) -> Place {
        Place(self.letter.last.as_nanosecond(), self.group.to_string(), self.at.partition.0, self.offset.0)
    }
}

/// A place in a list of dead letters, written `time.partition.offset.group`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(i128, String, u32, u64);

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next();
        let (died, partition, offset) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        Some(Self(died, next()?.to_owned(), partition, offset))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(died, group, partition, offset) = self;
        write!(f, "{died}.{partition}.{offset}.{group}")
    }
}
