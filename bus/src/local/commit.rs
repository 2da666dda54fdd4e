//! One commit: what has been queued becomes batches, positions and one transaction.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use contracts::topics::partition_of;
use jiff::Timestamp;

use crate::{
    MAX_RECORD,
    lines::{self, Lines},
    local::{
        batch::Builder,
        chaos::Chaos,
        log::{Log, TopicLog},
        storage::Transaction,
    },
    member::Position,
    record::{Offset, Outgoing, Partition, Spot, Topic, TopicPartition},
    refusal::Refusal,
};

/// A transaction in the making.
pub(crate) struct Commit<'a> {
    log: &'a Log,
    chaos: Option<&'a Chaos>,
    batches: Vec<Batch>,
    places: HashMap<Topic, TopicPlaces>,
    positions: BTreeMap<(Arc<str>, TopicPartition), Position>,
    /// Keyless records take the partitions in turn.
    turn: u32,
}

/// What one partition gets.
struct Batch {
    log: Arc<TopicLog>,
    partition: Partition,
    builder: Builder,
    /// Where the next record stands.
    next: Offset,
    /// The last record, as long as others may be joined to it.
    lines: Option<(Offset, Lines)>,
}

struct TopicPlaces {
    log: Arc<TopicLog>,
    /// By partition: which of `batches`.
    batches: Vec<Option<usize>>,
}

/// What a durable commit makes visible.
pub(crate) struct Visible {
    pub(crate) appends: Vec<(Arc<TopicLog>, TopicPartition, crate::local::batch::Stored)>,
    pub(crate) positions: Vec<(Arc<str>, TopicPartition, Position)>,
}

impl Batch {
    /// Appends a record, or joins it to the last one; answers where it stands.
    fn append(&mut self, record: &Outgoing, chaos: Option<&Chaos>) -> Offset {
        if let Some((offset, lines)) = &mut self.lines
            && lines.add(record, lines::MOST)
        {
            return *offset;
        }
        self.close();
        if let Some(chaos) = chaos
            && chaos.strikes(chaos.manners.holes)
        {
            self.next = Offset(self.next.0 + 1 + chaos.below(3));
        }
        let offset = self.next;
        self.next = offset.next();
        self.lines = Lines::begin(record).map(|lines| (offset, lines));
        if self.lines.is_none() {
            self.builder.push(offset, record);
        }
        offset
    }

    /// Nothing is joined to the last record any more.
    fn close(&mut self) {
        if let Some((offset, lines)) = self.lines.take() {
            self.builder.push(offset, &lines.finish());
        }
    }
}

impl<'a> Commit<'a> {
    pub(crate) fn new(log: &'a Log, chaos: Option<&'a Chaos>, turn: u32) -> Self {
        Self { log, chaos, batches: Vec::new(), places: HashMap::new(), positions: BTreeMap::new(), turn }
    }

    /// Whose turn it is next.
    pub(crate) fn turn(&self) -> u32 {
        self.turn
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.positions.is_empty()
    }

    /// What of these can never be appended.
    pub(crate) fn refusals(&mut self, records: &[Outgoing]) -> Vec<Refusal> {
        let each = records.iter().enumerate().filter_map(|(at, record)| self.refusal(at, record));
        each.collect()
    }

    fn refusal(&mut self, at: usize, record: &Outgoing) -> Option<Refusal> {
        let size = record.size();
        if size > MAX_RECORD {
            return Some(Refusal::too_large(at, &record.topic, size));
        }
        let chaos = self.chaos;
        let Some(place) = self.place(&record.topic) else { return Some(Refusal::unknown(at, &record.topic)) };
        let partitions = place.log.info.partitions;
        match record.partition {
            Some(Partition(number)) if number >= partitions => {
                Some(Refusal::no_partition(at, &record.topic, number, partitions))
            }
            _ => chaos?.refusal(at, record),
        }
    }

    fn place(&mut self, topic: &Topic) -> Option<&mut TopicPlaces> {
        if !self.places.contains_key(topic) {
            let log = self.log.get(topic)?;
            let batches = vec![None; log.info.partitions as usize];
            self.places.insert(topic.clone(), TopicPlaces { log, batches });
        }
        self.places.get_mut(topic)
    }

    /// Appends a record of which there was no refusal.
    pub(crate) fn append(&mut self, record: &Outgoing) -> Option<Spot> {
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let place = self.place(&record.topic)?;
        let count = place.log.info.partitions;
        let partition = match (&record.partition, &record.key) {
            (Some(partition), _) => *partition,
            (None, Some(key)) => Partition(partition_of(key, count)),
            (None, None) => Partition(turn % count.max(1)),
        };
        let slot = place.batches.get(partition.0 as usize).copied().flatten();
        let slot = match slot {
            Some(slot) => slot,
            None => self.begin(&record.topic, partition)?,
        };
        let chaos = self.chaos;
        Some(Spot { partition, offset: self.batches.get_mut(slot)?.append(record, chaos) })
    }

    fn begin(&mut self, topic: &Topic, partition: Partition) -> Option<usize> {
        let slot = self.batches.len();
        let place = self.places.get_mut(topic)?;
        let end = place.log.extent(partition).end;
        *place.batches.get_mut(partition.0 as usize)? = Some(slot);
        let log = place.log.clone();
        self.batches.push(Batch { log, partition, builder: Builder::new(end), next: end, lines: None });
        Some(slot)
    }

    pub(crate) fn position(&mut self, group: &Arc<str>, partition: &TopicPartition, position: Position) {
        self.positions.insert((group.clone(), partition.clone()), position);
    }

    /// The transaction, and what becomes visible once it is durable.
    pub(crate) fn finish(self, published: Timestamp) -> (Transaction, Visible) {
        let mut transaction = Transaction { published, ..Transaction::default() };
        let mut visible = Visible { appends: Vec::new(), positions: Vec::new() };
        for mut batch in self.batches {
            batch.close();
            let Batch { log, partition, builder, next, .. } = batch;
            let stored = builder.finish(published, next);
            let at = TopicPartition { topic: log.info.topic.clone(), partition };
            transaction.appends.push((log.id, partition, stored.clone()));
            visible.appends.push((log, at, stored));
        }
        for ((group, partition), position) in self.positions {
            if let Some(log) = self.log.get(&partition.topic) {
                transaction.positions.push((group.to_string(), log.id, partition.partition, position.clone()));
                visible.positions.push((group, partition, position));
            }
        }
        (transaction, visible)
    }
}
