//! What was found in one change, gathered within bounds: events, those that did not happen, and those that failed.
//!
//! A record of progress names every event with its jobs, for results wait for them; the others it counts, and names the
//! first where there is nothing else to tell.

use bus::{MAX_RECORD, Outgoing};
use catalog::Event;
use contracts::{
    ids::EventId,
    names::JobName,
    progress::{Detected, DetectedEvent, Fact, FailedEvent, Origin, Undetected},
};

use crate::{
    decide::{Decision, Input},
    measure::{self, MAX_OUTPUTS, TOO_LARGE, TooLarge},
    publish,
};

/// How many undetected events are named.
const NAMED: usize = 10;
/// How many failed events are told with their errors.
pub(crate) const FAILED: usize = 50;
/// How many failed events have a rejection of their own.
const REJECTED: usize = 100;
/// What the events and jobs in a record of progress may take, in bytes: the rest of it is bounded by the counts above.
const EVENTS: usize = MAX_RECORD - 1024 * 1024;
/// What an event or job takes beside its name.
const AROUND: usize = 80;
/// The reason of a condition that failed, which is told in `progress` alone.
pub(crate) const WHEN_FAILED: &str = "when-failed";

pub(crate) struct Found {
    pub(crate) fact: Detected,
    outputs: Vec<Outgoing>,
    /// What the outputs have, in bytes.
    bytes: usize,
    /// Whether an event had no room any more.
    is_full: bool,
    /// How many events were too large.
    too_large: usize,
    /// What the events take in progress, in bytes.
    told: usize,
    failures: Vec<Failure>,
    /// How many events failed without a rejection of their own.
    unsaid: u64,
}

struct Failure {
    reason: &'static str,
    failed: FailedEvent,
}

impl Found {
    pub(crate) fn new(origin: Origin, catalog: u64) -> Self {
        let fact = Detected {
            origin,
            catalog,
            events: vec![],
            undetected: vec![],
            undetected_more: 0,
            failed: vec![],
            failed_more: 0,
        };
        Self { fact, outputs: vec![], bytes: 0, is_full: false, too_large: 0, told: 0, failures: vec![], unsaid: 0 }
    }

    /// Whether no more data are to be made: the outputs have taken what they may take, or so many events were too large
    /// that to find it of each would take seconds.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full || self.too_large >= TOO_LARGE
    }

    pub(crate) fn undetected(&mut self, event: &Event) {
        if self.fact.undetected.len() < NAMED {
            self.fact.undetected.push(Undetected { event: event.name().clone(), because: String::new() });
        } else {
            self.fact.undetected_more += 1;
        }
    }

    /// Takes in an event that happened, unless there are too many.
    pub(crate) fn detected(&mut self, event: &Event, (id, made): (EventId, Outgoing)) -> Result<(), TooLarge> {
        let jobs = event.stamp();
        let names: usize = jobs.iter().map(|job| AROUND + JobName::as_str(job).len()).sum();
        let told = self.told + AROUND + event.topic().len() + names;
        let bytes = self.bytes + made.size();
        if told > EVENTS {
            return Err(measure::beyond_progress());
        }
        if bytes > MAX_OUTPUTS {
            self.is_full = true;
            return Err(measure::beyond_all());
        }
        (self.told, self.bytes) = (told, bytes);
        self.outputs.push(made);
        self.fact.events.push(DetectedEvent { id, event: event.name().clone(), jobs: jobs.to_vec() });
        Ok(())
    }

    pub(crate) fn failed(&mut self, event: &Event, reason: &'static str, stage: String, error: &str) {
        let failed = FailedEvent { event: event.name().clone(), stage, error: measure::detail(error) };
        if self.fact.failed.len() < FAILED {
            self.fact.failed.push(failed.clone());
        } else {
            self.fact.failed_more += 1;
        }
        if reason != WHEN_FAILED && self.failures.len() < REJECTED {
            self.failures.push(Failure { reason, failed });
        } else if reason != WHEN_FAILED {
            self.unsaid += 1;
        }
    }

    pub(crate) fn too_large(&mut self, event: &Event, TooLarge { stage, error }: TooLarge) {
        self.too_large += 1;
        self.failed(event, "too-large", stage, &error);
    }

    /// Writes what was found: the events, the rejections, and the record of progress.
    pub(crate) fn write(self, input: &Input<'_>, decision: &mut Decision) {
        let Self { mut fact, outputs, failures, unsaid, .. } = self;
        if !fact.events.is_empty() {
            fact.undetected_more += std::mem::take(&mut fact.undetected).len() as u64;
        }
        decision.counts.events = fact.events.len() as u64;
        decision.counts.failed = fact.failed.len() as u64 + fact.failed_more;
        decision.failed = fact.failed.first().cloned();
        decision.outputs.extend(outputs);
        for Failure { reason, failed } in failures {
            let detail = measure::detail(&format!("{}: {}", failed.stage, failed.error));
            decision.outputs.push(input.rejected(reason, detail, Some(failed.event)));
        }
        if unsaid > 0 {
            let detail = format!("{unsaid} more events of this change failed");
            decision.outputs.push(input.rejected("data-failed", detail, None));
        }
        decision.outputs.push(publish::progress(input.occurrence.clone(), Fact::Detected(fact)));
    }
}
