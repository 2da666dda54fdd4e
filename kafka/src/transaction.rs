//! One transaction at a time: the producer behind the hops, and what each of its errors means for who must act.

mod sending;

use std::{
    borrow::Cow,
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
    client::{UNUSABLE, configured},
    codec::{self, Names},
    publish::batch_size,
    reports::{Fault, Reporter, Reports},
    verdict::{self, Verdict, code},
};
use bus::{Outgoing, Partition};
use kafka_config::Config;

/// How long one call may block before it is made again.
const CALL: Duration = Duration::from_secs(2);

/// Why a transaction was not committed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing of it counts; these outputs were not written, each for a reason of its own.
    Outputs(Vec<Fault>),
    /// Nothing of it counts; the positions of the member of this number were not taken.
    Position(usize, KafkaError),
    /// Nothing of it counts; the same may be tried again.
    Aborted(String),
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
    producer: Arc<ThreadedProducer<Reporter>>,
    sending: Sending,
    names: Names,
    timeout: Duration,
    /// What it was made of, for its successor.
    made_of: (Config, usize),
    /// Whether its producer is done for, although what became of its last transaction is known.
    spent: bool,
}

/// How a process's transactions are called: the same after a restart, so that it ends what its predecessor left open.
pub(crate) fn transactional_id(config: &Config) -> String {
    format!("{}{}.{}", config.prefix, config.role, config.instance)
}

impl Transactor {
    /// Creates the producer, whose batches have so many bytes at most, and ends whatever its predecessor left open.
    pub(crate) fn start(config: &Config, batch: usize) -> Result<Self, KafkaError> {
        let preferred = [
            // A hop is given at once, and waits for itself alone.
            ("linger.ms", "0.2".to_owned()),
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
            ("batch.size", batch_size(config, batch)),
        ];
        let reporter = Reporter::new(|| {});
        let producer: ThreadedProducer<Reporter> =
            configured(config, &preferred, &required).create_with_context(reporter)?;
        producer.init_transactions(Duration::from_secs(10))?;
        let producer = Arc::new(producer);
        let sending = Sending::start(producer.clone());
        let (names, made_of) = (Names::new(&config.prefix), (config.clone(), batch));
        Ok(Self { producer, sending, names, timeout, made_of, spent: false })
    }

    /// Writes outputs and positions as one. `positions` is asked for when all outputs are written, just before it is needed; it
    /// tells none when one of the shares is no longer ours.
    pub(crate) fn commit(
        &mut self,
        outputs: &[(Cow<'_, Outgoing>, Partition)],
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

    /// Which of these the broker does not let into a transaction, without writing any: it tells that something is forbidden, but
    /// not what. Halves them until each of the guilty stands alone.
    pub(crate) fn guilty(&mut self, outputs: &[(Cow<'_, Outgoing>, Partition)]) -> Result<Vec<Fault>, Failure> {
        let begun = Instant::now();
        if self.spent {
            let (config, batch) = &self.made_of;
            *self = Self::start(config, *batch).map_err(|error| Failure::Broken(error.to_string()))?;
        }
        self.producer.begin_transaction().map_err(|error| self.judge(begun, error))?;
        let found = match self.write(begun, outputs) {
            Ok(()) => {
                self.abort(begun)?;
                return Ok(Vec::new());
            }
            Err(Failure::Outputs(found)) => found,
            Err(other) => return Err(other),
        };
        let (first, rest) = outputs.split_at(outputs.len() / 2);
        if first.is_empty() || !found.iter().all(Fault::is_innocent) {
            return Ok(found);
        }
        let mut found = self.guilty(first)?;
        let later = |fault: Fault| Fault { record: fault.record + first.len(), ..fault };
        found.extend(self.guilty(rest)?.into_iter().map(later));
        Ok(found)
    }

    fn write(&mut self, begun: Instant, outputs: &[(Cow<'_, Outgoing>, Partition)]) -> Result<(), Failure> {
        let reports = Reports::new(0);
        let refused = self.give(begun, &reports, outputs);
        // Drained by waiting for the reports: a flush would wait in steps of 100 ms. An abort with records under way hangs.
        let settled = reports.wait(self.timeout * 2);
        let mut faults = reports.outcome().err().unwrap_or_default();
        faults.extend(refused);
        if settled && faults.is_empty() {
            return Ok(());
        }
        if !settled {
            self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        }
        let explained = self.explained(faults);
        self.give_up(begun)?;
        Err(explained)
    }

    /// What the faults amount to. Where all of it failed because of something else, a transaction that must be aborted says what
    /// that was to whoever would begin another. Who is told so alone is at fault himself; of several, somebody is.
    fn explained(&self, mut faults: Vec<Fault>) -> Failure {
        if !faults.is_empty() && !faults.iter().all(Fault::is_innocent) {
            return Failure::Outputs(faults);
        }
        let Err(cause) = self.producer.begin_transaction() else {
            return Failure::Broken("a transaction began within another".into());
        };
        if !matches!(verdict::of_record(code(&cause)), Verdict::Never(_)) {
            let passing = faults.is_empty() || code(&cause) == RDKafkaErrorCode::State;
            let slow = || "the brokers did not take the records in time".to_owned();
            return Failure::Aborted(if passing { slow() } else { cause.to_string() });
        }
        if let [fault] = &mut faults[..] {
            fault.error = cause;
        }
        Failure::Outputs(faults)
    }

    fn give(
        &self,
        begun: Instant,
        reports: &Arc<Reports>,
        outputs: &[(Cow<'_, Outgoing>, Partition)],
    ) -> Option<Fault> {
        let mut topic = (None, String::new());
        for (at, (record, place)) in outputs.iter().enumerate() {
            if topic.0 != Some(&record.topic) {
                topic = (Some(&record.topic), self.names.outer(record.topic.as_str()));
            }
            loop {
                let Err((error, _)) =
                    self.producer.send(codec::outgoing(&topic.1, *place, record, reports.expect_one(at)))
                else {
                    break;
                };
                reports.refused();
                match code(&error) {
                    RDKafkaErrorCode::QueueFull if begun.elapsed() <= self.timeout => {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    code => {
                        if code == RDKafkaErrorCode::UnknownPartition {
                            self.look_up(&topic.1);
                        }
                        return Some(Fault { record: at, error });
                    }
                }
            }
        }
        None
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
                Err(Failure::Position(index, error))
            }
            // Not committed, and so nothing counts: the next producer's first act is to abort it.
            Sent::Stuck => Err(Failure::Broken("the call that sends positions does not return".into())),
        }
    }

    fn end(&self, begun: Instant) -> Result<(), Failure> {
        loop {
            let Err(error) = self.producer.commit_transaction(CALL) else { return Ok(()) };
            if retriable(&error) && !self.is_stuck(begun) {
                continue;
            }
            // From the first try on it may count, whatever the next ones say; only an abort that succeeds tells that it does not.
            let unknown = |failure| match failure {
                Failure::Broken(reason) => Failure::Unknown(reason),
                other => other,
            };
            if retriable(&error) || fatal(&error) {
                return Err(unknown(self.judge(begun, error)));
            }
            self.abort(begun).map_err(unknown)?;
            return Err(Failure::Aborted(error.to_string()));
        }
    }

    /// Aborts a transaction of which nothing was written. Where the broker let none of its partitions in, it has not begun there,
    /// which librdkafka takes for an error that ends the producer; nothing counts all the same.
    fn give_up(&mut self, begun: Instant) -> Result<(), Failure> {
        let Err(error) = self.aborted(begun) else { return Ok(()) };
        if code(&error) != RDKafkaErrorCode::InvalidTransactionalState {
            return Err(self.judge(begun, error));
        }
        self.spent = true;
        Ok(())
    }

    /// Whether another one must take its place before the next transaction.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    fn abort(&self, begun: Instant) -> Result<(), Failure> {
        self.aborted(begun).map_err(|error| self.judge(begun, error))
    }

    fn aborted(&self, begun: Instant) -> Result<(), KafkaError> {
        loop {
            let Err(error) = self.producer.abort_transaction(CALL) else { return Ok(()) };
            if !retriable(&error) || self.is_stuck(begun) {
                return Err(error);
            }
        }
    }

    /// Whether a transaction has lasted for so long that the brokers have ended it, if they run: a producer that cannot say so has
    /// lost them for good, and another takes its place.
    fn is_stuck(&self, begun: Instant) -> bool {
        begun.elapsed() > self.timeout + UNUSABLE
    }

    /// Whether its producer has met an outage.
    pub(crate) fn is_shaken(&self) -> bool {
        self.producer.context().is_shaken()
    }

    /// An error that ends the producer. Fenced is what a newer process with the same id causes, but also a transaction of our
    /// own that outlived its timeout: only then is it time that tells.
    fn judge(&self, begun: Instant, error: KafkaError) -> Failure {
        if verdict::is_fenced(code(&error)) && begun.elapsed() < self.timeout.mul_f64(0.8) {
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

#[cfg(test)]
mod tests;
