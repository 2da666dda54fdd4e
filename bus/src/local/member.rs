//! The handle of one member: what it asks of the broker, and its reading, which never goes through the broker.

use std::sync::{Arc, mpsc};

use contracts::outcomes::BoxFuture;
use tokio::sync::oneshot;

use crate::{
    Error,
    local::{
        broker::{Broker, Request, Work},
        chaos::Chaos,
        inbox::{Inbox, MemberId, Step},
        log::{Log, TopicLog},
    },
    member::{Committed, Delivery, Generation, Member, Share, Subscription},
    record::{Offset, TopicPartition},
};

/// About how many bytes one delivery carries.
const DELIVERY_BYTES: usize = 1024 * 1024;

pub(crate) struct LocalMember {
    pub(crate) id: MemberId,
    pub(crate) group: Arc<str>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) log: Arc<Log>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) chaos: Option<Arc<Chaos>>,
}

impl LocalMember {
    /// Reads without moving the cursor, then moves it and delivers in one step, so that being cancelled loses nothing.
    async fn read(
        &self,
        at: TopicPartition,
        generation: Generation,
        log: Arc<TopicLog>,
        from: Offset,
    ) -> Result<Option<Delivery>, Error> {
        let begins = log.extent(at.partition).begin;
        if from < begins {
            let group = self.group.to_string();
            return Err(Error::PositionLost { group, partition: at, position: from, begins });
        }
        let mut chunk = self.log.read(&log, at.partition, from, DELIVERY_BYTES).await?;
        if let Some(chaos) = &self.chaos {
            chaos.shorten(&mut chunk);
        }
        let is_ours = self.inbox.advance(&at, generation, from, chunk.next);
        Ok((is_ours && !chunk.records.is_empty()).then_some(Delivery::Records(at, generation, chunk.records)))
    }

    fn send(&self, request: Request) {
        // A bus that has stopped has no groups; `next` says so.
        let _ = self.requests.send(request);
    }

    /// Has the broker do something, behind the work that came before it.
    fn tell(&self, act: impl FnOnce(&mut Broker, &Arc<str>, MemberId) + Send + 'static) {
        let (group, id) = (self.group.clone(), self.id);
        self.send(Request::Do(Box::new(move |broker| act(broker, &group, id))));
    }
}

impl Member for LocalMember {
    fn next(&self) -> BoxFuture<'_, Result<Delivery, Error>> {
        Box::pin(async move {
            loop {
                match self.inbox.step() {
                    Step::Told(told) => return told,
                    Step::Read(at, generation, log, from) => {
                        if let Some(delivery) = self.read(at, generation, log, from).await? {
                            return Ok(delivery);
                        }
                    }
                    Step::Wait => self.inbox.changed().await,
                }
            }
        })
    }

    fn open(&self, partition: &TopicPartition, generation: Generation, from: Offset) {
        self.inbox.open(partition, generation, from);
    }

    fn pause(&self, partition: &TopicPartition) {
        self.inbox.pause(partition, true);
    }

    fn resume(&self, partition: &TopicPartition) {
        self.inbox.pause(partition, false);
    }

    fn subscribe(&self, to: Subscription) {
        self.tell(move |broker, group, id| broker.groups.subscribe(group, id, to));
    }

    fn commit(&self, shares: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.send(Request::Work(Work::Hop { group: self.group.clone(), member: self.id, shares, reply }));
            answer.await.unwrap_or_else(|_| Err(Error::Stopped("the bus was closed".into())))
        })
    }

    fn advise(&self, partition: &TopicPartition, next: Offset) {
        let (group, partition) = (self.group.clone(), partition.clone());
        self.send(Request::Ask(Box::new(move |broker| broker.groups.advise(&group, &partition, next))));
    }

    fn release(&self, partitions: &[TopicPartition]) {
        let partitions = partitions.to_vec();
        self.tell(move |broker, group, id| broker.groups.release(group, id, &partitions));
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.tell(move |broker, group, id| {
                broker.groups.leave(group, id);
                // Nobody waits any more: the member was dropped.
                let _ = reply.send(());
            });
            // An answer that never comes means that the bus has stopped, and with it the group.
            let _ = answer.await;
        })
    }
}

impl Drop for LocalMember {
    fn drop(&mut self) {
        self.tell(|broker, group, id| broker.groups.leave(group, id));
    }
}
