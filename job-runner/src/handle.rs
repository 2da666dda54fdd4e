//! How each job is, for whoever shows it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use bus::Bus;
use contracts::{control::Hold, names::GroupName};
use jiff::Timestamp;

use crate::{
    core::{Core, Counts, Open},
    error::GroupError,
};

/// How many jobs a complaint names.
const COMPLAINED: usize = 3;

/// Whether a job's group runs.
#[derive(Debug, Clone)]
pub enum GroupState {
    /// It is joining, or has no partition yet.
    Joining,
    /// It runs.
    Running,
    /// It runs, but holds records that were stamped by this catalog, which has not arrived here.
    AwaitsCatalog(u64),
    /// It failed, and will be tried again by itself.
    Waiting(GroupError),
    /// It failed, and somebody must act; the error says who and how. It is tried again from time to time all the same.
    Stopped(GroupError),
}

/// How one job is, in this process.
#[derive(Debug, Clone)]
pub struct GroupStatus {
    /// The job's group, which knows its full name.
    pub group: GroupName,
    /// Whether it runs.
    pub state: GroupState,
    /// Why it starts nothing, where an operator paused it.
    pub hold: Option<Arc<Hold>>,
    /// Since when it has failed, again and again.
    pub since: Option<Timestamp>,
    /// Whether the job has left the catalog.
    pub retired: bool,
    /// How many partitions are ours.
    pub partitions: usize,
    /// Attempts under way.
    pub in_flight: usize,
    /// Records that were read and wait to be started.
    pub queued: usize,
    /// Runs that wait for another attempt, or behind such a one of their key.
    pub waiting: usize,
    /// Events that wait for the end of their window.
    pub gathering: usize,
    /// Runs that wait for the job's rate.
    pub limited: usize,
    /// Runs that wait for others of theirs to end, as many as may run of one value.
    pub crowded: usize,
    /// That the target fails throughout, so that runs wait until it works.
    pub circuit: Option<CircuitOpen>,
    /// Runs that succeeded since the process started.
    pub succeeded: u64,
    /// Runs that failed for good since the process started.
    pub failed: u64,
    /// Attempts that failed and were followed by another, since the process started.
    pub retried: u64,
    /// Runs of events whose place a later one of their window took, since the process started.
    pub superseded: u64,
    /// Records that could not be read, since the process started.
    pub rejected: u64,
}

/// A circuit that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitOpen {
    /// How the target failed last.
    pub error: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried next.
    pub probe: Timestamp,
}

/// What others ask of the job runner. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    bus: Arc<dyn Bus>,
    board: Board,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(crate) fn new(bus: Arc<dyn Bus>, board: Board) -> Self {
        Self { bus, board }
    }

    /// Every job that this process runs, by group.
    pub fn status(&self) -> Vec<GroupStatus> {
        self.board.status()
    }

    /// How many records a job is behind, at most (holes count), over all processes.
    ///
    /// # Errors
    /// The bus cannot be asked.
    pub async fn lag(&self, group: &GroupName) -> Result<u64, bus::Error> {
        Ok(self.bus.lag(group.as_str()).await?.iter().map(|lag| lag.records).sum())
    }
}

/// The status of every group of a process. It outlives the service, which may be started again. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<GroupName, Arc<Cell>>>>);

impl Board {
    /// Every job that this process runs, by group.
    pub fn status(&self) -> Vec<GroupStatus> {
        self.lock().iter().map(|(group, cell)| cell.status(group)).collect()
    }

    /// Which jobs stand still, since when and why, in a few words; none if none does.
    pub fn complaint(&self) -> Option<String> {
        let all = self.status();
        let standing: Vec<(&GroupStatus, &GroupError)> = all
            .iter()
            .filter_map(|status| match &status.state {
                GroupState::Waiting(error) | GroupState::Stopped(error) => Some((status, error)),
                _ => None,
            })
            .collect();
        if standing.is_empty() {
            return None;
        }
        let mut out = format!("{} of {} jobs stand still", standing.len(), all.len());
        for (at, (status, error)) in standing.iter().take(COMPLAINED).enumerate() {
            let since = status.since.map_or(String::new(), |since| format!(" since {since:.0}"));
            let name = status.group.full_name();
            out.push_str(&format!("{} `{name}`{since}: {error}", if at == 0 { ":" } else { ";" }));
        }
        if standing.len() > COMPLAINED {
            out.push_str(&format!("; and {} more", standing.len() - COMPLAINED));
        }
        Some(out)
    }

    /// The cell of a group that is added.
    pub(crate) fn add(&self, group: &GroupName) -> Arc<Cell> {
        let cell = Arc::new(Cell::default());
        self.lock().insert(group.clone(), cell.clone());
        cell
    }

    pub(crate) fn remove(&self, group: &GroupName) {
        self.lock().remove(group);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupName, Arc<Cell>>> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status of one group: written by its task, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    failure: Mutex<Option<(GroupState, Timestamp)>>,
    hold: Mutex<Option<Arc<Hold>>>,
    retired: AtomicBool,
    partitions: AtomicUsize,
    in_flight: AtomicUsize,
    queued: AtomicUsize,
    waiting: AtomicUsize,
    gathering: AtomicUsize,
    limited: AtomicUsize,
    crowded: AtomicUsize,
    circuit: Mutex<Option<CircuitOpen>>,
    awaits: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    superseded: AtomicU64,
    rejected: AtomicU64,
}

impl Cell {
    /// Copies the numbers of a running group.
    pub(crate) fn show(&self, core: &Core) {
        self.partitions.store(core.partitions(), Relaxed);
        self.in_flight.store(core.in_flight(), Relaxed);
        self.queued.store(core.queued(), Relaxed);
        let waiting = core.waiting();
        self.waiting.store(waiting.retry, Relaxed);
        self.limited.store(waiting.rate, Relaxed);
        self.crowded.store(waiting.crowded, Relaxed);
        let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, shown) = (core.circuit(), circuit.as_ref());
        if open.map(|open| open.probe) != shown.map(|shown| shown.probe) {
            *circuit = open.map(|Open { error, since, probe, .. }| CircuitOpen {
                error: error.clone(),
                since: *since,
                probe: *probe,
            });
        }
        drop(circuit);
        self.gathering.store(core.counts().gathering, Relaxed);
        self.awaits.store(core.awaited_catalog().unwrap_or(0), Relaxed);
    }

    /// Counts what happened since the last call.
    pub(crate) fn count(&self, now: Counts, before: Counts) {
        self.succeeded.fetch_add(now.succeeded - before.succeeded, Relaxed);
        self.failed.fetch_add(now.failed - before.failed, Relaxed);
        self.retried.fetch_add(now.retried - before.retried, Relaxed);
        self.superseded.fetch_add(now.superseded - before.superseded, Relaxed);
        self.rejected.fetch_add(now.rejected - before.rejected, Relaxed);
    }

    /// The group fails since then; none when it is tried again.
    pub(crate) fn fail(&self, failure: Option<(GroupState, Timestamp)>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        for gauge in [
            &self.partitions,
            &self.in_flight,
            &self.queued,
            &self.waiting,
            &self.gathering,
            &self.limited,
            &self.crowded,
        ] {
            gauge.store(0, Relaxed);
        }
        *self.circuit.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.awaits.store(0, Relaxed);
    }

    /// Why the job starts nothing, where an operator paused it.
    pub(crate) fn hold(&self, hold: Option<Arc<Hold>>) {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = hold;
    }

    /// Whether the job has left the catalog.
    pub(crate) fn retire(&self, retired: bool) {
        self.retired.store(retired, Relaxed);
    }

    fn status(&self, group: &GroupName) -> GroupStatus {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let partitions = self.partitions.load(Relaxed);
        let (state, since) = failure.map_or((None, None), |(state, since)| (Some(state), Some(since)));
        let state = state.unwrap_or_else(|| match (self.awaits.load(Relaxed), partitions) {
            (0, 0) => GroupState::Joining,
            (0, _) => GroupState::Running,
            (number, _) => GroupState::AwaitsCatalog(number),
        });
        GroupStatus {
            group: group.clone(),
            state,
            hold: self.hold.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            since,
            retired: self.retired.load(Relaxed),
            partitions,
            in_flight: self.in_flight.load(Relaxed),
            queued: self.queued.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            gathering: self.gathering.load(Relaxed),
            limited: self.limited.load(Relaxed),
            crowded: self.crowded.load(Relaxed),
            circuit: self.circuit.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            succeeded: self.succeeded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retried: self.retried.load(Relaxed),
            superseded: self.superseded.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
        }
    }
}
