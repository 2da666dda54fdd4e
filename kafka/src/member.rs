//! A member of a consumer group: the handle that a stage holds.

use std::sync::{Arc, Mutex};

use contracts::outcomes::BoxFuture;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    client::Client,
    codec::Names,
    commit::Committer,
    consume::{self, Pace},
    outbox::Outbox,
    process::Process,
    shared::{Command, Shared},
    slots::Slots,
    task::Task,
};
use bus::{Committed, Delivery, Error, Generation, Member, Offset, Share, Subscription, TopicPartition};

/// The handle.
pub(crate) struct KafkaMember {
    shared: Arc<Shared>,
    committer: Committer,
}

impl KafkaMember {
    /// Creates the consumer and starts its task. Blocks for moments; to be called within a runtime's context.
    pub(crate) fn start(process: Process, slots: &Arc<Slots>, group: &str, to: Subscription) -> Result<Self, Error> {
        let slot = slots.take(group);
        let (commands, inbox) = mpsc::unbounded_channel();
        let (committer, wake) = (process.committer.clone(), Arc::new(Notify::new()));
        let shared = Arc::new(Shared {
            group: slot.group.clone(),
            names: Names::new(&process.config.prefix),
            consumer: Client::new(consume::consumer(&process.config, &slot, wake.clone())?),
            partitions: Mutex::default(),
            outbox: Outbox::new(Pace::of(&process.config, &slot).fetch_ahead),
            starts: process.starts.clone(),
            commands,
        });
        tokio::spawn(Task::new(process, shared.clone(), slot, to, inbox, wake).run());
        Ok(Self { shared, committer })
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.shared.end();
        let (done, _) = oneshot::channel();
        self.shared.command(Command::Leave(done));
    }
}

impl Member for KafkaMember {
    fn next(&self) -> BoxFuture<'_, Result<Delivery, Error>> {
        Box::pin(self.shared.outbox.next())
    }

    fn open(&self, partition: &TopicPartition, generation: Generation, from: Offset) {
        self.shared.command(Command::Open(partition.clone(), generation, from));
    }

    fn pause(&self, partition: &TopicPartition) {
        // What is fetched of it meanwhile waits in the outbox; librdkafka is told once some has.
        self.shared.outbox.pause(partition);
    }

    fn resume(&self, partition: &TopicPartition) {
        self.shared.outbox.resume(partition);
        self.shared.command(Command::Resume(partition.clone()));
    }

    fn subscribe(&self, to: Subscription) {
        self.shared.command(Command::Subscribe(to));
    }

    fn commit(&self, shares: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>> {
        self.committer.commit(self.shared.clone(), shares)
    }

    fn advise(&self, partition: &TopicPartition, next: Offset) {
        self.shared.command(Command::Advise(partition.clone(), next));
    }

    fn release(&self, partitions: &[TopicPartition]) {
        self.shared.command(Command::Release(partitions.to_vec()));
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.end();
            let (done, left) = oneshot::channel();
            self.shared.command(Command::Leave(done));
            // A task that has ended has left.
            let _ = left.await;
        })
    }
}
