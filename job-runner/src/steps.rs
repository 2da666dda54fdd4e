//! What a job run tells: records of `progress`, and of `rejected` for an event that cannot be read.

use bus::{Outgoing, Record, Topic};
use bytes::Bytes;
use contracts::{
    dead::{DeadLetter, Reason},
    envelope::EventHeaders,
    headers::{self, HeaderError},
    ids::{EventId, JobRunId},
    names::{EventRef, JobName},
    progress::{AttemptState, Fact, Gathered, JobStep, Occurrence, Progress, Successor},
    rejected::{self, Rejected},
    topics,
};
use jiff::Timestamp;

use crate::kind::{Answer, Failure, bounded, head};

/// Which attempt of which run a step is about.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) event: &'a EventHeaders,
    pub(crate) job: &'a JobName,
    pub(crate) run: JobRunId,
    pub(crate) number: u32,
    pub(crate) started: Timestamp,
    /// When the target is tried next, where this attempt failed as all before it.
    pub(crate) probe: Option<Timestamp>,
}

impl<'a> Attempt<'a> {
    /// That attempt of the job's run for the event.
    pub(crate) fn new(event: &'a EventHeaders, job: &'a JobName, number: u32, started: Timestamp) -> Self {
        Self { event, job, run: JobRunId::derived(event.id, job), number, started, probe: None }
    }

    /// It is about to run.
    pub(crate) fn started(self) -> Outgoing {
        self.tell(self.step(AttemptState::Started))
    }

    /// The process died under it, nobody knows when, and a further attempt follows.
    pub(crate) fn interrupted(self) -> Outgoing {
        let error = "the process ended while this attempt was under way; another follows".to_owned();
        self.tell(JobStep { error: Some(error), ..self.step(AttemptState::Interrupted) })
    }

    /// The run has succeeded; what it publishes follows.
    pub(crate) fn succeeded(self, answer: Answer, ended: Timestamp) -> impl Iterator<Item = Outgoing> {
        let Answer { result, publishes } = answer;
        let result = result.and_then(|result| Answer::raw(result).result);
        let outputs = publishes.as_ref().map(|publication| publication.outputs(self.event, self.run, ended));
        let published = publishes.as_ref().map(|publication| publication.told(self.run));
        let step = JobStep { result, published, ended: Some(ended), ..self.step(AttemptState::Succeeded) };
        std::iter::once(self.tell(step)).chain(outputs.into_iter().flatten())
    }

    /// It has failed, of so many attempts, and another is due then.
    pub(crate) fn retrying(self, failure: Failure, of: u32, again: Timestamp, ended: Timestamp) -> Outgoing {
        let step = JobStep { of: Some(of), again: Some(again), ..self.step(AttemptState::Retrying) };
        self.tell(with(step, failure, ended))
    }

    /// The run has failed for good, of so many attempts.
    pub(crate) fn failed(self, failure: Failure, of: u32, dead: Option<Reason>, ended: Timestamp) -> Outgoing {
        let step = JobStep { of: Some(of), dead, ..self.step(AttemptState::Failed) };
        self.tell(with(step, failure, ended))
    }

    /// None has begun: its event waits until then for the end of its window.
    pub(crate) fn gathered(self, gathered: Gathered, ends: Timestamp) -> Outgoing {
        self.tell(JobStep { again: Some(ends), gathered: Some(gathered), ..self.step(AttemptState::Gathered) })
    }

    /// None will begin: the later event of its window took its place.
    pub(crate) fn superseded(self, by: EventId, now: Timestamp) -> Outgoing {
        let by = Successor { event_id: by, run: JobRunId::derived(by, self.job) };
        self.tell(JobStep { superseded_by: Some(by), ended: Some(now), ..self.step(AttemptState::Superseded) })
    }

    /// It was ordered, and has not begun.
    pub(crate) fn granted(self, by: &str) -> Outgoing {
        self.tell(JobStep { by: Some(by.to_owned()), ..self.step(AttemptState::Granted) })
    }

    /// Its dead letter was put away by an order.
    pub(crate) fn discarded(self, letter: &DeadLetter, by: &str) -> Outgoing {
        let (error, by) = (Some(letter.error.clone()), Some(by.to_owned()));
        self.tell(JobStep { ended: Some(letter.last), error, by, ..self.step(AttemptState::Discarded) })
    }

    fn step(self, state: AttemptState) -> JobStep {
        JobStep {
            event_id: self.event.id,
            event: self.event.event.clone(),
            job: self.job.clone(),
            run: self.run,
            attempt: self.number,
            state,
            started: self.started,
            ended: None,
            result: None,
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
            probe: self.probe,
        }
    }

    fn tell(self, step: JobStep) -> Outgoing {
        let event = self.event;
        let occurrence = Occurrence {
            invocation: event.invocation,
            correlation: event.correlation.clone(),
            raw: event.raw,
            received: event.time,
        };
        let key = Bytes::copy_from_slice(event.correlation.as_str().as_bytes());
        Outgoing::new(Topic::progress(), key, Progress { occurrence, fact: Fact::Job(step) }.encode())
    }
}

/// The step with what went wrong.
fn with(step: JobStep, failure: Failure, ended: Timestamp) -> JobStep {
    let Failure { error, stderr, stdout, .. } = failure;
    let (stderr, stdout) = (stderr.map(bounded), stdout.map(bounded));
    JobStep { ended: Some(ended), error: Some(bounded(error)), stderr, stdout, ..step }
}

/// All attempts of a run are spent: its process died under the last, or was told how it ended.
pub(crate) fn exhausted(attempts: u32, number: u32, told: bool) -> Failure {
    Failure::last(if told {
        format!("{number} attempts were made, and the job has {attempts} now")
    } else {
        format!(
            "the process ended while attempt {number} was under way, and all {attempts} attempts are spent; does this job \
             kill its process?"
        )
    })
}

/// How many bytes of what a strange record says of its source are kept.
const SOURCE: usize = 256;

/// A record of an event's topic that names the job and cannot be read: nothing can be told under a correlation, so it is
/// refused where people look.
pub(crate) fn unreadable(record: &Record, job: &JobName, error: &HeaderError, now: Timestamp) -> Outgoing {
    let at = format!("{}/{}@{}", record.topic, record.partition.0, record.offset);
    let rejected = Rejected {
        v: rejected::VERSION,
        stage: "job-runner".into(),
        reason: "unreadable-event".into(),
        detail: bounded(format!(
            "the job {job} cannot run for the record {at}: {error}; was it written by something else?"
        )),
        at: now,
        source: head(record.headers.text(headers::ce::SOURCE).unwrap_or("unknown"), SOURCE).to_owned(),
        size: Some(record.value().len() as u64),
        sha256: None,
        raw: record.headers.text(headers::RAW_PLACE).and_then(|place| place.parse().ok()),
        invocation: [headers::INVOCATION, headers::ce::CAUSATION_ID]
            .into_iter()
            .find_map(|name| record.headers.text(name)?.parse().ok()),
        correlation: record.headers.text(headers::ce::CORRELATION_ID).and_then(|id| id.parse().ok()),
        event: EventRef::from_topic(record.topic.as_str()),
    };
    Outgoing::new(topics::REJECTED, at, rejected.encode())
}

#[cfg(test)]
pub(crate) mod tests {
    use contracts::{ids::InvocationId, raw::Place};

    use super::*;

    /// An event of that name, detected in the raw record of that number, stamped `job`.
    pub(crate) fn event(name: &str, number: u64) -> EventHeaders {
        let invocation = InvocationId::derived("test", &number.to_string());
        let event: EventRef = name.parse().expect("a name");
        EventHeaders {
            id: EventId::derived(invocation, &event),
            event,
            source: contracts::envelope::source_of("test"),
            subject: Some("7".into()),
            time: "2026-01-02T03:04:05Z".parse().expect("a time"),
            dataschema: None,
            correlation: format!("c-{number}").parse().expect("an id"),
            invocation,
            cause: None,
            user: None,
            organisation: None,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            jobs: vec!["job".parse().expect("a name")],
            catalog: 1,
            depth: 2,
            raw: Place { partition: 0, offset: number },
        }
    }

    #[test]
    fn a_step_is_keyed_by_its_correlation_and_names_its_occurrence() {
        let event = event("move.new", 4);
        let job: JobName = "job".parse().expect("a name");
        let now = "2026-01-02T03:04:06Z".parse().expect("a time");
        let failure = Failure::new("no").with_stderr("oops\n".into()).with_stdout("first\n".into());
        let out = Attempt::new(&event, &job, 2, event.time).failed(failure, 2, Some(Reason::Attempts), now);
        assert_eq!((out.topic.as_str(), out.key.as_deref()), ("progress", Some(b"c-4".as_slice())));
        let progress = Progress::decode(&out.value.expect("a value")).expect("progress");
        assert_eq!((progress.occurrence.invocation, progress.occurrence.raw.offset), (event.invocation, 4));
        let Fact::Job(step) = progress.fact else { panic!("a step") };
        assert_eq!((step.attempt, step.state, step.ended), (2, AttemptState::Failed, Some(now)));
        assert_eq!((step.error.as_deref(), step.stderr.as_deref()), (Some("no"), Some("oops\n")));
        assert_eq!(step.stdout.as_deref(), Some("first\n"));
        assert_eq!(step.run, JobRunId::derived(event.id, &job));
    }
}
