//! The state of an invocation as the API and `completed` show it.

use contracts::{
    ids::{CorrelationId, InvocationId, JobRunId},
    names::EventRef,
    progress::{AttemptState, Origin},
    raw::Place,
    rejected::ID_REUSED,
    summary::{self, Counters, Expected, Outcome, State},
};
use jiff::Timestamp;

use super::{
    Moment, Part,
    invocation::{Decision, Earlier, EventRun, Invocation, JobRun, Known, Run, Step, Verdict},
};

/// How many of the records that came under another change's id are named.
const REUSED: usize = 16;

fn state_of(job: &JobRun) -> (State, Option<Outcome>) {
    match job.step.as_ref().map(|step| step.state) {
        None | Some(AttemptState::Gathered) => (State::Pending, None),
        Some(AttemptState::Granted | AttemptState::Started | AttemptState::Interrupted | AttemptState::Retrying) => {
            (State::InProcess, None)
        }
        // What it means is known to a newer version alone: it is shown as it is, and not taken for an end.
        Some(AttemptState::Unknown(label)) => (State::Unknown(label), None),
        Some(AttemptState::Skipped) => (State::Complete, Some(Outcome::Skipped)),
        Some(AttemptState::Superseded) => (State::Complete, Some(Outcome::Superseded)),
        Some(AttemptState::Failed | AttemptState::Discarded) => (State::Complete, Some(Outcome::Failure)),
        Some(AttemptState::Succeeded) => (State::Complete, Some(Outcome::Success)),
    }
}

impl Decision {
    fn errors(&self) -> u64 {
        match &self.verdict {
            Verdict::Refused { .. } => 1,
            Verdict::Detected { failed, failed_more, .. } => failed.len() as u64 + failed_more,
        }
    }
}

impl Invocation {
    fn at(&self) -> Moment {
        match &self.known {
            Known::Waiting { at, .. } | Known::Reused { at, .. } | Known::Elsewhere { at, .. } => *at,
            Known::Run(run) => run.at,
        }
    }

    fn run(&self) -> Option<&Run> {
        match &self.known {
            Known::Run(run) => Some(run),
            Known::Waiting { .. } | Known::Reused { .. } | Known::Elsewhere { .. } => None,
        }
    }

    fn events(&self) -> &[EventRun] {
        self.run().map_or(&[], |run| &run.events)
    }

    /// What came in, as far as it is known.
    pub fn origin(&self) -> Option<&Origin> {
        match &self.known {
            Known::Waiting { origin, .. } => origin.as_ref().map(|(_, origin)| origin),
            Known::Reused { told, .. } | Known::Elsewhere { told, .. } => Some(&told.1),
            Known::Run(run) => run.decision.as_ref().map(|decision| &decision.origin),
        }
    }

    /// The events that were detected in it, by name.
    pub fn event_names(&self) -> impl Iterator<Item = &EventRef> {
        self.events().iter().map(|event| &event.event)
    }

    fn is_undetected(&self) -> bool {
        match &self.known {
            Known::Waiting { .. } => true,
            Known::Reused { .. } | Known::Elsewhere { .. } => false,
            Known::Run(run) => run.decision.is_none(),
        }
    }

    /// When the raw record that counts was received.
    pub fn received(&self) -> Timestamp {
        self.at().received
    }

    /// Where the raw record that counts stands.
    pub fn raw(&self) -> Place {
        self.at().raw
    }

    /// Whether a bound was reached, so that repeated facts may be counted twice.
    pub fn is_cut(&self) -> bool {
        self.facts.is_cut() || self.places.is_cut()
    }

    /// What it contributes to its correlation: derived, never stored.
    pub fn part(&self) -> Part {
        let mut counters =
            Counters { invocations: 1, repeated: self.places.count().saturating_sub(1), ..Counters::default() };
        counters.undetected_invocations = u64::from(self.is_undetected());
        counters.errors = match &self.known {
            Known::Reused { .. } => 1,
            Known::Waiting { .. } | Known::Elsewhere { .. } => 0,
            Known::Run(run) => run.decision.as_ref().map_or(0, Decision::errors),
        };
        for event in self.events() {
            counters.events += 1;
            for job in &event.jobs {
                counters.jobs += 1;
                match state_of(job) {
                    (State::Pending, _) => counters.pending += 1,
                    (State::InProcess | State::Unknown(_), _) => counters.in_process += 1,
                    (State::Complete, Some(Outcome::Skipped)) => counters.skipped += 1,
                    (State::Complete, Some(Outcome::Superseded)) => counters.superseded += 1,
                    (State::Complete, Some(Outcome::Failure)) => counters.failed += 1,
                    (State::Complete, _) => counters.succeeded += 1,
                }
            }
        }
        let state = match &counters {
            c if !self.is_undetected() && c.pending + c.in_process == 0 => State::Complete,
            c if c.pending == c.jobs => State::Pending,
            _ => State::InProcess,
        };
        Part { counters, state, overdue: self.overdue, facts: self.facts.count(), first: self.first, ended: self.ended }
    }

    /// What it, the state of that invocation, still waits for.
    pub fn expected(&self, of: InvocationId) -> impl Iterator<Item = Expected> + '_ {
        let detector = self.is_undetected().then_some(Expected {
            invocation: of,
            event: None,
            job: None,
            paused: None,
            waits: None,
        });
        let jobs = self.events().iter().flat_map(move |event| {
            event.jobs.iter().filter(|job| state_of(job).0 != State::Complete).map(move |job| Expected {
                invocation: of,
                event: Some(event.event.clone()),
                job: Some(job.job.clone()),
                paused: None,
                waits: None,
            })
        });
        detector.into_iter().chain(jobs)
    }

    /// That invocation of a correlation as it is shown.
    pub fn view(&self, correlation: &CorrelationId, invocation: InvocationId) -> summary::Invocation {
        let part = self.part();
        let mut out = summary::Invocation {
            invocation,
            correlation: correlation.clone(),
            state: part.state,
            outcome: part.outcome(),
            received: self.received(),
            raw: self.raw(),
            origin: self.origin().cloned(),
            catalog: None,
            repeated: part.counters.repeated,
            reused: self.reused.count(),
            reused_at: self.reused.last(REUSED).to_vec(),
            duplicate_of: None,
            rejected: None,
            events: self.events().iter().map(view_event).collect(),
            undetected: Vec::new(),
            undetected_more: 0,
            because: None,
            failed: Vec::new(),
            failed_more: 0,
        };
        match &self.known {
            Known::Waiting { .. } => {}
            Known::Reused { detail, .. } => {
                out.rejected = Some(format!("{ID_REUSED}: {detail}"));
                (out.reused, out.reused_at) = (0, Vec::new());
            }
            Known::Elsewhere { of, .. } => out.duplicate_of = Some(*of),
            Known::Run(run) => run.decision.iter().for_each(|decision| show(&decision.verdict, &mut out)),
        }
        out
    }
}

fn show(verdict: &Verdict, out: &mut summary::Invocation) {
    match verdict {
        Verdict::Refused { reason, detail } => out.rejected = Some(format!("{reason}: {detail}")),
        Verdict::Detected { catalog, undetected, undetected_more, failed, failed_more } => {
            out.catalog = Some(*catalog);
            out.undetected.clone_from(undetected);
            out.undetected_more = *undetected_more;
            out.failed.clone_from(failed);
            out.failed_more = *failed_more;
        }
    }
}

fn view_event(event: &EventRun) -> summary::Event {
    let jobs = event.jobs.iter().map(|job| view_job(event, job)).collect();
    summary::Event { id: event.id, event: event.event.clone(), jobs }
}

fn view_job(event: &EventRun, job: &JobRun) -> summary::Job {
    let (state, outcome) = state_of(job);
    let step = job.step.as_ref();
    summary::Job {
        job: job.job.clone(),
        run: JobRunId::derived(event.id, &job.job),
        state,
        outcome,
        paused: None,
        waits: None,
        attempts: step.map_or(0, |step| step.attempt),
        earlier: job.earlier.iter().map(view_attempt).collect(),
        started: step.and_then(Step::started),
        ended: step.filter(|_| outcome.is_some()).and_then(|step| step.ended),
        result: step.and_then(|step| step.result.clone()),
        error: step.and_then(|step| step.error.clone()),
        stderr: step.and_then(|step| step.stderr.clone()),
        stdout: step.and_then(|step| step.stdout.clone()),
        published: step.and_then(|step| step.published.clone()),
        of: step.and_then(|step| step.of),
        again: step.and_then(|step| step.again),
        gathered: step.and_then(|step| step.gathered),
        superseded_by: step.and_then(|step| step.superseded_by),
        dead: step.and_then(|step| step.dead),
        by: step.and_then(|step| step.by.clone()),
    }
}

fn view_attempt(past: &Earlier) -> summary::Attempt {
    let Earlier { attempt, state, error, .. } = past;
    let (started, ended) = (past.started(), past.ended());
    summary::Attempt { attempt: *attempt, state: *state, started, ended, error: error.clone() }
}
