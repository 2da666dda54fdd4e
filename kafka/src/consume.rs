//! The task behind a member: the only one that polls its consumer and changes what it is assigned.
//!
//! librdkafka tells what the *group* gives and takes ([`Rebalances`]); it is itself assigned a partition only when the stage has
//! opened it, with an explicit offset. Stages have the last word on a revocation: librdkafka waits, with heartbeats going on,
//! until it is told that the partitions were let go.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Offset as RawOffset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::{Notify, mpsc};

use crate::{
    client::{self, Client, Shaken, configured, reading, strict},
    cluster::{add, lock, unavailable},
    codec::{self, Names},
    config::Config,
    member::{Command, Process, Shared},
    outbox::Outbox,
    slots::Slot,
    task::Task,
};
use bus::{Error, Offset, Subscription, Topic, TopicPartition};

/// How long leaving may take before the broker finds out by itself.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long the group is polled on after everything was given back, so that the farewell is sent before the client closes.
const PARTING: Duration = Duration::from_millis(100);

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

/// How lively a member is. A process has as many as it has jobs: the first are quick, the many take little, idle or not.
pub(crate) struct Pace {
    heartbeat: Duration,
    fetch_wait: Duration,
    pub(crate) fetch_ahead: usize,
}

impl Pace {
    /// How many members are quick.
    const QUICK: usize = 12;

    pub(crate) fn of(config: &Config, slot: &Slot) -> Self {
        let session = config.session_timeout;
        if slot.crowd < Self::QUICK {
            let fetch_wait = Duration::from_millis(250);
            return Self { heartbeat: session / 6, fetch_wait, fetch_ahead: config.fetch_ahead };
        }
        let fetch_ahead = (config.fetch_ahead / 16).max(64 * 1024);
        Self { heartbeat: session / 3, fetch_wait: Duration::from_millis(1500), fetch_ahead }
    }
}

/// Creates a consumer of a group. `wake` is called whenever there may be something to poll.
pub(crate) fn consumer(config: &Config, slot: &Slot, wake: Arc<Notify>) -> Result<BaseConsumer<Rebalances>, Error> {
    let (names, pace) = (Names::new(&config.prefix), Pace::of(config, slot));
    let session = config.session_timeout;
    let mut preferred = reading(pace.fetch_ahead);
    // The broker sends a record that is larger than what is asked for, so that this bounds memory and nothing else.
    preferred.push(("message.max.bytes", "65536".to_owned()));
    preferred.push(("fetch.max.bytes", pace.fetch_ahead.to_string()));
    preferred.push(("fetch.wait.max.ms", pace.fetch_wait.as_millis().to_string()));
    preferred.push(("heartbeat.interval.ms", pace.heartbeat.as_millis().max(50).to_string()));
    let mut required = strict();
    required.extend([
        ("group.id", names.outer(&slot.group)),
        // Static membership: a restarted process has its partitions back at once.
        ("group.instance.id", format!("{}-{}", config.instance, slot.number)),
        ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
        ("session.timeout.ms", session.as_millis().to_string()),
        ("isolation.level", "read_committed".to_owned()),
    ]);
    let context = Rebalances {
        names,
        events: Mutex::default(),
        open: Mutex::default(),
        closing: AtomicBool::new(false),
        standing: Mutex::default(),
        memberships: AtomicU64::new(0),
        talkative: config.properties.contains_key("debug"),
        served: AtomicBool::new(false),
        shaken: Shaken::default(),
        doubtful: AtomicBool::new(false),
    };
    let mut client = configured(config, &preferred, &required);
    // Only in its details does librdkafka tell that the group knows us by another name.
    let details = client.get("debug").map_or_else(|| "cgrp".to_owned(), |asked| format!("{asked},cgrp"));
    client.set("debug", details).set_log_level(RDKafkaLogLevel::Debug);
    let created: KafkaResult<BaseConsumer<Rebalances>> = client.create_with_context(context);
    let mut consumer = created.map_err(|error| Error::Stopped(format!("a consumer cannot be created: {error}")))?;
    consumer.set_nonempty_callback(move || wake.notify_one());
    Ok(consumer)
}

/// Creates the consumer of a member and starts its task.
pub(crate) fn start(
    process: Process,
    slot: Slot,
    to: Subscription,
    commands: mpsc::UnboundedSender<Command>,
    inbox: mpsc::UnboundedReceiver<Command>,
) -> Result<Arc<Shared>, Error> {
    let wake = Arc::new(Notify::new());
    let config = &process.config;
    let consumer = consumer(config, &slot, wake.clone())?;
    let shared = Arc::new(Shared {
        group: slot.group.clone(),
        names: Names::new(&config.prefix),
        consumer: Client::new(consumer),
        owned: Mutex::default(),
        outbox: Outbox::new(Pace::of(config, &slot).fetch_ahead),
        starts: process.starts.clone(),
        commands,
    });
    tokio::spawn(Task::new(process, shared.clone(), slot, to, inbox, wake).run());
    Ok(shared)
}

/// Subscribes a consumer to topics, which exist.
pub(crate) fn subscribe(consumer: &BaseConsumer<Rebalances>, names: &Names, topics: &[Topic]) -> Result<(), Error> {
    if topics.is_empty() {
        consumer.unsubscribe();
        return Ok(());
    }
    let outer: Vec<String> = topics.iter().map(|topic| names.outer(topic.as_str())).collect();
    let outer: Vec<&str> = outer.iter().map(String::as_str).collect();
    consumer.subscribe(&outer).map_err(|error| unavailable(&error))
}

/// Gives everything back, and from now on at once whatever the group asks for. Closing a client waits, without an end, for a
/// revocation that nobody answers.
pub(crate) fn let_go(consumer: &BaseConsumer<Rebalances>) {
    let context = consumer.context();
    if context.closing.swap(true, Ordering::AcqRel) {
        return;
    }
    let open: Vec<TopicPartition> = lock(&context.open).iter().cloned().collect();
    // Also what a pending revocation waits for.
    context.unassign(consumer, &open);
}

/// Gives everything back, tells the group so, and closes the client. Blocks.
pub(crate) fn farewell(consumer: &BaseConsumer<Rebalances>) {
    let_go(consumer);
    // A static member is silent when its client closes; only giving up its subscription makes it tell the group.
    consumer.unsubscribe();
    let begun = std::time::Instant::now();
    while begun.elapsed() < PARTING {
        consumer.poll(Duration::from_millis(10));
    }
    if let Err(error) = consumer.close_queue() {
        tracing::debug!(%error, "a consumer could not be closed");
        return;
    }
    while !consumer.closed() && begun.elapsed() < FAREWELL {
        consumer.poll(Duration::from_millis(20));
    }
}
