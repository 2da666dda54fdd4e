//! How fast jobs run and how many runs are under way, as the facts tell it that were read since the process began: in memory,
//! for whoever looks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contracts::{
    ids::JobRunId,
    names::{EventRef, JobName},
    progress::{AttemptState, JobStep},
};
use jiff::Timestamp;

/// Over how many seconds a rate is counted.
pub(crate) const OVER: i64 = 60;
/// How many unfinished runs are remembered; of those beyond it nothing is counted.
const MOST: usize = 500_000;

/// A step of a run, as far as it counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    job: (EventRef, JobName),
    run: JobRunId,
    attempt: u32,
    state: AttemptState,
    ended: Option<Timestamp>,
}

impl Step {
    /// Of a step that was told.
    pub fn of(step: &JobStep) -> Self {
        let JobStep { event, job, run, attempt, state, ended, .. } = step;
        Self { job: (event.clone(), job.clone()), run: *run, attempt: *attempt, state: *state, ended: *ended }
    }
}

/// What goes on in one job of one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How many runs ended within [`OVER`].
    pub ended: u64,
    /// Attempts under way.
    pub running: u64,
    /// Runs that wait for their next attempt.
    pub retrying: u64,
    /// Events that wait for the end of their window.
    pub gathering: u64,
}

/// What goes on, by event and job. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Since when facts are read.
    since: Timestamp,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// How many runs ended, by the second of the minute in which they did.
    ends: HashMap<(EventRef, JobName), Vec<(i64, u64)>>,
    open: HashMap<JobRunId, Open>,
}

#[derive(Debug)]
struct Open {
    job: (EventRef, JobName),
    attempt: u32,
    doing: Doing,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    Runs,
    /// Its attempt has ended, and a further one follows.
    Retries,
    /// Its event waits for the end of its window.
    Gathers,
}

impl Default for Pace {
    fn default() -> Self {
        Self { since: Timestamp::now(), state: Arc::default() }
    }
}

impl Pace {
    /// Takes what was told, in the order in which it was.
    pub(crate) fn hear(&self, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        let mut state = self.lock();
        steps.into_iter().for_each(|step| state.hear(step));
    }

    /// Since when facts are read.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// What goes on now.
    pub(crate) fn now(&self, now: Timestamp) -> HashMap<(EventRef, JobName), Seen> {
        let (mut out, second) = (HashMap::<_, Seen>::new(), now.as_second());
        let mut state = self.lock();
        state.ends.retain(|job, ends| {
            ends.retain(|(at, _)| second - at < OVER);
            let ended: u64 = ends.iter().map(|(_, count)| count).sum();
            if ended > 0 {
                out.entry(job.clone()).or_default().ended = ended;
            }
            ended > 0
        });
        for open in state.open.values() {
            let seen = out.entry(open.job.clone()).or_default();
            *(match open.doing {
                Doing::Runs => &mut seen.running,
                Doing::Retries => &mut seen.retrying,
                Doing::Gathers => &mut seen.gathering,
            }) += 1;
        }
        out
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hear(&mut self, Step { job, run, attempt, state, ended }: Step) {
        if self.open.get(&run).is_some_and(|open| open.attempt > attempt) {
            return;
        }
        let doing = match state {
            AttemptState::Started => Doing::Runs,
            AttemptState::Granted | AttemptState::Interrupted | AttemptState::Retrying => Doing::Retries,
            AttemptState::Gathered => Doing::Gathers,
            AttemptState::Unknown(_) | AttemptState::Discarded => return,
            AttemptState::Skipped | AttemptState::Superseded => {
                self.open.remove(&run);
                return;
            }
            AttemptState::Failed | AttemptState::Succeeded => {
                self.open.remove(&run);
                if let Some(ended) = ended {
                    self.ended(job, ended.as_second());
                }
                return;
            }
        };
        if self.open.len() < MOST || self.open.contains_key(&run) {
            self.open.insert(run, Open { job, attempt, doing });
        }
    }

    fn ended(&mut self, job: (EventRef, JobName), second: i64) {
        let ends = self.ends.entry(job).or_default();
        match ends.iter_mut().rev().find(|(at, _)| *at == second) {
            Some((_, count)) => *count += 1,
            None => {
                ends.retain(|(at, _)| second - at < OVER);
                ends.push((second, 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::{EventId, InvocationId};
    use jiff::SignedDuration;

    use super::*;

    fn step(run: u64, attempt: u32, state: AttemptState, at: Timestamp) -> Step {
        let (event, job): (EventRef, JobName) = ("move.new".parse().expect("a name"), "job".parse().expect("a name"));
        let id = EventId::derived(InvocationId::derived("default", &run.to_string()), &event);
        Step { run: JobRunId::derived(id, &job), job: (event, job), attempt, state, ended: Some(at) }
    }

    #[test]
    fn runs_are_under_way_wait_or_have_ended() {
        use AttemptState::{Failed, Gathered, Retrying, Skipped, Started, Succeeded, Superseded};
        let (pace, at) = (Pace::default(), "2026-01-02T03:04:05Z".parse().expect("a time"));
        let told = [(1, Started), (2, Started), (2, Retrying), (3, Started), (3, Succeeded), (4, Started), (4, Failed)];
        pace.hear(told.map(|(run, state)| step(run, 1, state, at)).to_vec());
        pace.hear(vec![step(5, 1, Succeeded, at), step(6, 1, Skipped, at)]);
        let seen = |now: Timestamp| pace.now(now).into_values().next().unwrap_or_default();
        assert_eq!(seen(at), Seen { ended: 3, running: 1, retrying: 1, gathering: 0 });
        pace.hear(vec![step(7, 0, Gathered, at), step(8, 0, Gathered, at), step(7, 0, Superseded, at)]);
        assert_eq!(seen(at), Seen { ended: 3, running: 1, retrying: 1, gathering: 1 });
        pace.hear(vec![step(8, 0, Superseded, at)]);
        pace.hear(vec![step(2, 2, Started, at), step(2, 1, Retrying, at), step(1, 1, Succeeded, at)]);
        assert_eq!(seen(at), Seen { ended: 4, running: 1, ..Seen::default() });
        let later = at.checked_add(SignedDuration::from_secs(OVER)).expect("a time");
        assert_eq!(seen(later), Seen { running: 1, ..Seen::default() });
    }
}
