//! Publishing outside of a hop: an idempotent producer that waits for all in-sync replicas.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use contracts::topics::partition_of;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{Producer as _, ThreadedProducer},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Error, PublishError,
    kafka::{
        OpenError,
        client::{QUESTION, configured},
        cluster::{Cluster, blocking, lock, unavailable},
        codec::{self, Names},
        config::Config,
        flight::{Flight, Passenger, Tower},
    },
    record::{Outgoing, Partition, Spot},
    refusal::{Refusal, check_sizes},
};

/// The most that may wait for the brokers; beyond it publications are refused at once instead of late.
const QUEUE_KIB: usize = 64 * 1024;

/// Publishes.
pub(crate) struct Publisher {
    config: Config,
    names: Names,
    cluster: Arc<Cluster>,
    /// Replaced when it fails for good.
    producer: Mutex<Arc<ThreadedProducer<Tower<Box<Passenger>>>>>,
    outage: Arc<Outage>,
    keyless: AtomicU32,
}

/// Whether the brokers are away: then one publication at a time finds out whether they are back, and others are refused at
/// once.
struct Outage {
    reason: Mutex<Option<String>>,
    probe: Semaphore,
}

impl Publisher {
    pub(crate) fn open(config: &Config, cluster: Arc<Cluster>) -> Result<Self, OpenError> {
        let outage = Arc::new(Outage { reason: Mutex::default(), probe: Semaphore::new(1) });
        let producer = Mutex::new(producer(config, &outage).map_err(OpenError::of)?);
        let names = Names::new(&config.prefix);
        Ok(Self { config: config.clone(), names, cluster, producer, outage, keyless: AtomicU32::new(0) })
    }

    pub(crate) async fn publish(&self, batch: Vec<Outgoing>) -> Result<Vec<Spot>, PublishError> {
        check_sizes(&batch)?;
        let _probe = self.outage.enter()?;
        let places = self.places(&batch).await?;
        let producer = lock(&self.producer).clone();
        let flight = Flight::new(batch.len());
        let refused = self.give(&producer, &flight, &batch, &places);
        flight.landed().await;
        if let Some(error) = refused {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition) {
                self.look_up(&producer, &batch).await;
            }
            return Err(self.failed(&producer, &error));
        }
        match flight.outcome() {
            Ok(spots) => {
                self.outage.over();
                Ok(spots)
            }
            Err((error, _)) => Err(self.failed(&producer, &error)),
        }
    }

    /// A topic that was made anew, or has more partitions now, is known to the producer as it was, for a minute by itself.
    async fn look_up(&self, producer: &Arc<ThreadedProducer<Tower<Box<Passenger>>>>, batch: &[Outgoing]) {
        let topics: BTreeSet<String> = batch.iter().map(|record| self.names.outer(record.topic.as_str())).collect();
        let producer = producer.clone();
        let looked = blocking(move || {
            topics.iter().try_for_each(|topic| producer.client().fetch_metadata(Some(topic), QUESTION).map(drop))
        });
        if let Err(error) = looked.await.and_then(|looked| looked.map_err(|error| unavailable(&error))) {
            tracing::debug!(%error, "topics could not be looked up");
        }
    }

    fn give(
        &self,
        producer: &ThreadedProducer<Tower<Box<Passenger>>>,
        flight: &Arc<Flight>,
        batch: &[Outgoing],
        places: &[Partition],
    ) -> Option<KafkaError> {
        let mut topic = String::new();
        let mut last = None;
        for (index, (record, place)) in batch.iter().zip(places).enumerate() {
            if last != Some(&record.topic) {
                topic = self.names.outer(record.topic.as_str());
                last = Some(&record.topic);
            }
            if let Err((error, _)) = producer.send(codec::outgoing(&topic, *place, record, flight.passenger(index))) {
                flight.refused();
                return Some(error);
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

    fn failed(&self, producer: &Arc<ThreadedProducer<Tower<Box<Passenger>>>>, error: &KafkaError) -> PublishError {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::MessageTimedOut) {
            self.outage.begin(&error.to_string());
        }
        if let Some((_, reason)) = producer.client().fatal_error() {
            tracing::warn!(reason, "the producer has failed for good and is replaced");
            self.replace(producer);
        }
        PublishError::Unavailable(error.to_string())
    }

    fn replace(&self, failed: &Arc<ThreadedProducer<Tower<Box<Passenger>>>>) {
        let mut current = lock(&self.producer);
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        match producer(&self.config, &self.outage) {
            Ok(new) => *current = new,
            Err(error) => tracing::error!(%error, "a producer cannot be created; publications go on failing"),
        }
    }
}

/// Who leaves at once shall not wait for what can no longer be delivered.
impl Drop for Publisher {
    fn drop(&mut self) {
        lock(&self.producer).purge(rdkafka::producer::PurgeConfig::default().queue().inflight().non_blocking());
    }
}

fn producer(config: &Config, outage: &Arc<Outage>) -> Result<Arc<ThreadedProducer<Tower<Box<Passenger>>>>, KafkaError> {
    let preferred = [
        ("linger.ms", "1".to_owned()),
        ("batch.size", (1024 * 1024).to_string()),
        ("queue.buffering.max.kbytes", QUEUE_KIB.to_string()),
        ("queue.buffering.max.messages", "200000".to_owned()),
    ];
    let required = [
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("message.timeout.ms", config.delivery_timeout.as_millis().max(1).to_string()),
        ("request.timeout.ms", (config.delivery_timeout / 2).max(Duration::from_millis(500)).as_millis().to_string()),
    ];
    let outage = Arc::downgrade(outage);
    let tower = Tower::new(move |reason: &str| {
        if let Some(outage) = outage.upgrade() {
            outage.begin(reason);
        }
    });
    Ok(Arc::new(configured(config, &preferred, &required).create_with_context(tower)?))
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

impl Outage {
    /// Lets a publication through, or not; while the brokers are away it is the probe.
    fn enter(&self) -> Result<Option<SemaphorePermit<'_>>, PublishError> {
        let Some(reason) = lock(&self.reason).clone() else { return Ok(None) };
        match self.probe.try_acquire() {
            Ok(probe) => Ok(Some(probe)),
            Err(_) => Err(PublishError::Unavailable(format!("the brokers are away: {reason}"))),
        }
    }

    fn begin(&self, reason: &str) {
        let mut current = lock(&self.reason);
        if current.is_none() {
            tracing::warn!(reason, "the brokers take no publications; refusing until one gets through");
        }
        *current = Some(reason.to_owned());
    }

    fn over(&self) {
        if lock(&self.reason).take().is_some() {
            tracing::info!("the brokers take publications again");
        }
    }
}
