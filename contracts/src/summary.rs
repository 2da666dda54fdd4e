//! What happened under one correlation id, as the API answers it and as `completed` carries it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Label,
    control::Said,
    dead::Reason,
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    names::{EventRef, JobName},
    progress::{AttemptState, FailedEvent, Gathered, Origin, Published, Successor, Undetected, is_none_left},
    raw::Place,
    rejected::ID_REUSED,
};

/// The version of the summaries written here.
pub const VERSION: u32 = 1;

/// How far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Known, and nothing of it has begun.
    Pending,
    /// Begun, and not all of it has ended.
    InProcess,
    /// Nothing more is expected.
    Complete,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Everything succeeded.
    Success,
    /// Something failed.
    Failure,
    /// Passed over by an order.
    Skipped,
    /// A later event of its window took its place: nothing was to be done for this one.
    Superseded,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

/// What a run waits for that could begin, where its job is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// What holds it back.
    pub held: Held,
    /// How, in a few words: the rate as it is written, or why the circuit is open.
    pub because: String,
    /// When the target is tried again, where the circuit is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What holds back a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// It begins no more attempts than its rate.
    Rate,
    /// Its target fails throughout, and is tried from time to time.
    Circuit,
    /// Something that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

/// One job run of one event.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job.
    pub job: JobName,
    /// The run, which is also its idempotency key.
    pub run: JobRunId,
    /// How far it has come.
    pub state: State,
    /// How it ended, once complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Who paused the job, where the run waits for that to end: said to whoever asks, and not in `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Said>,
    /// What holds the job back, where the run could begin but for that: said to whoever asks, and not in `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// How many attempts have started.
    pub attempts: u32,
    /// Those before the latest, the last of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
    /// When the latest attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What the job answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub result: Option<Box<RawValue>>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The end of what the job wrote to stderr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// The end of what a job that failed wrote to stdout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What it published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// How many attempts the run has in all, where one has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// When the next attempt is due, of a run that waits for it, or when the window of its event ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
    /// The window that its event waits in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered: Option<Gathered>,
    /// What took its place, where it was superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<Successor>,
    /// Why no further attempt follows, of a run whose event is among the job's dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Reason>,
    /// Who ordered what the latest step did, if that was an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// An attempt of a run that another one followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Where it stood last.
    pub state: AttemptState,
    /// When it started; none if that was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended; none if its process ended under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One event of an invocation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// Name and version.
    pub event: EventRef,
    /// Its job runs, by name.
    pub jobs: Vec<Job>,
}

/// One invocation of a correlation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// The invocation's id.
    pub invocation: InvocationId,
    /// The correlation it belongs to.
    pub correlation: CorrelationId,
    /// How far it has come.
    pub state: State,
    /// How it ended, once complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When its earliest occurrence was received.
    pub received: Timestamp,
    /// The raw record of that occurrence, where the payload can be read.
    pub raw: Place,
    /// What came in; unknown until the detector has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The number of the catalog that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<u64>,
    /// How many further occurrences there were.
    #[serde(default)]
    pub repeated: u64,
    /// How many of them were another change under the same id, and so were not looked at.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub reused: u64,
    /// The raw records of those, the last of them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reused_at: Vec<Place>,
    /// The record that this one repeats under another correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<Place>,
    /// Why nothing will run for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Its events, by name.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Events of the change's table that were not detected; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undetected: Vec<Undetected>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub undetected_more: u64,
    /// Why nothing was even looked at, or why no reasons are given, in a sentence: made for whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Events that failed; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedEvent>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub failed_more: u64,
}

impl Invocation {
    /// Whether what stands at that place of `raw` came under an id that had been another's, and so did not run; without a place,
    /// whether anything did.
    pub fn reuses(&self, raw: Option<Place>) -> bool {
        let is_among = match (raw, self.reused_at.first()) {
            // Of many the last are named.
            (Some(raw), Some(first)) => {
                self.reused_at.contains(&raw) || (raw < *first && self.reused > self.reused_at.len() as u64)
            }
            _ => self.reused > 0,
        };
        is_among || self.rejected.as_deref().is_some_and(|why| why.starts_with(ID_REUSED))
    }
}

/// How much there is under a correlation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// Invocations.
    pub invocations: u64,
    /// Invocations that the detector has not told about yet.
    pub undetected_invocations: u64,
    /// Events detected.
    pub events: u64,
    /// Events that failed, and invocations that were refused.
    pub errors: u64,
    /// Occurrences beyond the first.
    pub repeated: u64,
    /// Job runs stamped.
    pub jobs: u64,
    /// Job runs of which nothing has begun.
    pub pending: u64,
    /// Job runs under way.
    pub in_process: u64,
    /// Job runs that succeeded.
    pub succeeded: u64,
    /// Job runs that failed.
    pub failed: u64,
    /// Job runs that were passed over.
    pub skipped: u64,
    /// Job runs of events that a later one of their window took the place of.
    #[serde(skip_serializing_if = "is_none_left")]
    pub superseded: u64,
}

/// Something that a correlation still waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// The invocation.
    pub invocation: InvocationId,
    /// The event, unless the detector itself is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
    /// The job, unless the detector itself is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// Who paused the job, where it waits for that to end: said to whoever asks, and not in `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Said>,
    /// What holds the job back, where it waits for that: said to whoever asks, and not in `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
}

impl Summary {
    /// What is known of an invocation that was just sent: it is durable, and the detector is awaited.
    pub fn sent(correlation: CorrelationId, invocation: InvocationId, received: Timestamp) -> Self {
        Self {
            v: VERSION,
            correlation,
            state: State::Pending,
            outcome: None,
            incomplete: false,
            revision: 0,
            received,
            ended: None,
            counters: Counters { invocations: 1, undetected_invocations: 1, ..Counters::default() },
            expected: vec![Expected { invocation, event: None, job: None, paused: None, waits: None }],
            invocations: Vec::new(),
            next: None,
        }
    }

    /// The same while an invocation is awaited of which nothing is known here: then it is not complete.
    pub fn awaits(&mut self, invocation: InvocationId) {
        (self.state, self.outcome, self.ended, self.incomplete) = (State::InProcess, None, None, false);
        self.expected.push(Expected { invocation, event: None, job: None, paused: None, waits: None });
    }
}

/// What happened under one correlation id. Counters are exact; the lists are a page.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// [`VERSION`].
    pub v: u32,
    /// The correlation.
    pub correlation: CorrelationId,
    /// How far it has come.
    pub state: State,
    /// How it ended, once complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Whether the deadline completed it with something missing.
    #[serde(default)]
    pub incomplete: bool,
    /// The number of facts known: a later summary has a higher one.
    pub revision: u64,
    /// When the earliest invocation was received.
    pub received: Timestamp,
    /// When the last job ended, once complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How much there is.
    pub counters: Counters,
    /// What is still expected; the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<Expected>,
    /// The invocations, oldest first.
    pub invocations: Vec<Invocation>,
    /// The cursor of the next page of invocations, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_a_newer_writer_is_read_and_kept() {
        let job = r#"{"job":"j","run":"710923ea-91e1-5411-9ca1-9f0325876604","state":"deadLettered","outcome":"parked","attempts":2}"#;
        let read: Job = serde_json::from_str(job).expect("a newer job");
        assert_eq!(read.state, State::Unknown(Label::new("deadLettered")));
        assert_eq!(serde_json::to_string(&read).expect("JSON"), job);
        let counters: Counters = serde_json::from_str(r#"{"jobs":1,"deadLettered":1}"#).expect("newer counters");
        assert_eq!(counters.jobs, 1);
    }
}
