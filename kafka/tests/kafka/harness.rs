//! What the tests share: a bus of their own on the broker of this run, input that keeps coming, and waiting.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{Bus, Outgoing, TopicSpec};
use kafka::Kafka;
use tokio::task::JoinHandle;

use crate::given::{Given, PARTITIONS};

/// How long a condition may take to come true. Far more than it takes, since two cores are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(15);

/// A prefix that nobody else has.
pub(crate) fn prefix(name: &str) -> String {
    format!("{name}{:x}.", jiff::Timestamp::now().as_nanosecond())
}

/// Whether the long variants are wanted.
pub(crate) fn long() -> bool {
    std::env::var("HERALD_LONG").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// A bus of this process, with the topics of a copy: `in`, `out`, and what its owner remembers in `side`.
pub(crate) async fn bus(given: &Given) -> Arc<Kafka> {
    let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).try_init();
    let bus = Kafka::open(&given.named("test").config()).unwrap();
    bus.create(["in", "out", "side"].map(TopicSpec::new).to_vec()).await.unwrap();
    Arc::new(bus)
}

/// Waits until something is there.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// How far the copying is behind; none while not every partition has a position.
pub(crate) async fn behind(bus: &Kafka) -> Option<u64> {
    let lags = bus.lag("copy").await.ok()?;
    (lags.len() == PARTITIONS as usize).then(|| lags.iter().map(|lag| lag.records).sum())
}

/// Publishes records `from..to`, spread over all partitions; each is accepted.
pub(crate) async fn publish(bus: &Kafka, from: u64, to: u64) {
    let numbers: Vec<u64> = (from..to).collect();
    for numbers in numbers.chunks(500) {
        bus.publish(numbers.iter().map(|number| record(*number)).collect()).await.unwrap();
    }
}

fn record(number: u64) -> Outgoing {
    let partition = bus::Partition(u32::try_from(number % u64::from(PARTITIONS)).unwrap());
    Outgoing::new("in", format!("{number}"), format!("{number} {}", "-".repeat(100))).to_partition(partition)
}

/// Records that keep coming, at a steady rate.
pub(crate) struct Input {
    stopped: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    refused: Arc<Mutex<Vec<Duration>>>,
    task: JoinHandle<()>,
}

impl Input {
    pub(crate) fn start(bus: Arc<Kafka>, per_second: u64) -> Self {
        const PERIOD: Duration = Duration::from_millis(20);
        let (stopped, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let refused: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let (stop, count, refusals) = (stopped.clone(), accepted.clone(), refused.clone());
        let size = per_second * 20 / 1000;
        let task = tokio::spawn(async move {
            let mut period = tokio::time::interval(PERIOD);
            period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut next = 0;
            while !stop.load(Ordering::Acquire) {
                period.tick().await;
                let batch: Vec<Outgoing> = (next..next + size).map(record).collect();
                loop {
                    let begun = Instant::now();
                    match bus.publish(batch.clone()).await {
                        Ok(_) => break,
                        // As a caller would: it may then be there twice.
                        Err(_) => refusals.lock().unwrap().push(begun.elapsed()),
                    }
                    tokio::time::sleep(LOOK).await;
                }
                next += size;
                count.store(next, Ordering::Release);
            }
        });
        Self { stopped, accepted, refused, task }
    }

    /// How many were accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    /// How long each refusal took so far.
    pub(crate) fn refused(&self) -> Vec<Duration> {
        self.refused.lock().unwrap().clone()
    }

    /// What is being published is published until it is accepted, and nothing after it. Tells how many were.
    pub(crate) async fn stop(self) -> u64 {
        self.stopped.store(true, Ordering::Release);
        self.task.await.unwrap();
        self.accepted.load(Ordering::Acquire)
    }
}
