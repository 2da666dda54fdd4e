//! The log as readers see it: where each partition begins and ends, and its newest batches in a bounded tail in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    Error,
    local::{
        batch::Stored,
        storage::{Extent, Reader, TopicId},
    },
    record::{Offset, Partition, Record, Topic, TopicPartition},
    topic::{Start, TopicInfo},
};

/// How many bytes of batches are kept in memory, over all partitions.
const TAIL_BYTES: usize = 16 * 1024 * 1024;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain data behind, which is as true as before.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records in order, and where reading goes on, which may lie beyond the last of them.
pub(crate) struct Chunk {
    pub(crate) records: Vec<Record>,
    pub(crate) next: Offset,
}

pub(crate) struct Log {
    topics: RwLock<HashMap<Topic, Arc<TopicLog>>>,
    /// Batches in the tails, oldest first, for eviction.
    tail: Mutex<Tail>,
    reader: Arc<dyn Reader>,
}

#[derive(Default)]
struct Tail {
    order: VecDeque<(Arc<TopicLog>, Partition, usize)>,
    bytes: usize,
}

pub(crate) struct TopicLog {
    pub(crate) id: TopicId,
    pub(crate) info: TopicInfo,
    deleted: AtomicBool,
    partitions: Vec<PartitionLog>,
}

struct PartitionLog {
    state: Mutex<PartitionState>,
    appended: Notify,
}

struct PartitionState {
    begin: Offset,
    end: Offset,
    tail: VecDeque<Stored>,
}

impl TopicLog {
    pub(crate) fn new(id: TopicId, info: TopicInfo, extents: Vec<Extent>) -> Self {
        let partition = |extent: Extent| PartitionLog {
            state: Mutex::new(PartitionState { begin: extent.begin, end: extent.end, tail: VecDeque::new() }),
            appended: Notify::new(),
        };
        Self { id, info, deleted: AtomicBool::new(false), partitions: extents.into_iter().map(partition).collect() }
    }

    fn state(&self, partition: Partition) -> Option<MutexGuard<'_, PartitionState>> {
        self.partitions.get(partition.0 as usize).map(|partition| lock(&partition.state))
    }

    pub(crate) fn extent(&self, partition: Partition) -> Extent {
        self.state(partition).map_or(Extent { begin: Offset::ZERO, end: Offset::ZERO }, |state| Extent {
            begin: state.begin,
            end: state.end,
        })
    }
}

impl Log {
    pub(crate) fn new(reader: Arc<dyn Reader>) -> Self {
        Self { topics: RwLock::default(), tail: Mutex::default(), reader }
    }

    pub(crate) fn get(&self, topic: &Topic) -> Option<Arc<TopicLog>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(topic).cloned()
    }

    pub(crate) fn find(&self, at: &TopicPartition) -> Result<Arc<TopicLog>, Error> {
        let found = self.get(&at.topic).filter(|topic| at.partition.0 < topic.info.partitions);
        found.ok_or_else(|| Error::UnknownTopic(at.topic.clone()))
    }

    pub(crate) fn list(&self) -> Vec<Arc<TopicLog>> {
        let mut all: Vec<_> = self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|a, b| a.info.topic.cmp(&b.info.topic));
        all
    }

    pub(crate) fn insert(&self, topic: TopicLog) {
        let name = topic.info.topic.clone();
        self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(topic));
    }

    pub(crate) fn remove(&self, topic: &Topic) {
        let removed = self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(topic);
        if let Some(removed) = removed {
            removed.deleted.store(true, Ordering::Release);
            removed.partitions.iter().for_each(|partition| partition.appended.notify_waiters());
        }
    }

    /// Makes a durable batch visible.
    pub(crate) fn append(&self, topic: &Arc<TopicLog>, partition: Partition, batch: Stored) {
        let Some(log) = topic.partitions.get(partition.0 as usize) else { return };
        let bytes = batch.body.len();
        {
            let mut state = lock(&log.state);
            state.end = batch.next;
            state.tail.push_back(batch);
        }
        log.appended.notify_waiters();
        let mut tail = lock(&self.tail);
        tail.order.push_back((topic.clone(), partition, bytes));
        tail.bytes += bytes;
        while tail.bytes > TAIL_BYTES {
            let Some((topic, partition, bytes)) = tail.order.pop_front() else { break };
            tail.bytes -= bytes;
            if let Some(mut state) = topic.state(partition) {
                state.tail.pop_front();
            }
        }
    }

    /// Moves where a partition begins, after older batches were deleted.
    pub(crate) fn trimmed(&self, topic: &TopicLog, partition: Partition, begin: Offset) {
        if let Some(mut state) = topic.state(partition) {
            state.begin = state.begin.max(begin);
        }
    }

    /// Reads from memory, or else from the store, on a thread where blocking is allowed.
    pub(crate) async fn read(
        &self,
        topic: &Arc<TopicLog>,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Chunk, Error> {
        if topic.deleted.load(Ordering::Acquire) {
            return Err(Error::UnknownTopic(topic.info.topic.clone()));
        }
        if let Some(batches) = tail_from(topic, partition, from, max_bytes) {
            return decode(topic, partition, from, &batches);
        }
        let (reader, id) = (self.reader.clone(), topic.id);
        let batches = tokio::task::spawn_blocking(move || reader.read(id, partition, from, max_bytes))
            .await
            .map_err(|error| Error::Stopped(error.to_string()))?
            .map_err(|error| {
                Error::Unavailable(format!("cannot read {}/{}: {error}", topic.info.topic, partition.0))
            })?;
        decode(topic, partition, from, &batches)
    }

    /// Waits until there is something at or after `from`.
    pub(crate) async fn changed(&self, topic: &TopicLog, partition: Partition, from: Offset) -> Result<(), Error> {
        let Some(log) = topic.partitions.get(partition.0 as usize) else {
            return Err(Error::UnknownTopic(topic.info.topic.clone()));
        };
        loop {
            let appended = log.appended.notified();
            if topic.deleted.load(Ordering::Acquire) {
                return Err(Error::UnknownTopic(topic.info.topic.clone()));
            }
            {
                // What was deleted from the front is no record any more.
                let state = lock(&log.state);
                if state.end > from.max(state.begin) {
                    return Ok(());
                }
            }
            appended.await;
        }
    }

    pub(crate) async fn offset(
        &self,
        topic: &Arc<TopicLog>,
        partition: Partition,
        place: Start,
    ) -> Result<Offset, Error> {
        let extent = topic.extent(partition);
        match place {
            Start::Earliest => Ok(extent.begin),
            Start::End => Ok(extent.end),
            Start::Time(time) => self.offset_at(topic, partition, time, extent).await,
        }
    }

    async fn offset_at(
        &self,
        topic: &TopicLog,
        partition: Partition,
        time: Timestamp,
        extent: Extent,
    ) -> Result<Offset, Error> {
        let (reader, id) = (self.reader.clone(), topic.id);
        let found = tokio::task::spawn_blocking(move || reader.at_time(id, partition, time))
            .await
            .map_err(|error| Error::Stopped(error.to_string()))?
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(found.map_or(extent.end, |found| found.max(extent.begin)))
    }
}

/// The batches of the tail from an offset on; none if the tail does not reach back that far.
fn tail_from(topic: &TopicLog, partition: Partition, from: Offset, max_bytes: usize) -> Option<Vec<Stored>> {
    let state = topic.state(partition)?;
    if from >= state.end {
        return Some(Vec::new());
    }
    if state.tail.front().is_none_or(|first| first.base > from) {
        return None;
    }
    let first = state.tail.partition_point(|batch| batch.next <= from);
    let mut bytes = 0;
    let fits = |batch: &&Stored| {
        let fits = bytes == 0 || bytes + batch.body.len() <= max_bytes;
        bytes += batch.body.len();
        fits
    };
    Some(state.tail.iter().skip(first).take_while(fits).cloned().collect())
}

fn decode(topic: &TopicLog, partition: Partition, from: Offset, batches: &[Stored]) -> Result<Chunk, Error> {
    let mut chunk = Chunk { records: Vec::new(), next: from };
    for batch in batches {
        batch.decode(&topic.info.topic, partition, from, &mut chunk.records).map_err(|error| {
            Error::Stopped(format!("{}/{} at {}: {error}", topic.info.topic, partition.0, batch.base))
        })?;
        chunk.next = chunk.next.max(batch.next);
    }
    Ok(chunk)
}
