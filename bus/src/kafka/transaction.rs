//! One transaction at a time: the producer behind the hops, and what each of its errors means for who must act.

mod sending;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, RDKafkaError, RDKafkaErrorCode},
    producer::{Producer as _, ThreadedProducer},
};

use self::sending::{Sending, Sent};
use crate::{
    kafka::{
        client::configured,
        codec::{self, Names},
        config::Config,
        flight::{Flight, Tower},
    },
    record::{Outgoing, Partition},
};

/// How long one call may block before it is made again.
const CALL: Duration = Duration::from_secs(2);

/// Why a transaction was not committed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing of it counts; the same may be tried again.
    Aborted(String),
    /// Nothing of it counts; the broker refused the positions of this member.
    Refused(usize, String),
    /// Nothing of it counts; the producer is done for.
    Broken(String),
    /// Another process has the same `transactional.id`; whether it counts is not known.
    Fenced(String),
    /// Whether it counts is not known; the producer is done for.
    Unknown(String),
}

/// The positions of one member.
pub(crate) struct Positions {
    pub(crate) list: TopicPartitionList,
    pub(crate) group: Arc<ConsumerGroupMetadata>,
}

/// A transactional producer.
pub(crate) struct Transactor {
    producer: Arc<ThreadedProducer<Tower<Arc<Flight>>>>,
    sending: Sending,
    names: Names,
    timeout: Duration,
}

/// How a process's transactions are called: the same after a restart, so that it ends what its predecessor left open.
pub(crate) fn transactional_id(config: &Config) -> String {
    format!("{}{}.{}", config.prefix, config.role, config.instance)
}

impl Transactor {
    /// Creates the producer, and ends whatever its predecessor left open.
    pub(crate) fn start(config: &Config) -> Result<Self, KafkaError> {
        let preferred = [
            // A hop is given at once, and waits for itself alone.
            ("linger.ms", "0.2".to_owned()),
            ("batch.size", (1024 * 1024).to_string()),
            ("queue.buffering.max.kbytes", (256 * 1024).to_string()),
            ("queue.buffering.max.messages", "1000000".to_owned()),
        ];
        let timeout = config.transaction_timeout;
        let required = [
            ("transactional.id", transactional_id(config)),
            ("transaction.timeout.ms", timeout.as_millis().to_string()),
            ("message.timeout.ms", timeout.as_millis().to_string()),
            // A request may not outlive the transaction it is for.
            ("socket.timeout.ms", timeout.min(Duration::from_secs(10)).as_millis().to_string()),
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
        ];
        let tower = Tower::new(|_| {});
        let producer: ThreadedProducer<Tower<Arc<Flight>>> =
            configured(config, &preferred, &required).create_with_context(tower)?;
        producer.init_transactions(Duration::from_secs(10))?;
        let producer = Arc::new(producer);
        let sending = Sending::start(producer.clone());
        Ok(Self { producer, sending, names: Names::new(&config.prefix), timeout })
    }

    /// Writes outputs and positions as one. `positions` is asked for when all outputs are written, just before it is needed; it
    /// tells none when one of the shares is no longer ours.
    pub(crate) fn commit(
        &self,
        outputs: &[(&Outgoing, Partition)],
        positions: impl FnOnce() -> Option<Vec<Positions>>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        self.producer.begin_transaction().map_err(|error| self.judge(begun, error))?;
        self.write(begun, outputs)?;
        let wrote = begun.elapsed();
        let Some(positions) = positions() else {
            self.abort(begun)?;
            return Err(Failure::Aborted("a partition went to another member".into()));
        };
        self.send_positions(begun, positions)?;
        let sent = begun.elapsed();
        self.end(begun)?;
        let ended = begun.elapsed();
        tracing::trace!(records = outputs.len(), ?wrote, ?sent, ?ended, "a transaction was committed");
        Ok(())
    }

    fn write(&self, begun: Instant, outputs: &[(&Outgoing, Partition)]) -> Result<(), Failure> {
        let flight = Flight::new(0);
        let mut topic = (None, String::new());
        let mut refused = None;
        'records: for (record, place) in outputs {
            if topic.0 != Some(&record.topic) {
                topic = (Some(&record.topic), self.names.outer(record.topic.as_str()));
            }
            loop {
                let Err((error, _)) = self.producer.send(codec::outgoing(&topic.1, *place, record, flight.board()))
                else {
                    break;
                };
                flight.refused();
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition) {
                    self.look_up(&topic.1);
                }
                if !full || begun.elapsed() > self.timeout {
                    refused = Some(error.to_string());
                    break 'records;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Drained by waiting for the reports: a flush would wait in steps of 100 ms. An abort with records under way hangs.
        let landed = flight.wait(self.timeout * 2);
        let failed = refused.or_else(|| flight.outcome().err().map(|(error, topic)| format!("{topic}: {error}")));
        match failed {
            None if landed => Ok(()),
            failed => {
                if !landed {
                    self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
                }
                self.abort(begun)?;
                Err(Failure::Aborted(failed.unwrap_or_else(|| "the brokers did not take the records in time".into())))
            }
        }
    }

    /// A topic that was made anew, or has more partitions now, is known to the producer as it was, for a minute by itself.
    fn look_up(&self, topic: &str) {
        if let Err(error) = self.producer.client().fetch_metadata(Some(topic), CALL) {
            tracing::debug!(topic, %error, "a topic could not be looked up");
        }
    }

    fn send_positions(&self, begun: Instant, positions: Vec<Positions>) -> Result<(), Failure> {
        match self.sending.send(positions, self.timeout) {
            Sent::All => Ok(()),
            Sent::Failed(_, error) if fatal(&error) => Err(self.judge(begun, error)),
            Sent::Failed(index, error) => {
                self.abort(begun)?;
                // The generation is stale, or the member was evicted: it finds out by itself.
                Err(Failure::Refused(index, error.to_string()))
            }
            // Not committed, and so nothing counts: the next producer's first act is to abort it.
            Sent::Stuck => Err(Failure::Broken("the call that sends positions does not return".into())),
        }
    }

    fn end(&self, begun: Instant) -> Result<(), Failure> {
        loop {
            let Err(error) = self.producer.commit_transaction(CALL) else { return Ok(()) };
            if retriable(&error) {
                continue;
            }
            // From the first try on it may count, whatever the next ones say; only an abort that succeeds tells that it does not.
            let unknown = |failure| match failure {
                Failure::Broken(reason) => Failure::Unknown(reason),
                other => other,
            };
            if fatal(&error) {
                return Err(unknown(self.judge(begun, error)));
            }
            self.abort(begun).map_err(unknown)?;
            return Err(Failure::Aborted(error.to_string()));
        }
    }

    fn abort(&self, begun: Instant) -> Result<(), Failure> {
        loop {
            let Err(error) = self.producer.abort_transaction(CALL) else { return Ok(()) };
            if !retriable(&error) {
                return Err(self.judge(begun, error));
            }
        }
    }

    /// An error that ends the producer. Fenced is what a newer process with the same id causes, but also a transaction of our
    /// own that outlived its timeout: only then is it time that tells.
    fn judge(&self, begun: Instant, error: KafkaError) -> Failure {
        let fenced = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
        );
        if fenced && begun.elapsed() < self.timeout.mul_f64(0.8) {
            return Failure::Fenced(error.to_string());
        }
        Failure::Broken(error.to_string())
    }
}

fn transaction(error: &KafkaError) -> Option<&RDKafkaError> {
    match error {
        KafkaError::Transaction(error) => Some(error),
        _ => None,
    }
}

fn retriable(error: &KafkaError) -> bool {
    transaction(error).is_some_and(RDKafkaError::is_retriable)
}

fn fatal(error: &KafkaError) -> bool {
    transaction(error).is_none_or(|error| error.is_fatal() || !error.txn_requires_abort())
}
