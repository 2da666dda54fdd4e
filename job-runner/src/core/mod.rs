//! What a group decides, without awaiting and without a clock: which records are taken, which run, what is committed.
//!
//! The shell tells it what happens ([`Core::assign`], [`Core::deliver`], [`Core::ended`] …), asks it for the next commit
//! ([`Core::gather`]), and carries out its [`Effect`]s. Two hops make a run: the first commits that its attempt starts, and
//! only then is it launched; the second commits its end. Each commit carries whatever has gathered since the last.

mod admit;
#[cfg(test)]
mod bounds;
mod commit;
mod desk;
mod door;
mod gate;
mod hold;
mod lane;
mod order;
mod part;
mod pending;
mod reread;
mod retry;
#[cfg(test)]
mod survives;
#[cfg(test)]
mod tests;
mod wait;
mod window;
#[cfg(test)]
mod windows_survive;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use bus::{Assignment, Generation, Offset, TopicPartition};
use commit::Commit;
use contracts::control::Given;
use gate::{Gate, Pass, Verdict};
pub(crate) use gate::{Layout, Open};
use jiff::Timestamp;
use part::{Halt, Part, Phase, Running};
pub(crate) use reread::Reading;

use crate::{
    attempt::Ended,
    error::GroupError,
    ledger::Ledger,
    orders::Task,
    plan::Plan,
    queue::{Item, Load, Queue},
    steps::Attempt,
};

/// Now, by the clock on the wall, which may jump, and by one that never does: how long something waits is measured by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) steady: Instant,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { wall: Timestamp::now(), steady: Instant::now() }
    }
}

/// How much may wait in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many records may be ready or run; as many may be held behind their keys.
    pub(crate) queue_records: usize,
    /// How many bytes of records that wait may be held, over all partitions.
    pub(crate) queue_bytes: usize,
}

/// What the shell is to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Find out what waits of a partition, and tell [`Core::rebuilt`].
    Rebuild(TopicPartition, Generation),
    Open(TopicPartition, Generation, Offset),
    Pause(TopicPartition),
    Resume(TopicPartition),
    /// Read again what was not kept, and tell [`Core::read_again`]. There is one at a time.
    Read(Reading),
    Release(Vec<TopicPartition>),
    Launch(Launch),
    /// End the attempt soon; [`Core::ended`] is awaited all the same.
    Cancel(RunKey),
}

/// An attempt within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RunKey(pub(crate) u64);

/// An attempt whose start is in the log.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) key: RunKey,
    pub(crate) item: Item,
    pub(crate) attempt: u32,
}

/// What has been counted, for the status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) succeeded: u64,
    /// Runs that failed for good: these are dead letters.
    pub(crate) failed: u64,
    /// Attempts that failed and are followed by another.
    pub(crate) retried: u64,
    /// Events whose place a later one of their window took.
    pub(crate) superseded: u64,
    pub(crate) rejected: u64,
    /// What waits in the lane now for another attempt, or its turn.
    pub(crate) waiting: usize,
    /// What waits there for the end of its window.
    pub(crate) gathering: usize,
}

impl Counts {
    /// Among which one is counted that is in the lane.
    fn of(&mut self, entry: &lane::Entry) -> &mut usize {
        if entry.gathers() { &mut self.gathering } else { &mut self.waiting }
    }
}

pub(crate) struct Core {
    plan: Arc<Plan>,
    limits: Limits,
    parts: HashMap<TopicPartition, Part>,
    /// Partitions with something to commit; some may be gone. A group may have tens of thousands of partitions, so that
    /// nothing that happens often looks at all of them.
    dirty: Vec<TopicPartition>,
    /// Partitions that leave.
    leaving: HashSet<TopicPartition>,
    /// Partitions with a backlog, in turn. As in all lists of partitions, some may be gone, or be another one by now.
    backlogged: VecDeque<TopicPartition>,
    /// Partitions that have something to be read again, in turn.
    unread: VecDeque<TopicPartition>,
    /// Partitions that were delivered to and were not looked at since.
    delivered: Vec<TopicPartition>,
    /// Partitions that could be resumed, once there is room.
    resumable: Vec<TopicPartition>,
    /// Partitions that wait until fewer records are parked.
    crowded: Vec<TopicPartition>,
    /// What is being read again.
    reading: Option<Reading>,
    /// Which kind of what is read again was read last, so that it is another's turn.
    read_last: usize,
    /// What waits in the lane for its time.
    timers: BTreeSet<(Instant, TopicPartition, Offset)>,
    /// What is due, and to be read; some may be gone.
    due: VecDeque<(TopicPartition, Generation, Offset)>,
    cursors: wait::Cursors,
    /// What holds back what could begin.
    gate: Gate,
    /// Partitions came or went, and whether any came.
    moved: Option<bool>,
    /// What began since the gate was told.
    launched: Vec<Pass>,
    /// As it was told last.
    now: Now,
    /// How many bytes the backlogs have.
    backlog_bytes: usize,
    queue: Queue,
    running: HashMap<RunKey, Running>,
    next_run: u64,
    /// Outputs that wait for the next commit.
    outputs: pending::Pending,
    commit: Option<Commit>,
    /// Attempts whose start was refused with something else of its share, and is in the next commit.
    starting: Vec<RunKey>,
    effects: Vec<Effect>,
    counts: Counts,
    awaited_catalog: Option<u64>,
    /// An operator has paused the job: nothing more is started.
    held: bool,
    /// The orders that may be begun, and those that are yet to be carried out.
    orders: Vec<Arc<Given>>,
    tasks: VecDeque<Task>,
}

impl Core {
    pub(crate) fn new(plan: Arc<Plan>, limits: Limits, now: Now) -> Self {
        let gate = Gate::new(&plan, now);
        Self {
            plan,
            limits,
            parts: HashMap::new(),
            dirty: Vec::new(),
            leaving: HashSet::new(),
            backlogged: VecDeque::new(),
            unread: VecDeque::new(),
            delivered: Vec::new(),
            resumable: Vec::new(),
            crowded: Vec::new(),
            reading: None,
            read_last: 0,
            timers: BTreeSet::new(),
            due: VecDeque::new(),
            cursors: HashMap::new(),
            gate,
            moved: None,
            launched: Vec::new(),
            now,
            backlog_bytes: 0,
            queue: Queue::new(Load { records: limits.queue_records, bytes: limits.queue_bytes / 4 }),
            running: HashMap::new(),
            next_run: 0,
            outputs: pending::Pending::default(),
            commit: None,
            starting: Vec::new(),
            effects: Vec::new(),
            counts: Counts::default(),
            awaited_catalog: None,
            held: false,
            orders: Vec::new(),
            tasks: VecDeque::new(),
        }
    }

    /// Nothing more is started while it is held; what runs goes on. What is not taken stays in the log.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// A newer catalog counts from now on; what runs goes on as it began.
    pub(crate) fn replan(&mut self, plan: Arc<Plan>) {
        let left = self.gate.replan(&plan, self.now);
        self.plan = plan;
        self.shorten_windows();
        self.moved.get_or_insert(false);
        left.into_iter().for_each(|waiter| self.call(&waiter));
        self.end_halts(|halt| matches!(halt, Halt::Catalog(_)));
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// How many attempts are under way, or about to be.
    pub(crate) fn in_flight(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn partitions(&self) -> usize {
        self.parts.len()
    }

    /// Whether partitions are about to go.
    pub(crate) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The catalog that a record waits for.
    pub(crate) fn awaited_catalog(&self) -> Option<u64> {
        self.awaited_catalog
    }

    /// A partition is ours.
    pub(crate) fn assign(&mut self, assignment: Assignment) -> Result<(), GroupError> {
        let Assignment { partition, generation, position } = assignment;
        self.lose(&partition);
        let ledger =
            Ledger::open(&position).map_err(|source| GroupError::Note { partition: partition.clone(), source })?;
        self.parts.insert(partition.clone(), Part::new(generation, ledger));
        self.effects.push(Effect::Rebuild(partition, generation));
        Ok(())
    }

    /// Partitions are about to go: they take nothing more, and are released when what runs has ended and is committed.
    pub(crate) fn revoke(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            let Some(part) = self.parts.get_mut(partition) else { continue };
            part.phase = Phase::Leaving;
            self.backlog_bytes -= part.leave_backlog();
            self.leaving.insert(partition.clone());
            self.queue.forget(partition);
            self.gate.forget(partition);
        }
        self.moved.get_or_insert(false);
        self.release_idle();
    }

    /// Everything is about to go.
    pub(crate) fn revoke_all(&mut self) {
        for (partition, part) in &mut self.parts {
            part.phase = Phase::Leaving;
            part.leave_backlog();
            self.leaving.insert(partition.clone());
        }
        (self.backlog_bytes, self.awaited_catalog) = (0, None);
        self.queue.clear();
        self.release_idle();
    }

    /// The grace of those that leave is over: what still runs is cancelled. Tells how many that are.
    pub(crate) fn cancel_leaving(&mut self) -> usize {
        let before = self.effects.len();
        for (key, running) in &self.running {
            let part = self.parts.get(&running.item.partition);
            if part.is_some_and(|part| part.phase == Phase::Leaving) {
                self.effects.push(Effect::Cancel(*key));
            }
        }
        self.effects.len() - before
    }

    /// A partition is no longer ours: all memory of it goes, and what runs of it is cancelled.
    pub(crate) fn lose(&mut self, partition: &TopicPartition) {
        let Some(mut part) = self.parts.remove(partition) else { return };
        self.leaving.remove(partition);
        self.backlog_bytes -= part.leave_backlog();
        part.stuck.drain(..).for_each(|key| self.queue.want(key));
        if matches!(part.halt, Some(Halt::Catalog(_))) {
            self.awaited_catalog = self.parts.values().filter_map(Part::awaited_catalog).max();
        }
        self.outputs.forget(&part.outputs);
        self.forget_lane(partition, &part);
        self.gate.forget(partition);
        self.moved.get_or_insert(false);
        self.queue.forget(partition);
        for (key, running) in &self.running {
            if running.item.partition == *partition && running.item.generation == part.generation {
                self.effects.push(Effect::Cancel(*key));
            }
        }
        let running = &self.running;
        let is_its = |key: &mut RunKey| running.get(key).is_none_or(|running| running.item.partition == *partition);
        for key in self.starting.extract_if(.., is_its).collect::<Vec<_>>() {
            self.settle(key, Ended::GivenBack);
        }
    }

    /// An attempt has ended.
    pub(crate) fn ended(&mut self, key: RunKey, ended: Ended, now: Now) {
        self.now = now;
        self.settle(key, ended);
        self.release_idle();
    }

    fn settle(&mut self, key: RunKey, mut ended: Ended) {
        let Some(Running { item, attempt, started, pass }) = self.running.remove(&key) else { return };
        let plan = self.plan.clone();
        if let Ended::Done(Err(failure)) = &mut ended {
            failure.judge(&plan.final_exit_codes);
        }
        let verdict = Verdict::of(&ended, self.gate.is_probe(key));
        let fails = matches!(verdict, Verdict::Fails(_));
        let change = self.gate.ended(key, pass, verdict, self.now);
        change.into_iter().for_each(|change| self.say(change));
        let probe = self.gate.open().filter(|_| fails).map(|open| open.probe);
        if let Some(mut desk) = self.desk(&item.partition, item.generation) {
            desk.part.running -= 1;
            let told = Attempt { probe, ..Attempt::new(&item.event, &plan.name, attempt, started.wall) };
            match ended {
                Ended::GivenBack => desk.give_back(&item),
                Ended::Done(Ok(answer)) => desk.succeeded(&item, told, answer),
                Ended::Done(Err(failure)) => desk.failed(&item, told, started, failure),
            }
            self.note_has_room(&item.partition);
        }
        self.key_is_free(&item);
    }

    fn part(&mut self, partition: &TopicPartition, generation: Generation) -> Option<&mut Part> {
        self.parts.get_mut(partition).filter(|part| part.generation == generation)
    }

    /// Releases partitions that leave and of which nothing is left to do.
    fn release_idle(&mut self) {
        let is_idle = |part: &Part| part.running == 0 && !part.dirty && !part.committing;
        let leaving = self.leaving.iter();
        let idle: Vec<TopicPartition> =
            leaving.filter(|partition| self.parts.get(*partition).is_some_and(is_idle)).cloned().collect();
        idle.iter().for_each(|partition| self.lose(partition));
        if !idle.is_empty() {
            self.effects.push(Effect::Release(idle));
        }
    }
}
