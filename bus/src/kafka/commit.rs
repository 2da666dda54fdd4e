//! The one thread that commits, for all members of a process: whatever waits when the last transaction has ended becomes the
//! next one. It tries until it is done, so that a stage sees no abort and rolls nothing back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

use crate::{
    Error, MAX_RECORD,
    kafka::{
        cluster::Cluster,
        config::Config,
        member::Shared,
        publish::place,
        transaction::{Failure, Positions, Transactor},
    },
    member::{Committed, Share},
    record::{Outgoing, Partition, Topic},
    refusal::{Refusal, RefusedShare},
};

/// About how many bytes of outputs one transaction carries at most.
const TRANSACTION_BYTES: usize = 32 * 1024 * 1024;
/// How long after a failure it is tried again, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often that is doubled after refusals: each try writes what it then aborts.
const DOUBLINGS: u32 = 5;

/// How many outputs are not freed in passing.
const MANY: usize = 1000;

/// What a member wants committed.
pub(crate) struct Request {
    pub(crate) member: Arc<Shared>,
    pub(crate) shares: Vec<Share>,
    pub(crate) committed: Committed,
    /// How often the broker has refused its positions.
    pub(crate) refusals: u32,
    /// Not tried again before this.
    pub(crate) due: Instant,
    pub(crate) reply: oneshot::Sender<Result<Committed, Error>>,
}

/// The handle of the thread; it ends when the last of these is dropped.
pub(crate) struct Committer {
    requests: mpsc::Sender<Request>,
}

impl Committer {
    pub(crate) fn start(config: &Config, cluster: Arc<Cluster>) -> Self {
        let (requests, inbox) = mpsc::channel();
        let runtime = tokio::runtime::Handle::current();
        let work = Work {
            config: config.clone(),
            cluster,
            runtime,
            transactor: None,
            replaced: None,
            stopped: None,
            keyless: AtomicU32::new(0),
            waiting: false,
            missing: false,
        };
        // Without the thread its channel is closed, and every commit says so.
        let spawned = std::thread::Builder::new().name("kafka-commit".into()).spawn(move || work.run(&inbox));
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start the thread that commits");
        }
        Self { requests }
    }

    pub(crate) fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }
}

struct Work {
    config: Config,
    cluster: Arc<Cluster>,
    runtime: tokio::runtime::Handle,
    transactor: Option<Transactor>,
    /// When a producer was last replaced although its transaction was young.
    replaced: Option<Instant>,
    /// Why nothing is committed any more.
    stopped: Option<String>,
    keyless: AtomicU32,
    /// It was said that transactions cannot begin.
    waiting: bool,
    /// It was said that a topic is missing.
    missing: bool,
}

/// What became of an attempt.
enum Attempt {
    Done,
    Again,
    /// The request of this number waits; the others are tried at once.
    SetAside(usize),
    Lost,
}

impl Work {
    fn run(mut self, inbox: &mpsc::Receiver<Request>) {
        // A predecessor's open transaction is ended now, not when the first hop is there.
        self.ready();
        let mut aside: Vec<Request> = Vec::new();
        loop {
            let next = match aside.iter().map(|request| request.due).min() {
                None => inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let mut batch = Vec::new();
            match next {
                Ok(request) => batch.push(request),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            batch.extend(aside.extract_if(.., |request| request.due <= now));
            let mut bytes: usize = batch.iter().map(size).sum();
            while bytes < TRANSACTION_BYTES
                && let Ok(request) = inbox.try_recv()
            {
                bytes += size(&request);
                batch.push(request);
            }
            aside.extend(self.settle(batch));
        }
    }

    /// Commits; what could not be is returned, to be tried again.
    fn settle(&mut self, mut batch: Vec<Request>) -> Vec<Request> {
        let mut aside = Vec::new();
        let mut wait = BACK_OFF.0;
        loop {
            batch = batch.into_iter().filter_map(still_ours).filter_map(|request| self.possible(request)).collect();
            if batch.is_empty() {
                return aside;
            }
            if let Some(reason) = &self.stopped {
                batch.into_iter().for_each(|request| answer(request, Err(Error::Stopped(reason.clone()))));
                return aside;
            }
            match self.attempt(&batch) {
                Attempt::Done => {
                    let shares: Vec<Share> = batch.into_iter().flat_map(done).collect();
                    if shares.iter().map(|share| share.outputs.len()).sum::<usize>() > MANY {
                        // Freeing them takes milliseconds, and the next transaction waits.
                        self.runtime.spawn_blocking(move || drop(shares));
                    }
                    return aside;
                }
                Attempt::Lost => {
                    batch.into_iter().for_each(lost);
                    return aside;
                }
                Attempt::SetAside(index) => {
                    let mut refused = batch.swap_remove(index);
                    refused.due = Instant::now() + BACK_OFF.0 * 2_u32.pow(refused.refusals.min(DOUBLINGS));
                    refused.refusals += 1;
                    aside.push(refused);
                }
                Attempt::Again => {
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    fn attempt(&mut self, batch: &[Request]) -> Attempt {
        if !self.ready() {
            return Attempt::Again;
        }
        let Some(outputs) = self.outputs(batch) else { return Attempt::Again };
        let Some(transactor) = &self.transactor else { return Attempt::Again };
        match transactor.commit(&outputs, || positions(batch)) {
            Ok(()) => Attempt::Done,
            Err(Failure::Aborted(reason)) => {
                tracing::info!(reason, "a transaction was aborted; it is made again");
                Attempt::Again
            }
            Err(Failure::Refused(index, reason)) => {
                if batch[index].refusals == 0 {
                    let group = &batch[index].member.group;
                    tracing::info!(
                        group,
                        reason,
                        "positions were refused; made again if the partitions are still ours"
                    );
                }
                Attempt::SetAside(index)
            }
            Err(Failure::Broken(reason)) => {
                tracing::warn!(reason, "the transactional producer has failed and is replaced");
                self.transactor = None;
                Attempt::Again
            }
            Err(Failure::Fenced(reason)) => {
                self.fenced(&reason);
                Attempt::Lost
            }
            Err(Failure::Unknown(reason)) => {
                tracing::warn!(reason, "whether a transaction counts is not known; its partitions are read again");
                self.transactor = None;
                Attempt::Lost
            }
        }
    }

    /// Once may be the doing of a broker that moved; twice in a row it is another process.
    fn fenced(&mut self, reason: &str) {
        self.transactor = None;
        let again = self.replaced.is_some_and(|at| at.elapsed() < Duration::from_secs(60));
        self.replaced = Some(Instant::now());
        if again {
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
        match Transactor::start(&self.config) {
            Ok(transactor) => {
                self.transactor = Some(transactor);
                self.waiting = false;
                true
            }
            Err(error @ (KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..))) => {
                self.stopped = Some(format!("the configuration of Kafka cannot be used for transactions: {error}"));
                false
            }
            Err(error) => {
                if !self.waiting {
                    tracing::warn!(%error, "transactions cannot begin; trying again until they can");
                }
                self.waiting = true;
                false
            }
        }
    }

    /// Sets aside the shares that can never be committed; a request of which nothing is left is answered.
    fn possible(&self, mut request: Request) -> Option<Request> {
        for share in std::mem::take(&mut request.shares) {
            let refusals: Vec<_> =
                share.outputs.iter().enumerate().filter_map(|(at, record)| self.refusal(at, record)).collect();
            if refusals.is_empty() {
                request.shares.push(share);
            } else {
                request.committed.refused.push(RefusedShare { share, refusals });
            }
        }
        left(request)
    }

    /// Why a record can never be written, as far as that is known without trying.
    fn refusal(&self, at: usize, record: &Outgoing) -> Option<Refusal> {
        let size = record.size();
        if size > MAX_RECORD {
            return Some(Refusal::too_large(at, &record.topic, size));
        }
        let partitions = match self.partitions(&record.topic) {
            Ok(partitions) => partitions,
            Err(Error::UnknownTopic(topic)) => return Some(Refusal::unknown(at, &topic)),
            // It is found out when it is written.
            Err(_) => return None,
        };
        let number = record.partition.filter(|Partition(number)| *number >= partitions)?;
        Some(Refusal::no_partition(at, &record.topic, number.0, partitions))
    }

    fn partitions(&self, topic: &Topic) -> Result<u32, Error> {
        match self.cluster.partitions(topic) {
            Some(partitions) => Ok(partitions),
            None => self.runtime.block_on(self.cluster.expect(topic)),
        }
    }

    /// Every output with its partition; none while it cannot be learned how many a topic has.
    fn outputs<'r>(&mut self, batch: &'r [Request]) -> Option<Vec<(&'r Outgoing, Partition)>> {
        let all = batch.iter().flat_map(|request| &request.shares).flat_map(|share| &share.outputs);
        let mut outputs = Vec::new();
        for record in all {
            let partitions = match self.partitions(&record.topic) {
                Ok(partitions) => partitions,
                Err(error) => {
                    if !std::mem::replace(&mut self.missing, true) {
                        tracing::warn!(%error, "hops wait until it is known where their records belong");
                    }
                    return None;
                }
            };
            let any = || self.keyless.fetch_add(1, Ordering::Relaxed);
            outputs.push((record, place(record, partitions, any)));
        }
        self.missing = false;
        Some(outputs)
    }
}

/// The positions of each request; none when one of its shares is no longer ours.
fn positions(batch: &[Request]) -> Option<Vec<Positions>> {
    batch.iter().map(|request| request.member.positions(&request.shares)).collect()
}

fn size(request: &Request) -> usize {
    request.shares.iter().flat_map(|share| &share.outputs).map(Outgoing::size).sum()
}

/// Leaves out what is no longer ours; a request of which nothing is left is answered.
fn still_ours(mut request: Request) -> Option<Request> {
    let gone: Vec<Share> = request.shares.extract_if(.., |share| !request.member.owns(share)).collect();
    request.committed.left_out.extend(gone.iter().map(Share::assigned));
    left(request)
}

/// The request, if anything is left of it; else it is answered.
fn left(request: Request) -> Option<Request> {
    if request.shares.is_empty() {
        done(request);
        return None;
    }
    Some(request)
}

/// Answers; what was committed is returned.
fn done(mut request: Request) -> Vec<Share> {
    let (shares, committed) = (std::mem::take(&mut request.shares), std::mem::take(&mut request.committed));
    answer(request, Ok(committed));
    shares
}

fn lost(mut request: Request) {
    request.committed.lost = request.shares.drain(..).map(|share| share.assigned()).collect();
    request.member.expel(request.committed.lost.iter().map(|(partition, _)| partition.clone()).collect());
    done(request);
}

fn answer(request: Request, outcome: Result<Committed, Error>) {
    // Who no longer waits has dropped its member.
    let _ = request.reply.send(outcome);
}
