//! The broker's thread: takes what is queued, commits it as one transaction, tells everybody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Error, PublishError,
    local::{
        chaos::Chaos,
        commit::Commit,
        groups::Groups,
        log::{Log, TopicLog},
        member::{Inbox, MemberId},
        storage::{Extent, Storage, StorageError, TopicId, Transaction, Trimmable},
    },
    member::{Committed, Position, Share},
    now,
    record::{Offset, Outgoing, Spot, Topic, TopicPartition},
    topic::{TopicInfo, TopicSpec},
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

type Reply<T> = oneshot::Sender<Result<T, Error>>;

pub(crate) enum Request {
    Publish { batch: Vec<Outgoing>, bytes: usize, reply: oneshot::Sender<Result<Vec<Spot>, PublishError>> },
    Hop { group: Arc<str>, member: MemberId, shares: Vec<Share>, reply: Reply<Committed> },
    Join { group: Arc<str>, topics: Vec<Topic>, reply: Reply<(MemberId, Arc<Inbox>)> },
    Subscribe { group: Arc<str>, member: MemberId, topics: Vec<Topic> },
    Release { group: Arc<str>, member: MemberId, partitions: Vec<TopicPartition> },
    Leave { group: Arc<str>, member: MemberId, reply: Option<oneshot::Sender<()>> },
    Advise { group: Arc<str>, partition: TopicPartition, next: Offset },
    Create { topics: Vec<TopicSpec>, reply: Reply<()> },
    Delete { topic: Topic, reply: Reply<()> },
    Positions { group: String, reply: Reply<Vec<(TopicPartition, Offset)>> },
    Forget { group: String, reply: Reply<()> },
    Stop,
}

/// What a commit carries.
enum Work {
    Publish { batch: Vec<Outgoing>, bytes: usize, reply: oneshot::Sender<Result<Vec<Spot>, PublishError>> },
    Hop { group: Arc<str>, member: MemberId, shares: Vec<Share>, reply: Reply<Committed> },
}

/// What is answered once the commit is durable.
enum Answer {
    Publish(Vec<Spot>, oneshot::Sender<Result<Vec<Spot>, PublishError>>),
    Hop(Committed, Reply<Committed>),
}

pub(crate) struct Broker {
    storage: Box<dyn Storage>,
    log: Arc<Log>,
    groups: Groups,
    partitions: u32,
    next_topic: u32,
    queued: Arc<AtomicUsize>,
    chaos: Option<Arc<Chaos>>,
    work: Vec<Work>,
    work_bytes: usize,
    advised: Vec<(Arc<str>, TopicPartition)>,
    busy: bool,
    failed_since: Option<Instant>,
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
    ) -> Result<Self, StorageError> {
        let loaded = storage.load()?;
        let mut groups = Groups::new(log.clone());
        let mut names = std::collections::HashMap::new();
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
            advised: Vec::new(),
            busy: false,
            failed_since: None,
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
        }
        self.flush();
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

    /// Takes a request: work waits for the commit, everything else is done at once, behind the work that came before it.
    /// True means stop.
    fn accept(&mut self, request: Request) -> bool {
        match request {
            Request::Publish { batch, bytes, reply } => {
                self.work_bytes += bytes;
                self.work.push(Work::Publish { batch, bytes, reply });
                return false;
            }
            Request::Hop { group, member, shares, reply } => {
                self.work_bytes += shares.iter().flat_map(|share| &share.outputs).map(Outgoing::size).sum::<usize>();
                self.work.push(Work::Hop { group, member, shares, reply });
                return false;
            }
            Request::Advise { group, partition, next } => {
                self.groups.set_position(&group, &partition, Position::at(next));
                self.advised.push((group, partition));
                return false;
            }
            Request::Stop => return true,
            _ => self.flush(),
        }
        match request {
            Request::Join { group, topics, reply } => {
                let (member, inbox) = self.groups.join(&group, topics);
                // Whoever gave up joining is no member: nobody else would take it out again.
                if reply.send(Ok((member, inbox))).is_err() {
                    self.groups.leave(&group, member);
                }
            }
            Request::Subscribe { group, member, topics } => self.groups.subscribe(&group, member, topics),
            Request::Release { group, member, partitions } => self.groups.release(&group, member, &partitions),
            Request::Leave { group, member, reply } => {
                self.groups.leave(&group, member);
                if let Some(reply) = reply {
                    // Nobody waits any more: the member was dropped.
                    let _ = reply.send(());
                }
            }
            Request::Create { topics, reply } => answer(reply, self.create(topics)),
            Request::Delete { topic, reply } => answer(reply, self.delete(&topic)),
            Request::Positions { group, reply } => answer(reply, Ok(self.groups.positions(&group))),
            Request::Forget { group, reply } => answer(reply, self.forget(&group)),
            Request::Publish { .. } | Request::Hop { .. } | Request::Advise { .. } | Request::Stop => {}
        }
        false
    }

    /// Commits all work as one transaction and answers it. What the store does not take: publications are refused, hops
    /// stay and are tried again.
    fn flush(&mut self) {
        if self.work.is_empty() && self.advised.is_empty() {
            return;
        }
        let work = std::mem::take(&mut self.work);
        self.busy = work.len() >= BUSY;
        self.work_bytes = 0;
        if self.failed_since.is_none() && self.chaos.is_some() {
            self.misbehave_before(&work);
        }
        let (log, chaos) = (self.log.clone(), self.chaos.clone());
        let mut commit = Commit::new(&log, chaos.as_deref());
        let usage = self.storage.usage();
        let mut answers = Vec::with_capacity(work.len());
        let mut hops = Vec::new();
        for work in work {
            match work {
                Work::Publish { batch, bytes, reply } => {
                    self.queued.fetch_sub(bytes, Ordering::AcqRel);
                    if usage.is_full() {
                        reply_publish(reply, Err(PublishError::Full { used: usage.used, limit: usage.limit }));
                    } else if let Some(topic) = commit.unknown(&batch) {
                        reply_publish(reply, Err(PublishError::UnknownTopic(topic)));
                    } else {
                        let spots = batch.iter().filter_map(|record| commit.append(record)).collect();
                        answers.push(Answer::Publish(spots, reply));
                    }
                }
                Work::Hop { group, member, shares, reply } => {
                    let outputs = shares.iter().flat_map(|share| &share.outputs);
                    if let Some(topic) = commit.unknown(outputs) {
                        answer(reply, Err(Error::UnknownTopic(topic)));
                        continue;
                    }
                    let committed = self.hop(&mut commit, &group, member, &shares);
                    hops.push((group, member, shares));
                    answers.push(Answer::Hop(committed, reply));
                }
            }
        }
        if !commit.is_empty() || !self.advised.is_empty() {
            self.make_durable(commit, answers, hops);
        } else {
            self.misbehave_after(&hops, &answers);
            self.settle(answers);
        }
    }

    fn hop(&mut self, commit: &mut Commit<'_>, group: &Arc<str>, member: MemberId, shares: &[Share]) -> Committed {
        let mut committed = Committed::default();
        for share in shares {
            if !self.groups.owns(group, member, &share.partition, share.generation) {
                committed.left_out.push(share.partition.clone());
                continue;
            }
            let unknown = self.chaos.as_ref().is_some_and(|chaos| chaos.strikes(chaos.manners.unknown));
            let written = !unknown || self.chaos.as_ref().is_some_and(|chaos| chaos.below(2) == 0);
            if written {
                for record in &share.outputs {
                    commit.append(record);
                }
                commit.position(group, &share.partition, share.position.clone());
            }
            if unknown {
                committed.lost.push(share.partition.clone());
            }
        }
        committed
    }

    fn make_durable(&mut self, commit: Commit<'_>, answers: Vec<Answer>, hops: Vec<(Arc<str>, MemberId, Vec<Share>)>) {
        let (mut transaction, visible) = commit.finish(now());
        for (group, partition) in &self.advised {
            if let Some((topic, partition, position)) = self.groups.advised(group, partition) {
                transaction.positions.push((group.to_string(), topic, partition, position));
            }
        }
        match self.storage.commit(&transaction) {
            Ok(()) => {
                self.recovered();
                self.advised.clear();
                self.commits_since_trim += 1;
                for (group, partition, position) in visible.positions {
                    self.groups.set_position(&group, &partition, position);
                }
                for (topic, at, stored) in visible.appends {
                    self.log.append(&topic, at.partition, stored);
                    self.groups.appended(&at);
                }
                self.misbehave_after(&hops, &answers);
                self.settle(answers);
            }
            Err(error) => self.keep(&error, answers, hops),
        }
    }

    fn settle(&self, answers: Vec<Answer>) {
        for answered in answers {
            match answered {
                Answer::Publish(spots, reply) => {
                    let refused = self.chaos.as_ref().is_some_and(|chaos| chaos.strikes(chaos.manners.refuse));
                    let refusal = || PublishError::Unavailable("the end of the publication is unknown".into());
                    reply_publish(reply, if refused { Err(refusal()) } else { Ok(spots) });
                }
                Answer::Hop(committed, reply) => answer(reply, Ok(committed)),
            }
        }
    }

    /// The store refused: publications hear so at once, hops wait for better times.
    fn keep(&mut self, error: &StorageError, answers: Vec<Answer>, hops: Vec<(Arc<str>, MemberId, Vec<Share>)>) {
        if self.failed_since.is_none() {
            tracing::error!(error = %error, "the bus cannot write; publications are refused and hops wait until it can");
            self.failed_since = Some(Instant::now());
        }
        let mut hops = hops.into_iter();
        for answered in answers {
            match answered {
                Answer::Publish(_, reply) => reply_publish(reply, Err(PublishError::Unavailable(error.to_string()))),
                Answer::Hop(_, reply) => {
                    if let Some((group, member, shares)) = hops.next() {
                        self.work.push(Work::Hop { group, member, shares, reply });
                    }
                }
            }
        }
    }

    fn recovered(&mut self) {
        if let Some(since) = self.failed_since.take() {
            tracing::info!(seconds = since.elapsed().as_secs(), "the bus writes again");
        }
    }

    fn create(&mut self, topics: Vec<TopicSpec>) -> Result<(), Error> {
        let mut transaction = Transaction { published: now(), ..Transaction::default() };
        let mut seen = std::collections::HashSet::new();
        for spec in topics {
            if self.log.get(&spec.topic).is_some() || !seen.insert(spec.topic.clone()) {
                continue;
            }
            let partitions = spec.partitions.unwrap_or(self.partitions).max(1);
            let info = TopicInfo { topic: spec.topic, partitions, compacted: spec.compacted };
            transaction.create.push((TopicId(self.next_topic + transaction.create.len() as u32), info));
        }
        if transaction.is_empty() {
            return Ok(());
        }
        self.storage.commit(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.next_topic += transaction.create.len() as u32;
        let mut names = Vec::with_capacity(transaction.create.len());
        for (id, info) in transaction.create {
            names.push(info.topic.clone());
            let extents = vec![Extent { begin: Offset::ZERO, end: Offset::ZERO }; info.partitions as usize];
            self.log.insert(TopicLog::new(id, info, extents));
        }
        self.groups.created(&names);
        Ok(())
    }

    fn delete(&mut self, topic: &Topic) -> Result<(), Error> {
        let log = self.log.get(topic).ok_or_else(|| Error::UnknownTopic(topic.clone()))?;
        let transaction = Transaction { delete: vec![log.id], ..Transaction::default() };
        self.storage.commit(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.log.remove(topic);
        self.groups.dropped(topic);
        Ok(())
    }

    fn forget(&mut self, group: &str) -> Result<(), Error> {
        if self.groups.has_members(group) {
            return Err(Error::Unavailable(format!("the group `{group}` has members; stop them first")));
        }
        let transaction = Transaction { forget: vec![group.into()], ..Transaction::default() };
        self.storage.commit(&transaction).map_err(|error| Error::Unavailable(error.to_string()))?;
        self.groups.forget(group);
        Ok(())
    }

    /// A small step of retention, now and then.
    fn trim(&mut self) {
        let usage = self.storage.usage();
        let waited = self.last_trim.elapsed();
        let due = waited >= TRIM || self.commits_since_trim >= TRIM_COMMITS || usage.is_full() && waited >= TRIM_FULL;
        if !due || self.failed_since.is_some() {
            return;
        }
        self.last_trim = Instant::now();
        self.commits_since_trim = 0;
        let (log, groups) = (&self.log, &self.groups);
        let mut candidates = || trimmable(log, groups);
        match self.storage.trim(&mut candidates, now()) {
            Ok(trimmed) => {
                if trimmed.is_empty() {
                    return;
                }
                let by_id: std::collections::HashMap<_, _> =
                    self.log.list().into_iter().map(|topic| (topic.id, topic)).collect();
                for moved in trimmed {
                    if let Some(topic) = by_id.get(&moved.topic) {
                        self.log.trimmed(topic, moved.partition, moved.begin);
                    }
                }
            }
            Err(error) => tracing::warn!(error = %error, "retention could not delete anything this time"),
        }
    }

    fn misbehave_before(&mut self, work: &[Work]) {
        let Some(chaos) = self.chaos.clone() else { return };
        for work in work {
            if let Work::Hop { group, shares, .. } = work {
                for share in shares {
                    if chaos.strikes(chaos.manners.leave_out) {
                        self.groups.evict(group, &share.partition);
                    }
                }
            }
        }
    }

    fn misbehave_after(&mut self, hops: &[(Arc<str>, MemberId, Vec<Share>)], answers: &[Answer]) {
        let Some(chaos) = self.chaos.clone() else { return };
        let lost: Vec<&TopicPartition> = answers
            .iter()
            .filter_map(|answer| if let Answer::Hop(committed, _) = answer { Some(&committed.lost) } else { None })
            .flatten()
            .collect();
        for (group, _, shares) in hops {
            for share in shares {
                if lost.contains(&&share.partition) || chaos.strikes(chaos.manners.lose) {
                    self.groups.evict(group, &share.partition);
                } else if chaos.strikes(chaos.manners.revoke) {
                    self.groups.revoke(
                        group,
                        &share.partition,
                        Instant::now() + Duration::from_millis(chaos.below(200)),
                    );
                }
            }
        }
    }

    /// After the end everybody still waiting is told so.
    fn refuse_rest(&mut self, requests: &Receiver<Request>) {
        self.groups.stop("the bus was closed");
        self.work.clear();
        // Dropping a request drops its reply, which its caller reads as a bus that has stopped.
        while requests.try_recv().is_ok() {}
    }
}

fn trimmable(log: &Log, groups: &Groups) -> Vec<Trimmable> {
    let held = groups.held();
    let mut out = Vec::new();
    for topic in log.list() {
        for at in topic.info.each() {
            let extent = topic.extent(at.partition);
            let keep_from = held.get(&at).copied().unwrap_or(extent.end);
            if extent.begin < extent.end {
                let (partition, compacted) = (at.partition, topic.info.compacted);
                out.push(Trimmable { topic: topic.id, partition, compacted, keep_from });
            }
        }
    }
    out
}

fn answer<T>(reply: Reply<T>, value: Result<T, Error>) {
    // Whoever asked may have given up.
    let _ = reply.send(value);
}

fn reply_publish(reply: oneshot::Sender<Result<Vec<Spot>, PublishError>>, value: Result<Vec<Spot>, PublishError>) {
    // Whoever asked may have given up; the record is in the log all the same.
    let _ = reply.send(value);
}
