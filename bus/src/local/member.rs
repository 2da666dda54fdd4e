//! One member's inbox: what it is told, and where it reads in each of its partitions.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, mpsc},
    time::Instant,
};

use contracts::outcomes::BoxFuture;
use tokio::sync::{Notify, oneshot};

use crate::{
    Error,
    local::{
        broker::Request,
        chaos::Chaos,
        log::{Log, TopicLog, lock},
    },
    member::{Assignment, Committed, Delivery, Generation, Member, Share, Subscription},
    record::{Offset, TopicPartition},
};

/// About how many bytes one delivery carries.
const DELIVERY_BYTES: usize = 1024 * 1024;

/// Which member; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MemberId(pub(crate) u64);

/// What the broker writes and the member reads.
pub(crate) struct Inbox {
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Default)]
struct State {
    told: VecDeque<Result<Delivery, Error>>,
    cursors: HashMap<TopicPartition, Cursor>,
    /// Partitions that may have something to deliver; each at most once.
    ready: VecDeque<TopicPartition>,
}

struct Cursor {
    generation: Generation,
    log: Arc<TopicLog>,
    /// None until the stage has opened it.
    next: Option<Offset>,
    paused: bool,
    revoking: bool,
    queued: bool,
}

impl Cursor {
    fn place(&self) -> Option<Offset> {
        self.next.filter(|_| !self.paused && !self.revoking)
    }
}

impl State {
    fn wake(&mut self, at: &TopicPartition) -> bool {
        let Some(cursor) = self.cursors.get_mut(at) else { return false };
        let due = cursor.place().is_some_and(|next| cursor.log.extent(at.partition).end > next);
        if !due || cursor.queued {
            return false;
        }
        cursor.queued = true;
        self.ready.push_back(at.clone());
        true
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), notify: Notify::new() }
    }

    pub(crate) fn assigned(&self, assignments: Vec<(Assignment, Arc<TopicLog>)>) {
        let mut state = lock(&self.state);
        for (assignment, log) in &assignments {
            let cursor = Cursor {
                generation: assignment.generation,
                log: log.clone(),
                next: None,
                paused: false,
                revoking: false,
                queued: false,
            };
            state.cursors.insert(assignment.partition.clone(), cursor);
        }
        state
            .told
            .push_back(Ok(Delivery::Assigned(assignments.into_iter().map(|(assignment, _)| assignment).collect())));
        drop(state);
        self.notify.notify_one();
    }

    pub(crate) fn revoking(&self, partitions: Vec<TopicPartition>, deadline: Instant) {
        let mut state = lock(&self.state);
        for partition in &partitions {
            if let Some(cursor) = state.cursors.get_mut(partition) {
                cursor.revoking = true;
            }
        }
        state.told.push_back(Ok(Delivery::Revoking { partitions, deadline }));
        drop(state);
        self.notify.notify_one();
    }

    pub(crate) fn lost(&self, partitions: Vec<TopicPartition>) {
        let mut state = lock(&self.state);
        for partition in &partitions {
            state.cursors.remove(partition);
            state.ready.retain(|ready| ready != partition);
        }
        state.told.push_back(Ok(Delivery::Lost(partitions)));
        drop(state);
        self.notify.notify_one();
    }

    /// Forgets partitions that the member gave back itself.
    pub(crate) fn released(&self, partition: &TopicPartition) {
        let mut state = lock(&self.state);
        state.cursors.remove(partition);
        state.ready.retain(|ready| ready != partition);
    }

    pub(crate) fn failed(&self, error: Error) {
        lock(&self.state).told.push_back(Err(error));
        self.notify.notify_one();
    }

    /// Something was appended to a partition of ours.
    pub(crate) fn appended(&self, at: &TopicPartition) {
        if lock(&self.state).wake(at) {
            self.notify.notify_one();
        }
    }
}

pub(crate) struct LocalMember {
    pub(crate) id: MemberId,
    pub(crate) group: Arc<str>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) log: Arc<Log>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) chaos: Option<Arc<Chaos>>,
}

enum Step {
    Told(Result<Delivery, Error>),
    Read(TopicPartition, Generation, Arc<TopicLog>, Offset),
    Wait,
}

impl LocalMember {
    fn step(&self) -> Step {
        let mut state = lock(&self.inbox.state);
        if let Some(told) = state.told.pop_front() {
            return Step::Told(told);
        }
        while let Some(at) = state.ready.front().cloned() {
            if let Some(cursor) = state.cursors.get_mut(&at) {
                if let Some(next) = cursor.place() {
                    return Step::Read(at, cursor.generation, cursor.log.clone(), next);
                }
                cursor.queued = false;
            }
            state.ready.pop_front();
        }
        Step::Wait
    }

    /// Reads without moving the cursor, then moves it and delivers in one step, so that being cancelled loses nothing.
    async fn read(
        &self,
        at: TopicPartition,
        generation: Generation,
        log: Arc<TopicLog>,
        from: Offset,
    ) -> Result<Option<Delivery>, Error> {
        let begin = log.extent(at.partition).begin;
        if from < begin {
            return Err(Error::PositionLost {
                group: self.group.to_string(),
                partition: at,
                position: from,
                begins: begin,
            });
        }
        let mut chunk = self.log.read(&log, at.partition, from, DELIVERY_BYTES).await?;
        if let Some(chaos) = &self.chaos {
            chaos.shorten(&mut chunk);
        }
        let mut state = lock(&self.inbox.state);
        if state.ready.front() == Some(&at) {
            state.ready.pop_front();
        }
        let Some(cursor) = state.cursors.get_mut(&at) else { return Ok(None) };
        cursor.queued = false;
        if cursor.generation != generation || cursor.place() != Some(from) {
            state.wake(&at);
            return Ok(None);
        }
        cursor.next = Some(chunk.next);
        state.wake(&at);
        Ok((!chunk.records.is_empty()).then_some(Delivery::Records(at, generation, chunk.records)))
    }

    fn with_cursor(&self, partition: &TopicPartition, change: impl FnOnce(&mut Cursor)) {
        let mut state = lock(&self.inbox.state);
        if let Some(cursor) = state.cursors.get_mut(partition) {
            change(cursor);
        }
        if state.wake(partition) {
            drop(state);
            self.inbox.notify.notify_one();
        }
    }

    fn send(&self, request: Request) {
        // A bus that has stopped has no groups; `next` says so.
        let _ = self.requests.send(request);
    }
}

impl Member for LocalMember {
    fn next(&self) -> BoxFuture<'_, Result<Delivery, Error>> {
        Box::pin(async move {
            loop {
                match self.step() {
                    Step::Told(told) => return told,
                    Step::Read(at, generation, log, from) => {
                        if let Some(delivery) = self.read(at, generation, log, from).await? {
                            return Ok(delivery);
                        }
                    }
                    Step::Wait => self.inbox.notify.notified().await,
                }
            }
        })
    }

    fn open(&self, partition: &TopicPartition, generation: Generation, from: Offset) {
        self.with_cursor(partition, |cursor| {
            if cursor.generation == generation {
                cursor.next = Some(from);
            }
        });
    }

    fn pause(&self, partition: &TopicPartition) {
        self.with_cursor(partition, |cursor| cursor.paused = true);
    }

    fn resume(&self, partition: &TopicPartition) {
        self.with_cursor(partition, |cursor| cursor.paused = false);
    }

    fn subscribe(&self, to: Subscription) {
        self.send(Request::Subscribe { group: self.group.clone(), member: self.id, to });
    }

    fn commit(&self, shares: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.send(Request::Hop { group: self.group.clone(), member: self.id, shares, reply });
            answer.await.unwrap_or_else(|_| Err(Error::Stopped("the bus was closed".into())))
        })
    }

    fn advise(&self, partition: &TopicPartition, next: Offset) {
        self.send(Request::Advise { group: self.group.clone(), partition: partition.clone(), next });
    }

    fn release(&self, partitions: &[TopicPartition]) {
        self.send(Request::Release { group: self.group.clone(), member: self.id, partitions: partitions.to_vec() });
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.send(Request::Leave { group: self.group.clone(), member: self.id, reply: Some(reply) });
            // An answer that never comes means that the bus has stopped, and with it the group.
            let _ = answer.await;
        })
    }
}

impl Drop for LocalMember {
    fn drop(&mut self) {
        self.send(Request::Leave { group: self.group.clone(), member: self.id, reply: None });
    }
}
