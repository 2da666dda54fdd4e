//! Progress records for the tests of the store and the stage.

use bus::{Offset, Partition, Record, Topic};
use contracts::{
    hasura::Op,
    headers::Headers,
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    progress::{AttemptState, Detected, DetectedEvent, Fact, JobStep, Occurrence, Origin, Progress, Undetected},
    raw::{Kind, Place},
    topics::PROGRESS,
};
use jiff::{Timestamp, ToSpan};
use serde_json::value::RawValue;

pub(crate) fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a time")
}

pub(crate) fn occurrence(correlation: &str, number: u64) -> Occurrence {
    Occurrence {
        invocation: InvocationId::derived("default", &number.to_string()),
        correlation: correlation.parse::<CorrelationId>().expect("an id"),
        raw: Place { partition: 0, offset: number },
        received: start() + (number as i64).milliseconds(),
    }
}

pub(crate) fn origin() -> Origin {
    Origin {
        body: Kind::Hasura,
        source: "default".into(),
        table: Some("public.moves".into()),
        key: Some("7".into()),
        op: Some(Op::Update),
        trigger: Some("moves_changed".into()),
        user: Some("driver@example.org".into()),
        depth: 0,
        related_to: None,
        event: None,
        cause: None,
    }
}

pub(crate) const EVENT: &str = "move.pickup.successful";

/// The detector found one event with these jobs.
pub(crate) fn detected(occurrence: &Occurrence, jobs: &[&str]) -> Progress {
    let event = EVENT.parse().expect("a name");
    let id = EventId::derived(occurrence.invocation, &event);
    let jobs = jobs.iter().map(|job| job.parse().expect("a name")).collect();
    let events = vec![DetectedEvent { id, event, jobs }];
    let body = Detected {
        origin: origin(),
        catalog: 3,
        events,
        undetected: Vec::new(),
        undetected_more: 0,
        failed_more: 0,
        failed: Vec::new(),
    };
    Progress { occurrence: occurrence.clone(), fact: Fact::Detected(body) }
}

/// The detector found nothing.
pub(crate) fn undetected(occurrence: &Occurrence) -> Progress {
    let because = Undetected { event: EVENT.parse().expect("a name"), because: "`status` did not change".into() };
    let body = Detected {
        origin: origin(),
        catalog: 3,
        events: vec![],
        undetected: vec![because],
        undetected_more: 0,
        failed_more: 0,
        failed: vec![],
    };
    Progress { occurrence: occurrence.clone(), fact: Fact::Detected(body) }
}

/// A job came so far.
pub(crate) fn step(occurrence: &Occurrence, job: &str, attempt: u32, state: AttemptState) -> Progress {
    let event = EVENT.parse().expect("a name");
    let (event_id, job) = (EventId::derived(occurrence.invocation, &event), job.parse().expect("a name"));
    let ended = (state > AttemptState::Retrying).then(|| occurrence.received + 9.milliseconds());
    let body = JobStep {
        event_id,
        event,
        run: JobRunId::derived(event_id, &job),
        job,
        attempt,
        state,
        started: occurrence.received + 3.milliseconds(),
        ended,
        result: ended.map(|_| RawValue::from_string(r#"{"status":200,"price":1.10}"#.into()).expect("JSON")),
        error: None,
        stderr: None,
        stdout: None,
        published: None,
        of: None,
        again: None,
        gathered: None,
        superseded_by: None,
        dead: None,
        by: None,
        probe: None,
    };
    Progress { occurrence: occurrence.clone(), fact: Fact::Job(body) }
}

/// Something done: one event, whose one job succeeded.
pub(crate) fn done(correlation: &str, number: u64) -> Vec<Progress> {
    let occurrence = occurrence(correlation, number);
    vec![detected(&occurrence, &["log"]), step(&occurrence, "log", 1, AttemptState::Succeeded)]
}

/// A correlation that completes with a result of so many bytes.
pub(crate) fn large(correlation: &str, number: u64, bytes: usize) -> Vec<Progress> {
    let mut facts = done(correlation, number);
    if let Some(Progress { fact: Fact::Job(step), .. }) = facts.last_mut() {
        step.result = Some(RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).expect("JSON"));
    }
    facts
}

pub(crate) fn record(offset: u64, progress: &Progress) -> Record {
    Record {
        topic: Topic::from(PROGRESS),
        partition: Partition(0),
        offset: Offset(offset),
        published: start(),
        key: Some(progress.occurrence.correlation.as_str().to_owned().into()),
        value: Some(progress.encode().into()),
        headers: Headers::default(),
    }
}
