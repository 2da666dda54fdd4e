//! The state of one invocation under one correlation, both of which the one who keeps it knows it by.

use std::cmp::Ordering;

use contracts::{
    dead::Reason,
    ids::EventId,
    names::{EventRef, JobName},
    progress::{
        AttemptState, Detected, Duplicate, Fact, FailedEvent, Gathered, JobStep, Origin, Published, Refused, Successor,
        Undetected,
    },
    raw::Place,
    rejected::ID_REUSED,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Distinct, Line, Moment};

/// Everything that is known of an invocation under one correlation. Its JSON is what the store keeps, so the names of
/// its fields are short and only ever added to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invocation {
    #[serde(rename = "k")]
    pub(super) known: Known,
    /// Which facts were told.
    #[serde(rename = "f")]
    pub(super) facts: Distinct<u64>,
    /// Which raw records there are.
    #[serde(rename = "p")]
    pub(crate) places: Distinct<Place>,
    /// Which of them were another change under the same id.
    #[serde(rename = "u", default, skip_serializing_if = "Distinct::is_empty")]
    pub(super) reused: Distinct<Place>,
    /// When the first of them was received, whichever counts.
    #[serde(rename = "r")]
    pub(super) first: Timestamp,
    /// When the last job ended, whichever raw record it ran for.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Timestamp>,
    /// Whether its deadline passed while it was unfinished.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) overdue: bool,
}

/// What is known of the raw record that counts. A later variant outranks an earlier one; within one, the earlier moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Known {
    /// Only redeliveries, or facts of kinds that this version does not know: the detector is awaited.
    #[serde(rename = "w")]
    Waiting { at: Moment, origin: Option<(u64, Origin)> },
    /// Another change than the one that this id was first received for, under another correlation: not run.
    #[serde(rename = "u")]
    Reused { at: Moment, detail: String, told: (u64, Origin) },
    /// A duplicate of a record under another correlation: nothing runs here.
    #[serde(rename = "d")]
    Elsewhere { at: Moment, of: Place, told: (u64, Origin) },
    /// The real thing.
    #[serde(rename = "r")]
    Run(Box<Run>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<Decision>,
    /// By name, then id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<EventRun>,
}

/// What the detector decided. Of two decisions about one record (a replay) a detection outranks a refusal, then the
/// newer catalog counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Decision {
    pub(super) print: u64,
    pub(super) origin: Origin,
    pub(super) verdict: Verdict,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Verdict {
    #[serde(rename = "r")]
    Refused { reason: String, detail: String },
    #[serde(rename = "d")]
    Detected {
        catalog: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undetected: Vec<Undetected>,
        #[serde(rename = "um", default, skip_serializing_if = "is_none")]
        undetected_more: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<FailedEvent>,
        #[serde(rename = "fm", default, skip_serializing_if = "is_none")]
        failed_more: u64,
    },
}

fn is_none(more: &u64) -> bool {
    *more == 0
}

impl Decision {
    fn rank(&self) -> (Option<u64>, u64) {
        match &self.verdict {
            Verdict::Refused { .. } => (None, self.print),
            Verdict::Detected { catalog, .. } => (Some(*catalog), self.print),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventRun {
    pub(super) id: EventId,
    pub(super) event: EventRef,
    /// By name.
    pub(super) jobs: Vec<JobRun>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobRun {
    pub(super) job: JobName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<Step>,
    /// The attempts before that of the step, the last of them, in order.
    #[serde(rename = "past", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) earlier: Vec<Earlier>,
}

/// The highest step of an attempt that another one followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Earlier {
    #[serde(rename = "a")]
    pub(super) attempt: u32,
    #[serde(rename = "s")]
    pub(super) state: AttemptState,
    #[serde(rename = "p")]
    print: u64,
    #[serde(rename = "b")]
    started: Timestamp,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// How many attempts before the last one are kept of a run, and how much of the error of each, in characters.
const EARLIER: usize = 16;
const ERROR: usize = 500;

/// When an attempt started: whoever tells that its process ended under it knows only when that was noticed.
fn start(state: AttemptState, begun: Option<Timestamp>, started: Timestamp) -> Option<Timestamp> {
    use AttemptState::{Gathered, Granted, Interrupted, Superseded};
    begun.or_else(|| (!matches!(state, Gathered | Granted | Interrupted | Superseded)).then_some(started))
}

impl Earlier {
    pub(super) fn started(&self) -> Option<Timestamp> {
        start(self.state, self.begun, self.started)
    }

    /// None where its process ended under it.
    pub(super) fn ended(&self) -> Option<Timestamp> {
        self.ended.filter(|_| self.state != AttemptState::Interrupted)
    }
}

impl Step {
    pub(super) fn started(&self) -> Option<Timestamp> {
        start(self.state, self.begun, self.started)
    }
}

/// The highest step of a run that was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) print: u64,
    pub(super) attempt: u32,
    pub(super) state: AttemptState,
    /// As this step tells it.
    started: Timestamp,
    /// When the attempt was told to start, the last time: one that a shutdown cut off starts again under its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stderr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stdout: Option<String>,
    #[serde(rename = "pub", default, skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Published>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) again: Option<Timestamp>,
    #[serde(rename = "win", default, skip_serializing_if = "Option::is_none")]
    pub(super) gathered: Option<Gathered>,
    #[serde(rename = "sup", default, skip_serializing_if = "Option::is_none")]
    pub(super) superseded_by: Option<Successor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
}

impl Invocation {
    /// The state after the first fact of an invocation.
    pub fn first(line: Line) -> Self {
        let occurrence = &line.progress.occurrence;
        let at = Moment::from(occurrence);
        let mut new = Self {
            known: Known::Waiting { at, origin: None },
            facts: Distinct::default(),
            places: Distinct::default(),
            reused: Distinct::default(),
            first: at.received,
            ended: None,
            overdue: false,
        };
        new.apply(line);
        new
    }

    /// Takes in a fact of this invocation and correlation; answers whether it was not known before.
    pub fn apply(&mut self, line: Line) -> bool {
        let Line { progress, print } = line;
        if !self.facts.add(print) {
            return false;
        }
        let at = Moment::from(&progress.occurrence);
        self.first = self.first.min(at.received);
        // What is awaited has a record, and nobody knows where yet: the place is that of what caused it.
        if !matches!(progress.fact, Fact::Awaited(_)) {
            self.places.add(at.raw);
        }
        match progress.fact {
            Fact::Awaited(_) | Fact::Unknown(..) => self.waits(at, None),
            Fact::Duplicate(duplicate) if duplicate.elsewhere => self.is_elsewhere(at, print, duplicate),
            Fact::Duplicate(duplicate) => {
                // Under the same correlation, the record that it repeats is one of this invocation's.
                self.places.add(duplicate.of);
                if duplicate.reused {
                    self.reused.add(at.raw);
                }
                self.waits(at, Some((print, duplicate.origin)));
            }
            Fact::Refused(refused) if refused.reason == ID_REUSED => self.is_reused(at, print, refused),
            Fact::Refused(refused) => self.with_run(at, |run| run.refused(print, refused)),
            Fact::Detected(detected) => self.with_run(at, |run| run.detected(print, detected)),
            Fact::Job(step) => {
                self.ended = self.ended.max(step.ended);
                self.with_run(at, |run| run.stepped(print, step));
            }
        }
        true
    }

    /// Marks that the deadline passed while it was unfinished.
    pub fn expire(&mut self) {
        self.overdue = true;
    }

    fn waits(&mut self, at: Moment, from: Option<(u64, Origin)>) {
        let Known::Waiting { at: have, origin } = &mut self.known else { return };
        if at < *have {
            (*have, *origin) = (at, from);
        } else if at == *have && from.as_ref().map(|from| from.0) > origin.as_ref().map(|have| have.0) {
            *origin = from;
        }
    }

    fn is_reused(&mut self, at: Moment, print: u64, refused: Refused) {
        self.reused.add(at.raw);
        let counts = match &self.known {
            Known::Waiting { .. } => true,
            Known::Reused { at: have, told, .. } => (at, told.0) < (*have, print),
            Known::Elsewhere { .. } | Known::Run(_) => false,
        };
        if counts {
            self.known = Known::Reused { at, detail: refused.detail, told: (print, refused.origin) };
        }
    }

    fn is_elsewhere(&mut self, at: Moment, print: u64, duplicate: Duplicate) {
        let counts = match &self.known {
            Known::Waiting { .. } | Known::Reused { .. } => true,
            Known::Elsewhere { at: have, told, .. } => at < *have || at == *have && print > told.0,
            Known::Run(_) => false,
        };
        if counts {
            self.known = Known::Elsewhere { at, of: duplicate.of, told: (print, duplicate.origin) };
        }
    }

    /// Changes what is known of a processed record, if it is the earliest one.
    fn with_run(&mut self, at: Moment, change: impl FnOnce(&mut Run)) {
        match &mut self.known {
            Known::Run(run) if run.at < at => {}
            Known::Run(run) if run.at == at => change(run),
            known => {
                let mut run = Box::new(Run { at, decision: None, events: Vec::new() });
                change(&mut run);
                *known = Known::Run(run);
            }
        }
    }
}

impl Run {
    fn decided(&mut self, decision: Decision) {
        if self.decision.as_ref().is_none_or(|have| have.rank() < decision.rank()) {
            self.decision = Some(decision);
        }
    }

    fn refused(&mut self, print: u64, refused: Refused) {
        let Refused { origin, reason, detail } = refused;
        self.decided(Decision { print, origin, verdict: Verdict::Refused { reason, detail } });
    }

    fn detected(&mut self, print: u64, detected: Detected) {
        let Detected { origin, catalog, events, undetected, undetected_more, failed, failed_more } = detected;
        for event in events {
            let have = self.event(event.id, event.event);
            for job in event.jobs {
                have.job(job);
            }
        }
        let verdict = Verdict::Detected { catalog, undetected, undetected_more, failed, failed_more };
        self.decided(Decision { print, origin, verdict });
    }

    fn stepped(&mut self, print: u64, step: JobStep) {
        let JobStep { event_id, event, job, run: _, attempt, state, started, .. } = step;
        let job = self.event(event_id, event).job(job);
        let begun = (state == AttemptState::Started).then_some(started);
        let JobStep { ended, result, error, stderr, stdout, published, of, again, dead, by, .. } = step;
        let JobStep { gathered, superseded_by, .. } = step;
        job.told(Step {
            print,
            attempt,
            state,
            started,
            begun,
            ended,
            result,
            error,
            stderr,
            stdout,
            published,
            of,
            again,
            gathered,
            superseded_by,
            dead,
            by,
        });
    }

    fn event(&mut self, id: EventId, event: EventRef) -> &mut EventRun {
        let place = match self.events.binary_search_by(|have| (&have.event, have.id).cmp(&(&event, id))) {
            Ok(place) => place,
            Err(place) => {
                self.events.insert(place, EventRun { id, event, jobs: Vec::new() });
                place
            }
        };
        &mut self.events[place]
    }
}

impl EventRun {
    fn job(&mut self, job: JobName) -> &mut JobRun {
        let place = match self.jobs.binary_search_by(|have| have.job.cmp(&job)) {
            Ok(place) => place,
            Err(place) => {
                self.jobs.insert(place, JobRun { job, step: None, earlier: Vec::new() });
                place
            }
        };
        &mut self.jobs[place]
    }
}

impl JobRun {
    /// Takes in a step: the highest counts, and of each attempt before it the highest is kept.
    fn told(&mut self, step: Step) {
        let Some(have) = &mut self.step else {
            self.step = Some(step);
            return;
        };
        match step.attempt.cmp(&have.attempt) {
            Ordering::Less => self.passed(step),
            Ordering::Equal => {
                let begun = have.begun.max(step.begun);
                if (have.state, have.print) < (step.state, step.print) {
                    *have = step;
                }
                have.begun = begun;
            }
            Ordering::Greater => {
                let lower = std::mem::replace(have, step);
                self.passed(lower);
            }
        }
    }

    fn passed(&mut self, step: Step) {
        // That it waited for the end of its window is no attempt.
        if step.attempt == 0 {
            return;
        }
        let Step { print, attempt, state, started, begun, ended, error, .. } = step;
        let error = error.map(|error| error.chars().take(ERROR).collect());
        let past = Earlier { attempt, state, print, started, begun, ended, error };
        match self.earlier.binary_search_by_key(&attempt, |have| have.attempt) {
            Ok(place) => {
                let have = &mut self.earlier[place];
                let begun = have.begun.max(past.begun);
                if (have.state, have.print) < (state, print) {
                    *have = past;
                }
                have.begun = begun;
            }
            Err(place) => {
                self.earlier.insert(place, past);
                let excess = self.earlier.len().saturating_sub(EARLIER);
                self.earlier.drain(..excess);
            }
        }
    }
}
