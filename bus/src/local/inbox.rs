//! What the broker tells a member, and where the member reads in each of its partitions.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::sync::Notify;

use crate::{
    Error,
    local::log::{TopicLog, lock},
    member::{Assignment, Delivery, Generation},
    record::{Offset, TopicPartition},
};

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

    /// What the member does next.
    pub(crate) fn step(&self) -> Step {
        let mut state = lock(&self.state);
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

    /// Ends when there may be another step.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Moves a cursor over what was read for [`Step::Read`]; false if it stands elsewhere by now, and what was read is nobody's.
    pub(crate) fn advance(&self, at: &TopicPartition, generation: Generation, from: Offset, next: Offset) -> bool {
        let mut state = lock(&self.state);
        if state.ready.front() == Some(at) {
            state.ready.pop_front();
        }
        let Some(cursor) = state.cursors.get_mut(at) else { return false };
        cursor.queued = false;
        let stands = cursor.generation == generation && cursor.place() == Some(from);
        if stands {
            cursor.next = Some(next);
        }
        state.wake(at);
        stands
    }

    /// Lets a partition deliver from there on, if that assignment of it is not over.
    pub(crate) fn open(&self, at: &TopicPartition, generation: Generation, from: Offset) {
        self.change(at, |cursor| {
            if cursor.generation == generation {
                cursor.next = Some(from);
            }
        });
    }

    pub(crate) fn pause(&self, at: &TopicPartition, paused: bool) {
        self.change(at, |cursor| cursor.paused = paused);
    }

    fn change(&self, at: &TopicPartition, change: impl FnOnce(&mut Cursor)) {
        let mut state = lock(&self.state);
        if let Some(cursor) = state.cursors.get_mut(at) {
            change(cursor);
        }
        if state.wake(at) {
            drop(state);
            self.notify.notify_one();
        }
    }
}

/// What a member does next.
pub(crate) enum Step {
    Told(Result<Delivery, Error>),
    Read(TopicPartition, Generation, Arc<TopicLog>, Offset),
    Wait,
}
