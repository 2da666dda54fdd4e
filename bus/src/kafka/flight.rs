//! What producers tell of the records they were given: a *flight* is a batch of records that is under way.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

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
    state: Mutex<State>,
    landed: Condvar,
    done: Notify,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    spots: Vec<Option<Spot>>,
    failed: Option<Fault>,
}

/// One record of a flight.
pub(crate) struct Passenger {
    flight: Arc<Flight>,
    index: usize,
}

impl Flight {
    pub(crate) fn new(records: usize) -> Arc<Self> {
        let state = State { under_way: 0, spots: vec![None; records], failed: None };
        Arc::new(Self { state: Mutex::new(state), landed: Condvar::new(), done: Notify::new() })
    }

    /// A record of it, that is given to the producer now.
    pub(crate) fn board(self: &Arc<Self>, index: usize) -> Box<Passenger> {
        lock(&self.state).under_way += 1;
        Box::new(Passenger { flight: self.clone(), index })
    }

    /// That the producer did not take one.
    pub(crate) fn refused(&self) {
        self.land(None);
    }

    fn land(&self, told: Option<(usize, Result<Spot, Fault>)>) {
        let mut state = lock(&self.state);
        state.under_way = state.under_way.saturating_sub(1);
        match told {
            Some((index, Ok(spot))) => {
                if let Some(place) = state.spots.get_mut(index) {
                    *place = Some(spot);
                }
            }
            Some((_, Err(failed))) => {
                state.failed.get_or_insert(failed);
            }
            None => {}
        }
        let empty = state.under_way == 0;
        drop(state);
        if empty {
            self.landed.notify_all();
            self.done.notify_one();
        }
    }

    /// Blocks until nothing is under way; false if that takes too long.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = lock(&self.state);
        while state.under_way > 0 {
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
        while lock(&self.state).under_way > 0 {
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

/// Leads what a producer tells to its flights.
pub(crate) struct Tower {
    /// Called when no broker can be reached.
    pub(crate) away: Box<dyn Fn(&str) + Send + Sync>,
}

impl ClientContext for Tower {
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

impl ProducerContext for Tower {
    type DeliveryOpaque = Box<Passenger>;

    fn delivery(&self, result: &DeliveryResult<'_>, passenger: Box<Passenger>) {
        let told = match result {
            Ok(message) => {
                let partition = Partition(message.partition().cast_unsigned());
                Ok(Spot { partition, offset: codec::offset(message.offset()) })
            }
            Err((error, message)) => Err((error.clone(), message.topic().to_owned())),
        };
        passenger.flight.land(Some((passenger.index, told)));
    }
}
