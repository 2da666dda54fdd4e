//! What waits in the lane: whose time has come, whose turn it is, and where it is read again.
//!
//! Where an event stands in the lane is not known when it is written. What was written since the assignment stands behind the
//! lane's *cursor*, up to which it has been read: so the first attempt from the lane is read in passing, with all that was
//! written beside it, and each later one at its place.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bus::{Generation, Offset, Partition, Record, TopicPartition};
use bytes::Bytes;
use catalog::Order;
use contracts::{
    envelope::EventHeaders,
    headers::{self, HeaderError},
    lane::Key,
    origin::Origin,
};

use super::{
    Core, Effect, Now, Part, Phase, Reading,
    desk::Desk,
    lane::{Entry, KeyId, Place, Stage},
    reread::{CHUNK, What},
    window,
};
use crate::{
    error::GroupError,
    queue::{Item, OrderKey},
    rebuild::Rebuilt,
    steps,
};

/// How far a partition of the lane has been read, and for how many inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    next: Offset,
    inputs: usize,
}

impl Core {
    /// When the first of those that wait is due, or may begin.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.timers.first().map(|(due, ..)| *due).into_iter().chain(self.gate_opens()).min()
    }

    /// Everything whose time has come by now.
    pub(super) fn fire(&mut self) {
        while self.timers.first().is_some_and(|(due, ..)| *due <= self.now.steady) {
            let Some((_, partition, offset)) = self.timers.pop_first() else { break };
            self.schedule(&partition, offset);
        }
        self.call_due();
    }

    /// Sees to one that waits: if it is its turn, it is due now, or at its time. Whoever is not there is passed over.
    pub(super) fn schedule(&mut self, partition: &TopicPartition, offset: Offset) {
        let Some(part) = self.parts.get_mut(partition).filter(|part| part.phase == Phase::Open) else { return };
        let Some(entry) = part.lane.get(offset).filter(|entry| entry.stage == Stage::Waiting) else { return };
        if !part.lane.is_its_turn(offset) {
            return;
        }
        if let Some(due) = entry.due.filter(|due| *due > self.now.steady) {
            self.timers.insert((due, partition.clone(), offset));
            return;
        }
        let is_written = entry.is_written(part.committed);
        part.lane.set(offset, Stage::Due);
        if part.lane.end_window(offset) {
            self.counts.gathering -= 1;
            self.counts.waiting += 1;
        }
        if is_written {
            self.due.push_back((partition.clone(), part.generation, offset));
        } else {
            part.unwritten.push(offset);
        }
    }

    /// All shares of a partition that were gathered are committed: what they moved to the lane can be read.
    pub(super) fn is_written(&mut self, partition: &TopicPartition) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        part.committed = part.shares;
        let due = std::mem::take(&mut part.unwritten);
        let (lane, committed, generation) = (&part.lane, part.committed, part.generation);
        let is_there = |offset: &Offset| {
            lane.get(*offset).is_some_and(|entry| match entry.stage {
                Stage::Superseded => lane.may_end(*offset, committed),
                _ => entry.is_written(committed),
            })
        };
        let waits = |offset: &Offset| {
            lane.get(*offset).is_some_and(|entry| matches!(entry.stage, Stage::Due | Stage::Superseded))
        };
        let (there, not): (Vec<_>, Vec<_>) = due.into_iter().filter(waits).partition(is_there);
        part.unwritten = not;
        self.due.extend(there.into_iter().map(|offset| (partition.clone(), generation, offset)));
    }

    /// A run has ended, or waits: the next of its key goes on. Where others of the key wait in the lane, what stands here behind it
    /// moves there.
    pub(super) fn key_is_free(&mut self, item: &Item) {
        let Some(key) = &item.key else { return self.schedule(&item.partition, item.offset) };
        let id = KeyId::of(&key.key);
        if !self.waits(&item.partition, id) {
            return self.queue.release(Some(key));
        }
        for held in self.queue.set_aside(key) {
            let Some(mut desk) = self.desk(&held.partition, held.generation) else { continue };
            desk.set_behind(&held);
            self.note_has_room(&held.partition);
        }
        self.next_of(&item.partition, id);
    }

    /// Whether anything of a key waits in the lane.
    pub(super) fn waits(&self, partition: &TopicPartition, key: KeyId) -> bool {
        self.parts.get(partition).is_some_and(|part| part.lane.holds(key))
    }

    pub(super) fn next_of(&mut self, partition: &TopicPartition, key: KeyId) {
        if let Some(offset) = self.parts.get(partition).and_then(|part| part.lane.next_of(key)) {
            self.schedule(partition, offset);
        }
    }

    /// The desk of a partition that is ours under that assignment; it has something to commit then.
    pub(super) fn desk(&mut self, partition: &TopicPartition, generation: Generation) -> Option<Desk<'_>> {
        let part = self.parts.get_mut(partition).filter(|part| part.generation == generation)?;
        part.touch(partition, &mut self.dirty);
        Some(Desk { plan: &self.plan, part, outputs: &mut self.outputs, counts: &mut self.counts, now: self.now })
    }

    /// What is due and to be read next; nothing while the job is paused.
    pub(super) fn next_lane(&mut self) -> Option<Reading> {
        if self.held || !self.gate.is_closed_circuit(self.now) {
            return None;
        }
        while let Some((partition, generation, offset)) = self.due.pop_front() {
            let Some(part) = self.parts.get(&partition) else { continue };
            let is_open = part.generation == generation && part.phase == Phase::Open;
            let is_wanted = |entry: &&Entry| is_open && matches!(entry.stage, Stage::Due | Stage::Superseded);
            let Some(entry) = part.lane.get(offset).filter(is_wanted) else {
                continue;
            };
            let lane = TopicPartition { topic: self.plan.lane.clone(), partition: partition.partition };
            let cursor = self.cursors.get(&partition.partition).map_or(Offset::ZERO, |cursor| cursor.next);
            let from = if let Place::At(place) = entry.place { place } else { cursor };
            return Some(Reading {
                generation,
                from,
                max_bytes: CHUNK,
                what: What::Due(partition, offset),
                partition: lane,
            });
        }
        None
    }

    /// What was read of the lane: the one that is due, and others whose turn it is and for whom there is room.
    pub(super) fn take_due(
        &mut self,
        reading: &Reading,
        (wanted, offset): (TopicPartition, Offset),
        records: Vec<Record>,
    ) -> Result<(), GroupError> {
        if let (Some(cursor), Some(last)) = (self.cursors.get_mut(&reading.partition.partition), records.last())
            && reading.from <= cursor.next
        {
            cursor.next = cursor.next.max(last.offset.next());
        }
        let place = self.parts.get(&wanted).and_then(|part| part.lane.get(offset)).map(|entry| entry.place);
        for record in records {
            let Some(Key::Event(origin)) = record.key.as_deref().and_then(Key::parse) else { continue };
            if record.value.is_some() {
                self.meet(record, origin, (&wanted, offset));
            }
        }
        let is_due = |core: &Self| {
            let part = core.parts.get(&wanted).filter(|part| part.generation == reading.generation);
            let entry = part.and_then(|part| part.lane.get(offset));
            entry.is_some_and(|entry| matches!(entry.stage, Stage::Due | Stage::Superseded))
        };
        match place {
            _ if !is_due(self) => Ok(()),
            Some(Place::At(place)) => Err(GroupError::Vanished { partition: reading.partition.clone(), offset: place }),
            // It stands further behind.
            _ => {
                self.due.push_front((wanted, reading.generation, offset));
                Ok(())
            }
        }
    }

    /// An event in the lane is met: where it stands is known, and if it is due it is taken up.
    fn meet(&mut self, record: Record, origin: Origin, wanted: (&TopicPartition, Offset)) {
        let partition = TopicPartition::new(origin.topic.as_str(), origin.partition);
        let offset = Offset(origin.offset);
        let is_wanted = (&partition, offset) == wanted;
        let has_room = is_wanted || self.has_room(record.size());
        let Some(part) = self.parts.get_mut(&partition).filter(|part| part.phase == Phase::Open) else { return };
        let Some(entry) = part.lane.get_mut(offset) else { return };
        entry.place = Place::At(record.offset);
        let (stage, generation) = (entry.stage, part.generation);
        if stage == Stage::Due && has_room {
            self.take_up_again(record, &origin, (partition, generation, offset));
        } else if stage == Stage::Superseded && part.lane.may_end(offset, part.committed) {
            self.end_superseded(&record, (&partition, generation, offset));
        }
    }

    fn take_up_again(
        &mut self,
        record: Record,
        origin: &Origin,
        (partition, generation, offset): (TopicPartition, Generation, Offset),
    ) {
        let Some(entry) = self.parts.get(&partition).and_then(|part| part.lane.get(offset)) else { return };
        let (begun, base) = (entry.begun, entry.base);
        let own_key = record.headers.get(headers::KEY).map(Bytes::copy_from_slice);
        let key = window::order_key(own_key.as_ref(), entry.came.as_ref().map(|came| came.window.by));
        let key = key.filter(|_| self.plan.order == Order::Key);
        let key = key.map(|key| OrderKey { at: partition.clone(), key });
        let event = EventHeaders::decode(&origin.topic, &record.headers);
        let item = |event| Item {
            partition: partition.clone(),
            generation,
            offset,
            key: key.clone(),
            event: Arc::new(event),
            size: record.size(),
            own_key,
            headers: Arc::new(record.headers.clone()),
            data: record.value.clone().unwrap_or_default(),
            begun,
        };
        let event = match event {
            Ok(event) => event,
            Err(error) => return self.unreadable(&record, &partition, generation, offset, &error),
        };
        let item = item(event);
        if item.key.as_ref().is_some_and(|key| self.queue.is_active(key)) {
            // One of its key runs that was begun before it came here; its end sees to this one.
            if let Some(part) = self.parts.get_mut(&partition) {
                part.lane.set(offset, Stage::Waiting);
            }
        } else if begun.attempts >= base.saturating_add(self.plan.attempts) {
            if let Some(mut desk) = self.desk(&partition, generation) {
                desk.spent(&item);
            }
            self.key_is_free(&item);
        } else {
            if let Some(part) = self.parts.get_mut(&partition) {
                part.lane.set(offset, Stage::Active);
            }
            self.queue.push_due(item);
        }
    }

    /// What is in the lane and cannot be read was damaged there, or by something else: it is refused where people look.
    pub(super) fn unreadable(
        &mut self,
        record: &Record,
        partition: &TopicPartition,
        generation: Generation,
        offset: Offset,
        error: &HeaderError,
    ) {
        tracing::error!(
            job.name = self.plan.group.full_name(), record.partition = %record.at(), record.offset = record.offset.0, %error,
            "an event that waits cannot be read; it is recorded in `rejected`"
        );
        let output = steps::unreadable(record, &self.plan.name, error, self.now.wall);
        let Some(mut desk) = self.desk(partition, generation) else { return };
        let key = desk.part.lane.get(offset).and_then(|entry| entry.key);
        desk.refuse(partition, offset, output);
        self.go_on_after(partition, offset);
        if let Some(key) = key {
            self.next_of(partition, key);
        }
    }

    /// What waits of partitions is known: they are opened. `now` is when it was read.
    pub(crate) fn rebuilt(&mut self, rebuilt: Rebuilt, now: Now) {
        self.now = now;
        let Rebuilt { inputs, mut found, mut orders, ends, layout } = rebuilt;
        layout.into_iter().for_each(|layout| self.gate.lay_out(layout, now));
        self.moved = Some(true);
        for (partition, generation) in inputs {
            let is_its =
                |part: &&mut Part| part.generation == generation && part.phase == Phase::Open && !part.is_rebuilt;
            let Some(part) = self.parts.get_mut(&partition).filter(is_its) else { continue };
            part.is_rebuilt = true;
            let in_order = self.plan.order == Order::Key;
            let mut windows = window::Restored::new(&self.plan, now);
            for (offset, kept) in found.remove(&partition).unwrap_or_default() {
                let key = window::order_key(kept.key.as_ref(), kept.state.window.map(|window| window.by));
                let key = key.filter(|_| in_order).map(|key| KeyId::of(&key));
                let entry = Entry::restored(kept.place, key, &kept.state, now);
                windows.insert(&mut part.lane, Offset(offset), entry, kept);
            }
            let gathering = part.lane.gathering();
            self.counts.gathering += gathering;
            self.counts.waiting += part.lane.len() - gathering;
            let superseded = part.lane.superseded();
            let (opens, turns) = (part.ledger.position().next, part.lane.turns());
            let end = ends.get(&partition.partition).copied().unwrap_or(Offset::ZERO);
            let cursor = self.cursors.entry(partition.partition).or_insert(Cursor { next: end, inputs: 0 });
            cursor.inputs += 1;
            self.effects.push(Effect::Open(partition.clone(), generation, opens));
            turns.into_iter().for_each(|offset| self.schedule(&partition, offset));
            self.due.extend(superseded.into_iter().map(|offset| (partition.clone(), generation, offset)));
            let done = orders.remove(&partition).unwrap_or_default();
            self.done_orders(&partition, done);
        }
    }

    /// What waits of a partition is forgotten with it.
    pub(super) fn forget_lane(&mut self, partition: &TopicPartition, part: &Part) {
        if !part.is_rebuilt {
            return;
        }
        let gathering = part.lane.gathering();
        self.counts.gathering -= gathering;
        self.counts.waiting -= part.lane.len() - gathering;
        if part.lane.len() > 0 {
            self.timers.retain(|(_, at, _)| at != partition);
        }
        if let Some(cursor) = self.cursors.get_mut(&partition.partition) {
            cursor.inputs -= 1;
            if cursor.inputs == 0 {
                self.cursors.remove(&partition.partition);
            }
        }
    }
}

/// How far each partition of the lane is read.
pub(super) type Cursors = HashMap<Partition, Cursor>;
