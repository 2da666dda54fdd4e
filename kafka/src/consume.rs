//! The consumer of a member: how it is made, and how it takes its leave.
//!
//! librdkafka tells what the *group* gives and takes ([`Rebalances`]); it is itself assigned a partition only when the stage has
//! opened it, with an explicit offset. Stages have the last word on a revocation: librdkafka waits, with heartbeats going on,
//! until it is told that the partitions were let go.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
};
use tokio::sync::Notify;

use crate::{
    client::{configured, reading, strict},
    codec::Names,
    context::Rebalances,
    slots::Slot,
    verdict::unavailable,
};
use bus::{Error, Topic};
use kafka_config::Config;

/// How long leaving may take before the broker finds out by itself.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long the group is polled on after everything was given back, so that the farewell is sent before the client closes.
const PARTING: Duration = Duration::from_millis(100);

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
    let context = Rebalances::new(names, config.properties.contains_key("debug"));
    let mut client = configured(config, &preferred, &required);
    // Only in its details does librdkafka tell that the group knows us by another name.
    let details = client.get("debug").map_or_else(|| "cgrp".to_owned(), |asked| format!("{asked},cgrp"));
    client.set("debug", details).set_log_level(RDKafkaLogLevel::Debug);
    let created: KafkaResult<BaseConsumer<Rebalances>> = client.create_with_context(context);
    let mut consumer = created.map_err(|error| Error::Stopped(format!("a consumer cannot be created: {error}")))?;
    consumer.set_nonempty_callback(move || wake.notify_one());
    Ok(consumer)
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
    consumer.context().close(consumer);
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
