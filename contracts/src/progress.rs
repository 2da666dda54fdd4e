//! Progress: what the stages tell about invocations, events and job runs, keyed by correlation id.
//!
//! A record holds facts, one on each line: all that one commit has for its partition. Every fact names the occurrence it
//! is about (the raw record and the time it was received), so that whoever gathers them gets the same answer in whatever
//! order, and however often, they arrive. A fact is `{v, kind, occurrence, body}`; a kind that a reader does not know is
//! kept as it is.

use std::cmp::Ordering;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Label,
    dead::Reason,
    hasura::Op,
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    names::{EventRef, JobName},
    raw::{Kind, Place},
};

/// The version of the facts written here.
pub const VERSION: u32 = 1;

/// One raw record of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// The invocation.
    pub invocation: InvocationId,
    /// The correlation it belongs to.
    pub correlation: CorrelationId,
    /// The raw record.
    pub raw: Place,
    /// When it was received.
    pub received: Timestamp,
}

/// What is known of a raw record before anything is detected in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// What the body is.
    pub body: Kind,
    /// The source's name.
    pub source: String,
    /// `schema.table`, for a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The row's key columns, joined by `|`, as they stand in the raw record's key; none where the whole table is one key, or the
    /// key is longer than anybody types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What happened to the row, for a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<Op>,
    /// The trigger's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Who made the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How many cascades led here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// A correlation that is only related.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related_to: Option<CorrelationId>,
    /// The event that was published by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
    /// The job run that published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<JobRunId>,
}

fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

pub(crate) fn is_none_left(more: &u64) -> bool {
    *more == 0
}

/// An event that was detected, with the jobs that will run for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectedEvent {
    /// The event's id.
    pub id: EventId,
    /// Name and version.
    pub event: EventRef,
    /// The stamp.
    pub jobs: Vec<JobName>,
}

/// An event of the change's table that was not detected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undetected {
    /// Name and version.
    pub event: EventRef,
    /// Why, in a sentence: made for whoever asks, never while deciding, so that most often there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// An event whose condition or data failed: an error of that event alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedEvent {
    /// Name and version.
    pub event: EventRef,
    /// `when`, `data`, `schema`, `key`, the header that is too large, or `publish` where the bus refused it for good.
    pub stage: String,
    /// What went wrong.
    pub error: String,
}

/// The detector has decided about an occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detected {
    /// What came in.
    pub origin: Origin,
    /// The number of the catalog that decided.
    pub catalog: u64,
    /// What was detected.
    pub events: Vec<DetectedEvent>,
    /// Events of the change's table that were not detected: where none was, the first of them, without a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undetected: Vec<Undetected>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub undetected_more: u64,
    /// Events that failed; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedEvent>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub failed_more: u64,
}

/// The occurrence is a duplicate within the window: recorded, not run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Duplicate {
    /// What came in.
    pub origin: Origin,
    /// The record it repeats.
    pub of: Place,
    /// Whether it came under another correlation than the first, where it completes at once.
    pub elsewhere: bool,
    /// Whether it is another change under an id that was used before: a mistake of its sender's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
}

/// The occurrence was refused after it had been accepted: nothing will run for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// What came in.
    pub origin: Origin,
    /// A label, as in `rejected`.
    pub reason: String,
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// Where an attempt of a job run stands. The order is the rank within one attempt; one that is not known is the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AttemptState {
    /// None has begun: its event waits for the end of its window.
    Gathered,
    /// An order granted it, and it has not begun.
    Granted,
    /// It is about to run: known in the log before it runs.
    Started,
    /// Its process died before it ended; a further attempt follows.
    Interrupted,
    /// It failed, and a further attempt follows.
    Retrying,
    /// Passed over by an order.
    Skipped,
    /// None will begin: a later event of its window took its place.
    Superseded,
    /// It failed, and the run with it.
    Failed,
    /// It failed, and its dead letter was put away by an order.
    Discarded,
    /// It succeeded, and the run with it.
    Succeeded,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

impl AttemptState {
    fn rank(self) -> (u8, Option<Label>) {
        match self {
            Self::Unknown(label) => (0, Some(label)),
            Self::Gathered => (1, None),
            Self::Granted => (2, None),
            Self::Started => (3, None),
            Self::Interrupted => (4, None),
            Self::Retrying => (5, None),
            Self::Skipped => (6, None),
            Self::Superseded => (7, None),
            Self::Failed => (8, None),
            Self::Discarded => (9, None),
            Self::Succeeded => (10, None),
        }
    }
}

impl Ord for AttemptState {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for AttemptState {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One step of a job run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStep {
    /// The event it runs for.
    pub event_id: EventId,
    /// Name and version of that event.
    pub event: EventRef,
    /// The job.
    pub job: JobName,
    /// The run: also the idempotency key of each attempt.
    pub run: JobRunId,
    /// The attempt, from 1; 0 of a run of which none has begun.
    pub attempt: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// When this attempt started; of one whose process ended under it, when that was noticed.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What the job answered, on success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub result: Option<Box<RawValue>>,
    /// What went wrong, otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The end of what the job wrote to stderr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// The end of what a job that failed wrote to stdout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What it published, in the commit that tells this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// How many attempts the run has in all, as far as that is known; told of one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// When the next attempt is due, or the window of its event ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
    /// The window that its event waits in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered: Option<Gathered>,
    /// What took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<Successor>,
    /// Why no further attempt follows: the event is among the job's dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Reason>,
    /// Who ordered it, of what an order did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the job's target is tried next, which has failed throughout, this attempt included: until then none begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Timestamp>,
}

/// How far a window had come with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gathered {
    /// When its first event came.
    pub since: Timestamp,
    /// How many have come, with this one.
    pub events: u32,
}

/// The later event of a window, and its run, that took the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Successor {
    /// The event.
    pub event_id: EventId,
    /// Its run.
    pub run: JobRunId,
}

/// An event that a job run published by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Name and version.
    pub event: EventRef,
    /// The invocation that this is.
    pub invocation: InvocationId,
}

/// The occurrence's invocation is on its way to the detector: told in the commit that writes its raw record, so that its
/// correlation is not complete before it is decided. That record's place is not known then: the occurrence has the place of
/// what caused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// The event that is published.
    pub event: EventRef,
    /// The job run that publishes it.
    pub cause: JobRunId,
}

/// What a progress record says.
#[derive(Debug, Clone)]
pub enum Fact {
    /// See [`Detected`].
    Detected(Detected),
    /// See [`Duplicate`].
    Duplicate(Duplicate),
    /// See [`Refused`].
    Refused(Refused),
    /// See [`JobStep`].
    Job(JobStep),
    /// See [`Awaited`].
    Awaited(Awaited),
    /// A kind that this version does not know, with its body.
    Unknown(String, Box<RawValue>),
}

/// A fact about an occurrence: one line of a progress record.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What it is about.
    pub occurrence: Occurrence,
    /// What it says.
    pub fact: Fact,
}

/// The fact on the wire. Two steps (kind, then body) because neither `flatten` nor tagged enums keep a number's digits.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Wire<B> {
    v: u32,
    kind: String,
    occurrence: Occurrence,
    body: B,
}

/// A line of a progress record cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("no progress of Herald: {0}")]
pub struct ProgressError(#[from] serde_json::Error);

impl Progress {
    /// The line as it travels, without an end.
    pub fn encode(&self) -> Vec<u8> {
        let written = match &self.fact {
            Fact::Detected(body) => self.wire("detected", body),
            Fact::Duplicate(body) => self.wire("duplicate", body),
            Fact::Refused(body) => self.wire("refused", body),
            Fact::Job(body) => self.wire("job", body),
            Fact::Awaited(body) => self.wire("awaited", body),
            Fact::Unknown(kind, body) => self.wire(kind, body),
        };
        written.expect("invariant: every part of a progress record is plain data with string keys")
    }

    fn wire<B: Serialize>(&self, kind: &str, body: &B) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(Serialize)]
        struct Out<'a, B> {
            v: u32,
            kind: &'a str,
            occurrence: &'a Occurrence,
            body: &'a B,
        }
        let mut out = Vec::with_capacity(1024);
        serde_json::to_writer(&mut out, &Out { v: VERSION, kind, occurrence: &self.occurrence, body })?;
        // A result is as its job wrote it: an end of a line in it is white space, for in a string it is escaped.
        out.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        Ok(out)
    }

    /// Reads a line of a record of the topic `progress`.
    ///
    /// # Errors
    /// It is none of Herald's, or the body of a known kind is malformed.
    pub fn decode(value: &[u8]) -> Result<Self, ProgressError> {
        let wire: Wire<Box<RawValue>> = serde_json::from_slice(value)?;
        let body = wire.body.get();
        let fact = match wire.kind.as_str() {
            "detected" => Fact::Detected(serde_json::from_str(body)?),
            "duplicate" => Fact::Duplicate(serde_json::from_str(body)?),
            "refused" => Fact::Refused(serde_json::from_str(body)?),
            "job" => Fact::Job(serde_json::from_str(body)?),
            "awaited" => Fact::Awaited(serde_json::from_str(body)?),
            _ => Fact::Unknown(wire.kind, wire.body),
        };
        Ok(Self { occurrence: wire.occurrence, fact })
    }
}

/// The lines of a record of the topic `progress`, each for [`Progress::decode`].
pub fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence() -> Occurrence {
        Occurrence {
            invocation: InvocationId::derived("default", "1"),
            correlation: "order-7".parse().expect("an id"),
            raw: Place { partition: 1, offset: 9 },
            received: "2026-01-02T03:04:05.678901Z".parse().expect("a time"),
        }
    }

    fn golden() -> Vec<Progress> {
        let occurrence = occurrence();
        let event: EventRef = "move.new".parse().expect("a name");
        let id = EventId::derived(occurrence.invocation, &event);
        let job: JobName = "job-1".parse().expect("a name");
        let (run, other): (_, EventRef) = (JobRunId::derived(id, &job), "move.done".parse().expect("a name"));
        let origin = Origin {
            body: Kind::Hasura,
            source: "default".into(),
            table: Some("public.moves".into()),
            key: None,
            op: Some(Op::Update),
            trigger: Some("moves".into()),
            user: None,
            depth: 0,
            related_to: None,
            event: None,
            cause: None,
        };
        let facts = vec![
            Fact::Detected(Detected {
                origin: origin.clone(),
                catalog: 3,
                events: vec![DetectedEvent { id, event: event.clone(), jobs: vec![job.clone()] }],
                undetected: vec![Undetected { event: event.clone(), because: String::new() }],
                undetected_more: 3,
                failed: vec![FailedEvent { event: event.clone(), stage: "data".into(), error: "no `x`".into() }],
                failed_more: 0,
            }),
            Fact::Duplicate(Duplicate {
                origin: origin.clone(),
                of: Place { partition: 1, offset: 3 },
                elsewhere: true,
                reused: false,
            }),
            Fact::Refused(Refused { origin, reason: "depth".into(), detail: "17 cascades deep".into() }),
            Fact::Job(JobStep {
                event_id: id,
                run,
                event,
                job,
                attempt: 1,
                state: AttemptState::Succeeded,
                started: occurrence.received,
                ended: Some(occurrence.received),
                result: Some(RawValue::from_string(r#"{"price":1.10}"#.into()).expect("JSON")),
                error: None,
                stderr: None,
                stdout: None,
                published: Some(Published { event: other.clone(), invocation: occurrence.invocation }),
                of: None,
                again: None,
                gathered: None,
                superseded_by: None,
                dead: None,
                by: None,
                probe: None,
            }),
            Fact::Awaited(Awaited { event: other, cause: run }),
            Fact::Unknown("later".into(), RawValue::from_string(r#"{"n":1.00}"#.into()).expect("JSON")),
        ];
        facts.into_iter().map(|fact| Progress { occurrence: occurrence.clone(), fact }).collect()
    }

    #[test]
    fn every_kind_reads_as_it_was_written_and_unknown_ones_are_kept() {
        let lines: Vec<String> =
            golden().iter().map(|p| String::from_utf8(p.encode()).expect("JSON is UTF-8")).collect();
        insta::assert_snapshot!(lines.join("\n"));
        for line in lines {
            let again = Progress::decode(line.as_bytes()).expect("what was written");
            assert_eq!(String::from_utf8(again.encode()).expect("UTF-8"), line);
        }
    }

    #[test]
    fn a_result_over_several_lines_is_told_in_one() {
        let [.., mut job, _, _] = <[Progress; 6]>::try_from(golden()).expect("six facts");
        let Fact::Job(step) = &mut job.fact else { panic!("a step") };
        step.result = Some(RawValue::from_string("{\r\n  \"a\": \"b\\n\"\n}".into()).expect("JSON"));
        let (one, other) = (job.encode(), golden().remove(0).encode());
        let record = [&one[..], &other].join(&b'\n');
        let lines: Vec<_> = lines(&record).collect();
        assert_eq!(lines, [&one, &other]);
        let Fact::Job(step) = Progress::decode(lines[0]).expect("what was written").fact else { panic!("a step") };
        let result: serde_json::Value = serde_json::from_str(step.result.expect("a result").get()).expect("JSON");
        assert_eq!(result, serde_json::json!({ "a": "b\n" }));
    }

    #[test]
    fn words_of_a_newer_writer_are_kept_and_rank_lowest() {
        let [detected, .., job, _, _] = &golden()[..] else { panic!("six records") };
        let newer = |record: &Progress, pairs: &[(&str, &str)]| {
            let text = String::from_utf8(record.encode()).expect("UTF-8");
            pairs.iter().fold(text, |text, (from, to)| {
                assert!(text.contains(from), "{from} in {text}");
                text.replace(from, to)
            })
        };
        for line in [
            newer(job, &[(r#""succeeded""#, r#""melted""#)]),
            newer(detected, &[(r#""hasura""#, r#""walrus""#), (r#""UPDATE""#, r#""TRUNCATE""#)]),
        ] {
            let again = Progress::decode(line.as_bytes()).expect("a record of a newer Herald");
            assert_eq!(String::from_utf8(again.encode()).expect("UTF-8"), line);
        }
        let unknown = AttemptState::Unknown(Label::new("melted"));
        assert!(unknown < AttemptState::Started);
        assert!(AttemptState::Started < AttemptState::Succeeded);
    }
}
