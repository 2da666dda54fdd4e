use std::collections::BTreeMap;

use contracts::{
    hasura::Op,
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    progress::{
        AttemptState, Detected, DetectedEvent, Duplicate, Fact, FailedEvent, JobStep, Occurrence, Origin, Progress,
        Refused,
    },
    raw::{Kind, Place},
    summary::{self, Outcome, State},
};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn at(second: i64) -> Timestamp {
    "2026-01-02T03:04:05Z".parse::<Timestamp>().expect("a time") + second.seconds()
}

fn occurrence(n: u64) -> Occurrence {
    Occurrence {
        invocation: InvocationId::derived("default", "1"),
        correlation: "order-7".parse().expect("an id"),
        raw: Place { partition: 0, offset: n },
        received: at(n as i64),
    }
}

fn origin() -> Origin {
    Origin {
        body: Kind::Hasura,
        source: "default".into(),
        table: Some("public.moves".into()),
        key: None,
        op: Some(Op::Update),
        trigger: None,
        user: None,
        depth: 0,
        related_to: None,
        event: None,
        cause: None,
    }
}

fn line(occurrence: Occurrence, fact: Fact) -> Line {
    Line::read(&Progress { occurrence, fact }.encode()).expect("a progress record")
}

fn event_id(name: &str) -> EventId {
    EventId::derived(InvocationId::derived("default", "1"), &name.parse().expect("a name"))
}

fn detected(n: u64, catalog: u64, events: &[(&str, &[&str])]) -> Line {
    let events = events
        .iter()
        .map(|(name, jobs)| DetectedEvent {
            id: event_id(name),
            event: name.parse().expect("a name"),
            jobs: jobs.iter().map(|job| job.parse().expect("a name")).collect(),
        })
        .collect();
    let detected = Detected {
        origin: origin(),
        catalog,
        events,
        undetected: Vec::new(),
        undetected_more: 0,
        failed_more: 0,
        failed: Vec::new(),
    };
    line(occurrence(n), Fact::Detected(detected))
}

fn step(n: u64, event: &str, job: &str, attempt: u32, state: AttemptState) -> Line {
    let (id, name) = (event_id(event), job.parse().expect("a name"));
    let done = matches!(state, AttemptState::Succeeded | AttemptState::Failed | AttemptState::Skipped);
    let step = JobStep {
        event_id: id,
        event: event.parse().expect("a name"),
        run: JobRunId::derived(id, &name),
        job: name,
        attempt,
        state,
        started: at(100 + i64::from(attempt)),
        ended: done.then(|| at(200 + i64::from(attempt))),
        result: done.then(|| RawValue::from_string(format!("{{\"n\":{n}.00}}")).expect("JSON")),
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
    line(occurrence(n), Fact::Job(step))
}

fn duplicate(n: u64, of: u64, elsewhere: bool) -> Line {
    let of = Place { partition: 0, offset: of };
    line(occurrence(n), Fact::Duplicate(Duplicate { origin: origin(), of, elsewhere, reused: false }))
}

fn reused(n: u64) -> Line {
    let detail = "raw record 0/2 came under the id".into();
    line(occurrence(n), Fact::Refused(Refused { origin: origin(), reason: "id-reused".into(), detail }))
}

fn fold(facts: impl IntoIterator<Item = Line>) -> Invocation {
    let mut facts = facts.into_iter();
    let mut state = Invocation::first(facts.next().expect("a fact"));
    for fact in facts {
        state.apply(fact);
    }
    state
}

fn shown(state: &Invocation) -> summary::Invocation {
    let Occurrence { correlation, invocation, .. } = occurrence(1);
    state.view(&correlation, invocation)
}

#[test]
fn job_facts_may_come_before_the_detection() {
    let state = fold([step(1, "move.new", "a", 1, AttemptState::Succeeded)]);
    assert_eq!((state.part().state, state.part().counters.undetected_invocations), (State::InProcess, 1));
    let state = fold([
        step(1, "move.new", "a", 1, AttemptState::Succeeded),
        detected(1, 1, &[("move.new", &["a", "b"])]),
        step(1, "move.new", "b", 1, AttemptState::Failed),
        step(1, "move.new", "b", 1, AttemptState::Started),
    ]);
    let part = state.part();
    assert_eq!((part.state, part.outcome()), (State::Complete, Some(Outcome::Failure)));
    assert_eq!((part.counters.jobs, part.counters.succeeded, part.counters.failed), (2, 1, 1));
    let view = shown(&state);
    assert_eq!(view.events[0].jobs[0].result.as_ref().map(|result| result.get()), Some("{\"n\":1.00}"));
}

#[test]
fn a_later_occurrence_changes_no_outcome() {
    let state = fold([
        step(9, "move.new", "a", 1, AttemptState::Failed),
        detected(9, 5, &[("move.new", &["a"])]),
        detected(1, 1, &[("move.new", &["a"])]),
        step(1, "move.new", "a", 1, AttemptState::Succeeded),
        step(9, "move.new", "a", 7, AttemptState::Started),
    ]);
    let view = shown(&state);
    assert_eq!((view.state, view.outcome, view.repeated), (State::Complete, Some(Outcome::Success), 1));
    assert_eq!((view.raw.offset, view.catalog), (1, Some(1)));
}

#[test]
fn a_redelivery_waits_for_the_first_even_when_clocks_disagree() {
    // Redelivered by a process whose clock is behind: it is earlier, and still no occurrence of its own.
    let state = fold([duplicate(1, 4, false)]);
    assert_eq!((state.part().state, state.part().counters.undetected_invocations), (State::Pending, 1));
    assert_eq!(shown(&state).repeated, 1, "the first is known by name");
    let state = fold([duplicate(1, 4, false), detected(4, 1, &[])]);
    let view = shown(&state);
    assert_eq!(
        (view.state, view.outcome, view.raw.offset, view.repeated),
        (State::Complete, Some(Outcome::Success), 4, 1)
    );
}

#[test]
fn a_duplicate_under_another_correlation_completes_at_once() {
    let view = shown(&fold([duplicate(5, 2, true)]));
    assert_eq!((view.state, view.outcome), (State::Complete, Some(Outcome::Success)));
    assert_eq!((view.duplicate_of.map(|place| place.offset), view.repeated), (Some(2), 0));
    let view = shown(&fold([duplicate(5, 2, true), detected(8, 1, &[("move.new", &["a"])])]));
    assert_eq!((view.state, view.duplicate_of, view.repeated), (State::Pending, None, 1));
}

#[test]
fn another_change_under_the_same_id_hides_neither_the_first_delivered_again_nor_what_runs() {
    for facts in [[reused(5), duplicate(6, 2, true)], [reused(6), duplicate(5, 2, true)]] {
        let [came, _] = facts.clone().map(|line| line.progress.occurrence.raw);
        let view = shown(&fold(facts));
        assert_eq!((view.outcome, view.rejected), (Some(Outcome::Success), None));
        assert_eq!((view.duplicate_of.map(|place| place.offset), view.repeated), (Some(2), 1));
        assert_eq!((view.reused, view.reused_at), (1, vec![came]));
    }
    let view = shown(&fold([reused(5), reused(4)]));
    assert_eq!(
        (view.outcome, view.repeated, view.reused),
        (Some(Outcome::Failure), 1, 0),
        "the whole of it was refused"
    );
    assert_eq!(view.raw.offset, 4);
    assert_eq!(view.rejected.as_deref(), Some("id-reused: raw record 0/2 came under the id"));
    // After the window the same delivery runs.
    let view = shown(&fold([reused(5), detected(8, 1, &[("move.new", &["a"])])]));
    assert_eq!((view.state, view.rejected, view.events.len()), (State::Pending, None, 1));
}

#[test]
fn a_redrive_reopens_and_a_higher_attempt_counts() {
    let mut state = fold([detected(1, 1, &[("move.new", &["a"])]), step(1, "move.new", "a", 5, AttemptState::Failed)]);
    assert_eq!(state.part().outcome(), Some(Outcome::Failure));
    assert!(state.apply(step(1, "move.new", "a", 6, AttemptState::Started)));
    assert_eq!(state.part().state, State::InProcess);
    let expected: Vec<_> =
        state.expected(occurrence(1).invocation).map(|expected| expected.job.map(|job| job.to_string())).collect();
    assert_eq!(expected, [Some("a".to_owned())]);
    state.apply(step(1, "move.new", "a", 6, AttemptState::Succeeded));
    let job = shown(&state).events.remove(0).jobs.remove(0);
    assert_eq!((state.part().outcome(), job.attempts), (Some(Outcome::Success), 6));
    // What is told late of an attempt before it is kept beside it.
    state.apply(step(1, "move.new", "a", 4, AttemptState::Interrupted));
    let job = shown(&state).events.remove(0).jobs.remove(0);
    let earlier: Vec<_> = job.earlier.iter().map(|past| (past.attempt, past.state)).collect();
    assert_eq!(earlier, [(4, AttemptState::Interrupted), (5, AttemptState::Failed)]);
}

/// A step whose start is of its own.
fn step_at(attempt: u32, state: AttemptState, started: i64, ended: Option<i64>) -> Line {
    let mut progress = step(1, "move.new", "a", attempt, state).progress;
    if let Fact::Job(step) = &mut progress.fact {
        (step.started, step.ended) = (at(started), ended.map(at));
    }
    line(progress.occurrence, progress.fact)
}

#[test]
fn an_interrupted_attempt_has_the_start_that_it_was_told_with_and_no_end() {
    let begun = || step_at(1, AttemptState::Started, 10, None);
    // As earlier versions tell it: with the moment at which it was noticed as start and end.
    let noticed = || step_at(1, AttemptState::Interrupted, 50, Some(50));
    let next = || step_at(2, AttemptState::Started, 50, None);
    for facts in [[begun(), noticed(), next()], [next(), noticed(), begun()], [noticed(), begun(), next()]] {
        let job = shown(&fold(facts)).events.remove(0).jobs.remove(0);
        let past = &job.earlier[0];
        assert_eq!((past.state, past.started, past.ended), (AttemptState::Interrupted, Some(at(10)), None));
        assert_eq!((job.attempts, job.started), (2, Some(at(50))));
    }
    let job = shown(&fold([begun(), noticed()])).events.remove(0).jobs.remove(0);
    assert_eq!((job.started, job.ended), (Some(at(10)), None));
    let job = shown(&fold([noticed(), next()])).events.remove(0).jobs.remove(0);
    assert_eq!((job.earlier[0].started, job.earlier[0].ended), (None, None), "nobody told");
    // All attempts are spent.
    let spent = step_at(1, AttemptState::Failed, 50, Some(50));
    let job = shown(&fold([spent, begun()])).events.remove(0).jobs.remove(0);
    assert_eq!((job.started, job.ended), (Some(at(10)), Some(at(50))));
    // A shutdown gave it back, and it began again.
    let again = || step_at(1, AttemptState::Started, 90, None);
    let done = || step_at(1, AttemptState::Succeeded, 90, Some(95));
    for facts in [[begun(), again(), done()], [done(), again(), begun()], [again(), begun(), done()]] {
        let job = shown(&fold(facts)).events.remove(0).jobs.remove(0);
        assert_eq!((job.started, job.ended), (Some(at(90)), Some(at(95))));
    }
}

#[test]
fn refusals_and_failed_events_are_errors_and_unknown_kinds_are_counted() {
    let refused = Refused { origin: origin(), reason: "depth".into(), detail: "17 cascades deep".into() };
    let view = shown(&fold([line(occurrence(1), Fact::Refused(refused))]));
    assert_eq!((view.state, view.outcome), (State::Complete, Some(Outcome::Failure)));
    assert_eq!(view.rejected.as_deref(), Some("depth: 17 cascades deep"));

    let failed = FailedEvent { event: "move.new".parse().expect("a name"), stage: "data".into(), error: "no x".into() };
    let detected = Detected {
        origin: origin(),
        catalog: 1,
        events: vec![],
        undetected: vec![],
        undetected_more: 0,
        failed_more: 0,
        failed: vec![failed],
    };
    let part = fold([line(occurrence(1), Fact::Detected(detected))]).part();
    assert_eq!((part.counters.errors, part.outcome()), (1, Some(Outcome::Failure)));

    let unknown = Fact::Unknown("later".into(), RawValue::from_string("{}".into()).expect("JSON"));
    let part = fold([line(occurrence(1), unknown)]).part();
    assert_eq!((part.facts, part.state), (1, State::Pending));
}

/// What is compared: everything that is shown and counted.
fn everything(state: &Invocation) -> (String, Part) {
    (serde_json::to_string(&shown(state)).expect("JSON"), state.part())
}

fn any_fact() -> impl Strategy<Value = Line> {
    let names = prop_oneof![Just("move.new"), Just("move.done")];
    let jobs = prop_oneof![Just("a"), Just("b")];
    let states = prop_oneof![
        Just(AttemptState::Started),
        Just(AttemptState::Interrupted),
        Just(AttemptState::Retrying),
        Just(AttemptState::Skipped),
        Just(AttemptState::Failed),
        Just(AttemptState::Succeeded),
    ];
    prop_oneof![
        2 => (0..4_u64, 1..3_u64, names.clone(), 0..3_usize)
            .prop_map(|(n, catalog, name, jobs)| detected(n, catalog, &[(name, &["a", "b"][..jobs.min(2)])])),
        6 => (0..4_u64, names, jobs, 1..4_u32, states)
            .prop_map(|(n, event, job, attempt, state)| step(n, event, job, attempt, state)),
        2 => (1..4_u32, 0..3_i64)
            .prop_map(|(attempt, started)| step_at(attempt, AttemptState::Started, started, None)),
        2 => (0..4_u64, 0..4_u64, any::<bool>()).prop_map(|(n, of, elsewhere)| duplicate(n, of, elsewhere)),
        1 => (0..4_u64).prop_map(reused),
        1 => (0..4_u64).prop_map(|n| {
            let refused = Refused { origin: origin(), reason: "depth".into(), detail: n.to_string() };
            line(occurrence(n), Fact::Refused(refused))
        }),
        1 => (0..4_u64, 0..3_u64).prop_map(|(n, body)| {
            let body = RawValue::from_string(body.to_string()).expect("JSON");
            line(occurrence(n), Fact::Unknown("later".into(), body))
        }),
    ]
}

/// Facts, and the same in another order with some of them repeated.
fn shuffled() -> impl Strategy<Value = (Vec<Line>, Vec<Line>)> {
    prop::collection::vec(any_fact(), 1..14).prop_flat_map(|facts| {
        let repeated = prop::collection::vec(0..facts.len(), 0..8);
        (Just(facts), repeated).prop_flat_map(|(facts, repeated)| {
            let mut all = facts.clone();
            all.extend(repeated.into_iter().map(|index| facts[index].clone()));
            (Just(facts), Just(all).prop_shuffle())
        })
    })
}

fn under(line: &Line, correlation: u8) -> Line {
    let mut progress = line.progress.clone();
    progress.occurrence.correlation = format!("c-{correlation}").parse::<CorrelationId>().expect("an id");
    progress.occurrence.invocation = InvocationId::derived("default", &format!("{}", correlation / 2));
    Line::read(&progress.encode()).expect("a progress record")
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_give_the_same_answer((facts, shuffled) in shuffled()) {
        let (once, again) = (fold(facts), fold(shuffled));
        prop_assert_eq!(everything(&once), everything(&again));
    }

    #[test]
    fn a_state_reads_as_it_was_stored((facts, _) in shuffled()) {
        let state = fold(facts);
        let stored = serde_json::to_vec(&state).expect("JSON");
        let read: Invocation = serde_json::from_slice(&stored).expect("what was stored");
        prop_assert_eq!(everything(&state), everything(&read));
    }

    #[test]
    fn counters_kept_are_counters_counted(facts in prop::collection::vec((any_fact(), 0..6_u8), 1..40)) {
        let mut states: BTreeMap<InvocationId, Invocation> = BTreeMap::new();
        let mut kept: Option<Tally> = None;
        for (fact, which) in &facts {
            let fact = under(fact, *which);
            let id = fact.progress.occurrence.invocation;
            match states.get_mut(&id) {
                Some(state) => {
                    let before = state.part();
                    state.apply(fact);
                    kept.as_mut().expect("a tally").replace(&before, &state.part());
                }
                None => {
                    let state = Invocation::first(fact);
                    match &mut kept {
                        Some(kept) => kept.add(&state.part()),
                        None => kept = Some(Tally::of(&state.part())),
                    }
                    states.insert(id, state);
                }
            }
        }
        let mut counted: Option<Tally> = None;
        for state in states.values() {
            match &mut counted {
                Some(counted) => counted.add(&state.part()),
                None => counted = Some(Tally::of(&state.part())),
            }
        }
        prop_assert_eq!(kept, counted);
    }
}
