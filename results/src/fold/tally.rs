//! Counters: what one invocation contributes, and the sum under a correlation, kept without reading the others.

use contracts::summary::{Counters, Outcome, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What one invocation contributes to its correlation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub counters: Counters,
    /// How far it has come.
    pub state: State,
    /// Whether its deadline passed while it was unfinished.
    pub overdue: bool,
    /// How many facts are known of it.
    pub facts: u64,
    /// When the first of its raw records was received.
    pub first: Timestamp,
    /// When the last of its jobs ended.
    pub ended: Option<Timestamp>,
}

/// What is known of a correlation without looking at its invocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The sum of the counters.
    pub counters: Counters,
    /// How many facts are known, those of forgotten invocations included: it never goes back.
    pub revision: u64,
    /// How many invocations are unfinished.
    pub open: u64,
    /// How many of these are beyond their deadline.
    pub overdue: u64,
    /// Of how many invocations nothing has begun.
    pub pending: u64,
    /// When the earliest invocation was received.
    pub received: Timestamp,
    /// When the last job ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How many invocations retention has deleted; they are in no other count.
    #[serde(default)]
    pub forgotten: u64,
}

macro_rules! each_counter {
    ($to:expr, $from:expr, $op:tt) => {{
        let (to, from): (&mut Counters, &Counters) = ($to, $from);
        to.invocations $op from.invocations;
        to.undetected_invocations $op from.undetected_invocations;
        to.events $op from.events;
        to.errors $op from.errors;
        to.repeated $op from.repeated;
        to.jobs $op from.jobs;
        to.pending $op from.pending;
        to.in_process $op from.in_process;
        to.succeeded $op from.succeeded;
        to.failed $op from.failed;
        to.skipped $op from.skipped;
        to.superseded $op from.superseded;
    }};
}

impl Tally {
    /// The tally of a correlation with one invocation.
    pub fn of(part: &Part) -> Self {
        let mut new = Self {
            counters: Counters::default(),
            revision: 0,
            open: 0,
            overdue: 0,
            pending: 0,
            received: part.first,
            ended: None,
            forgotten: 0,
        };
        new.add(part);
        new
    }

    /// Adds an invocation.
    pub fn add(&mut self, part: &Part) {
        each_counter!(&mut self.counters, &part.counters, +=);
        self.revision += part.facts;
        self.open += u64::from(part.is_open());
        self.overdue += u64::from(part.is_open() && part.overdue);
        self.pending += u64::from(part.state == State::Pending);
        self.received = self.received.min(part.first);
        self.ended = self.ended.max(part.ended);
    }

    /// Takes in that an invocation's part changed.
    pub fn replace(&mut self, before: &Part, after: &Part) {
        self.take(before);
        self.revision -= before.facts;
        self.add(after);
    }

    /// Forgets an invocation that retention deletes.
    pub fn forget(&mut self, part: &Part) {
        self.take(part);
        self.forgotten += 1;
    }

    fn take(&mut self, part: &Part) {
        each_counter!(&mut self.counters, &part.counters, -=);
        self.open -= u64::from(part.is_open());
        self.overdue -= u64::from(part.is_open() && part.overdue);
        self.pending -= u64::from(part.state == State::Pending);
    }

    /// Whether nothing more is expected before a deadline.
    pub fn is_complete(&self) -> bool {
        self.open == self.overdue
    }

    /// Whether the deadline completed it with something missing.
    pub fn is_incomplete(&self) -> bool {
        self.is_complete() && self.overdue > 0
    }

    /// How far it has come.
    pub fn state(&self) -> State {
        match () {
            () if self.is_complete() => State::Complete,
            () if self.pending == self.counters.invocations => State::Pending,
            () => State::InProcess,
        }
    }

    /// How it ended, once complete. What is missing at the deadline counts as a failure.
    pub fn outcome(&self) -> Option<Outcome> {
        self.is_complete().then(|| outcome(&self.counters, self.overdue > 0))
    }
}

impl Part {
    /// Whether it is unfinished.
    pub fn is_open(&self) -> bool {
        self.state != State::Complete
    }

    /// How it ended, once complete.
    pub fn outcome(&self) -> Option<Outcome> {
        (!self.is_open()).then(|| outcome(&self.counters, false))
    }
}

/// Failure if anything failed or is missing, skipped if every job was, else success.
fn outcome(counters: &Counters, missing: bool) -> Outcome {
    match counters {
        c if missing || c.errors > 0 || c.failed > 0 => Outcome::Failure,
        c if c.jobs > 0 && c.skipped == c.jobs => Outcome::Skipped,
        _ => Outcome::Success,
    }
}
