//! Polling: records to the outbox, and what errors mean.

use std::time::{Duration, Instant};

use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::Task;
use crate::{
    codec,
    context::{Event, Rebalances},
    outbox::DELIVERY_RECORDS,
    partitions::Partitions,
    threads::lock,
};
use bus::{Error, Record, TopicPartition};

/// About how much is polled before anything else is looked at.
const BURST_BYTES: usize = 1024 * 1024;
const BURST_RECORDS: usize = 2000;

/// What one burst brought.
#[derive(Default)]
struct Polled {
    records: Vec<(TopicPartition, Vec<Record>)>,
    errors: Vec<KafkaError>,
    /// There may be more.
    more: bool,
}

impl Task {
    pub(super) fn tick(&mut self, full: bool) {
        if full {
            // A stage that takes nothing for so long must not keep the group waiting behind its records.
            self.with(Partitions::choke);
        }
        self.advise();
        self.watch_over();
        let partitions = lock(&self.shared.partitions);
        let (is_taken, deadline) = (partitions.is_taken_from(), partitions.deadline());
        drop(partitions);
        let is_lost = is_taken && self.shared.consumer().assignment_lost();
        if is_lost || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.with(Partitions::let_go);
        }
    }

    /// Polls what is there; true if there may be more.
    pub(super) async fn burst(&mut self) -> bool {
        let consumer = self.shared.consumer();
        let polled = self.poll(&consumer);
        if !polled.records.is_empty() {
            self.vigil.heard(Instant::now());
        }
        self.deliver(polled.records);
        while let Some(event) = consumer.context().take() {
            match event {
                // Not a single one, although the group has named us: what we would not notice would double records.
                Event::Assigned { membership: 0, .. } => self.shared.outbox.fail(Error::Stopped(
                    "this librdkafka does not tell when a group renames a member, so that hops would not be exactly once"
                        .into(),
                )),
                Event::Revoked { partitions, lost: true, .. } => self.revoked(partitions, true),
                Event::Assigned { membership, .. } | Event::Revoked { membership, .. }
                    if lock(&self.shared.partitions).was_evicted(membership) =>
                {
                    self.rejoin().await;
                    return true;
                }
                Event::Assigned { partitions, membership } => {
                    self.with(|ours| ours.assigned(partitions, membership));
                }
                Event::Revoked { partitions, .. } => self.revoked(partitions, false),
            }
        }
        for error in polled.errors {
            self.failed(error).await;
        }
        polled.more
    }

    fn revoked(&mut self, partitions: Vec<TopicPartition>, lost: bool) {
        let (wanted, deadline) = (self.wanted.topics.clone(), Instant::now() + self.config.revocation);
        self.with(|ours| ours.revoked(partitions, lost, &wanted, deadline));
    }

    /// Hands on what was fetched under an assignment that is not over.
    fn deliver(&mut self, mut fetched: Vec<(TopicPartition, Vec<Record>)>) {
        let mut partitions = lock(&self.shared.partitions);
        fetched.iter_mut().for_each(|(at, records)| partitions.take(at, records));
        drop(partitions);
        for (at, records) in fetched {
            if self.shared.outbox.records(&at, records) {
                self.with(|partitions| partitions.stop(&at));
            }
        }
    }

    fn poll(&self, consumer: &BaseConsumer<Rebalances>) -> Polled {
        let mut polled = Polled { more: true, ..Polled::default() };
        let mut bytes = 0;
        for _ in 0..BURST_RECORDS {
            match consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    bytes += message.payload_len() + message.key_len();
                    self.take(&message, &mut polled.records);
                }
                Some(Err(error)) => polled.errors.push(error),
                None if consumer.context().served() => {}
                None => {
                    polled.more = false;
                    break;
                }
            }
            if bytes > BURST_BYTES {
                break;
            }
        }
        polled
    }

    fn take(&self, message: &BorrowedMessage<'_>, records: &mut Vec<(TopicPartition, Vec<Record>)>) {
        let Some(topic) = self.topics.get(message.topic()) else { return };
        let partition = message.partition().cast_unsigned();
        // Records come in runs of one partition.
        let goes_on = |(at, run): &(TopicPartition, Vec<Record>)| {
            run.len() < DELIVERY_RECORDS && at.partition.0 == partition && at.topic == *topic
        };
        if !records.last().is_some_and(goes_on) {
            records.push((TopicPartition::new(topic.clone(), partition), Vec::new()));
        }
        if let Some((_, records)) = records.last_mut() {
            records.push(codec::incoming(topic, message));
        }
    }

    async fn failed(&mut self, error: KafkaError) {
        let code = error.rdkafka_error_code();
        match (&error, code) {
            (KafkaError::MessageConsumptionFatal(_), _) => self.replace(&error).await,
            (_, Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                self.known.mark_changed();
            }
            (_, Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset)) => self.astray(false),
            (_, Some(RDKafkaErrorCode::LogTruncation)) => self.astray(true),
            (
                _,
                Some(code @ (RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed)),
            ) => {
                if !self.said.contains(&code) {
                    self.said.push(code);
                    let group = &self.shared.group;
                    tracing::error!(group, %error, "the brokers do not allow this; `herald topics acl` prints what is needed");
                }
            }
            _ => tracing::debug!(group = self.shared.group, %error, "kafka: a consumer's error"),
        }
    }
}
