//! What producers tell of the records they were given: a *flight* is a batch of records that is under way.

use std::{
    marker::PhantomData,
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
    kafka::{client, cluster::lock, codec},
    record::{Partition, Spot},
};

/// Why a record was not delivered, and to which topic.
pub(crate) type Fault = (KafkaError, String);

/// A batch under way: how much of it is, where the rest stands, and what failed first.
#[derive(Debug)]
pub(crate) struct Flight {
    under_way: AtomicUsize,
    state: Mutex<State>,
    landed: Condvar,
    done: Notify,
}

#[derive(Debug)]
struct State {
    spots: Vec<Option<Spot>>,
    failed: Option<Fault>,
}

/// One record of a flight, of which it is told where it stands.
pub(crate) struct Passenger {
    flight: Arc<Flight>,
    index: usize,
}

impl Flight {
    /// One of so many records of which it is told where they stand; beside them any number of others.
    pub(crate) fn new(records: usize) -> Arc<Self> {
        let state = State { spots: vec![None; records], failed: None };
        Arc::new(Self {
            under_way: AtomicUsize::new(0),
            state: Mutex::new(state),
            landed: Condvar::new(),
            done: Notify::new(),
        })
    }

    /// A record that is given to the producer now, and need not be told of.
    pub(crate) fn board(self: &Arc<Self>) -> Arc<Self> {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        self.clone()
    }

    /// A record that is given to the producer now.
    pub(crate) fn passenger(self: &Arc<Self>, index: usize) -> Box<Passenger> {
        Box::new(Passenger { flight: self.board(), index })
    }

    /// That the producer did not take one.
    pub(crate) fn refused(&self) {
        self.land();
    }

    /// What became of one, if it failed.
    fn failed(&self, error: &KafkaError, topic: &str) {
        lock(&self.state).failed.get_or_insert_with(|| (error.clone(), topic.to_owned()));
    }

    fn land(&self) {
        if self.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Who is about to wait has not looked yet, or hears of it.
            drop(lock(&self.state));
            self.landed.notify_all();
            self.done.notify_one();
        }
    }

    fn is_landed(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }

    /// Blocks until nothing is under way; false if that takes too long.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = lock(&self.state);
        while !self.is_landed() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = match self.landed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }

    /// Waits until nothing is under way.
    pub(crate) async fn landed(&self) {
        while !self.is_landed() {
            self.done.notified().await;
        }
    }

    /// Where all of it stands, or what failed first.
    pub(crate) fn outcome(&self) -> Result<Vec<Spot>, Fault> {
        let mut state = lock(&self.state);
        match state.failed.take() {
            Some(failed) => Err(failed),
            None => Ok(state.spots.iter().flatten().copied().collect()),
        }
    }
}

/// Leads what a producer tells to its flights; `P` is what goes with a record.
pub(crate) struct Tower<P> {
    away: Box<dyn Fn(&str) + Send + Sync>,
    goes_with: PhantomData<fn() -> P>,
}

impl<P> Tower<P> {
    /// `away` is called when no broker can be reached.
    pub(crate) fn new(away: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { away: Box::new(away), goes_with: PhantomData }
    }
}

impl<P> ClientContext for Tower<P> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::global(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            (self.away)(reason);
        }
    }
}

impl ProducerContext for Tower<Arc<Flight>> {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        if let Err((error, message)) = result {
            flight.failed(error, message.topic());
        }
        flight.land();
    }
}

impl ProducerContext for Tower<Box<Passenger>> {
    type DeliveryOpaque = Box<Passenger>;

    fn delivery(&self, result: &DeliveryResult<'_>, passenger: Box<Passenger>) {
        let Passenger { flight, index } = *passenger;
        match result {
            Ok(message) => {
                let partition = Partition(message.partition().cast_unsigned());
                let spot = Spot { partition, offset: codec::offset(message.offset()) };
                if let Some(place) = lock(&flight.state).spots.get_mut(index) {
                    *place = Some(spot);
                }
            }
            Err((error, message)) => flight.failed(error, message.topic()),
        }
        flight.land();
    }
}
