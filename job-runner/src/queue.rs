//! Which record of a job is started next: first come, first served, but with `order: key` those of one key of one event one
//! after another. Pure.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use bus::{Generation, Offset, Topic, TopicPartition};
use bytes::Bytes;
use contracts::envelope::EventHeaders;

use crate::ledger::Begun;

/// Those of one key wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OrderKey {
    pub(crate) topic: Topic,
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
    pub(crate) data: Bytes,
    pub(crate) begun: Begun,
}

/// Records that wait to be started.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    ready: VecDeque<Item>,
    /// Keys of which one is ready or was popped and not released, with those that wait for it.
    keys: HashMap<OrderKey, VecDeque<Item>>,
    len: usize,
    bytes: usize,
}

impl Queue {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes of data wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.len += 1;
        self.bytes += item.data.len();
        match item.key.clone().map(|key| self.keys.entry(key)) {
            Some(Entry::Occupied(mut waiting)) => waiting.get_mut().push_back(item),
            Some(Entry::Vacant(free)) => {
                free.insert(VecDeque::new());
                self.ready.push_back(item);
            }
            None => self.ready.push_back(item),
        }
    }

    /// The next to be started. Its key is held until it is released.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.ready.pop_front()?;
        self.len -= 1;
        self.bytes -= item.data.len();
        Some(item)
    }

    /// Lets the next of a key go.
    pub(crate) fn release(&mut self, key: Option<&OrderKey>) {
        let Some(key) = key else { return };
        let Some(waiting) = self.keys.get_mut(key) else { return };
        match waiting.pop_front() {
            Some(next) => self.ready.push_back(next),
            None => {
                self.keys.remove(key);
            }
        }
    }

    /// Forgets all that waits. What was popped keeps its key.
    pub(crate) fn clear(&mut self) {
        for item in self.ready.drain(..) {
            if let Some(key) = &item.key {
                self.keys.remove(key);
            }
        }
        self.keys.values_mut().for_each(VecDeque::clear);
        (self.len, self.bytes) = (0, 0);
    }

    /// Forgets what waits of a partition. What was popped keeps its key.
    pub(crate) fn forget(&mut self, partition: &TopicPartition) {
        let mut gone = Vec::new();
        for waiting in self.keys.values_mut() {
            waiting.retain(|item| {
                let stays = item.partition != *partition;
                if !stays {
                    gone.push((item.data.len(), None));
                }
                stays
            });
        }
        self.ready.retain(|item| {
            let stays = item.partition != *partition;
            if !stays {
                gone.push((item.data.len(), item.key.clone()));
            }
            stays
        });
        for (bytes, key) in gone {
            self.len -= 1;
            self.bytes -= bytes;
            self.release(key.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::tests::event;

    fn item(partition: u32, offset: u64, key: Option<&'static str>) -> Item {
        Item {
            partition: TopicPartition::new("event.a", partition),
            generation: Generation(1),
            offset: Offset(offset),
            key: key.map(|key| OrderKey { topic: "event.a".into(), key: Bytes::from_static(key.as_bytes()) }),
            event: Arc::new(event("a", 1)),
            data: Bytes::from_static(b"{}"),
            begun: Begun::default(),
        }
    }

    fn popped(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|item| item.offset.0).collect()
    }

    #[test]
    fn those_of_one_key_run_one_after_another_and_others_pass_them() {
        let mut queue = Queue::default();
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
        let mut queue = Queue::default();
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
        let mut queue = Queue::default();
        queue.push(item(0, 1, Some("a")));
        let running = queue.pop().expect("one");
        queue.forget(&TopicPartition::new("event.a", 0));
        queue.push(item(0, 1, Some("a")));
        assert!(queue.pop().is_none());
        queue.release(running.key.as_ref());
        assert_eq!(popped(&mut queue), [1]);
    }
}
