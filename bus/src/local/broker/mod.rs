//! The broker's thread: takes what is queued, commits it as one transaction, tells everybody.

mod flush;
mod misbehave;
mod upkeep;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use crate::{
    Error, PublishError,
    local::{
        chaos::Chaos,
        groups::Groups,
        inbox::MemberId,
        log::{Log, TopicLog},
        storage::{Storage, StorageError},
    },
    member::{Committed, Share},
    record::{Outgoing, Spot, TopicPartition},
};

/// The longest that a commit waits for more, and how much makes it wait no longer.
const GATHER: Duration = Duration::from_millis(5);
const GATHER_BYTES: usize = 2 * 1024 * 1024;
/// How long nothing must arrive for a gathering to end early.
const LULL: Duration = Duration::from_micros(300);
/// From how many requests in a commit on the load counts as sustained.
const BUSY: usize = 64;
/// Between two attempts of a hop that the store did not take.
const RETRY: Duration = Duration::from_millis(200);
/// Between two steps of retention while idle.
const TRIM: Duration = Duration::from_secs(1);
/// Between two steps of retention while publications are refused.
const TRIM_FULL: Duration = Duration::from_millis(20);
/// How many commits may pass between two steps of retention under load.
const TRIM_COMMITS: u32 = 16;

/// Why a bus has stopped whose process ends.
const CLOSED: &str = "the bus was closed";

type Reply<T> = oneshot::Sender<Result<T, Error>>;
pub(crate) type Act = Box<dyn FnOnce(&mut Broker) + Send>;

/// Whether a bus within this process can write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    #[default]
    Writes,
    /// It cannot for now: publications are refused for this reason, hops wait, and it tries again.
    Fails(String),
    /// It has stopped, for this reason.
    Ended(String),
}

/// What the thread is asked.
pub(crate) enum Request {
    /// To commit something, with whatever else there is.
    Work(Work),
    /// To do something at once, behind the work that came before it.
    Do(Act),
    /// To do at once what writes nothing and waits for nothing that is written.
    Ask(Act),
    Stop,
}

/// What a commit carries.
pub(crate) enum Work {
    Publish { batch: Vec<Outgoing>, bytes: usize, reply: oneshot::Sender<Result<Vec<Spot>, PublishError>> },
    Hop { group: Arc<str>, member: MemberId, shares: Vec<Share>, reply: Reply<Committed> },
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Publish { bytes, .. } => *bytes,
            Self::Hop { shares, .. } => shares.iter().flat_map(|share| &share.outputs).map(Outgoing::size).sum(),
        }
    }
}

pub(crate) struct Broker {
    storage: Box<dyn Storage>,
    log: Arc<Log>,
    pub(crate) groups: Groups,
    partitions: u32,
    next_topic: u32,
    queued: Arc<AtomicUsize>,
    chaos: Option<Arc<Chaos>>,
    work: Vec<Work>,
    work_bytes: usize,
    /// How many records were appended: the keyless take the partitions in turn.
    turn: u32,
    busy: bool,
    failed_since: Option<Instant>,
    /// Why nothing that is written would be found again.
    gone: Option<String>,
    standing: watch::Sender<Standing>,
    last_trim: Instant,
    commits_since_trim: u32,
}

impl Broker {
    pub(crate) fn load(
        mut storage: Box<dyn Storage>,
        log: Arc<Log>,
        partitions: u32,
        queued: Arc<AtomicUsize>,
        chaos: Option<Arc<Chaos>>,
        standing: watch::Sender<Standing>,
    ) -> Result<Self, StorageError> {
        let loaded = storage.load()?;
        let mut groups = Groups::new(log.clone());
        let mut names = HashMap::new();
        for (id, info, extents) in loaded.topics {
            names.insert(id, info.topic.clone());
            log.insert(TopicLog::new(id, info, extents));
        }
        for (group, topic, partition, position) in loaded.positions {
            if let Some(topic) = names.get(&topic) {
                groups.restore(group, TopicPartition { topic: topic.clone(), partition }, position);
            }
        }
        Ok(Self {
            storage,
            log,
            groups,
            partitions: partitions.max(1),
            next_topic: loaded.next_topic,
            queued,
            chaos,
            work: Vec::new(),
            work_bytes: 0,
            turn: 0,
            busy: false,
            failed_since: None,
            gone: None,
            standing,
            last_trim: Instant::now(),
            commits_since_trim: 0,
        })
    }

    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let received = requests.recv_timeout(self.patience());
            let stop = match received {
                Ok(request) => self.accept(request) || self.drain(requests),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if stop {
                break;
            }
            if self.busy && self.gather(requests) {
                break;
            }
            self.flush();
            self.groups.expire(Instant::now());
            self.trim();
            if self.gone.is_some() {
                break;
            }
        }
        if self.gone.is_none() {
            self.flush();
        }
        self.refuse_rest(requests);
    }

    /// How long to wait for the next request.
    fn patience(&self) -> Duration {
        if !self.work.is_empty() {
            return RETRY;
        }
        let until = self.groups.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        until.map_or(TRIM, |until| until.min(TRIM))
    }

    fn drain(&mut self, requests: &Receiver<Request>) -> bool {
        while self.work_bytes < GATHER_BYTES {
            match requests.try_recv() {
                Ok(request) => {
                    if self.accept(request) {
                        return true;
                    }
                }
                Err(_) => break,
            }
        }
        false
    }

    /// Under sustained load a commit waits for more, as long as more keeps coming.
    fn gather(&mut self, requests: &Receiver<Request>) -> bool {
        let end = Instant::now() + GATHER;
        while self.work_bytes < GATHER_BYTES && Instant::now() < end {
            match requests.recv_timeout(LULL) {
                Ok(request) => {
                    if self.accept(request) || self.drain(requests) {
                        return true;
                    }
                }
                Err(_) => break,
            }
        }
        false
    }

    /// Takes a request: work waits for the commit, everything else is done at once. True means stop.
    fn accept(&mut self, request: Request) -> bool {
        match request {
            Request::Work(work) => {
                self.work_bytes += work.bytes();
                self.work.push(work);
            }
            Request::Do(act) => {
                self.flush();
                act(self);
            }
            Request::Ask(act) => act(self),
            Request::Stop => return true,
        }
        false
    }

    /// After the end everybody still waiting is told so.
    fn refuse_rest(&mut self, requests: &Receiver<Request>) {
        let reason = self.gone.take().unwrap_or_else(|| CLOSED.to_owned());
        // From here on nobody is answered by this thread; whoever asks finds the reason.
        self.standing.send_replace(Standing::Ended(reason.clone()));
        self.groups.stop(&reason);
        self.work.clear();
        // Dropping a request drops its reply, which its caller reads as a bus that has stopped.
        while requests.try_recv().is_ok() {}
    }
}
