//! What was not kept in memory is read again when its turn comes: records that are parked behind their key, and what was
//! delivered when there was no room for it. One read is under way at a time.

use std::sync::Arc;

use bus::{Generation, Offset, Record, TopicPartition};
use contracts::envelope::EventHeaders;

use super::{Core, Effect, Part, Phase};
use crate::{
    error::GroupError,
    queue::{Item, OrderKey, Parked},
};

/// About how many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// What is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    /// A record stands at this place, or stood there.
    pub(crate) from: Offset,
    pub(crate) max_bytes: usize,
    /// Whose next record is wanted; none for whatever was left in the log.
    key: Option<OrderKey>,
}

impl Core {
    /// Asks for what is to be read again next, where there is room for it.
    pub(super) fn read_next(&mut self) {
        let held = self.queue.bytes() + self.backlog_bytes;
        let is_full = self.queue.ready() + self.running.len() >= self.limits.records(&self.plan)
            || (held > 0 && held >= self.limits.queue_bytes / 4 * 3);
        if self.reading.is_some() || is_full {
            return;
        }
        let reading = if self.key_was_last {
            self.next_unread().or_else(|| self.next_wanted())
        } else {
            self.next_wanted().or_else(|| self.next_unread())
        };
        let Some(reading) = reading else { return };
        self.key_was_last = reading.key.is_some();
        self.effects.push(Effect::Read(reading.clone()));
        self.reading = Some(reading);
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
            return Some(Reading { partition, generation, from: offset, max_bytes: CHUNK, key: Some(key) });
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
            return Some(Reading { generation: part.generation, partition, from, max_bytes, key: None });
        }
        None
    }

    /// What was asked for was read.
    pub(crate) fn read_again(&mut self, records: Vec<Record>) -> Result<(), GroupError> {
        let Some(Reading { partition, generation, from, key, .. }) = self.reading.take() else { return Ok(()) };
        match key {
            Some(key) => self.unpark(&partition, generation, key, records),
            None => self.take_up(&partition, generation, from, records),
        }
    }

    /// Ends a read that nobody waits for any more, since its partition is gone or goes; true if there was one.
    pub(crate) fn abandon_reading(&mut self) -> bool {
        let Some(reading) = self.reading.take() else { return false };
        if self.open_part(&reading.partition, reading.generation).is_some() {
            self.reading = Some(reading);
            return false;
        }
        self.queue.release(reading.key.as_ref());
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
        let here = |parked: &&Parked| parked.partition == *partition && parked.generation == generation;
        let mut is_next = true;
        for record in records {
            let Some(part) = self.parts.get_mut(partition).filter(|part| part.generation == generation) else { break };
            let Some(parked) = self.queue.first_parked(&key).filter(here).cloned() else { break };
            if record.offset < parked.offset {
                continue;
            }
            let fits = is_next || self.queue.bytes() + self.backlog_bytes + record.size() <= self.limits.queue_bytes;
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
                data: record.value.unwrap_or_default(),
                begun: parked.begun,
            };
            if !self.queue.unpark(item, is_next) {
                break;
            }
            part.ledger.unpark(parked.offset);
            is_next = false;
        }
        if !is_next {
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
