//! What is known of jobs beside what became of their runs: the catalog that counts, and what an operator has said. This stage
//! knows no catalogs: whoever wires it does.

use std::{collections::HashMap, fmt, sync::Arc};

use contracts::{
    control::{Said, Standing},
    names::{EventRef, GroupName, JobName},
    outcomes::BoxFuture,
    summary::{self, Held, Invocation, State, Summary, Waits},
};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::pace::{Circuit, Pace};

/// A job of the catalog that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its group, which knows its full name.
    pub group: GroupName,
    /// Its name in stamps, which is its short name.
    pub name: JobName,
    /// The events that list it.
    pub events: Vec<EventRef>,
    /// Whether it has left the catalog.
    pub retired: bool,
}

/// Who knows jobs.
pub trait Jobs: Send + Sync {
    /// The number of the catalog that counts here; none until there is one.
    fn catalog(&self) -> Option<u64>;

    /// Its jobs, by group, those included that have left it and are still run.
    fn all(&self) -> Vec<Job>;

    /// The group of a job that is stamped on an event.
    fn group(&self, event: &EventRef, job: &JobName) -> GroupName;

    /// How many attempts of a job begin in a time, as it is written; none for as many as come.
    fn rate(&self, _group: &GroupName) -> Option<String> {
        None
    }

    /// What an operator has said; none until all of it is known.
    fn said(&self) -> watch::Receiver<Option<Arc<Standing>>>;

    /// The versions of the catalog that are kept and had a job, in order.
    fn versions_with<'a>(&'a self, group: &'a GroupName) -> BoxFuture<'a, Result<Vec<u64>, bus::Error>>;
}

/// Whom to ask about jobs, if anybody knows.
#[derive(Clone, Default)]
pub(crate) struct Knows(pub(crate) Option<Arc<dyn Jobs>>);

impl fmt::Debug for Knows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Knows" } else { "knows no jobs" })
    }
}

impl Knows {
    /// Says of the runs that could begin, or wait for another attempt, what holds their job back.
    pub(crate) fn say_held(&self, pace: &Pace, summary: &mut Summary) {
        let Some(holds) = self.holds(pace).filter(|_| summary.state != State::Complete) else { return };
        for expected in &mut summary.expected {
            if let (Some(event), Some(job)) = (&expected.event, &expected.job) {
                let group = holds.jobs.group(event, job);
                expected.paused = holds.said(&group);
                expected.waits = holds.circuit(&group).filter(|_| expected.paused.is_none());
            }
        }
        summary.invocations.iter_mut().for_each(|invocation| holds.say(invocation));
    }

    /// The same of one invocation.
    pub(crate) fn say_held_of(&self, pace: &Pace, invocation: &mut Invocation) {
        if let Some(holds) = self.holds(pace) {
            holds.say(invocation);
        }
    }

    /// What holds jobs back.
    fn holds(&self, pace: &Pace) -> Option<Holds<'_>> {
        let jobs = self.0.as_ref()?;
        let standing = jobs.said().borrow().clone()?;
        let circuits = pace.circuits(|event, job| jobs.group(event, job));
        Some(Holds { jobs, standing, circuits, now: Timestamp::now() })
    }
}

struct Holds<'k> {
    jobs: &'k Arc<dyn Jobs>,
    standing: Arc<Standing>,
    circuits: HashMap<GroupName, Circuit>,
    now: Timestamp,
}

impl Holds<'_> {
    fn said(&self, group: &GroupName) -> Option<Said> {
        self.standing.hold_of(group).map(|hold| hold.said.clone())
    }

    fn circuit(&self, group: &GroupName) -> Option<Waits> {
        let Circuit { error, probe, .. } = self.circuits.get(group)?;
        Some(Waits { held: Held::Circuit, because: error.clone(), until: Some(*probe) })
    }

    fn rate(&self, group: &GroupName) -> Option<Waits> {
        Some(Waits { held: Held::Rate, because: self.jobs.rate(group)?, until: None })
    }

    fn say(&self, invocation: &mut Invocation) {
        for event in invocation.events.iter_mut().filter(|_| invocation.state != State::Complete) {
            // What runs goes on.
            let waits = |job: &&mut summary::Job| {
                job.state == State::Pending
                    || job.state == State::InProcess && (job.again.is_some() || job.by.is_some())
            };
            for job in event.jobs.iter_mut().filter(waits) {
                let group = self.jobs.group(&event.event, &job.job);
                job.paused = self.said(&group);
                // What waits for its time could not begin yet.
                let is_due = job.again.is_none_or(|again| again <= self.now);
                if job.paused.is_none() && is_due {
                    job.waits = self.circuit(&group).or_else(|| self.rate(&group));
                }
            }
        }
    }
}
