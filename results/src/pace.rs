//! How fast jobs run and how many runs are under way, as the facts tell it that were read since the process began: in memory,
//! for whoever looks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contracts::{
    ids::JobRunId,
    names::{EventRef, GroupName, JobName},
    progress::{AttemptState, JobStep},
};
use jiff::Timestamp;
use serde::Serialize;

/// Over how many seconds a rate is counted.
pub(crate) const OVER: i64 = 60;
/// How many unfinished runs are remembered; of those beyond it nothing is counted.
const MOST: usize = 500_000;

/// A job of an event.
type Job = (EventRef, JobName);

/// A step of a run, as far as it counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    job: (EventRef, JobName),
    run: JobRunId,
    attempt: u32,
    state: AttemptState,
    ended: Option<Timestamp>,
    /// How the target fails, and when it is tried next, of a step that tells it.
    circuit: Option<(String, Timestamp)>,
}

impl Step {
    /// Of a step that was told.
    pub fn of(step: &JobStep) -> Self {
        let JobStep { event, job, run, attempt, state, ended, probe, error, .. } = step;
        let circuit = probe.map(|probe| (error.clone().unwrap_or_default(), probe));
        Self { job: (event.clone(), job.clone()), run: *run, attempt: *attempt, state: *state, ended: *ended, circuit }
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

/// A target that fails throughout, as it was told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Circuit {
    pub error: String,
    pub since: Timestamp,
    /// When it is tried next.
    pub probe: Timestamp,
    #[serde(skip)]
    told: Timestamp,
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
    circuits: HashMap<(EventRef, JobName), Circuit>,
    /// When the jobs of those names were last seen to work.
    works: HashMap<(EventRef, JobName), Timestamp>,
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

    /// The jobs whose target fails throughout, by their group.
    pub(crate) fn circuits(&self, group: impl Fn(&EventRef, &JobName) -> GroupName) -> HashMap<GroupName, Circuit> {
        let state = self.lock();
        let mut out: HashMap<GroupName, Circuit> = HashMap::new();
        for ((event, job), circuit) in &state.circuits {
            let group = group(event, job);
            if out.get(&group).is_none_or(|known| known.told < circuit.told) {
                out.insert(group, circuit.clone());
            }
        }
        for ((event, job), works) in &state.works {
            let group = group(event, job);
            if out.get(&group).is_some_and(|circuit| circuit.told < *works) {
                out.remove(&group);
            }
        }
        out
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
    fn hear(&mut self, Step { job, run, attempt, state, ended, circuit }: Step) {
        if let Some(told) = ended {
            self.circuit(&job, told, state, circuit);
        }
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

    fn circuit(&mut self, job: &Job, told: Timestamp, state: AttemptState, circuit: Option<(String, Timestamp)>) {
        if let Some((error, probe)) = circuit {
            let since = self.circuits.get(job).map_or(told, |known| known.since);
            self.circuits.insert(job.clone(), Circuit { error, since, probe, told });
        } else if state == AttemptState::Succeeded {
            self.circuits.remove(job);
            // A shared job has other events, whose runs may have told.
            if self.circuits.keys().any(|(_, name)| *name == job.1) {
                self.works.insert(job.clone(), told);
            } else if !self.works.is_empty() {
                self.works.retain(|(_, name), _| *name != job.1);
            }
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
        Step { run: JobRunId::derived(id, &job), job: (event, job), attempt, state, ended: Some(at), circuit: None }
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

    #[test]
    fn a_target_fails_throughout_until_a_run_of_any_event_of_its_job_succeeds() {
        use AttemptState::{Failed, Retrying, Succeeded};
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let after = |seconds| at.checked_add(SignedDuration::from_secs(seconds)).expect("a time");
        let group = |_: &EventRef, job: &JobName| GroupName::of_definition(job);
        let fails = |state, at, probe| Step { circuit: Some(("503".into(), probe)), ..step(1, 1, state, at) };
        let pace = Pace::default();
        pace.hear(vec![
            fails(Retrying, at, after(10)),
            step(2, 1, Failed, after(1)),
            fails(Failed, after(10), after(30)),
        ]);
        let open = pace.circuits(group).into_values().next().expect("it is open");
        assert_eq!((open.since, open.probe, open.error.as_str()), (at, after(30), "503"));
        let mut elsewhere = step(3, 1, Succeeded, after(31));
        elsewhere.job.0 = "move.other".parse().expect("a name");
        pace.hear(vec![elsewhere]);
        assert!(pace.circuits(group).is_empty());
        pace.hear(vec![fails(Retrying, after(40), after(50))]);
        assert_eq!(pace.circuits(group).len(), 1, "it fails anew");
        pace.hear(vec![step(4, 1, Succeeded, after(51))]);
        assert!(pace.circuits(group).is_empty());
    }
}
