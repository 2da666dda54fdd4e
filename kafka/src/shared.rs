//! What the handle of a member, its task and the thread that commits have in common.

use std::sync::{Arc, Mutex};

use rdkafka::{
    Offset as RawOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    client::Client,
    codec::{self, Names},
    consume,
    context::Rebalances,
    outbox::Outbox,
    partitions::Partitions,
    starts::Starts,
    threads::lock,
    transaction::Positions,
};
use bus::{Generation, Offset, Share, Subscription, TopicPartition};

/// What the task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Open(TopicPartition, Generation, Offset),
    Resume(TopicPartition),
    Subscribe(Subscription),
    Advise(TopicPartition, Offset),
    Release(Vec<TopicPartition>),
    /// The end of a commit is unknown ([`Shared::expel`]): what was committed is asked for anew.
    Expel,
    Leave(oneshot::Sender<()>),
}

pub(crate) struct Shared {
    pub(crate) group: String,
    pub(crate) names: Names,
    /// Replaced when it fails for good, or finds no broker for long.
    pub(crate) consumer: Client<BaseConsumer<Rebalances>>,
    pub(crate) partitions: Mutex<Partitions>,
    pub(crate) outbox: Outbox,
    pub(crate) starts: Arc<Starts>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
}

impl Shared {
    pub(crate) fn consumer(&self) -> Arc<BaseConsumer<Rebalances>> {
        self.consumer.get()
    }

    /// Whether a share's partition is still ours, under that assignment.
    pub(crate) fn owns(&self, share: &Share) -> bool {
        lock(&self.partitions).owned(&share.partition, share.generation).is_some()
    }

    /// The positions of shares and who we are, if all of them are still ours.
    pub(crate) fn positions(&self, shares: &[Share]) -> Option<Positions> {
        let standing = self.consumer().context().standing()?;
        let partitions = lock(&self.partitions);
        let mut list = TopicPartitionList::with_capacity(shares.len());
        for share in shares {
            let membership = partitions.owned(&share.partition, share.generation)?;
            if membership != standing.membership {
                return None;
            }
            let name = self.names.outer(share.partition.topic.as_str());
            let mut element = list.add_partition(&name, share.partition.partition.0.cast_signed());
            element.set_offset(RawOffset::Offset(codec::raw(share.position.next))).ok()?;
            element.set_metadata(share.position.note.as_str());
        }
        Some(Positions { list, group: standing.group })
    }

    /// That the end of a commit of these is unknown.
    pub(crate) fn expel(&self, partitions: &[TopicPartition]) {
        lock(&self.partitions).doubt(partitions);
        self.command(Command::Expel);
    }

    /// From now on nothing of it is committed any more.
    pub(crate) fn end(&self) {
        lock(&self.partitions).end();
    }

    pub(crate) fn command(&self, command: Command) {
        // A task that has ended told its error, or the member has left.
        let _ = self.commands.send(command);
    }
}

/// Where the runtime ends before the task could take its leave, the client closes without it.
impl Drop for Shared {
    fn drop(&mut self) {
        consume::let_go(&self.consumer.get());
    }
}
