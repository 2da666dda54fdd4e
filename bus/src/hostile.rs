//! A bus in memory that is as unpleasant as the contract allows: holes, short deliveries, rebalances in the middle of a
//! batch, lost partitions, shares left out, ends unknown, publications refused. For tests of stages.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use tokio::sync::watch;

mod flaky;

pub use self::flaky::Flaky;
pub use crate::local::chaos::Manners;
use crate::{
    local::{
        Local, Within,
        batch::Stored,
        broker::Standing,
        chaos::Chaos,
        log::lock,
        storage::{Loaded, Reader, Storage, StorageError, TopicId, Transaction, Trimmable, Trimmed, Usage},
    },
    record::{Offset, Partition},
};

/// The hostile bus.
pub struct Hostile {
    local: Local,
    chaos: Arc<Chaos>,
    memory: Arc<Memory>,
}

impl Hostile {
    /// A bus with four partitions per topic that does everything that is allowed, often; the seed decides what and when.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, 4, Manners::HOSTILE)
    }

    /// A bus with that many partitions per topic and these manners.
    pub fn with(seed: u64, partitions: u32, manners: Manners) -> Self {
        let (chaos, memory) = (Arc::new(Chaos::new(seed, manners)), Arc::new(Memory::default()));
        let storage = Box::new(MemoryStorage(memory.clone()));
        let local = Local::start(storage, memory.clone(), partitions, Some(chaos.clone()))
            .expect("invariant: memory can always be loaded, and a test can start a thread");
        Self { local, chaos, memory }
    }

    /// From now on it behaves, so that a test can wait for everything to settle.
    pub fn calm(&self) {
        self.chaos.calm();
    }

    /// While broken, the store takes nothing: publications are refused, hops wait.
    pub fn break_store(&self, broken: bool) {
        lock(&self.memory.state).broken = broken;
    }

    /// Whether it can write, now and later.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.local.standing()
    }

    /// While full, publications are refused and hops may drain.
    pub fn fill(&self, full: bool) {
        lock(&self.memory.state).full = full;
    }

    /// From now on a topic takes records of at most so many bytes, as a topic with a limit of its own does.
    pub fn limit(&self, topic: &str, bytes: usize) {
        self.chaos.limit(topic.into(), Some(bytes));
    }

    /// From now on nothing may be written to a topic, as without an ACL for it.
    pub fn forbid(&self, topic: &str) {
        self.chaos.limit(topic.into(), None);
    }

    /// Takes back what [`Hostile::limit`] and [`Hostile::forbid`] said.
    pub fn allow(&self) {
        self.chaos.unlimit();
    }

    /// Stops the bus for good, as closing it does.
    pub fn stop(&self) {
        self.local.stop();
    }
}

#[derive(Default)]
struct Memory {
    state: Mutex<MemoryState>,
}

#[derive(Default)]
struct MemoryState {
    batches: HashMap<(TopicId, Partition), BTreeMap<Offset, (Timestamp, Stored)>>,
    broken: bool,
    full: bool,
}

struct MemoryStorage(Arc<Memory>);

impl Storage for MemoryStorage {
    fn load(&mut self) -> Result<Loaded, StorageError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), StorageError> {
        let mut state = lock(&self.0.state);
        if state.broken {
            return Err(StorageError("the store is broken".into()));
        }
        for (topic, partition, stored) in &transaction.appends {
            let partition = state.batches.entry((*topic, *partition)).or_default();
            partition.insert(stored.base, (transaction.published, stored.clone()));
        }
        state.batches.retain(|(topic, _), _| !transaction.delete.contains(topic));
        Ok(())
    }

    fn trim(&mut self, _: &mut dyn FnMut() -> Vec<Trimmable>, _: Timestamp) -> Result<Vec<Trimmed>, StorageError> {
        Ok(Vec::new())
    }

    fn usage(&self) -> Usage {
        Usage { used: u64::from(lock(&self.0.state).full) * 10, limit: 10 }
    }
}

impl Reader for Memory {
    fn read(
        &self,
        topic: TopicId,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, StorageError> {
        let state = lock(&self.state);
        let Some(batches) = state.batches.get(&(topic, partition)) else { return Ok(Vec::new()) };
        let first = batches.range(..=from).next_back().map_or(from, |(base, _)| *base);
        let mut bytes = 0;
        let mut out = Vec::new();
        for (_, (_, stored)) in batches.range(first..).filter(|(_, (_, stored))| stored.next > from) {
            if bytes > 0 && bytes + stored.body.len() > max_bytes {
                break;
            }
            bytes += stored.body.len();
            out.push(stored.clone());
        }
        Ok(out)
    }

    fn at_time(&self, topic: TopicId, partition: Partition, time: Timestamp) -> Result<Option<Offset>, StorageError> {
        let state = lock(&self.state);
        let batches = state.batches.get(&(topic, partition));
        Ok(batches.and_then(|batches| batches.iter().find(|(_, (at, _))| *at >= time)).map(|(base, _)| *base))
    }
}

impl Within for Hostile {
    fn local(&self) -> &Local {
        &self.local
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bus as _, Outgoing, Subscription, TopicSpec};

    #[tokio::test]
    async fn a_bus_that_cannot_write_says_so_and_finds_out_by_itself_when_it_can() {
        let bus = Hostile::with(0, 1, Manners::MILD);
        bus.create(vec![TopicSpec::new("in")]).await.expect("a topic");
        let _member = bus.join("group", Subscription::to(["in"])).await.expect("a member");
        bus.break_store(true);
        bus.publish(vec![Outgoing::new("in", "k", "v")]).await.expect_err("it is broken");
        let mut standing = bus.standing();
        let fails = |standing: &Standing| *standing == Standing::Fails("the store is broken".into());
        standing.wait_for(fails).await.expect("a bus");
        bus.break_store(false);
        // Nobody asks for anything.
        standing.wait_for(|standing| *standing == Standing::Writes).await.expect("a bus");
        bus.stop();
        standing.wait_for(|standing| matches!(standing, Standing::Ended(_))).await.expect("it is told before the end");
    }
}
