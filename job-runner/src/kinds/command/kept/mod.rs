//! `command: { keep: true }`: a program that is started once and answers one event after another.
//!
//! There is a [`Pool`] for each job. A run takes a process that waits, or starts one, and has it for itself until it has
//! answered; so there are never more than the job's `concurrency`. A process that ends, hangs, grows or breaks the protocol ends its
//! run and is replaced; where none lives long enough to answer anything, the next is started later and later.

mod lines;
mod process;
mod protocol;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use contracts::names::GroupName;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{sleep, sleep_until};

use self::process::{Fault, Process};
use super::{
    Command,
    options::{Keep, Options},
};
use crate::kind::{Failure, Outcome, Run};

/// How long until the next process is started, where none answers anything; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(200);
const MOST_BACK_OFF: Duration = Duration::from_secs(10);
/// How often it is looked whether the program's file was written.
const LOOK: Duration = Duration::from_secs(1);

/// The pools, by job.
#[derive(Default)]
pub(super) struct Pools(Mutex<HashMap<GroupName, Arc<Pool>>>);

/// The processes of one job with one set of options.
pub(super) struct Pool {
    options: Arc<Value>,
    keep: Keep,
    /// What is run, where that is a file.
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    /// Those that wait, in the order in which they began to.
    waiting: Vec<Process>,
    /// When the file was written, and when that was looked at.
    made: Option<SystemTime>,
    looked: Instant,
    /// How many failed in turn without having answered anything, and until when none is started.
    failures: u32,
    not_before: Option<Instant>,
    /// Whether a task ends those that have waited too long.
    is_swept: bool,
    /// There is a newer pool, or there will be no further runs.
    is_closed: bool,
}

/// Runs one attempt.
pub(super) async fn run(command: &Command, pool: &Arc<Pool>, run: &Run) -> Outcome {
    let (id, message) = protocol::message(run, Timestamp::now())?;
    let mut process = match pool.take(run) {
        Some(process) => process,
        None => pool.start(command, run).await?,
    };
    let answered = process.ask(&message, run, |line| protocol::reply(line, &id, Timestamp::now())).await;
    match answered {
        Ok(outcome) => {
            let outcome = outcome.map_err(|failure| failure.with_stderr(process.stderr()));
            pool.put(process, run);
            outcome
        }
        Err(fault) => {
            if !process.has_answered && !matches!(fault, Fault::Cancelled) {
                pool.failed();
            }
            Err(process.fail(fault).await)
        }
    }
}

impl Pools {
    /// The pool of a job, if it was opened with the same options.
    pub(super) fn of(&self, run: &Run) -> Option<Arc<Pool>> {
        let mut pools = self.lock();
        let pool = pools.get(&run.group)?;
        if Arc::ptr_eq(&pool.options, &run.options) || pool.options == run.options {
            return Some(pool.clone());
        }
        pools.remove(&run.group).into_iter().for_each(|pool| end(pool.close()));
        None
    }

    pub(super) fn open(&self, run: &Run, folder: &std::path::Path, options: &Options, keep: Keep) -> Arc<Pool> {
        let file = options.file(&folder.join(options.dir.as_deref().unwrap_or(std::path::Path::new(""))));
        let state = State {
            waiting: Vec::new(),
            made: file.as_ref().and_then(written),
            looked: Instant::now(),
            failures: 0,
            not_before: None,
            is_swept: false,
            is_closed: false,
        };
        let pool = Arc::new(Pool { options: run.options.clone(), keep, file, state: Mutex::new(state) });
        // Another run may have been quicker.
        let mut pools = self.lock();
        let before = pools.get(&run.group).filter(|before| before.options == pool.options);
        let pool = before.cloned().unwrap_or(pool);
        pools.insert(run.group.clone(), pool.clone());
        pool
    }

    /// Ends all that wait, and whatever comes back.
    pub(super) async fn end(&self) {
        let pools: Vec<Arc<Pool>> = self.lock().drain().map(|(_, pool)| pool).collect();
        let waiting = pools.iter().flat_map(|pool| pool.close());
        join_all(waiting.map(Process::end)).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GroupName, Arc<Pool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// One that waits.
    fn take(&self, run: &Run) -> Option<Process> {
        self.look();
        loop {
            let mut process = self.lock().waiting.pop()?;
            match process.is_fit() {
                Ok(()) => return Some(process),
                Err(why) => say_replaced(run, &why),
            }
        }
    }

    /// A new one.
    async fn start(&self, command: &Command, run: &Run) -> Result<Process, Failure> {
        let wait = self.lock().not_before.and_then(|time| time.checked_duration_since(Instant::now()));
        if let Some(wait) = wait {
            run.held.add(wait);
            if run.cancelled.run_until_cancelled(sleep(wait)).await.is_none() {
                return Err(Failure::new("the program was not started again before the time was up"));
            }
        }
        let options = Options::of(&self.options).map_err(Failure::last)?;
        let made = self.lock().made;
        let program = command.program(options, Vec::new())?;
        let hears = command.hears.as_ref();
        match Process::start(program, &command.running, run, hears, self.keep.memory).await {
            Ok(mut process) => {
                process.made = made;
                Ok(process)
            }
            Err(failure) => {
                if !run.cancelled.is_cancelled() {
                    self.failed();
                }
                Err(failure)
            }
        }
    }

    /// It has answered.
    fn put(self: &Arc<Self>, mut process: Process, run: &Run) {
        process.has_answered = true;
        process.since = Instant::now();
        // What comes later is seen when it is taken again.
        let why = process.is_fit().err().or_else(|| process.has_grown());
        let mut state = self.lock();
        (state.failures, state.not_before) = (0, None);
        if state.is_closed || process.made != state.made {
            drop(state);
            return end([process]);
        }
        if let Some(why) = why {
            drop(state);
            say_replaced(run, &why);
            return end([process]);
        }
        state.waiting.push(process);
        if !std::mem::replace(&mut state.is_swept, true) {
            drop(state);
            self.sweep();
        }
    }

    fn failed(&self) {
        let (mut state, now) = (self.lock(), Instant::now());
        // Those that were started together fail together.
        if state.not_before.is_none_or(|time| time <= now) {
            state.not_before = Some(now + MOST_BACK_OFF.min(BACK_OFF * 2_u32.saturating_pow(state.failures)));
            state.failures += 1;
        }
    }

    /// Ends those that wait if their file was written since.
    fn look(&self) {
        let Some(file) = &self.file else { return };
        let mut state = self.lock();
        if state.looked.elapsed() < LOOK {
            return;
        }
        state.looked = Instant::now();
        let made = written(file);
        if state.made != made {
            state.made = made;
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            end(waiting);
        }
    }

    /// Ends those that have waited too long, as long as any wait.
    fn sweep(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some((ended, due)) = pool.upgrade().map(|pool| pool.expired(Instant::now())) {
                join_all(ended.into_iter().map(Process::end)).await;
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => return,
                }
            }
        });
    }

    /// Those that have waited too long, and when the next will have.
    fn expired(&self, now: Instant) -> (Vec<Process>, Option<Instant>) {
        let mut state = self.lock();
        let fresh = state.waiting.partition_point(|process| process.since + self.keep.idle <= now);
        let ended = state.waiting.drain(..fresh).collect();
        let due = state.waiting.first().map(|process| process.since + self.keep.idle);
        state.is_swept = due.is_some();
        (ended, due)
    }

    fn close(&self) -> Vec<Process> {
        let mut state = self.lock();
        state.is_closed = true;
        std::mem::take(&mut state.waiting)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn written(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|found| found.modified()).ok()
}

/// Ends processes while others go on.
fn end(processes: impl IntoIterator<Item = Process>) {
    processes.into_iter().for_each(|process| drop(tokio::spawn(process.end())));
}

fn say_replaced(run: &Run, why: &str) {
    tracing::warn!(job.name = run.group.full_name(), why, "a kept program is replaced");
}
