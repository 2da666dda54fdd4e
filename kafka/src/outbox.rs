//! What a member is to be told next: what happened to its partitions first, then records, partition by partition in turn.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

use crate::threads::lock;
use bus::{Delivery, Error, Generation, Record, TopicPartition};

/// How many records one delivery carries at most: a vector of a few kilobytes, whose memory is at hand.
pub(crate) const DELIVERY_RECORDS: usize = 64;
/// Up to about how many bytes what comes in pieces is delivered at once.
const DELIVERY_BYTES: usize = 1024 * 1024;

/// Between the task that polls and the stage that asks.
pub(crate) struct Outbox {
    state: Mutex<State>,
    told: Notify,
    /// There is room again.
    pub(crate) room: Arc<Notify>,
    limit: usize,
}

#[derive(Default)]
struct State {
    control: VecDeque<Delivery>,
    queues: HashMap<TopicPartition, Queue>,
    /// Also of partitions that are not open yet.
    paused: HashSet<TopicPartition>,
    /// Partitions with something to deliver that are not paused; each at most once.
    ready: VecDeque<TopicPartition>,
    /// Bytes of records of partitions that are not paused.
    bytes: usize,
    failed: Option<Error>,
}

struct Queue {
    generation: Generation,
    paused: bool,
    deliveries: VecDeque<Records>,
    bytes: usize,
}

/// What is delivered at once.
struct Records {
    records: Vec<Record>,
    bytes: usize,
}

impl Queue {
    fn push(&mut self, records: Vec<Record>, bytes: usize) {
        self.bytes += bytes;
        match self.deliveries.back_mut() {
            Some(last)
                if last.records.len() + records.len() <= DELIVERY_RECORDS && last.bytes + bytes <= DELIVERY_BYTES =>
            {
                last.records.extend(records);
                last.bytes += bytes;
            }
            _ => self.deliveries.push_back(Records { records, bytes }),
        }
    }
}

impl State {
    fn drop_records(&mut self, at: &TopicPartition) {
        self.ready.retain(|ready| ready != at);
        if let Some(queue) = self.queues.remove(at)
            && !queue.paused
        {
            self.bytes = self.bytes.saturating_sub(queue.bytes);
        }
    }
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), told: Notify::new(), room: Arc::default(), limit: limit.max(1) }
    }

    /// Tells something that is not records.
    pub(crate) fn tell(&self, delivery: Delivery) {
        lock(&self.state).control.push_back(delivery);
        self.told.notify_one();
    }

    /// Tells an error, now and whenever it is asked again.
    pub(crate) fn fail(&self, error: Error) {
        lock(&self.state).failed.get_or_insert(error);
        self.told.notify_one();
    }

    /// Lets a partition's records in.
    pub(crate) fn open(&self, at: &TopicPartition, generation: Generation) {
        let mut state = lock(&self.state);
        let paused = state.paused.contains(at);
        state.drop_records(at);
        state.queues.insert(at.clone(), Queue { generation, paused, deliveries: VecDeque::new(), bytes: 0 });
    }

    /// Drops what is undelivered of partitions, and lets no more in.
    pub(crate) fn close(&self, partitions: &[TopicPartition]) {
        let mut state = lock(&self.state);
        for at in partitions {
            state.drop_records(at);
            state.paused.remove(at);
        }
        drop(state);
        self.room.notify_one();
    }

    /// Takes records of a partition; true if it is paused, so that no more should be fetched. Those of one that is not open are
    /// dropped.
    pub(crate) fn records(&self, at: &TopicPartition, records: Vec<Record>) -> bool {
        let mut state = lock(&self.state);
        let State { queues, ready, bytes, .. } = &mut *state;
        let Some(queue) = queues.get_mut(at) else { return false };
        let size: usize = records.iter().map(size).sum();
        let was_empty = queue.deliveries.is_empty();
        if !records.is_empty() {
            queue.push(records, size);
        }
        if queue.paused {
            return true;
        }
        *bytes += size;
        if was_empty && !queue.deliveries.is_empty() {
            ready.push_back(at.clone());
        }
        drop(state);
        self.told.notify_one();
        false
    }

    /// Whether more may be fetched.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.state).bytes < self.limit
    }

    pub(crate) fn pause(&self, at: &TopicPartition) {
        let mut state = lock(&self.state);
        state.paused.insert(at.clone());
        let State { queues, ready, bytes, .. } = &mut *state;
        let Some(queue) = queues.get_mut(at).filter(|queue| !queue.paused) else { return };
        queue.paused = true;
        *bytes = bytes.saturating_sub(queue.bytes);
        ready.retain(|ready| ready != at);
        self.room.notify_one();
    }

    pub(crate) fn resume(&self, at: &TopicPartition) {
        let mut state = lock(&self.state);
        state.paused.remove(at);
        let State { queues, ready, bytes, .. } = &mut *state;
        let Some(queue) = queues.get_mut(at).filter(|queue| queue.paused) else { return };
        queue.paused = false;
        *bytes += queue.bytes;
        if !queue.deliveries.is_empty() {
            ready.push_back(at.clone());
        }
        drop(state);
        self.told.notify_one();
    }

    /// What is next. Nothing is lost if it is not waited for.
    pub(crate) async fn next(&self) -> Result<Delivery, Error> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.told.notified().await;
        }
    }

    fn take(&self) -> Option<Result<Delivery, Error>> {
        let mut state = lock(&self.state);
        if let Some(delivery) = state.control.pop_front() {
            return Some(Ok(delivery));
        }
        if let Some(error) = &state.failed {
            return Some(Err(error.clone()));
        }
        let at = state.ready.pop_front()?;
        let State { queues, ready, bytes, .. } = &mut *state;
        let queue = queues.get_mut(&at)?;
        let Records { records, bytes: taken } = queue.deliveries.pop_front()?;
        queue.bytes -= taken;
        *bytes = bytes.saturating_sub(taken);
        if !queue.deliveries.is_empty() {
            ready.push_back(at.clone());
        }
        let (generation, room) = (queue.generation, *bytes < self.limit);
        drop(state);
        if room {
            self.room.notify_one();
        }
        Some(Ok(Delivery::Records(at, generation, records)))
    }
}

/// What a record takes, about.
fn size(record: &Record) -> usize {
    256 + record.headers.size() + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value().len()
}

#[cfg(test)]
mod tests {
    use contracts::headers::Headers;
    use futures_util::FutureExt as _;
    use jiff::Timestamp;

    use super::*;
    use bus::{Offset, Partition};

    fn record(offset: u64) -> Record {
        Record {
            topic: "in".into(),
            partition: Partition(0),
            offset: Offset(offset),
            published: Timestamp::UNIX_EPOCH,
            key: None,
            value: Some(vec![0; 1000].into()),
            headers: Headers::default(),
        }
    }

    fn next(outbox: &Outbox) -> Option<Delivery> {
        outbox.next().now_or_never().map(|next| next.expect("no error was told"))
    }

    #[test]
    fn a_revocation_overtakes_records_and_takes_those_of_its_partition_with_it() {
        let (outbox, at) = (Outbox::new(10_000), TopicPartition::new("in", 0));
        outbox.open(&at, Generation(1));
        outbox.records(&at, vec![record(0)]);
        outbox.close(std::slice::from_ref(&at));
        outbox.tell(Delivery::Lost(vec![at.clone()]));
        assert!(matches!(next(&outbox), Some(Delivery::Lost(_))));
        assert!(next(&outbox).is_none());
        assert!(!outbox.records(&at, vec![record(1)]));
        assert!(next(&outbox).is_none());
    }

    #[test]
    fn what_is_paused_waits_and_takes_no_room() {
        let (outbox, at) = (Outbox::new(2_000), TopicPartition::new("in", 0));
        outbox.pause(&at);
        outbox.open(&at, Generation(1));
        assert!(outbox.records(&at, vec![record(0)]));
        outbox.resume(&at);
        assert!(!outbox.records(&at, vec![record(1)]));
        assert!(!outbox.has_room());
        outbox.pause(&at);
        assert!(outbox.has_room());
        assert!(next(&outbox).is_none());
        assert!(outbox.records(&at, vec![record(2)]));
        outbox.resume(&at);
        assert!(!outbox.has_room());
        match next(&outbox) {
            Some(Delivery::Records(_, Generation(1), records)) => assert_eq!(records.len(), 3),
            other => panic!("{other:?}"),
        }
        assert!(outbox.has_room());
    }

    #[test]
    fn an_error_is_told_again_and_again() {
        let outbox = Outbox::new(1);
        outbox.fail(Error::Stopped("first".into()));
        outbox.fail(Error::Stopped("second".into()));
        for _ in 0..2 {
            let told = outbox.next().now_or_never();
            assert!(matches!(told, Some(Err(Error::Stopped(reason))) if reason == "first"));
        }
    }
}
