//! What librdkafka tells of a consumer: rebalances, errors, and who it is in its group.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rdkafka::{
    ClientContext, Offset as RawOffset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};

use crate::{
    client::{self, Shaken},
    cluster::add,
    codec::{self, Names},
    threads::lock,
    verdict::unavailable,
};
use bus::{Error, Offset, TopicPartition};

/// What librdkafka calls it when the group knows us by another name: we joined for the first time, or were evicted.
const RENAMED: &str = "MEMBERID";

/// What the group did.
#[derive(Debug)]
pub(crate) enum Event {
    Assigned { partitions: Vec<TopicPartition>, membership: u64 },
    Revoked { partitions: Vec<TopicPartition>, lost: bool, membership: u64 },
}

/// Takes note of rebalances. What librdkafka has been assigned is a part of what the group gave: what is open.
pub(crate) struct Rebalances {
    names: Names,
    events: Mutex<VecDeque<Event>>,
    open: Mutex<HashSet<TopicPartition>>,
    closing: AtomicBool,
    standing: Mutex<Option<Standing>>,
    /// Counts the names that the group has known us by.
    memberships: AtomicU64,
    /// Whether librdkafka's details were asked for by the operator.
    talkative: bool,
    /// Something else than a message was polled: more may be waiting.
    served: AtomicBool,
    shaken: Shaken,
    /// It has said that brokers are away: whether it can use any must be found out.
    doubtful: AtomicBool,
}

/// Who this member was in its group when a rebalance was told.
#[derive(Clone)]
pub(crate) struct Standing {
    /// Which membership: what was ours under an earlier one may have been another's since.
    pub(crate) membership: u64,
    pub(crate) group: Arc<ConsumerGroupMetadata>,
}

impl Rebalances {
    /// Of a consumer of topics with that prefix; `talkative` if the operator asked for librdkafka's details.
    pub(crate) fn new(names: Names, talkative: bool) -> Self {
        Self {
            names,
            events: Mutex::default(),
            open: Mutex::default(),
            closing: AtomicBool::new(false),
            standing: Mutex::default(),
            memberships: AtomicU64::new(0),
            talkative,
            served: AtomicBool::new(false),
            shaken: Shaken::default(),
            doubtful: AtomicBool::new(false),
        }
    }

    /// Gives everything back, and from now on at once whatever the group asks for.
    pub(crate) fn close(&self, consumer: &BaseConsumer<Self>) {
        if self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        let open: Vec<TopicPartition> = lock(&self.open).iter().cloned().collect();
        // Also what a pending revocation waits for.
        self.unassign(consumer, &open);
    }

    /// Who we are, as of the last rebalance that was told; none before the first. What librdkafka would say now may be ahead of it:
    /// a member that was evicted while it waited to join joins anew under another id, keeps what it had, and tells nobody.
    pub(crate) fn standing(&self) -> Option<Standing> {
        lock(&self.standing).clone()
    }

    /// Takes note of who we are now, and tells which membership that is.
    fn stand(&self, consumer: &BaseConsumer<Self>) -> u64 {
        let membership = self.memberships.load(Ordering::Acquire);
        if let Some(group) = consumer.group_metadata() {
            *lock(&self.standing) = Some(Standing { membership, group: Arc::new(group) });
        }
        membership
    }

    pub(crate) fn take(&self) -> Option<Event> {
        lock(&self.events).pop_front()
    }

    /// Whether it has met an outage.
    pub(crate) fn shaken(&self) -> &Shaken {
        &self.shaken
    }

    /// Whether it has said that brokers are away since this was last asked.
    pub(crate) fn doubts(&self) -> bool {
        self.doubtful.swap(false, Ordering::AcqRel)
    }

    /// Whether something was served since this was last asked.
    pub(crate) fn served(&self) -> bool {
        self.served.swap(false, Ordering::AcqRel)
    }

    /// Lets librdkafka fetch partitions, each from an offset.
    pub(crate) fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &HashMap<TopicPartition, Offset>,
    ) -> Result<(), Error> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (at, from) in partitions {
            add(&mut list, &self.names, at, RawOffset::Offset(codec::raw(*from)))?;
        }
        consumer.incremental_assign(&list).map_err(|error| unavailable(&error))?;
        lock(&self.open).extend(partitions.keys().cloned());
        Ok(())
    }

    /// Lets go of partitions, as far as librdkafka has them; during a revocation this is what the group waits for.
    pub(crate) fn unassign(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        let mut list = TopicPartitionList::new();
        let mut open = lock(&self.open);
        for at in partitions.iter().filter(|at| open.remove(at)) {
            list.add_partition(&self.names.outer(at.topic.as_str()), at.partition.0.cast_signed());
        }
        drop(open);
        if let Err(error) = consumer.incremental_unassign(&list) {
            tracing::debug!(%error, "partitions were gone before they were let go");
        }
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let at = |name: &str, partition: i32| {
            self.names.inner(name).map(|topic| TopicPartition::new(topic, partition.cast_unsigned()))
        };
        list.elements().iter().filter_map(|element| at(element.topic(), element.partition())).collect()
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.served.store(true, Ordering::Release);
        self.shaken.listen(facility);
        // Told before the rebalance that it is about: both come by the same queue.
        if facility == RENAMED {
            self.memberships.fetch_add(1, Ordering::AcqRel);
        }
        if self.talkative || !matches!(level, RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info) {
            client::log(facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.served.store(true, Ordering::Release);
        self.shaken.hear(&error);
        self.doubtful.store(true, Ordering::Release);
        client::global(&error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.served.store(true, Ordering::Release);
        let (partitions, closing) = (self.partitions(list), self.closing.load(Ordering::Acquire));
        let membership = self.stand(consumer);
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Nothing yet: a partition is assigned when it is opened. So no rebalance ever waits for a position.
            if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
                tracing::debug!(%error, "an assignment was gone before it was taken");
            }
            if !closing {
                lock(&self.events).push_back(Event::Assigned { partitions, membership });
            }
        } else if closing {
            self.unassign(consumer, &partitions);
        } else {
            let lost = consumer.assignment_lost();
            lock(&self.events).push_back(Event::Revoked { partitions, lost, membership });
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.served.store(true, Ordering::Release);
        if let Err(error) = result {
            tracing::debug!(%error, "a position that was advised was not taken");
        }
    }
}
