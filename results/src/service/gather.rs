//! What has been read and not yet written, and how far each partition is.

use std::collections::BTreeMap;

use bus::{Generation, Member, Offset, Record, TopicPartition};
use contracts::topics::PROGRESS;

use crate::store::{Batch, Read};

/// What a partition that is ours is at.
#[derive(Debug)]
struct Ours {
    generation: Generation,
    /// Where the store will be once everything that was gathered is written.
    next: Option<Offset>,
}

/// The batch that grows while another is written.
#[derive(Debug)]
pub(super) struct Gathered {
    batch: Batch,
    bytes: usize,
    limit: usize,
    paused: bool,
    ours: BTreeMap<u32, Ours>,
    /// The store's positions.
    positions: BTreeMap<u32, Offset>,
    /// Those that the bus has not been advised of.
    unadvised: BTreeMap<u32, Offset>,
}

impl Gathered {
    pub(super) fn new(positions: BTreeMap<u32, Offset>, limit: usize) -> Self {
        Self {
            batch: Batch::default(),
            bytes: 0,
            limit,
            paused: false,
            ours: BTreeMap::new(),
            unadvised: BTreeMap::new(),
            positions,
        }
    }

    pub(super) fn position(&self, partition: u32) -> Option<Offset> {
        self.positions.get(&partition).copied()
    }

    /// A partition is ours; nothing of it may be gathered or under way.
    pub(super) fn assign(&mut self, partition: u32, generation: Generation) {
        self.drop_records(&[partition]);
        let next = self.position(partition);
        self.ours.insert(partition, Ours { generation, next });
        // The bus may not have been told when we were here before, and listens only to whom a partition is assigned.
        self.unadvised.extend(next.map(|next| (partition, next)));
    }

    pub(super) fn drop_partitions(&mut self, partitions: &[TopicPartition]) {
        let gone: Vec<u32> = partitions.iter().map(|at| at.partition.0).collect();
        self.drop_records(&gone);
        for partition in gone {
            self.ours.remove(&partition);
        }
    }

    fn drop_records(&mut self, gone: &[u32]) {
        self.batch.records.retain(|record| !gone.contains(&record.partition.0));
        self.batch.read.retain(|partition, _| !gone.contains(partition));
        self.bytes = self.batch.records.iter().map(|record| record.value().len()).sum();
    }

    /// Adds what was delivered, unless it is of an earlier assignment.
    pub(super) fn add(&mut self, partition: u32, generation: Generation, records: Vec<Record>) {
        let Some(ours) = self.ours.get_mut(&partition).filter(|ours| ours.generation == generation) else { return };
        for record in records {
            if ours.next.is_some_and(|next| record.offset < next) {
                continue;
            }
            let to = record.offset.next();
            self.batch.read.entry(partition).or_insert(Read { from: ours.next, to }).to = to;
            ours.next = Some(to);
            self.bytes += record.value().len();
            self.batch.records.push(record);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.records.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    /// What is to be written now.
    pub(super) fn take(&mut self) -> Batch {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }

    /// A batch that could not be written comes before what was gathered since.
    pub(super) fn put_back(&mut self, mut batch: Batch) {
        let since = self.take();
        batch.records.extend(since.records);
        for (partition, read) in since.read {
            batch.read.entry(partition).or_insert(read).to = read.to;
        }
        self.bytes = batch.records.iter().map(|record| record.value().len()).sum();
        self.batch = batch;
    }

    /// A batch was written.
    pub(super) fn committed(&mut self, batch: &Batch) {
        for (partition, read) in &batch.read {
            self.positions.insert(*partition, read.to);
            self.unadvised.insert(*partition, read.to);
        }
    }

    pub(super) fn is_unadvised(&self) -> bool {
        !self.unadvised.is_empty()
    }

    pub(super) fn unadvised(&mut self) -> Vec<(u32, Offset)> {
        std::mem::take(&mut self.unadvised).into_iter().collect()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Enough is gathered: the member goes on being asked, and delivers no more.
    pub(super) fn pause(&mut self, member: &dyn Member) {
        self.paused = true;
        for partition in self.ours.keys() {
            member.pause(&TopicPartition::new(PROGRESS, *partition));
        }
    }

    pub(super) fn resume(&mut self, member: &dyn Member) {
        self.paused = false;
        for partition in self.ours.keys() {
            member.resume(&TopicPartition::new(PROGRESS, *partition));
        }
    }
}

#[cfg(test)]
mod tests {
    use bus::{Partition, Topic};
    use contracts::headers::Headers;
    use jiff::Timestamp;

    use super::*;

    fn record(offset: u64) -> Record {
        Record {
            topic: Topic::from(PROGRESS),
            partition: Partition(0),
            offset: Offset(offset),
            published: Timestamp::UNIX_EPOCH,
            key: None,
            value: Some("12345".into()),
            headers: Headers::default(),
        }
    }

    #[test]
    fn a_batch_begins_where_the_one_before_it_ends_whatever_the_holes() {
        let mut gathered = Gathered::new([(0, Offset(3))].into(), 12);
        gathered.assign(0, Generation(1));
        gathered.add(0, Generation(1), vec![record(2), record(3), record(9)]);
        gathered.add(0, Generation(0), vec![record(10)]);
        let first = gathered.take();
        assert_eq!(first.read[&0], Read { from: Some(Offset(3)), to: Offset(10) });
        assert_eq!(first.records.len(), 2);
        gathered.add(0, Generation(1), vec![record(20)]);
        gathered.put_back(first);
        assert!(gathered.is_full());
        let both = gathered.take();
        assert_eq!(both.read[&0], Read { from: Some(Offset(3)), to: Offset(21) });
        assert_eq!(both.records.iter().map(|record| record.offset.0).collect::<Vec<_>>(), [3, 9, 20]);
        gathered.committed(&both);
        assert_eq!(gathered.position(0), Some(Offset(21)));
    }

    #[test]
    fn what_is_lost_is_read_again_from_the_stores_position() {
        let mut gathered = Gathered::new(BTreeMap::new(), 100);
        gathered.assign(0, Generation(1));
        gathered.add(0, Generation(1), vec![record(5)]);
        gathered.drop_partitions(&[TopicPartition::new(PROGRESS, 0)]);
        assert!(gathered.is_empty());
        gathered.assign(0, Generation(2));
        gathered.add(0, Generation(2), vec![record(5)]);
        assert_eq!(gathered.take().read[&0], Read { from: None, to: Offset(6) });
    }
}
