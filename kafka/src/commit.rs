//! The one thread that commits, for all members of a process: whatever waits when the last transaction has ended becomes the
//! next one. It tries until it is done, so that a stage sees no abort and rolls nothing back.

mod blame;
mod outputs;
mod possible;
mod queue;
mod request;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use contracts::outcomes::BoxFuture;
use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

use self::{
    blame::{attributed, position_failed},
    outputs::Outputs,
    queue::next_batch,
    request::{Attempt, BACK_OFF, Possible, Request, answer, done, failed, left, lost, still_ours},
};
use crate::{
    closed::Closed,
    cluster::Cluster,
    publish::{BATCH, place},
    reports::Fault,
    shared::Shared,
    transaction::{Failure, Positions, Transactor},
};
use bus::{Committed, Error, Outgoing, Partition, Share, lines};
use kafka_config::Config;

/// How many members' positions one transaction carries at most: each takes two round trips, one after another, and all of
/// them must fit into the transaction's timeout.
const MEMBERS: usize = 32;
/// Who commits, in what is said of those who reach no broker.
const WHO: &str = "committing";
/// How often within [`RELAPSE`] a producer may be fenced. Of two processes that fence each other one ends; so this is more than
/// a consumer may ([`crate::task`]), whose groups are the same: else one could end by its producer while the other does by its consumer.
const FENCED: usize = 3;
const RELAPSE: Duration = Duration::from_secs(60);
/// How many outputs are not freed in passing.
const MANY: usize = 1000;

/// The way to the thread, which ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Committer(mpsc::Sender<Request>);

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(config: &Config, cluster: Arc<Cluster>) -> Self {
        let (requests, inbox) = mpsc::channel();
        let runtime = tokio::runtime::Handle::current();
        let work = Work {
            config: config.clone(),
            cluster,
            runtime,
            transactor: None,
            fenced: Vec::new(),
            stopped: None,
            keyless: AtomicU32::new(0),
            batch: config.layout.smallest_record().min(BATCH),
            most: MEMBERS,
            wait: BACK_OFF.0,
            closed: Closed::default(),
        };
        // Without the thread its channel is closed, and every commit says so.
        let spawned = std::thread::Builder::new().name("kafka-commit".into()).spawn(move || work.run(&inbox));
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start the thread that commits");
        }
        Self(requests)
    }

    /// Has shares of a member committed.
    ///
    /// # Errors
    /// [`Error::Stopped`] alone.
    pub(crate) fn commit(
        &self,
        member: Arc<Shared>,
        shares: Vec<Share>,
    ) -> BoxFuture<'static, Result<Committed, Error>> {
        let (reply, answer) = oneshot::channel();
        let (committed, due) = (Committed::default(), Instant::now());
        let sent = self.0.send(Request { member, shares, committed, failures: 0, due, reply });
        Box::pin(async move {
            let gone = || Error::Stopped("the thread that commits has ended".into());
            sent.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

struct Work {
    config: Config,
    cluster: Arc<Cluster>,
    runtime: tokio::runtime::Handle,
    transactor: Option<Transactor>,
    /// When a producer was replaced although its transaction was young.
    fenced: Vec<Instant>,
    /// Why nothing is committed any more.
    stopped: Option<String>,
    keyless: AtomicU32,
    /// The most bytes of a batch of records.
    batch: usize,
    /// How many members' requests the next transaction carries at most.
    most: usize,
    /// How long to wait after the next failure that is nobody's own.
    wait: Duration,
    closed: Closed,
}

impl Work {
    fn run(mut self, inbox: &mpsc::Receiver<Request>) {
        // A predecessor's open transaction is ended now, not when the first hop is there.
        self.ready();
        let mut waiting: Vec<Request> = Vec::new();
        loop {
            let next = match waiting.iter().map(|request| request.due).min() {
                None => inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match next {
                Ok(request) => waiting.push(request),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            waiting.extend(inbox.try_iter());
            let batch = next_batch(&mut waiting, self.most, Instant::now());
            waiting.extend(self.settle(batch));
        }
    }

    /// Commits; what could not be is returned, to be tried again when it is due.
    fn settle(&mut self, batch: Vec<Request>) -> Vec<Request> {
        if let Some(reason) = &self.stopped {
            batch.into_iter().for_each(|request| answer(request, Err(Error::Stopped(reason.clone()))));
            return Vec::new();
        }
        let mut aside = Vec::new();
        let mut possible = Vec::new();
        for request in batch.into_iter().filter_map(still_ours) {
            match self.possible(request) {
                Possible::Yes(request) => possible.push(request),
                Possible::NotYet(request) => aside.push(request),
                Possible::Answered => {}
            }
        }
        let mut batch = possible;
        if batch.is_empty() {
            return aside;
        }
        match self.attempt(&mut batch) {
            Attempt::Done => {
                self.most = (self.most * 2).min(MEMBERS);
                self.wait = BACK_OFF.0;
                let shares: Vec<Share> = batch.into_iter().flat_map(done).collect();
                if shares.iter().map(|share| share.outputs.len()).sum::<usize>() > MANY {
                    // Freeing them takes milliseconds, and the next transaction waits.
                    self.runtime.spawn_blocking(move || drop(shares));
                }
            }
            Attempt::Lost => {
                batch.into_iter().for_each(lost);
                // Until there is a producer anew, the broker keeps the old transaction open, and others wait for it.
                if self.stopped.is_none() {
                    self.ready();
                }
            }
            Attempt::Aside(guilty) => {
                for (number, request) in batch.into_iter().enumerate() {
                    aside.push(if guilty.contains(&number) { failed(request) } else { request });
                }
            }
            Attempt::Blamed => aside.extend(batch.into_iter().filter_map(left)),
            Attempt::Again => {
                self.most = (self.most / 2).max(1);
                std::thread::sleep(self.wait);
                self.wait = (self.wait * 2).min(BACK_OFF.1);
                aside.extend(batch);
            }
        }
        aside
    }

    /// Where an output goes; none while it cannot be learned how many partitions its topic has.
    fn place(&self, output: &Outgoing) -> Option<Partition> {
        let partitions = self.cluster.partitions(&output.topic)?;
        Some(place(output, partitions, || self.keyless.fetch_add(1, Ordering::Relaxed)))
    }

    fn attempt(&mut self, batch: &mut [Request]) -> Attempt {
        if !self.ready() {
            return Attempt::Again;
        }
        // With what is around the value it is smaller than a batch of records.
        let most = lines::MOST.min(self.batch / 2);
        let Some(outputs) = Outputs::of(batch, most, |output| self.place(output)) else { return Attempt::Again };
        let Some(mut transactor) = self.transactor.take() else { return Attempt::Again };
        let failure = match transactor.commit(&outputs.records, || positions(batch)) {
            Ok(()) => {
                self.transactor = Some(transactor);
                return Attempt::Done;
            }
            Err(Failure::Outputs(faults)) => {
                let was_written = !faults.iter().all(Fault::is_innocent);
                match attributed(&mut transactor, &outputs.records, faults) {
                    Ok(faults) => {
                        let faults = outputs.given(&faults);
                        // Where one was written the numbers of its records have a gap now, which costs the next transaction
                        // half a second; a producer anew costs less.
                        self.transactor = Some(transactor).filter(|it| !was_written && !it.is_spent());
                        return self.blame(batch, faults);
                    }
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        drop(outputs);
        self.transactor = Some(transactor).filter(|it| !it.is_spent());
        match failure {
            Failure::Outputs(_) => Attempt::Again,
            Failure::Aborted(reason) => {
                tracing::info!(reason, "a transaction was aborted; it is made again");
                Attempt::Again
            }
            Failure::Position(number, error) => position_failed(batch, number, &error),
            Failure::Broken(reason) => {
                tracing::warn!(reason, "the transactional producer has failed and is replaced");
                self.transactor = None;
                Attempt::Again
            }
            Failure::Fenced(reason) => {
                self.fenced(&reason);
                Attempt::Lost
            }
            Failure::Unknown(reason) => {
                tracing::warn!(reason, "whether a transaction counts is not known; its partitions are read again");
                self.transactor = None;
                Attempt::Lost
            }
        }
    }

    /// A producer that has met an outage may have been fenced by what it asked for itself, and any by a broker that moved, once; many
    /// times in a row it is another process.
    fn fenced(&mut self, reason: &str) {
        let shaken = self.transactor.take().is_some_and(|transactor| transactor.is_shaken());
        if shaken {
            tracing::info!("brokers were away, and ended what was being written; it is made again by itself");
            return;
        }
        self.fenced.retain(|at| at.elapsed() < RELAPSE);
        self.fenced.push(Instant::now());
        if self.fenced.len() > FENCED {
            let instance = &self.config.instance;
            let role = &self.config.role;
            self.stopped = Some(format!(
                "another {role} runs as instance `{instance}` and has taken over ({reason}); give each process of a role an \
                 `--instance` of its own"
            ));
        } else {
            tracing::warn!(reason, "the transactional producer was fenced and is replaced");
        }
    }

    /// Whether there is a producer; makes one if there is none.
    fn ready(&mut self) -> bool {
        if self.transactor.is_some() {
            return true;
        }
        match Transactor::start(&self.config, self.batch) {
            Ok(transactor) => {
                self.transactor = Some(transactor);
                self.cluster.reach().found(WHO);
                true
            }
            Err(error @ (KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..))) => {
                self.stopped = Some(format!("the configuration of Kafka cannot be used for transactions: {error}"));
                false
            }
            Err(error) => {
                tracing::debug!(%error, "transactions cannot begin");
                self.cluster.reach().lost(WHO, "transactions cannot begin: the brokers do not answer");
                false
            }
        }
    }
}

/// The positions of each request; none when one of its shares is no longer ours.
fn positions(batch: &[Request]) -> Option<Vec<Positions>> {
    batch.iter().map(|request| request.member.positions(&request.shares)).collect()
}
