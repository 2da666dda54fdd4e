//! Summaries of every shape, for tests.

use contracts::{
    hasura::Op,
    ids::{EventId, InvocationId, JobRunId},
    progress::{FailedEvent, Gathered, Origin, Published, Undetected},
    raw::{Kind, Place},
    summary::{Counters, Event, Expected, Invocation, Job, Outcome, State, Summary, VERSION},
};
use jiff::Timestamp;
use serde_json::value::RawValue;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

fn origin(op: Op) -> Origin {
    Origin {
        body: Kind::Hasura,
        source: "default".into(),
        table: Some("public.moves".into()),
        key: None,
        op: Some(op),
        trigger: Some("moves".into()),
        user: None,
        depth: 0,
        related_to: None,
        event: None,
        cause: None,
    }
}

fn invocation_of(id: &str, origin: Option<Origin>, events: Vec<Event>) -> Invocation {
    Invocation {
        invocation: InvocationId::derived("default", id),
        correlation: "c-1".parse().expect("an id"),
        state: State::Complete,
        outcome: Some(Outcome::Success),
        received: at("2026-11-21T10:00:00Z"),
        raw: Place { partition: 3, offset: 17 },
        origin,
        catalog: Some(1),
        repeated: 0,
        reused: 0,
        reused_at: vec![],
        duplicate_of: None,
        rejected: None,
        events,
        undetected: Vec::new(),
        undetected_more: 0,
        because: None,
        failed: Vec::new(),
        failed_more: 0,
    }
}

fn event_of(name: &str, jobs: Vec<Job>) -> Event {
    let event = name.parse().expect("a name");
    let id = EventId::derived(InvocationId::derived("default", "1"), &event);
    let jobs = jobs.into_iter().map(|job| Job { run: JobRunId::derived(id, &job.job), ..job }).collect();
    Event { id, event, jobs }
}

pub(crate) fn job_of(name: &str, state: State, outcome: Option<Outcome>) -> Job {
    let job = name.parse().expect("a name");
    let event = EventId::derived(InvocationId::derived("default", "1"), &"move.new".parse().expect("a name"));
    Job {
        run: JobRunId::derived(event, &job),
        job,
        state,
        outcome,
        paused: None,
        waits: None,
        attempts: 1,
        earlier: Vec::new(),
        started: (state != State::Pending).then(|| at("2026-11-21T10:00:00Z")),
        ended: (state == State::Complete).then(|| at("2026-11-21T10:00:00.02Z")),
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
    }
}

/// A run whose event waits for the end of its window.
pub(crate) fn gathering(name: &str) -> Job {
    let gathered = Gathered { since: at("2026-11-21T10:00:02Z"), events: 3 };
    let again = Some(at("2026-11-21T10:00:35Z"));
    Job { attempts: 0, again, gathered: Some(gathered), ..job_of(name, State::Pending, None) }
}

fn succeeded(name: &str, message: &str) -> Job {
    let result = Some(raw(&serde_json::json!({ "message": message }).to_string()));
    Job { result, ..job_of(name, State::Complete, Some(Outcome::Success)) }
}

fn slowly(job: Job) -> Job {
    Job { ended: Some(at("2026-11-21T10:00:03Z")), ..job }
}

fn summary_of(invocations: Vec<Invocation>) -> Summary {
    let jobs = || invocations.iter().flat_map(|i| &i.events).flat_map(|e| &e.jobs);
    let with = |outcome| jobs().filter(|job| job.outcome == Some(outcome)).count() as u64;
    let counters = Counters {
        invocations: invocations.len() as u64,
        events: invocations.iter().map(|i| i.events.len() as u64).sum(),
        jobs: jobs().count() as u64,
        pending: jobs().filter(|job| job.state == State::Pending).count() as u64,
        in_process: jobs().filter(|job| job.state == State::InProcess).count() as u64,
        succeeded: with(Outcome::Success),
        failed: with(Outcome::Failure),
        skipped: with(Outcome::Skipped),
        superseded: with(Outcome::Superseded),
        ..Counters::default()
    };
    Summary {
        v: VERSION,
        correlation: "c-1".parse().expect("an id"),
        state: State::Complete,
        outcome: Some(Outcome::Success),
        incomplete: false,
        revision: 5,
        received: at("2026-11-21T10:00:00Z"),
        ended: Some(at("2026-11-21T10:00:03Z")),
        counters,
        expected: Vec::new(),
        invocations,
        next: None,
    }
}

pub(crate) fn two_events() -> Summary {
    let mut failed = job_of("rerun-ar", State::Complete, Some(Outcome::Failure));
    failed.error = Some("exit status 3: no move 13107".into());
    failed.stderr = Some("no move 13107\n".into());
    failed.stdout = Some("looking for 13107\n  in 3 rows\n".into());
    let cancel = event_of("move.cancel.pending", vec![slowly(succeeded("job-1", "Job 1 complete!"))]);
    let log = succeeded("publish-event-log", "Wrote event log for move.pickup.successful");
    let pickup = event_of("move.pickup.successful", vec![slowly(succeeded("job-1", "Job 1 complete!")), log, failed]);
    let summary = summary_of(vec![invocation_of("1", Some(origin(Op::Update)), vec![cancel, pickup])]);
    Summary { outcome: Some(Outcome::Failure), ..summary }
}

pub(crate) fn under_way() -> Summary {
    let cancel = event_of("move.cancel.pending", vec![slowly(succeeded("job-1", "Job 1 complete!"))]);
    let mut retried = job_of("rerun-ar", State::InProcess, None);
    retried.attempts = 2;
    let waiting = Job { attempts: 0, ..job_of("publish-event-log", State::Pending, None) };
    let pickup = event_of("move.pickup.successful", vec![job_of("job-1", State::InProcess, None), waiting, retried]);
    let mut invocation = invocation_of("1", Some(origin(Op::Update)), vec![cancel, pickup]);
    (invocation.state, invocation.outcome) = (State::InProcess, None);
    Summary { state: State::InProcess, outcome: None, ended: None, ..summary_of(vec![invocation]) }
}

pub(crate) fn nothing_detected() -> Summary {
    let mut invocation = invocation_of("1", Some(origin(Op::Update)), Vec::new());
    let undetected =
        |event: &str, because: &str| Undetected { event: event.parse().expect("a name"), because: because.into() };
    invocation.undetected = vec![
        undetected("move.new", "it is for INSERT"),
        undetected(
            "move.pickup.successful",
            "`became(\"status\", \"pickup successful\")`: status is still \"en route\"",
        ),
    ];
    summary_of(vec![invocation])
}

pub(crate) fn troubles() -> Summary {
    let mut duplicate = invocation_of("1", Some(origin(Op::Update)), Vec::new());
    duplicate.duplicate_of = Some(Place { partition: 3, offset: 4 });
    let named = Origin {
        body: Kind::Named,
        source: "billing".into(),
        table: None,
        key: None,
        op: None,
        trigger: None,
        ..origin(Op::Insert)
    };
    let mut refused = invocation_of("2", Some(named), Vec::new());
    refused.rejected = Some("no event `move.unknown` is in catalog 1".into());
    let mut failed = invocation_of("3", Some(origin(Op::Insert)), Vec::new());
    failed.failed = vec![FailedEvent {
        event: "move.new.v2".parse().expect("a name"),
        stage: "data".into(),
        error: "`new.customer_id`: there is no column customer_id".into(),
    }];
    let nightly =
        Origin { body: Kind::Scheduled, trigger: Some("nightly".into()), table: None, op: None, ..origin(Op::Insert) };
    let scheduled = invocation_of("4", Some(nightly), Vec::new());
    let mut untold = invocation_of("5", None, Vec::new());
    (untold.state, untold.outcome) = (State::Pending, None);
    let mut manual = origin(Op::Manual);
    manual.related_to = Some("c-0".parse().expect("an id"));
    let job = Job { attempts: 3, ..job_of("job-1", State::Complete, Some(Outcome::Skipped)) };
    let mut again =
        invocation_of("6", Some(manual), vec![event_of("move.new", vec![job]), event_of("move.seen", vec![])]);
    again.repeated = 2;
    let mut summary = summary_of(vec![duplicate, refused, failed, scheduled, untold, again]);
    summary.counters = Counters { errors: 2, undetected_invocations: 1, repeated: 2, ..summary.counters };
    summary
}

pub(crate) fn incomplete() -> Summary {
    let summary = under_way();
    let invocation = &summary.invocations[0];
    let missing = |job: &str| Expected {
        invocation: invocation.invocation,
        event: Some(invocation.events[1].event.clone()),
        job: Some(job.parse().expect("a name")),
        paused: None,
        waits: None,
    };
    let mut expected: Vec<_> = ["job-1", "publish-event-log", "rerun-ar"].into_iter().map(missing).collect();
    let other = InvocationId(invocation.invocation.0);
    expected.extend(vec![Expected { invocation: other, event: None, job: None, paused: None, waits: None }; 4]);
    Summary { state: State::Complete, outcome: Some(Outcome::Failure), incomplete: true, expected, ..summary }
}

pub(crate) fn cascade() -> Summary {
    let mut log = job_of("log", State::Complete, Some(Outcome::Failure));
    log.error = Some("exit status 1".into());
    log.stderr = Some("one\ntwo\nthree\nfour\nfive\n\u{1b}[31msix\n".into());
    let published = |event: &str, id: &str| {
        let invocation = InvocationId::derived("default", id);
        Some(Published { event: event.parse().expect("a name"), invocation })
    };
    let done = || job_of("announce", State::Complete, Some(Outcome::Success));
    let announce = Job { published: published("move.priced", "2"), ..done() };
    let other = Job { job: "tell".parse().expect("a name"), published: published("move.told", "9"), ..done() };
    let jobs = vec![announce.clone(), succeeded("job-1", "Done"), other];
    let first = invocation_of("1", Some(origin(Op::Insert)), vec![event_of("move.new", jobs)]);
    let named = Origin {
        body: Kind::Named,
        source: "/jobs/announce".into(),
        table: None,
        op: None,
        depth: 1,
        event: Some("move.priced".parse().expect("a name")),
        cause: Some(announce.run),
        ..origin(Op::Insert)
    };
    let second = invocation_of("2", Some(named), vec![event_of("move.priced", vec![log])]);
    let own = Origin { source: "eu".into(), depth: 1, ..origin(Op::Update) };
    let third =
        invocation_of("3", Some(own), vec![event_of("move.changed", vec![job_of("log", State::Pending, None)])]);
    summary_of(vec![first, second, third])
}

/// Some of them as they are shown, with their colours.
pub(crate) fn texts() -> Vec<String> {
    let now = at("2026-11-21T10:00:05Z");
    let all = [two_events(), under_way(), nothing_detected(), troubles(), cascade()];
    all.iter().map(|one| super::summary(one, now)).collect()
}
