//! What is known of jobs beside what became of their runs: the catalog that counts, and what an operator has said. This stage
//! knows no catalogs: whoever wires it does.

use std::{fmt, sync::Arc};

use contracts::{
    control::{Said, Standing},
    names::{EventRef, GroupName, JobName},
    outcomes::BoxFuture,
    summary::{self, Invocation, State, Summary},
};
use tokio::sync::watch;

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
    /// Says of the runs that have not begun, or wait for another attempt, which of them wait for a paused job.
    pub(crate) fn say_paused(&self, summary: &mut Summary) {
        let Some(holds) = self.holds() else { return };
        for expected in &mut summary.expected {
            if let (Some(event), Some(job)) = (&expected.event, &expected.job) {
                expected.paused = holds.said(event, job);
            }
        }
        summary.invocations.iter_mut().for_each(|invocation| holds.say(invocation));
    }

    /// The same of one invocation.
    pub(crate) fn say_paused_of(&self, invocation: &mut Invocation) {
        if let Some(holds) = self.holds() {
            holds.say(invocation);
        }
    }

    /// Which jobs are paused, if any are.
    fn holds(&self) -> Option<Holds<'_>> {
        let jobs = self.0.as_ref()?;
        let standing = jobs.said().borrow().clone()?;
        standing.held().next()?;
        Some(Holds { jobs, standing })
    }
}

struct Holds<'k> {
    jobs: &'k Arc<dyn Jobs>,
    standing: Arc<Standing>,
}

impl Holds<'_> {
    fn said(&self, event: &EventRef, job: &JobName) -> Option<Said> {
        self.standing.hold_of(&self.jobs.group(event, job)).map(|hold| hold.said.clone())
    }

    fn say(&self, invocation: &mut Invocation) {
        for event in invocation.events.iter_mut().filter(|_| invocation.state != State::Complete) {
            // What runs goes on.
            let waits = |job: &&mut summary::Job| {
                job.state == State::Pending
                    || job.state == State::InProcess && (job.again.is_some() || job.by.is_some())
            };
            for job in event.jobs.iter_mut().filter(waits) {
                job.paused = self.said(&event.event, &job.job);
            }
        }
    }
}
