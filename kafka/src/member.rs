//! A member of a consumer group: the handle that a stage holds, and what it shares with the task behind it and with the thread
//! that commits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use contracts::outcomes::BoxFuture;
use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use crate::{
    client::Client,
    cluster::{Cluster, lock},
    codec::{self, Names},
    commit::Committer,
    config::Config,
    consume::{self, Rebalances},
    outbox::Outbox,
    slots::Slots,
    starts::Starts,
    transaction::Positions,
};
use bus::{Committed, Delivery, Error, Generation, Member, Offset, Share, Subscription, TopicPartition};

/// What the task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Open(TopicPartition, Generation, Offset),
    Resume(TopicPartition),
    Subscribe(Subscription),
    Advise(TopicPartition, Offset),
    Release(Vec<TopicPartition>),
    /// The end of a commit of these is unknown: what was committed is asked for anew.
    Expel(Vec<TopicPartition>),
    Leave(oneshot::Sender<()>),
}

/// A partition that may be committed.
pub(crate) struct Owned {
    pub(crate) generation: Generation,
    /// Under which membership it is ours.
    pub(crate) membership: u64,
}

/// What the handle, the task and the committing thread have in common.
pub(crate) struct Shared {
    pub(crate) group: String,
    pub(crate) names: Names,
    /// Replaced when it fails for good, or finds no broker for long.
    pub(crate) consumer: Client<BaseConsumer<Rebalances>>,
    /// The partitions that may be committed, by assignment.
    pub(crate) owned: Mutex<HashMap<TopicPartition, Owned>>,
    pub(crate) outbox: Outbox,
    pub(crate) starts: Arc<Starts>,
    pub(crate) commands: tokio_mpsc::UnboundedSender<Command>,
}

impl Shared {
    pub(crate) fn consumer(&self) -> Arc<BaseConsumer<Rebalances>> {
        self.consumer.get()
    }

    /// Whether a share's partition is still ours, under that assignment.
    pub(crate) fn owns(&self, share: &Share) -> bool {
        lock(&self.owned).get(&share.partition).is_some_and(|owned| owned.generation == share.generation)
    }

    /// The positions of shares and who we are, if all of them are still ours.
    pub(crate) fn positions(&self, shares: &[Share]) -> Option<Positions> {
        let standing = self.consumer().context().standing()?;
        let owned = lock(&self.owned);
        let mut list = TopicPartitionList::with_capacity(shares.len());
        for share in shares {
            let ours = |owned: &&Owned| owned.generation == share.generation && owned.membership == standing.membership;
            owned.get(&share.partition).filter(ours)?;
            let name = self.names.outer(share.partition.topic.as_str());
            let mut element = list.add_partition(&name, share.partition.partition.0.cast_signed());
            element.set_offset(RawOffset::Offset(codec::raw(share.position.next))).ok()?;
            element.set_metadata(share.position.note.as_str());
        }
        Some(Positions { list, group: standing.group })
    }

    /// That the end of a commit of these is unknown.
    pub(crate) fn expel(&self, partitions: Vec<TopicPartition>) {
        let mut owned = lock(&self.owned);
        partitions.iter().for_each(|at| {
            owned.remove(at);
        });
        drop(owned);
        // Without a task there is nobody to tell.
        let _ = self.commands.send(Command::Expel(partitions));
    }
}

/// Where the runtime ends before the task could take its leave, the client closes without it.
impl Drop for Shared {
    fn drop(&mut self) {
        consume::let_go(&self.consumer.get());
    }
}

/// What all members of a process share.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) config: Config,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) starts: Arc<Starts>,
    pub(crate) committer: Committer,
}

/// The handle.
pub(crate) struct KafkaMember {
    shared: Arc<Shared>,
    committer: Committer,
}

impl KafkaMember {
    /// Creates the consumer and starts its task. Blocks for moments; to be called within a runtime's context.
    pub(crate) fn start(process: Process, slots: &Arc<Slots>, group: &str, to: Subscription) -> Result<Self, Error> {
        let slot = slots.take(group);
        let (commands, inbox) = tokio_mpsc::unbounded_channel();
        let committer = process.committer.clone();
        let shared = consume::start(process, slot, to, commands, inbox)?;
        Ok(Self { shared, committer })
    }

    fn command(&self, command: Command) {
        // A task that has ended told its error, or the member has left.
        let _ = self.shared.commands.send(command);
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        lock(&self.shared.owned).clear();
        let (done, _) = oneshot::channel();
        self.command(Command::Leave(done));
    }
}

impl Member for KafkaMember {
    fn next(&self) -> BoxFuture<'_, Result<Delivery, Error>> {
        Box::pin(self.shared.outbox.next())
    }

    fn open(&self, partition: &TopicPartition, generation: Generation, from: Offset) {
        self.command(Command::Open(partition.clone(), generation, from));
    }

    fn pause(&self, partition: &TopicPartition) {
        // What is fetched of it meanwhile waits in the outbox; librdkafka is told once some has.
        self.shared.outbox.pause(partition);
    }

    fn resume(&self, partition: &TopicPartition) {
        self.shared.outbox.resume(partition);
        self.command(Command::Resume(partition.clone()));
    }

    fn subscribe(&self, to: Subscription) {
        self.command(Command::Subscribe(to));
    }

    fn commit(&self, shares: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>> {
        self.committer.commit(self.shared.clone(), shares)
    }

    fn advise(&self, partition: &TopicPartition, next: Offset) {
        self.command(Command::Advise(partition.clone(), next));
    }

    fn release(&self, partitions: &[TopicPartition]) {
        self.command(Command::Release(partitions.to_vec()));
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            lock(&self.shared.owned).clear();
            let (done, left) = oneshot::channel();
            self.command(Command::Leave(done));
            // A task that has ended has left.
            let _ = left.await;
        })
    }
}
