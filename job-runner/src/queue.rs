//! Which record of a job is started next: first come, first served, but with `order: key` those of one key of one event one
//! after another. Pure.
//!
//! What waits behind its key is no ready work: a few such records are held, of the others only the place is kept (they are
//! *parked*), and they are read again when their turn comes. So a key with many records holds back none but its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bus::{Generation, Offset, TopicPartition};
use bytes::Bytes;
use contracts::{envelope::EventHeaders, headers::Headers};

use crate::ledger::Begun;

/// How many records of one key are held behind the one that is ready or runs.
const HELD: usize = 16;

/// Those of one key wait for each other. A key has one partition of its topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OrderKey {
    pub(crate) at: TopicPartition,
    pub(crate) key: Bytes,
}

/// A record that was taken and is not finished.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) offset: Offset,
    /// None where nobody waits.
    pub(crate) key: Option<OrderKey>,
    pub(crate) event: Arc<EventHeaders>,
    /// Its headers as they were, and its own key: what goes with it where it waits.
    pub(crate) headers: Arc<Headers>,
    pub(crate) own_key: Option<Bytes>,
    pub(crate) data: Bytes,
    /// How many bytes the record has, its key and headers included.
    pub(crate) size: usize,
    pub(crate) begun: Begun,
}

/// The place of a record that was taken and waits behind its key, to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) offset: Offset,
    pub(crate) begun: Begun,
}

/// What waits behind a key: first what is held, then what is parked.
#[derive(Debug, Default)]
struct Behind {
    held: VecDeque<Item>,
    parked: VecDeque<Parked>,
    /// One of the key is ready, was popped and not released, or is about to be ready. Else what is parked is only to be moved
    /// to the lane.
    is_active: bool,
    /// Its next is to be read again, or is being read: not twice, as what comes behind that would pass it.
    is_wanted: bool,
}

impl Behind {
    fn active() -> Self {
        Self { is_active: true, ..Self::default() }
    }
}

/// Records that wait to be started.
#[derive(Debug)]
pub(crate) struct Queue {
    ready: VecDeque<Item>,
    /// Those that waited in the lane and could be started now. They take turns with what comes anew, so that neither waits for all of
    /// the other.
    due: VecDeque<Item>,
    due_bytes: usize,
    is_due_next: bool,
    /// Keys of which one is ready, wanted, or was popped and not released, with those that wait behind.
    keys: HashMap<OrderKey, Behind>,
    /// Keys whose next record is to be read again.
    wanted: VecDeque<OrderKey>,
    /// How many records are held behind their keys, and may be.
    held: Load,
    most_held: Load,
    parked: usize,
    bytes: usize,
}

/// A number of records, and of their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Queue {
    /// A queue that holds at most so much behind all keys together.
    pub(crate) fn new(most_held: Load) -> Self {
        Self {
            ready: VecDeque::new(),
            due: VecDeque::new(),
            due_bytes: 0,
            is_due_next: false,
            keys: HashMap::new(),
            wanted: VecDeque::new(),
            held: Load::default(),
            most_held,
            parked: 0,
            bytes: 0,
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.ready() + self.held.records + self.parked
    }

    /// How many could be started now.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len() + self.due.len()
    }

    /// How many of these waited in the lane, and how many bytes they have.
    pub(crate) fn due(&self) -> Load {
        Load { records: self.due.len(), bytes: self.due_bytes }
    }

    /// Of how many only the place is kept.
    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    /// How many bytes of records are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a record of that key would wait behind another.
    pub(crate) fn is_busy(&self, key: &OrderKey) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether one of that key runs, or is about to.
    pub(crate) fn is_active(&self, key: &OrderKey) -> bool {
        self.keys.get(key).is_some_and(|behind| behind.is_active)
    }

    /// Whether others wait here behind that key.
    pub(crate) fn has_behind(&self, key: &OrderKey) -> bool {
        self.keys.get(key).is_some_and(|behind| !behind.held.is_empty() || !behind.parked.is_empty())
    }

    /// Takes in one that waited in the lane, and whose turn it is.
    pub(crate) fn push_due(&mut self, item: Item) {
        if let Some(key) = &item.key {
            self.keys.entry(key.clone()).or_default().is_active = true;
        }
        self.bytes += item.size;
        self.due_bytes += item.size;
        self.due.push_back(item);
    }

    /// Takes a record in; false if only its place is kept.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        let Some(key) = &item.key else {
            self.push_ready(item);
            return true;
        };
        let Some(behind) = self.keys.get(key) else {
            self.keys.insert(key.clone(), Behind::active());
            self.push_ready(item);
            return true;
        };
        if behind.parked.is_empty() && self.may_hold(behind, item.size) {
            self.hold(item);
            return true;
        }
        let Item { partition, generation, offset, begun, .. } = item;
        if let Some(behind) = item.key.as_ref().and_then(|key| self.keys.get_mut(key)) {
            behind.parked.push_back(Parked { partition, generation, offset, begun });
            self.parked += 1;
        }
        false
    }

    fn may_hold(&self, behind: &Behind, size: usize) -> bool {
        let Load { records, bytes } = self.held;
        behind.held.len() < HELD && records < self.most_held.records && bytes + size <= self.most_held.bytes
    }

    fn push_ready(&mut self, item: Item) {
        self.bytes += item.size;
        self.ready.push_back(item);
    }

    fn hold(&mut self, item: Item) {
        let Some(behind) = item.key.as_ref().and_then(|key| self.keys.get_mut(key)) else { return };
        self.bytes += item.size;
        self.held.records += 1;
        self.held.bytes += item.size;
        behind.held.push_back(item);
    }

    /// The next to be started. Its key is held until it is released.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let is_due = !self.due.is_empty() && (self.is_due_next || self.ready.is_empty());
        self.is_due_next = !is_due;
        let item = if is_due { self.due.pop_front()? } else { self.ready.pop_front()? };
        self.bytes -= item.size;
        if is_due {
            self.due_bytes -= item.size;
        }
        Some(item)
    }

    /// Lets the next of a key go.
    pub(crate) fn release(&mut self, key: Option<&OrderKey>) {
        let Some(key) = key else { return };
        let Some(behind) = self.keys.get_mut(key) else { return };
        if let Some(next) = behind.held.pop_front() {
            self.held.records -= 1;
            self.held.bytes -= next.size;
            self.ready.push_back(next);
        } else if behind.parked.is_empty() {
            self.keys.remove(key);
        } else if !std::mem::replace(&mut behind.is_wanted, true) {
            self.wanted.push_back(key.clone());
        }
    }

    /// What was wanted of a key was read, or is not read.
    pub(crate) fn was_read(&mut self, key: &OrderKey) {
        if let Some(behind) = self.keys.get_mut(key) {
            behind.is_wanted = false;
        }
    }

    /// Nothing more of a key is started from here: hands over what was held behind it, for the lane. What is parked is to be
    /// read and moved there, too.
    pub(crate) fn set_aside(&mut self, key: &OrderKey) -> VecDeque<Item> {
        let Some(behind) = self.keys.get_mut(key) else { return VecDeque::new() };
        behind.is_active = false;
        let held = std::mem::take(&mut behind.held);
        for item in &held {
            self.bytes -= item.size;
            self.held.records -= 1;
            self.held.bytes -= item.size;
        }
        if behind.parked.is_empty() {
            self.keys.remove(key);
        } else if !std::mem::replace(&mut behind.is_wanted, true) {
            self.wanted.push_back(key.clone());
        }
        held
    }

    /// The first that is parked behind a key was moved to the lane.
    pub(crate) fn moved(&mut self, key: &OrderKey) {
        if self.keys.get_mut(key).and_then(|behind| behind.parked.pop_front()).is_some() {
            self.parked -= 1;
        }
    }

    /// A key whose next record is to be read again, and where that is. The key is ours until it is wanted again, or
    /// released.
    pub(crate) fn next_wanted(&mut self) -> Option<(OrderKey, Parked)> {
        while let Some(key) = self.wanted.pop_front() {
            let behind = self.keys.get(&key).filter(|behind| behind.held.is_empty());
            match behind.and_then(|behind| behind.parked.front()).cloned() {
                Some(parked) => return Some((key, parked)),
                None => {
                    self.was_read(&key);
                    self.release(Some(&key));
                }
            }
        }
        None
    }

    /// The first that is parked behind a key.
    pub(crate) fn first_parked(&self, key: &OrderKey) -> Option<&Parked> {
        self.keys.get(key)?.parked.front()
    }

    /// A key is wanted again.
    pub(crate) fn want(&mut self, key: OrderKey) {
        self.wanted.push_back(key);
    }

    /// The first that is parked behind a key was read again: it is ready, or held behind those that were read with it.
    /// False if there is no room to hold it.
    pub(crate) fn unpark(&mut self, item: Item, is_next: bool) -> bool {
        let Some(behind) = item.key.as_ref().and_then(|key| self.keys.get(key)) else { return false };
        if !is_next && !self.may_hold(behind, item.size) {
            return false;
        }
        if let Some(behind) = item.key.as_ref().and_then(|key| self.keys.get_mut(key)) {
            behind.is_active = true;
            self.parked -= usize::from(behind.parked.pop_front().is_some());
        }
        if is_next {
            self.push_ready(item);
        } else {
            self.hold(item);
        }
        true
    }

    /// Forgets all that waits. What was popped, or is being read again, keeps its key.
    pub(crate) fn clear(&mut self) {
        let ready = self.ready.drain(..).chain(self.due.drain(..));
        for key in ready.filter_map(|item| item.key).chain(self.wanted.drain(..)) {
            self.keys.remove(&key);
        }
        self.keys.values_mut().for_each(|behind| *behind = Behind { is_active: behind.is_active, ..Behind::default() });
        (self.held, self.parked, self.bytes, self.due_bytes) = (Load::default(), 0, 0, 0);
    }

    /// Forgets what waits of a partition. What was popped, or is being read again, keeps its key.
    pub(crate) fn forget(&mut self, partition: &TopicPartition) {
        if self.len() == 0 {
            return;
        }
        for behind in self.keys.values_mut() {
            behind.held.retain(|item| {
                let stays = item.partition != *partition;
                if !stays {
                    self.bytes -= item.size;
                    self.held.records -= 1;
                    self.held.bytes -= item.size;
                }
                stays
            });
            let before = behind.parked.len();
            behind.parked.retain(|parked| parked.partition != *partition);
            self.parked -= before - behind.parked.len();
        }
        let mut free = Vec::new();
        for ready in [&mut self.ready, &mut self.due] {
            ready.retain(|item| {
                let stays = item.partition != *partition;
                if !stays {
                    self.bytes -= item.size;
                    free.push(item.key.clone());
                }
                stays
            });
        }
        self.due_bytes = self.due.iter().map(|item| item.size).sum();
        free.iter().for_each(|key| self.release(key.as_ref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::event;

    const ROOMY: Load = Load { records: 64, bytes: 1024 };

    fn at(partition: u32) -> TopicPartition {
        TopicPartition::new("event.a", partition)
    }

    fn item(partition: u32, offset: u64, key: Option<&'static str>) -> Item {
        Item {
            partition: at(partition),
            generation: Generation(1),
            offset: Offset(offset),
            key: key.map(|key| OrderKey { at: at(partition), key: Bytes::from_static(key.as_bytes()) }),
            event: Arc::new(event("a", 1)),
            headers: Arc::default(),
            own_key: None,
            data: Bytes::from_static(b"{}"),
            size: 2,
            begun: Begun::default(),
        }
    }

    fn popped(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|item| item.offset.0).collect()
    }

    #[test]
    fn those_of_one_key_run_one_after_another_and_others_pass_them() {
        let mut queue = Queue::new(ROOMY);
        for (offset, key) in [(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, None), (5, None), (6, Some("a"))] {
            queue.push(item(0, offset, key));
        }
        let first = queue.pop().expect("the first");
        assert_eq!(first.offset, Offset(1));
        assert_eq!(popped(&mut queue), [3, 4, 5]);
        queue.release(first.key.as_ref());
        assert_eq!(popped(&mut queue), [2]);
        queue.release(first.key.as_ref());
        assert_eq!(popped(&mut queue), [6]);
        queue.release(first.key.as_ref());
        assert_eq!((queue.len(), queue.bytes(), queue.keys.len()), (0, 0, 1));
    }

    #[test]
    fn a_partition_that_is_forgotten_leaves_nothing_behind() {
        let mut queue = Queue::new(ROOMY);
        for (partition, offset, key) in
            [(0, 1, Some("a")), (0, 2, Some("a")), (1, 3, Some("b")), (0, 4, None), (1, 5, Some("a"))]
        {
            queue.push(item(partition, offset, key));
        }
        queue.forget(&TopicPartition::new("event.a", 0));
        assert_eq!(popped(&mut queue), [3, 5]);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_key_whose_run_goes_on_after_its_partition_went_still_holds_back() {
        let mut queue = Queue::new(ROOMY);
        queue.push(item(0, 1, Some("a")));
        let running = queue.pop().expect("one");
        queue.forget(&TopicPartition::new("event.a", 0));
        queue.push(item(0, 1, Some("a")));
        assert!(queue.pop().is_none());
        queue.release(running.key.as_ref());
        assert_eq!(popped(&mut queue), [1]);
    }

    #[test]
    fn behind_a_key_a_few_are_held_and_of_the_others_the_place_is_kept() {
        let mut queue = Queue::new(Load { records: 20, bytes: 1024 });
        let kept: Vec<bool> = (0..40).map(|offset| queue.push(item(0, offset, Some("a")))).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 1 + HELD);
        (100..110).for_each(|offset| assert_eq!(queue.push(item(0, offset, Some("b"))), offset < 105));
        assert_eq!((queue.len(), queue.ready(), queue.parked(), queue.bytes()), (50, 2, 23 + 5, 22 * 2));
        let first = queue.pop().expect("the first");
        for offset in 1..=HELD as u64 {
            queue.release(first.key.as_ref());
            assert_eq!(queue.ready.pop_back().map(|item| item.offset.0), Some(offset));
            queue.bytes -= 2;
        }
        queue.release(first.key.as_ref());
        let (key, parked) = queue.next_wanted().expect("a key");
        assert_eq!((Some(&key), parked.offset), (first.key.as_ref(), Offset(17)));
        assert!(queue.next_wanted().is_none(), "wanted twice");
        assert!(queue.unpark(item(0, 17, Some("a")), true) && queue.unpark(item(0, 18, Some("a")), false));
        assert_eq!(queue.first_parked(&key).map(|parked| parked.offset), Some(Offset(19)));
        queue.forget(&TopicPartition::new("event.a", 0));
        assert_eq!((queue.len(), queue.bytes(), queue.held, queue.keys.len()), (0, 0, Load::default(), 0));
    }
}
