//! The topic `catalog`, in order: which of its records counts.
//!
//! Records are numbered, and **the first of a number counts**: of two writers who both made number 7 of number 6, the one
//! whose record stands first has written it. So that compaction, which keeps the last record of a key, cannot turn that
//! around, each record has a key of its own; what has decided nothing that is still kept is deleted by a null.

use std::collections::{HashMap, VecDeque};

use bus::{Bus, Error, Offset, Record, Start, TopicPartition};
use bytes::Bytes;
use catalog::wire::{CatalogRecord, DecodeError};
use contracts::topics;
use jiff::Timestamp;

/// How many bytes are read at once.
const STEP: usize = 1024 * 1024;

/// What a record of the topic is.
pub enum Entry {
    Catalog(Box<CatalogRecord>),
    /// Nothing that this version can read.
    Unreadable(DecodeError),
    /// The key's record is deleted.
    Deleted,
}

/// The records, one after another.
pub struct Log<'b> {
    bus: &'b dyn Bus,
    at: TopicPartition,
    next: Option<Offset>,
    read: VecDeque<Record>,
    live: HashMap<Bytes, Option<Live>>,
}

/// What a catalog that is not deleted says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    pub number: u64,
    /// When it was planned.
    pub written: Timestamp,
}

impl<'b> Log<'b> {
    /// From the first record that is kept.
    pub fn new(bus: &'b dyn Bus) -> Self {
        let at = TopicPartition::new(topics::CATALOG, 0);
        Self { bus, at, next: None, read: VecDeque::new(), live: HashMap::new() }
    }

    /// The next record that is there now, with its offset.
    ///
    /// # Errors
    /// The topic does not exist, or the bus cannot be read.
    pub async fn next(&mut self) -> Result<Option<(Offset, Entry)>, Error> {
        if self.read.is_empty() {
            let from = match self.next {
                Some(next) => next,
                None => self.bus.offset(&self.at, Start::Earliest).await?,
            };
            self.next = Some(from);
            self.read = self.bus.read(&self.at, from, STEP).await?.into();
        }
        let Some(record) = self.read.pop_front() else { return Ok(None) };
        self.next = Some(record.offset.next());
        let key = record.key.clone().unwrap_or_default();
        let Some(value) = &record.value else {
            self.live.remove(&key);
            return Ok(Some((record.offset, Entry::Deleted)));
        };
        let entry = CatalogRecord::decode(value).map_or_else(Entry::Unreadable, |it| Entry::Catalog(Box::new(it)));
        let live = match &entry {
            Entry::Catalog(record) => Some(Live { number: record.number, written: record.written }),
            Entry::Unreadable(_) | Entry::Deleted => None,
        };
        self.live.insert(key, live);
        Ok(Some((record.offset, entry)))
    }

    /// Ends when there is a next record, or at some later time of the bus's choice.
    ///
    /// # Errors
    /// The topic does not exist, or the bus cannot be read.
    pub async fn changed(&self) -> Result<(), Error> {
        self.bus.changed(&self.at, self.next.unwrap_or(Offset::ZERO)).await
    }

    /// The keys of all records that were read and not deleted since, with what can be read of them.
    pub fn live(&self) -> impl Iterator<Item = (&Bytes, Option<Live>)> {
        self.live.iter().map(|(key, live)| (key, *live))
    }
}

/// Which catalog counts, of those that were read.
#[derive(Default)]
pub struct Newest {
    pub record: Option<CatalogRecord>,
    /// Why what was written after it cannot be read, where something was.
    pub unreadable: Option<DecodeError>,
}

impl Newest {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Catalog(record) if self.record.as_ref().is_none_or(|newest| record.number > newest.number) => {
                self.record = Some(*record);
                self.unreadable = None;
            }
            Entry::Unreadable(error) => self.unreadable = Some(error),
            Entry::Catalog(_) | Entry::Deleted => {}
        }
    }

    /// Takes everything that is there now.
    ///
    /// # Errors
    /// The topic does not exist, or the bus cannot be read; what was read before that is taken.
    pub async fn catch_up(&mut self, log: &mut Log<'_>) -> Result<(), Error> {
        while let Some((_, entry)) = log.next().await? {
            self.take(entry);
        }
        Ok(())
    }
}
