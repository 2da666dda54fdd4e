//! A member of a consumer group: the handle that a stage holds, and what it shares with the task behind it and with the thread
//! that commits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, mpsc},
    time::Instant,
};

use contracts::outcomes::BoxFuture;
use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use crate::{
    Error,
    kafka::{
        client::Client,
        cluster::{Cluster, lock},
        codec::{self, Names},
        commit::Request,
        config::Config,
        consume::{self, Rebalances},
        outbox::Outbox,
        slots::Slots,
        starts::{self, Starts},
        transaction::Positions,
    },
    member::{Committed, Delivery, Generation, Member, Share},
    record::{Offset, Topic, TopicPartition},
    refusal::{RefusalCode, RefusedShare},
};

/// What the task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Open(TopicPartition, Generation, Offset),
    Resume(TopicPartition),
    Subscribe(Vec<Topic>),
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
    /// Whether the group has committed a position there before.
    pub(crate) begun: bool,
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

    /// Adds to the shares with a first position that the group has begun there; tells how many outputs these had before.
    fn begin(&self, shares: &mut [Share]) -> HashMap<TopicPartition, usize> {
        let owned = lock(&self.owned);
        let mut begun = HashMap::new();
        for share in shares {
            let first = |owned: &&Owned| owned.generation == share.generation && !owned.begun;
            if owned.get(&share.partition).is_some_and(|owned| first(&owned)) {
                begun.insert(share.partition.clone(), share.outputs.len());
                share.outputs.push(starts::begun(&self.group, &share.partition));
            }
        }
        begun
    }

    /// Takes note of what has begun. What was refused is given back as it came; that the start cannot be written means that the
    /// position cannot.
    fn began(&self, mut begun: HashMap<TopicPartition, usize>, committed: &mut Committed) {
        for RefusedShare { share, refusals } in &mut committed.refused {
            let Some(outputs) = begun.remove(&share.partition) else { continue };
            share.outputs.truncate(outputs);
            for refusal in refusals.iter_mut().filter(|refusal| refusal.record == Some(outputs)) {
                (refusal.record, refusal.code) = (None, RefusalCode::Position);
            }
        }
        let mut owned = lock(&self.owned);
        for (at, _) in committed.left_out.iter().chain(&committed.lost) {
            begun.remove(at);
        }
        for at in begun.into_keys() {
            if let Some(owned) = owned.get_mut(&at) {
                owned.begun = true;
            }
        }
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

/// The handle.
pub(crate) struct KafkaMember {
    shared: Arc<Shared>,
    committer: mpsc::Sender<Request>,
}

impl KafkaMember {
    /// Creates the consumer and starts its task. Blocks for moments; to be called within a runtime's context.
    pub(crate) fn start(
        config: &Config,
        cluster: Arc<Cluster>,
        slots: &Arc<Slots>,
        committer: mpsc::Sender<Request>,
        group: &str,
        starts: Arc<Starts>,
        topics: Vec<Topic>,
    ) -> Result<Self, Error> {
        let slot = slots.take(group);
        let (commands, inbox) = tokio_mpsc::unbounded_channel();
        let shared = consume::start(config, cluster, slot, starts, topics, commands, inbox)?;
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

    fn subscribe(&self, topics: Vec<Topic>) {
        self.command(Command::Subscribe(topics));
    }

    fn commit(&self, mut shares: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>> {
        Box::pin(async move {
            let begun = self.shared.begin(&mut shares);
            let (reply, answer) = oneshot::channel();
            let (member, committed, due) = (self.shared.clone(), Committed::default(), Instant::now());
            let request = Request { member, shares, committed, failures: 0, due, reply };
            let gone = || Error::Stopped("the thread that commits has ended".into());
            self.committer.send(request).map_err(|_| gone())?;
            let mut committed = answer.await.unwrap_or_else(|_| Err(gone()))?;
            self.shared.began(begun, &mut committed);
            Ok(committed)
        })
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
