//! The tasks of a process: who they are, what happens when one fails, and in which order they end.
//!
//! A task that ends unasked is a failure, whatever it returns. On the first failure, or when the process is told to stop,
//! the phases end one after another, sources before sinks, each task within its budget. A task that fails
//! again and again makes the process unready, with what it fails of and since when.

mod keep;

use std::{error::Error, fmt, future::Future, pin::Pin, time::Duration};

use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::keep::keep_running;
use crate::{health::Health, meter::Meters};

/// What a task fails with.
pub type Fault = Box<dyn Error + Send + Sync>;

type Run = Box<dyn FnMut(CancellationToken) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>> + Send>;

/// When a task ends: earlier phases are gone before later ones are asked to go, so that what they wrote is still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What lets work in.
    Intake,
    /// What turns work into events.
    Detect,
    /// What runs jobs.
    Run,
    /// What gathers results and answers questions about them.
    Gather,
    /// What the others stand on: the bus.
    Bus,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Intake, Self::Detect, Self::Run, Self::Gather, Self::Bus];
}

/// What follows when a task fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The process ends.
    Stop,
    /// The task is started again: after `initial`, then after twice as long each time, at most `max`. One that ran longer
    /// than `max` begins with `initial` again.
    Restart {
        /// The first pause.
        initial: Duration,
        /// The longest pause.
        max: Duration,
    },
}

/// One task. It runs until its token is cancelled.
pub struct Task {
    name: &'static str,
    phase: Phase,
    on_failure: OnFailure,
    is_final: fn(&(dyn Error + 'static)) -> bool,
    budget: Duration,
    run: Run,
}

impl Task {
    /// A task that stops the process when it fails and has ten seconds to end.
    ///
    /// `run` starts it, again after a failure where [`Task::on_failure`] says so.
    pub fn new<F, E>(
        name: &'static str,
        phase: Phase,
        mut run: impl FnMut(CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Fault>,
    {
        let run: Run = Box::new(move |shutdown| {
            let running = run(shutdown);
            Box::pin(async move { running.await.map_err(Into::into) })
        });
        Self { name, phase, on_failure: OnFailure::Stop, is_final: |_| false, budget: Duration::from_secs(10), run }
    }

    /// A task that can start only once, as a service that is consumed by its run.
    pub fn once<F, E>(
        name: &'static str,
        phase: Phase,
        run: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Fault>,
    {
        let mut run = Some(run);
        Self::new(name, phase, move |shutdown| {
            let running = run.take().map(|run| run(shutdown));
            async move {
                match running {
                    Some(running) => running.await.map_err(Into::into),
                    None => Err(Fault::from("it cannot be started again")),
                }
            }
        })
    }

    /// What follows when it fails.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Which errors starting it again cannot mend: they end the process, whatever [`Task::on_failure`] says.
    #[must_use]
    pub fn final_if(mut self, is_final: fn(&(dyn Error + 'static)) -> bool) -> Self {
        self.is_final = is_final;
        self
    }

    /// How long it may take to end once it is asked to; then it is dropped where it stands.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name).field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// Why a task counts as failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// It returned an error.
    #[error("{0}")]
    Failed(#[source] Fault),
    /// It returned, and nobody had asked it to.
    #[error("it ended without being asked to")]
    Ended,
    #[error("it panicked: {0}")]
    Panicked(String),
    /// It was asked to end and did not within its budget.
    #[error("it did not end within {budget:?}{troubles}")]
    Overran {
        budget: Duration,
        /// What was wrong then.
        troubles: Troubles,
    },
}

/// What is wrong with the parts of a process, which they may have waited for.
#[derive(Debug)]
pub struct Troubles(Vec<(&'static str, String)>);

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(part, reason)| write!(f, "; {part}: {reason}"))
    }
}

/// The first task that failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{task} failed: {cause}")]
pub struct Failure {
    pub task: &'static str,
    pub cause: Cause,
}

/// The tasks of a process.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: Vec<Task>,
    health: Health,
    meters: Meters,
}

impl Supervisor {
    /// No tasks yet. Which of them fails again and again is told to `health`.
    pub fn new(health: Health) -> Self {
        Self { tasks: Vec::new(), health, meters: Meters::default() }
    }

    /// What each of its tasks costs, by name.
    pub fn meters(&self) -> Meters {
        self.meters.clone()
    }

    pub fn add(&mut self, task: Task) {
        self.tasks.push(task);
    }

    /// Runs the tasks until `stop` is cancelled or one fails, then ends them phase by phase.
    ///
    /// # Errors
    /// The first task that failed, also while ending.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Failure> {
        let mut running = Running::start(self.tasks, self.health, &self.meters);
        let failure = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            Some(failure) = running.next_failure() => Some(failure),
        };
        if let Some(failure) = &failure {
            tracing::error!(task = failure.task, error = %failure.cause, "a task failed; the process is stopping");
        }
        let while_ending = running.end().await;
        failure.or(while_ending).map_or(Ok(()), Err)
    }
}

struct Member {
    task: AbortHandle,
    name: &'static str,
    phase: Phase,
    budget: Duration,
}

struct Running {
    set: JoinSet<Result<(), Cause>>,
    members: Vec<Member>,
    tokens: Vec<(Phase, CancellationToken)>,
    health: Health,
}

impl Running {
    fn start(tasks: Vec<Task>, health: Health, meters: &Meters) -> Self {
        let tokens: Vec<_> = Phase::ALL.into_iter().map(|phase| (phase, CancellationToken::new())).collect();
        let mut set = JoinSet::new();
        let mut members = Vec::with_capacity(tasks.len());
        for task in tasks {
            let (name, phase, budget) = (task.name, task.phase, task.budget);
            let token = tokens.iter().find(|(of, _)| *of == phase).map(|(_, token)| token.clone());
            let task = set.spawn(keep_running(task, health.watch(name), meters.of(name), token.unwrap_or_default()));
            members.push(Member { task, name, phase, budget });
        }
        Self { set, members, tokens, health }
    }

    /// Waits for a task to end, which is a failure while nobody has asked it to; none if there are no tasks.
    async fn next_failure(&mut self) -> Option<Failure> {
        let ended = self.set.join_next_with_id().await?;
        let (member, result) = self.settle(ended)?;
        Some(Failure { task: member.name, cause: result.err().unwrap_or(Cause::Ended) })
    }

    fn settle(&mut self, ended: Result<(Id, Result<(), Cause>), JoinError>) -> Option<(Member, Result<(), Cause>)> {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(Cause::Panicked(error.to_string()))),
        };
        let at = self.members.iter().position(|member| member.task.id() == id)?;
        Some((self.members.swap_remove(at), result))
    }

    /// Ends every phase in turn. A failure on the way is told, and the rest still ends in order.
    async fn end(mut self) -> Option<Failure> {
        let mut first = None;
        for (phase, token) in std::mem::take(&mut self.tokens) {
            token.cancel();
            let asked = Instant::now();
            while let Some(budget) = self.members.iter().filter(|m| m.phase == phase).map(|m| m.budget).min() {
                let Ok(ended) = tokio::time::timeout_at(asked + budget, self.set.join_next_with_id()).await else {
                    self.abandon(phase, budget, &mut first);
                    continue;
                };
                let Some(ended) = ended else { break };
                // Nobody waits any more for a task that was given up.
                let Some((member, result)) = self.settle(ended) else { continue };
                // A task of a later phase that ends now does so unasked.
                let result = if member.phase > phase { result.and(Err(Cause::Ended)) } else { result };
                if let Err(cause) = result {
                    tracing::error!(task = member.name, error = %cause, "a task failed while the process was stopping");
                    first.get_or_insert(Failure { task: member.name, cause });
                }
            }
        }
        first
    }

    /// Gives up on those of a phase whose budget is spent.
    fn abandon(&mut self, phase: Phase, spent: Duration, first: &mut Option<Failure>) {
        let is_late = |member: &mut Member| member.phase == phase && member.budget <= spent;
        for Member { task, name, budget, .. } in self.members.extract_if(.., is_late) {
            let cause = Cause::Overran { budget, troubles: Troubles(self.health.troubles()) };
            tracing::error!(task = name, error = %cause, "a task is dropped, so that the process ends");
            task.abort();
            first.get_or_insert(Failure { task: name, cause });
        }
    }
}
