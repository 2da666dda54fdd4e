//! Positions into a transaction, on a thread that can be left behind.
//!
//! librdkafka does not keep the timeout of `send_offsets_to_transaction` (its issues 5456 and 5511): once the broker that
//! coordinates the group has left the cluster, the call may wait for a connection that nothing will make. Nobody can end such
//! a call, so it is left to end by itself, with its producer; a new producer of the same id ends what it left open.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use rdkafka::{
    error::KafkaError,
    producer::{Producer as _, ThreadedProducer},
};

use super::{CALL, Positions, retriable};
use crate::reports::Reporter;

/// What became of the positions of all members.
#[derive(Debug)]
pub(super) enum Sent {
    All,
    /// Those of this number were not taken.
    Failed(usize, KafkaError),
    /// A call does not return.
    Stuck,
}

type Answer = Result<(), KafkaError>;

struct Order {
    positions: Vec<Positions>,
    until: Instant,
    answers: mpsc::Sender<Answer>,
}

/// The thread. It ends when this is dropped and its call has returned.
pub(super) struct Sending {
    orders: mpsc::Sender<Order>,
}

impl Sending {
    pub(super) fn start(producer: Arc<ThreadedProducer<Reporter>>) -> Self {
        let (orders, inbox) = mpsc::channel();
        let work = move || inbox.into_iter().for_each(|order: Order| send(&producer, order));
        // Without the thread the channel is closed, which is told as a call that does not return.
        if let Err(error) = std::thread::Builder::new().name("kafka-positions".into()).spawn(work) {
            tracing::error!(%error, "the thread that sends positions cannot be started");
        }
        Self { orders }
    }

    /// Sends them in order, up to the first failure. Failures that may pass are tried again for as long as `patience`, and so
    /// long it is waited for each call.
    pub(super) fn send(&self, positions: Vec<Positions>, patience: Duration) -> Sent {
        let count = positions.len();
        let (answers, answer) = mpsc::channel();
        if self.orders.send(Order { positions, until: Instant::now() + patience, answers }).is_err() {
            return Sent::Stuck;
        }
        for index in 0..count {
            match answer.recv_timeout(patience + CALL) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Sent::Failed(index, error),
                Err(_) => return Sent::Stuck,
            }
        }
        Sent::All
    }
}

fn send(producer: &ThreadedProducer<Reporter>, order: Order) {
    for member in order.positions {
        let answer = loop {
            match producer.send_offsets_to_transaction(&member.list, &member.group, CALL) {
                Err(error) if retriable(&error) && Instant::now() < order.until => {}
                answer => break answer,
            }
        };
        let failed = answer.is_err();
        if order.answers.send(answer).is_err() || failed {
            return;
        }
    }
}
