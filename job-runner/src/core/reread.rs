//! What was not kept in memory is read again when its turn comes: records that are parked behind their key, and what was
//! delivered when there was no room for it. One read is under way at a time.

use std::sync::Arc;

use bus::{Generation, Offset, Record, TopicPartition};
use contracts::envelope::EventHeaders;

use super::{Core, Effect, Part, Phase, lane::KeyId};
use crate::{
    error::GroupError,
    queue::{Item, OrderKey, Parked},
};

/// About how many bytes are read at once.
pub(super) const CHUNK: usize = 256 * 1024;

/// What is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    /// A record stands at this place, or stood there.
    pub(crate) from: Offset,
    pub(crate) max_bytes: usize,
    pub(super) what: What,
}

/// Why something is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// It was left in the log.
    Left,
    /// It is parked behind this key, whose turn it is.
    Key(OrderKey),
    /// It waits in the lane, and is due.
    Due(TopicPartition, Offset),
}

impl Reading {
    /// Whether it is of the lane, where something is sure to stand, there or further behind.
    pub(crate) fn is_of_lane(&self) -> bool {
        matches!(self.what, What::Due(..))
    }
}

impl Core {
    /// Asks for what is to be read again next, where there is room for it.
    pub(super) fn read_next(&mut self) {
        let held = self.queue.bytes() + self.backlog_bytes;
        let is_full = self.queue.ready() + self.running.len() >= self.limits.records(&self.plan)
            || (held > 0 && held >= self.limits.queue_bytes / 4 * 3);
        if self.reading.is_some() || self.outputs.is_full() {
            return;
        }
        // What is due has room of its own: a backlog, however long, is no reason for it to wait.
        let may_be_read = [!is_full, !is_full, self.has_room(0)];
        // In turn, so that none of them waits for ever.
        let kinds = [Self::next_wanted, Self::next_unread, Self::next_lane];
        let found = (1..=kinds.len()).map(|step| (self.read_last + step) % kinds.len());
        let found = found.filter(|kind| may_be_read[*kind]).collect::<Vec<_>>();
        let found = found.into_iter().find_map(|kind| Some((kind, kinds[kind](self)?)));
        let Some((kind, reading)) = found else { return };
        self.read_last = kind;
        self.effects.push(Effect::Read(reading.clone()));
        self.reading = Some(reading);
    }

    /// Whether one more of that size, which waited in the lane, may be read: as many as half of what may be ready, in a quarter of the
    /// bytes.
    pub(super) fn has_room(&self, size: usize) -> bool {
        let due = self.queue.due();
        let bytes = due.bytes + size;
        due.records < self.limits.records(&self.plan).div_ceil(2)
            && (due.records == 0 || bytes <= self.limits.queue_bytes / 4)
    }

    fn next_wanted(&mut self) -> Option<Reading> {
        while let Some((key, Parked { partition, generation, offset, .. })) = self.queue.next_wanted() {
            let Some(part) = self.open_part(&partition, generation) else {
                // What was parked in it was forgotten with it.
                self.queue.release(Some(&key));
                continue;
            };
            if !part.ledger.may_unpark(offset) {
                part.stuck.push(key);
                continue;
            }
            return Some(Reading { partition, generation, from: offset, max_bytes: CHUNK, what: What::Key(key) });
        }
        None
    }

    fn next_unread(&mut self) -> Option<Reading> {
        while let Some(partition) = self.unread.pop_front() {
            let Some(part) = self.parts.get(&partition).filter(|part| part.phase == Phase::Open) else { continue };
            let Some((from, _)) = part.unread.filter(|_| part.halt.is_none() && part.backlog.is_empty()) else {
                continue;
            };
            let held = self.queue.bytes() + self.backlog_bytes;
            let max_bytes = self.limits.queue_bytes.saturating_sub(held).clamp(1, CHUNK);
            return Some(Reading { generation: part.generation, partition, from, max_bytes, what: What::Left });
        }
        None
    }

    /// What was asked for was read.
    pub(crate) fn read_again(&mut self, records: Vec<Record>) -> Result<(), GroupError> {
        let Some(reading) = self.reading.take() else { return Ok(()) };
        match reading.what.clone() {
            What::Key(key) => self.unpark(&reading.partition, reading.generation, key, records),
            What::Left => self.take_up(&reading.partition, reading.generation, reading.from, records),
            What::Due(partition, offset) => self.take_due(&reading, (partition, offset), records),
        }
    }

    /// Ends a read that nobody waits for any more, since its partition is gone or goes; true if there was one.
    pub(crate) fn abandon_reading(&mut self) -> bool {
        let Some(reading) = self.reading.take() else { return false };
        let of = if let What::Due(partition, _) = &reading.what { partition } else { &reading.partition };
        if self.open_part(&of.clone(), reading.generation).is_some() {
            self.reading = Some(reading);
            return false;
        }
        if let What::Key(key) = &reading.what {
            self.queue.was_read(key);
            self.queue.release(Some(key));
        }
        true
    }

    fn open_part(&mut self, partition: &TopicPartition, generation: Generation) -> Option<&mut Part> {
        self.part(partition, generation).filter(|part| part.phase == Phase::Open)
    }

    fn take_up(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        from: Offset,
        mut records: Vec<Record>,
    ) -> Result<(), GroupError> {
        let Some((_, last)) = self.open_part(partition, generation).and_then(|part| part.unread) else { return Ok(()) };
        records.retain(|record| record.offset >= from && record.offset <= last);
        let Some(read) = records.last().map(|record| record.offset) else {
            return Err(GroupError::Vanished { partition: partition.clone(), offset: last });
        };
        self.keep(partition, records, last, true);
        if let Some(part) = self.parts.get_mut(partition)
            && part.unread.is_none()
            && read < last
        {
            part.unread = Some((read.next(), last));
        }
        Ok(())
    }

    /// The next of a key is ready, and those of it that were read with it may be held behind it.
    fn unpark(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        key: OrderKey,
        records: Vec<Record>,
    ) -> Result<(), GroupError> {
        self.queue.was_read(&key);
        let here = |parked: &&Parked| parked.partition == *partition && parked.generation == generation;
        // Where others of the key wait in the lane, it goes there, too.
        let goes_behind = self.waits(partition, KeyId::of(&key.key));
        let mut is_next = true;
        for record in records {
            let Some(part) = self.parts.get_mut(partition).filter(|part| part.generation == generation) else { break };
            let Some(parked) = self.queue.first_parked(&key).filter(here).cloned() else { break };
            if record.offset < parked.offset {
                continue;
            }
            let fits = is_next
                || goes_behind && !self.outputs.is_full()
                || self.queue.bytes() + self.backlog_bytes + record.size() <= self.limits.queue_bytes;
            if record.offset > parked.offset || !fits || !part.ledger.may_unpark(parked.offset) {
                break;
            }
            let Ok(event) = EventHeaders::decode(record.topic.as_str(), &record.headers) else { break };
            let item = Item {
                partition: partition.clone(),
                generation,
                offset: record.offset,
                key: Some(key.clone()),
                event: Arc::new(event),
                size: record.size(),
                own_key: record.key,
                headers: Arc::new(record.headers),
                data: record.value.unwrap_or_default(),
                begun: parked.begun,
            };
            if goes_behind {
                self.queue.moved(&key);
                if let Some(mut desk) = self.desk(partition, generation) {
                    desk.set_behind(&item);
                }
                self.note_has_room(partition);
            } else {
                if !self.queue.unpark(item, is_next) {
                    break;
                }
                part.ledger.unpark(parked.offset);
            }
            is_next = false;
        }
        if !is_next {
            if goes_behind {
                self.queue.set_aside(&key);
            }
            return Ok(());
        }
        let parked = self.queue.first_parked(&key).filter(here).map(|parked| parked.offset);
        match (self.open_part(partition, generation), parked) {
            (Some(part), Some(offset)) if part.ledger.may_unpark(offset) => {
                Err(GroupError::Vanished { partition: partition.clone(), offset })
            }
            _ => {
                self.queue.release(Some(&key));
                Ok(())
            }
        }
    }
}
