//! Publishing outside of a hop: an idempotent producer that waits for all in-sync replicas.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::topics::partition_of;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{Producer as _, ThreadedProducer},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    client::{Client, OpenError, QUESTION, configured, retire},
    cluster::Cluster,
    codec::{self, Names},
    reach::Reach,
    reports::{Fault, Reporter, Reports},
    threads::blocking,
    verdict::unavailable,
    verdict::{self, Verdict},
};
use bus::{Error, Outgoing, Partition, PublishError, Refusal, Spot, check_sizes};
use kafka_config::Config;

/// The most that may wait for the brokers; beyond it publications are refused at once instead of late.
const QUEUE_KIB: usize = 64 * 1024;

type Producing = ThreadedProducer<Reporter>;

pub(crate) struct Publisher {
    config: Config,
    names: Names,
    cluster: Arc<Cluster>,
    /// Replaced when it fails for good, when its batches prove too large, and whenever a record of it is not delivered in time.
    producer: Client<Current>,
    breaker: Arc<Breaker>,
    keyless: AtomicU32,
}

/// A producer.
struct Current {
    producer: Producing,
    /// The most bytes of a batch.
    batch: usize,
}

/// A circuit breaker: while the brokers are away one publication at a time finds out whether they are back (half-open), and
/// others are refused at once.
struct Breaker {
    reach: Reach,
    probe: Semaphore,
}

/// Who publishes, in what is said of those who reach no broker.
const WHO: &str = "publishing";

impl Publisher {
    pub(crate) fn open(config: &Config, cluster: Arc<Cluster>) -> Result<Self, OpenError> {
        let breaker = Arc::new(Breaker { reach: cluster.reach().clone(), probe: Semaphore::new(1) });
        let batch = config.layout.smallest_record().min(BATCH);
        let producer = producer(config, &breaker, batch).map_err(OpenError::of)?;
        let producer = Client::new(Current { producer, batch });
        let names = Names::new(&config.prefix);
        Ok(Self { config: config.clone(), names, cluster, producer, breaker, keyless: AtomicU32::new(0) })
    }

    pub(crate) async fn publish(&self, batch: Vec<Outgoing>) -> Result<Vec<Spot>, PublishError> {
        check_sizes(&batch)?;
        let _probe = self.breaker.enter()?;
        let places = self.places(&batch).await?;
        loop {
            let current = self.producer.get();
            let reports = Reports::new(batch.len());
            let refused = self.give(&current.producer, &reports, &batch, &places);
            if tokio::time::timeout(self.config.delivery_timeout, reports.settled()).await.is_err() {
                let reason = "the brokers did not acknowledge in time";
                self.breaker.begin(reason);
                self.replace(&current, current.batch).await;
                return Err(PublishError::Unavailable(reason.to_owned()));
            }
            let faults = match (refused, reports.outcome()) {
                (None, Ok(spots)) => {
                    self.breaker.over();
                    return Ok(spots);
                }
                (Some(fault), _) => vec![fault],
                (None, Err(faults)) => faults,
            };
            // Whoever shared a batch with others is not known to be at fault before its batches are smaller than itself.
            let shares = |fault: &Fault| {
                verdict::is_too_large(&fault.error)
                    && batch.get(fault.record).is_some_and(|record| can_shrink(current.batch, record))
            };
            if faults.iter().any(shares) && self.replace(&current, current.batch / 2).await {
                if batch.len() == 1 {
                    continue;
                }
                // Some of it may be there: whoever publishes it again knows what to do about that.
                return Err(PublishError::Unavailable(
                    "batches were too large for a topic; they are smaller now".into(),
                ));
            }
            return Err(self.failed(&current, &batch, &faults).await);
        }
    }

    /// A topic that was made anew, or has more partitions now, is known to the producer as it was, for a minute by itself.
    async fn look_up(&self, current: &Arc<Current>, batch: &[Outgoing]) {
        let topics: BTreeSet<String> = batch.iter().map(|record| self.names.outer(record.topic.as_str())).collect();
        let current = current.clone();
        let looked = blocking(move || {
            topics
                .iter()
                .try_for_each(|topic| current.producer.client().fetch_metadata(Some(topic), QUESTION).map(drop))
        });
        if let Err(error) = looked.await.and_then(|looked| looked.map_err(|error| unavailable(&error))) {
            tracing::debug!(%error, "topics could not be looked up");
        }
    }

    fn give(
        &self,
        producer: &Producing,
        reports: &Arc<Reports>,
        batch: &[Outgoing],
        places: &[Partition],
    ) -> Option<Fault> {
        let mut topic = String::new();
        let mut last = None;
        for (index, (record, place)) in batch.iter().zip(places).enumerate() {
            if last != Some(&record.topic) {
                topic = self.names.outer(record.topic.as_str());
                last = Some(&record.topic);
            }
            if let Err((error, _)) = producer.send(codec::outgoing(&topic, *place, record, reports.expect_one(index))) {
                reports.refused();
                return Some(Fault { record: index, error });
            }
        }
        None
    }

    /// The partition of each record. All topics are known before the first record is given away.
    async fn places(&self, batch: &[Outgoing]) -> Result<Vec<Partition>, PublishError> {
        let mut places = Vec::with_capacity(batch.len());
        for (at, record) in batch.iter().enumerate() {
            let partitions = match self.cluster.expect(&record.topic).await {
                Ok(partitions) => partitions,
                Err(Error::UnknownTopic(topic)) => return Err(Refusal::unknown(at, &topic).into()),
                Err(error) => return Err(PublishError::Unavailable(error.to_string())),
            };
            if let Some(Partition(number)) = record.partition
                && number >= partitions
            {
                return Err(Refusal::no_partition(at, &record.topic, number, partitions).into());
            }
            places.push(place(record, partitions, || self.keyless.fetch_add(1, Ordering::Relaxed)));
        }
        Ok(places)
    }

    async fn failed(&self, current: &Arc<Current>, batch: &[Outgoing], faults: &[Fault]) -> PublishError {
        let never = faults.iter().find_map(|fault| match verdict::of_record(verdict::code(&fault.error)) {
            Verdict::Never(code) => Some((code, fault)),
            _ => None,
        });
        if let Some((fatal, reason)) = current.producer.client().fatal_error() {
            tracing::debug!(code = ?fatal, reason, "the producer has failed for good and is replaced");
            self.replace(current, current.batch).await;
        }
        if let Some((code, fault)) = never
            && let Some(record) = batch.get(fault.record)
        {
            return verdict::refusal(fault.record, &record.topic, code, &fault.error).into();
        }
        let Some(first) = faults.first() else { return PublishError::Unavailable("it failed without a reason".into()) };
        if verdict::code(&first.error) == RDKafkaErrorCode::UnknownPartition {
            self.look_up(current, batch).await;
        }
        PublishError::Unavailable(first.error.to_string())
    }

    /// Makes another producer in the place of one, unless somebody has; whether there is another. What the old one has and is not late
    /// yet it may still deliver; then it is given up, and sent again by nobody.
    async fn replace(&self, failed: &Arc<Current>, batch: usize) -> bool {
        if !Arc::ptr_eq(&self.producer.get(), failed) {
            return true;
        }
        let (config, breaker) = (self.config.clone(), self.breaker.clone());
        let new = blocking(move || producer(&config, &breaker, batch).map_err(|error| unavailable(&error))).await;
        // Others may have done it meanwhile.
        if !Arc::ptr_eq(&self.producer.get(), failed) {
            return true;
        }
        match new.and_then(|new| new) {
            Ok(producer) => self.producer.replace(Current { producer, batch }),
            Err(error) => {
                tracing::error!(%error, "a producer cannot be created; publications go on failing");
                return false;
            }
        }
        let (failed, rest) = (failed.clone(), self.config.delivery_timeout);
        drop(tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            while failed.producer.in_flight_count() > 0 && begun.elapsed() < rest {
                std::thread::sleep(Duration::from_millis(10));
            }
            purge(&failed.producer);
            retire(failed);
        }));
        true
    }
}

/// Gives up whatever a producer has not delivered.
fn purge(producer: &Producing) {
    producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight().non_blocking());
}

/// Who leaves at once shall not wait for what can no longer be delivered.
impl Drop for Publisher {
    fn drop(&mut self) {
        purge(&self.producer.get().producer);
    }
}

/// Records have no timeout of librdkafka's: where one runs out, it numbers all others anew, and those that were sent and not
/// acknowledged would be written again as if they were new ones. So it is the producer that is given up.
fn producer(config: &Config, breaker: &Arc<Breaker>, batch: usize) -> Result<Producing, KafkaError> {
    let preferred = [
        ("linger.ms", "1".to_owned()),
        ("queue.buffering.max.kbytes", QUEUE_KIB.to_string()),
        ("queue.buffering.max.messages", "200000".to_owned()),
    ];
    let required = [
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("batch.size", batch_size(config, batch)),
        ("message.timeout.ms", "0".to_owned()),
        ("request.timeout.ms", (config.delivery_timeout / 2).max(Duration::from_millis(500)).as_millis().to_string()),
    ];
    let breaker = Arc::downgrade(breaker);
    let reporter = Reporter::new(move || {
        if let Some(breaker) = breaker.upgrade() {
            breaker.begin("none of the brokers can be reached");
        }
    });
    configured(config, &preferred, &required).create_with_context(reporter)
}

/// The most bytes of a batch: below the 1 MiB that brokers take by default, with what the protocol puts around it.
pub(crate) const BATCH: usize = 960 * 1024;
/// Batches are not made smaller than this: who is refused in one of these is refused by itself.
const LEAST_BATCH: usize = 8 * 1024;

/// Whether a record that was refused as too large may have shared its batch with others, and batches can be smaller.
pub(crate) fn can_shrink(batch: usize, record: &Outgoing) -> bool {
    record.size() < batch && batch > LEAST_BATCH
}

/// The `batch.size`: so many bytes, or fewer where the operator says so. A broker's limit is for batches, not for records.
pub(crate) fn batch_size(config: &Config, batch: usize) -> String {
    let asked = config.properties.get("batch.size").and_then(|asked| asked.parse().ok());
    asked.map_or(batch, |asked: usize| asked.min(batch)).to_string()
}

/// The partition of a record: the one it names, the one of its key, or any.
pub(crate) fn place(record: &Outgoing, partitions: u32, any: impl FnOnce() -> u32) -> Partition {
    record.partition.unwrap_or_else(|| {
        Partition(match &record.key {
            Some(key) => partition_of(key, partitions),
            None => any() % partitions.max(1),
        })
    })
}

impl Breaker {
    /// Lets a publication through, or not; while the brokers are away it is the probe.
    fn enter(&self) -> Result<Option<SemaphorePermit<'_>>, PublishError> {
        let Some(reason) = self.reach.why(WHO) else { return Ok(None) };
        match self.probe.try_acquire() {
            Ok(probe) => Ok(Some(probe)),
            Err(_) => Err(PublishError::Unavailable(format!("the brokers are away: {reason}"))),
        }
    }

    fn begin(&self, reason: &str) {
        self.reach.lost(WHO, reason);
    }

    fn over(&self) {
        self.reach.found(WHO);
    }
}
