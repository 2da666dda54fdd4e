//! A job, compiled: what it runs and how, for whichever events list it.

use std::{sync::Arc, time::Duration};

use contracts::names::{EventRef, GroupName, JobName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{filling::Filling, flow::Flow, report::Location, template::Template, window::Gathering};

/// How long one attempt may take, unless the job says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many attempts, unless the job says otherwise.
pub const DEFAULT_ATTEMPTS: u32 = 5;
/// How many runs side by side, unless the job says otherwise.
pub const DEFAULT_CONCURRENCY: usize = 16;

/// In which order the records of a job run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those of one key of one event one after another.
    #[default]
    Key,
    /// Nobody waits.
    None,
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Before the second attempt.
    pub initial: Duration,
    /// How much longer each time.
    pub factor: f64,
    /// Never longer than this.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(600) }
    }
}

impl Backoff {
    /// How long to wait after this attempt, counted from 1.
    pub fn after(&self, attempt: u32) -> Duration {
        let power = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.powi(power);
        if seconds >= self.max.as_secs_f64() { self.max } else { Duration::from_secs_f64(seconds.max(0.0)) }
    }
}

/// One job: a definition shared by events, or one that an event has inline. It is one consumer group.
#[derive(Debug, Clone)]
pub struct Job {
    pub(crate) name: JobName,
    pub(crate) group: GroupName,
    pub(crate) description: Option<String>,
    pub(crate) kind: String,
    pub(crate) filling: Filling,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) concurrency: usize,
    pub(crate) order: Order,
    pub(crate) gathering: Option<Gathering>,
    pub(crate) flow: Flow,
    pub(crate) final_exit_codes: Vec<i32>,
    pub(crate) events: Vec<EventRef>,
    pub(crate) definition: Value,
    pub(crate) file: Arc<str>,
    /// The members of an event's data without which its options cannot be filled in.
    pub(crate) needs: Vec<Need>,
    /// What it publishes by name, where that is its kind.
    pub(crate) publishes: Option<Publishes>,
}

/// An event that a job publishes.
#[derive(Debug, Clone)]
pub(crate) struct Publishes {
    pub(crate) event: EventRef,
    /// Whether it may come back to an event that led to it.
    pub(crate) may_repeat: bool,
    pub(crate) place: Location,
    /// The line it is on.
    pub(crate) text: String,
}

/// A member of the data that is needed, and where.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    pub(crate) name: String,
    pub(crate) place: Location,
    /// The line it is on.
    pub(crate) text: String,
}

impl Job {
    /// Its name within an event: the definition's, or the inline `id`. What stamps carry.
    pub fn name(&self) -> &JobName {
        &self.name
    }

    /// Its consumer group.
    pub fn group(&self) -> &GroupName {
        &self.group
    }

    /// The name that commands take: the group without `job.`.
    pub fn full_name(&self) -> &str {
        self.group.full_name()
    }

    /// What it does, for people.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// What kind of job it is: `command`, `http`, `log` …
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The options of its kind, as templates.
    pub fn options(&self) -> &Template {
        &self.filling.options
    }

    /// How it is filled in for an event: its parameters, its input and its options.
    pub fn filling(&self) -> &Filling {
        &self.filling
    }

    /// How long one attempt may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many attempts there are in all.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait between attempts.
    pub fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// How long a run may take over all its attempts; none for as long as these last.
    pub fn give_up_after(&self) -> Option<Duration> {
        self.give_up_after
    }

    /// How many runs side by side.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Whether the records of one key wait for each other.
    pub fn order(&self) -> Order {
        self.order
    }

    /// How its events gather before it runs, if they do.
    pub fn gathering(&self) -> Option<&Gathering> {
        self.gathering.as_ref()
    }

    /// How its attempts are held back.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Exit codes after which another attempt makes no sense.
    pub fn final_exit_codes(&self) -> &[i32] {
        &self.final_exit_codes
    }

    /// The events it is listed on, by name.
    pub fn events(&self) -> &[EventRef] {
        &self.events
    }

    pub(crate) fn publishes(&self) -> Option<&Publishes> {
        self.publishes.as_ref()
    }

    /// The event that it publishes by name, where that is its kind.
    pub fn published(&self) -> Option<&EventRef> {
        self.publishes.as_ref().map(|publishes| &publishes.event)
    }

    /// The definition as it was written, without `id`: what travels when the job is retired.
    pub fn definition(&self) -> &Value {
        &self.definition
    }

    /// The file it is defined in.
    pub fn file(&self) -> &str {
        &self.file
    }
}
