//! Windows: events of a job that have something in common gather in the lane, and the last of them runs when nothing more has come
//! for a while.
//!
//! An event that comes into an open window takes the place of the last one there, which is *superseded*: told to have ended, once
//! the later one is in the log, and no sooner, since the bus may refuse that. So a window has one event that waits, however
//! many came, and what was superseded and is not told yet is a row before it. A row is told from its begin, and nothing runs
//! before it is told; so what is rebuilt of it, from whatever is left, has the same last.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bus::{Generation, Offset, Record, TopicPartition};
use bytes::Bytes;
use catalog::{Gathering, Order};
use contracts::{envelope::EventHeaders, ids::WindowId, lane::Window, progress::Gathered};
use jiff::Timestamp;

use super::{
    Core, Now,
    desk::Desk,
    door::Door,
    lane::{Came, Entry, KeyId, Lane, Place},
    retry,
};
use crate::{
    kind::Failure,
    ledger::Begun,
    options,
    plan::Plan,
    queue::{Item, OrderKey},
    rebuild::Kept,
    steps::Attempt,
};

/// By what an event that came into a window stands in order: its own key, unless the window has another.
pub(super) fn order_key(own: Option<&Bytes>, by: Option<WindowId>) -> Option<Bytes> {
    match by {
        Some(by) if own.is_none_or(|own| WindowId::of_key(own) != by) => Some(Bytes::copy_from_slice(by.0.as_bytes())),
        _ => own.cloned(),
    }
}

impl Door<'_> {
    /// Whether what has not begun of a record gathers. Not while another of its key has not come into the lane, from before the job
    /// had windows: were it to begin again, it would stand behind this one.
    pub(super) fn gathers(&self, record: &Record) -> bool {
        let is_behind = |key: OrderKey| {
            let is_of_lane = self.part.lane.holds(KeyId::of(&key.key)) && !self.queue.has_behind(&key);
            self.queue.is_busy(&key) && !is_of_lane
        };
        self.plan.gathering.is_some() && !self.key(record).is_some_and(is_behind)
    }

    /// An event comes into its window, or is for itself where it has none.
    pub(super) fn gather(&mut self, record: Record, event: Arc<EventHeaders>, begun: Begun) {
        let mut item = self.item(record, event.clone(), begun);
        let Some(gathering) = &self.plan.gathering else { return };
        let by = match value(gathering, &item) {
            Ok(by) => by,
            Err(failure) => {
                let (attempt, now) = (Attempt::new(&event, &self.plan.name, 1, self.now.wall), self.now);
                return self.desk().failed(&item, attempt, now, failure);
            }
        };
        self.retried.push(item.offset);
        let Some(by) = by else { return self.desk().set_behind(&item) };
        let at = self.partition;
        let in_order = self.plan.order == Order::Key;
        let key = order_key(item.own_key.as_ref(), Some(by)).filter(|_| in_order);
        item.key = key.map(|key| OrderKey { at: at.clone(), key });
        let last = self.part.lane.open_window(by, self.now.steady).map(|(last, _)| last);
        if last.is_some_and(|last| last > item.offset) {
            // It was begun before the job had windows, and given back: what came after it takes nobody's place.
            return self.desk().set_behind(&item);
        }
        self.desk().gather(&item, by, gathering);
        if let Some(last) = last {
            let due = self.part.lane.get(last).and_then(|entry| entry.due);
            self.superseded.push((due, last));
            self.part.lane.supersede(last, item.offset, event.id);
            self.part.unwritten.push(last);
        }
    }
}

/// What an event has in common with others; none where it is null.
fn value(gathering: &Gathering, item: &Item) -> Result<Option<WindowId>, Failure> {
    let Some(by) = &gathering.by else {
        return Ok(item.own_key.as_deref().map(WindowId::of_key));
    };
    let value = options::with_context(&item.event, &item.data, |context| by.of(context))?;
    let value = value.map_err(|error| {
        Failure::last(format!(
            "`debounce.by` has no value: {error}; correct the definition, or let an event without one be for itself, as in \
             coalesce(data.x, event.id)"
        ))
    })?;
    Ok(value.map(|value| WindowId::derived(&by.source(), &value)))
}

impl Desk<'_> {
    /// A record waits for the end of its window, which may begin with it.
    fn gather(&mut self, item: &Item, by: WindowId, gathering: &Gathering) {
        let Now { wall, steady } = self.now;
        let (began, latest, events) = match self.part.lane.open_window(by, steady) {
            Some((_, Came { window, latest, .. })) => (window.began, latest, window.events.saturating_add(1)),
            None => (wall, steady.checked_add(gathering.most).unwrap_or(steady), 1),
        };
        let ends = gathering.quiet.and_then(|quiet| steady.checked_add(quiet)).map_or(latest, |end| end.min(latest));
        let due = retry::at(wall, ends.saturating_duration_since(steady));
        let came = Came { window: Window { by, began, events }, latest, gathers: true };
        let place = Place::InShare(self.part.next_share());
        let waits =
            Entry { due: Some(ends), came: Some(Box::new(came)), ..Entry::behind(place, self.key(item), item.begun) };
        self.set_aside(item, waits, Some(due));
        let attempt = Attempt::new(&item.event, &self.plan.name, 0, wall);
        self.output(attempt.gathered(Gathered { since: began, events }, due));
    }
}

impl Core {
    /// One that was superseded has ended.
    pub(super) fn end_superseded(
        &mut self,
        record: &Record,
        (partition, generation, offset): (&TopicPartition, Generation, Offset),
    ) {
        let event = match EventHeaders::decode(partition.topic.as_str(), &record.headers) {
            Ok(event) => event,
            Err(error) => return self.unreadable(record, partition, generation, offset, &error),
        };
        let plan = self.plan.clone();
        let Some(mut desk) = self.desk(partition, generation) else { return };
        let Some((_, by)) = desk.part.lane.successor(offset) else { return };
        let told = Attempt::new(&event, &plan.name, 0, desk.now.wall).superseded(by, desk.now.wall);
        let entry = desk.leave(partition, offset);
        desk.output(told);
        self.counts.superseded += 1;
        self.go_on_after(partition, offset);
        if let Some(key) = entry.and_then(|entry| entry.key) {
            self.next_of(partition, key);
        }
    }

    /// One that was superseded is gone: what took its place has nothing before it any more.
    pub(super) fn go_on_after(&mut self, partition: &TopicPartition, offset: Offset) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        let Some(next) = part.lane.unlink(offset) else { return };
        if part.lane.successor(next).is_none() {
            return self.schedule(partition, next);
        }
        // Else it is looked at when what took its place is in the log.
        if part.lane.may_end(next, part.committed) {
            self.due.push_back((partition.clone(), part.generation, next));
        }
    }

    /// What the bus refused is gone from its window: what it took the place of has it again.
    pub(super) fn restore(&mut self, partition: &TopicPartition, gone: Offset, entry: &Entry) {
        if let Some(due) = entry.due {
            self.untimed(partition, due, gone);
        }
        let Some(part) = self.parts.get_mut(partition) else { return };
        let follows = part.lane.successor(gone).map(|(next, _)| next);
        let waits = part.lane.restore(gone, entry);
        waits.or(follows).into_iter().for_each(|offset| self.schedule(partition, offset));
    }

    /// A time at which nothing is due any more.
    pub(super) fn untimed(&mut self, partition: &TopicPartition, due: Instant, offset: Offset) {
        self.timers.remove(&(due, partition.clone(), offset));
    }

    /// Windows that are open end as the plan says now, where that is sooner.
    pub(super) fn shorten_windows(&mut self) {
        let steady = self.now.steady;
        let ends = match &self.plan.gathering {
            Some(gathering) => steady.checked_add(gathering.quiet.unwrap_or(gathering.most)),
            None => Some(steady),
        };
        let Some(ends) = ends else { return };
        let mut sooner = Vec::new();
        for (partition, part) in &self.parts {
            let entries = part.lane.entries().filter(|(_, entry)| entry.gathers());
            let later = entries.filter_map(|(offset, entry)| Some((offset, entry.due.filter(|due| *due > ends)?)));
            sooner.extend(later.map(|(offset, due)| (partition.clone(), offset, due)));
        }
        for (partition, offset, due) in sooner {
            self.untimed(&partition, due, offset);
            if let Some(entry) = self.parts.get_mut(&partition).and_then(|part| part.lane.get_mut(offset)) {
                entry.due = Some(ends);
            }
            self.schedule(&partition, offset);
        }
    }
}

/// Windows as the lane has them, event by event in their order.
pub(super) struct Restored<'p> {
    plan: &'p Plan,
    now: Now,
    last: HashMap<(WindowId, Timestamp), Offset>,
}

impl<'p> Restored<'p> {
    pub(super) fn new(plan: &'p Plan, now: Now) -> Self {
        Self { plan, now, last: HashMap::new() }
    }

    /// One that waits. Of those of one window the last counts.
    pub(super) fn insert(&mut self, lane: &mut Lane, offset: Offset, mut entry: Entry, kept: Kept) {
        let Now { wall, steady } = self.now;
        if let Some(came) = &mut entry.came {
            let gathering = self.plan.gathering.as_ref();
            let most = gathering.map(|gathering| gathering.most).unwrap_or_default();
            let so_far = wall.duration_since(came.window.began).try_into().unwrap_or_default();
            came.latest = steady.checked_add(most.saturating_sub(so_far)).unwrap_or(steady);
            let quiet = gathering.and_then(|gathering| gathering.quiet).unwrap_or(most);
            let ends = steady.checked_add(quiet).unwrap_or(steady);
            entry.due = entry.due.map(|due| if came.gathers { due.min(ends) } else { due });
        }
        let window = entry.came.as_ref().map(|came| (came.window.by, came.window.began));
        lane.insert(offset, entry);
        let Some((window, event)) = window.zip(kept.event) else { return };
        if let Some(before) = self.last.insert(window, offset) {
            lane.supersede(before, offset, event);
        }
    }
}
