//! The delivery reports of a batch of records that a producer was given.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message as _,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::ProducerContext,
};
use tokio::sync::Notify;

use crate::{
    client::{self, Shaken},
    codec,
    threads::lock,
    verdict::{self, Verdict},
};
use bus::{Partition, Spot};

/// Which record was not delivered, and why.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Which of the batch, from 0.
    pub(crate) record: usize,
    pub(crate) error: KafkaError,
}

impl Fault {
    /// Whether it failed because of another of the same transaction.
    pub(crate) fn is_innocent(&self) -> bool {
        verdict::of_record(verdict::code(&self.error)) == Verdict::Innocent
    }
}

/// The delivery reports of one batch: how many are awaited, where the delivered stand, and what failed.
#[derive(Debug)]
pub(crate) struct Reports {
    in_flight: AtomicUsize,
    state: Mutex<State>,
    settled: Condvar,
    done: Notify,
}

#[derive(Debug)]
struct State {
    spots: Vec<Option<Spot>>,
    failed: Vec<Fault>,
}

/// The report of one record that is in flight: librdkafka's opaque.
pub(crate) struct Report {
    reports: Arc<Reports>,
    index: usize,
}

impl Reports {
    /// One of any number of records; of the first `records` it is told where they stand.
    pub(crate) fn new(records: usize) -> Arc<Self> {
        let state = State { spots: vec![None; records], failed: Vec::new() };
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            state: Mutex::new(state),
            settled: Condvar::new(),
            done: Notify::new(),
        })
    }

    /// A record that is given to the producer now.
    pub(crate) fn expect_one(self: &Arc<Self>, index: usize) -> Box<Report> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Box::new(Report { reports: self.clone(), index })
    }

    /// That the producer did not take one, and gave back the report.
    pub(crate) fn refused(&self) {
        self.settle();
    }

    fn failed(&self, record: usize, error: &KafkaError) {
        lock(&self.state).failed.push(Fault { record, error: error.clone() });
    }

    fn settle(&self) {
        if self.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Who is about to wait has not looked yet, or hears of it.
            drop(lock(&self.state));
            self.settled.notify_all();
            self.done.notify_one();
        }
    }

    fn is_settled(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }

    /// Blocks until nothing is in flight; false if that takes too long.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = lock(&self.state);
        while !self.is_settled() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = match self.settled.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn settled(&self) {
        while !self.is_settled() {
            self.done.notified().await;
        }
    }

    /// Where all of it stands, or what failed: at least one.
    pub(crate) fn outcome(&self) -> Result<Vec<Spot>, Vec<Fault>> {
        let mut state = lock(&self.state);
        match std::mem::take(&mut state.failed) {
            failed if failed.is_empty() => Ok(state.spots.iter().flatten().copied().collect()),
            failed => Err(failed),
        }
    }
}

/// The producer's context: hands each delivery report to its batch, and tells of outages.
pub(crate) struct Reporter {
    away: Box<dyn Fn() + Send + Sync>,
    shaken: Shaken,
}

impl Reporter {
    /// `away` is called when no broker can be reached.
    pub(crate) fn new(away: impl Fn() + Send + Sync + 'static) -> Self {
        Self { away: Box::new(away), shaken: Shaken::default() }
    }

    /// Whether it has met an outage.
    pub(crate) fn is_shaken(&self) -> bool {
        self.shaken.is()
    }
}

impl ClientContext for Reporter {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.shaken.listen(facility);
        client::log(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::global(&error, reason);
        self.shaken.hear(&error);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            (self.away)();
        }
    }
}

impl ProducerContext for Reporter {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let Report { reports, index } = *report;
        match result {
            Ok(message) => {
                let partition = Partition(message.partition().cast_unsigned());
                let spot = Spot { partition, offset: codec::offset(message.offset()) };
                if let Some(place) = lock(&reports.state).spots.get_mut(index) {
                    *place = Some(spot);
                }
            }
            Err((error, _)) => reports.failed(index, error),
        }
        reports.settle();
    }
}
