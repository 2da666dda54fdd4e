//! The order of things: what is committed before what is read, launched, released.

use std::{sync::OnceLock, time::Duration};

use bus::{Committed, Note, Position, Record, Refusal, RefusalCode, RefusedShare, Share, Topic};
use catalog::{Backoff, Kinds as _, Order, Template};
use contracts::names::{GroupName, JobName};
use serde_json::{Value, json};

use super::*;
use crate::{Answer, Config, Registry, plan::Draft, rebuild::Rebuilt, steps::tests::event, view::JobSpec};

/// A time at which nothing that is said to happen later happens.
pub(super) fn now() -> Now {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    Now { wall: Timestamp::UNIX_EPOCH, steady: *BEGUN.get_or_init(Instant::now) }
}

fn core(kind: &str) -> Core {
    with(kind, Limits { queue_records: 16, queue_bytes: 16 << 20 }, 4)
}

/// A group of a job of that kind.
pub(super) fn with(kind: &str, limits: Limits, concurrency: usize) -> Core {
    let plan = Plan { concurrency, ..plan(kind) };
    Core::new(Arc::new(plan), limits, now())
}

/// How a job of that kind is run, which has two attempts.
pub(super) fn plan(kind: &str) -> Plan {
    let config = Config::default();
    let mut registry = Registry::standard(&config);
    registry.function("work", |_| async { Ok(Answer::nothing()) });
    assert!(registry.names().contains(&kind));
    let name: JobName = "job".parse().expect("a name");
    let job = JobSpec {
        group: GroupName::of_definition(&name),
        name,
        kind: kind.into(),
        filling: Arc::new(Template::Value(json!({})).into()),
        timeout: Duration::from_secs(1),
        attempts: 2,
        backoff: Backoff::default(),
        give_up_after: None,
        final_exit_codes: Vec::new(),
        concurrency: 16,
        order: Order::Key,
        gathering: None,
        flow: Default::default(),
        events: vec!["a".parse().expect("an event")],
    };
    Draft { number: 1, job, starts: Arc::default() }.plan(&registry).expect("a kind")
}

/// What holds back a job with these options.
pub(super) fn flow(options: &str) -> catalog::Flow {
    let event = format!("sample: {{ half: 1 }}\ndata: {{ half: 1 }}\njobs: [{{ id: job, log: {{}}, {options} }}]\n");
    let sources = catalog::Sources::new([("events/a.yaml", event.as_str())]);
    let outcome = catalog::Catalog::compile(&sources, &Registry::standard(&Config::default()));
    let catalog = outcome.catalog.unwrap_or_else(|| panic!("{:#?}", outcome.report));
    catalog.jobs().next().expect("a job").flow().clone()
}

fn at(partition: u32) -> TopicPartition {
    TopicPartition::new("event.a", partition)
}

fn assigned(core: &mut Core, partition: u32, generation: u64, position: Position) {
    let (partition, generation) = (at(partition), Generation(generation));
    let input = (partition.clone(), generation);
    core.assign(Assignment { partition, generation, position }).expect("a readable position");
    core.rebuilt(Rebuilt { inputs: vec![input], ..Rebuilt::default() }, now());
}

fn records(partition: u32, offsets: &[u64]) -> Vec<Record> {
    let record = |offset: &u64| Record {
        topic: Topic::from("event.a"),
        partition: bus::Partition(partition),
        offset: Offset(*offset),
        published: now().wall,
        key: Some(offset.to_string().into()),
        value: Some("{}".into()),
        headers: event("a", *offset).encode(),
    };
    offsets.iter().map(record).collect()
}

fn delivered(core: &mut Core, partition: u32, generation: u64, offsets: &[u64]) {
    core.deliver(&at(partition), Generation(generation), records(partition, offsets));
    core.admit(now());
}

fn launched(core: &mut Core) -> Vec<(RunKey, u64)> {
    let launch = |effect| match effect {
        Effect::Launch(launch) => Some((launch.key, launch.item.offset.0)),
        _ => None,
    };
    core.effects().into_iter().filter_map(launch).collect()
}

fn done() -> Ended {
    Ended::Done(Ok(Answer::of(&Value::Null)))
}

#[test]
fn an_attempt_is_launched_when_its_start_is_in_the_log_and_one_commit_is_under_way_at_a_time() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(5)));
    delivered(&mut core, 0, 1, &[5, 7]);
    let shares = core.gather(now()).expect("a commit");
    assert_eq!((shares[0].outputs.len(), shares[0].position.next), (2, Offset(5)));
    assert!(shares[0].position.note.as_str().len() > 1, "the attempts are in the note");
    assert!(launched(&mut core).is_empty());
    delivered(&mut core, 0, 1, &[8]);
    assert!(core.gather(now()).is_none(), "a second commit");
    core.committed(Committed::default()).expect("nothing is refused");
    let runs = launched(&mut core);
    assert_eq!(runs.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [5, 7]);
    core.ended(runs[0].0, done(), now());
    core.ended(runs[1].0, done(), now());
    let shares = core.gather(now()).expect("a commit");
    assert_eq!((shares[0].outputs.len(), shares[0].position.next), (3, Offset(8)));
}

#[test]
fn what_is_left_out_of_a_commit_is_never_launched() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    assigned(&mut core, 1, 1, Position::at(Offset(0)));
    delivered(&mut core, 0, 1, &[0]);
    delivered(&mut core, 1, 1, &[1]);
    core.gather(now()).expect("a commit");
    let left_out = vec![(at(0), Generation(1))];
    core.committed(Committed { left_out, ..Committed::default() }).expect("nothing is refused");
    assert_eq!(launched(&mut core).into_iter().map(|(_, offset)| offset).collect::<Vec<_>>(), [1]);
    assert_eq!((core.partitions(), core.in_flight()), (1, 1));
}

#[test]
fn a_share_left_out_says_nothing_of_a_later_assignment() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    delivered(&mut core, 0, 1, &[0]);
    core.gather(now()).expect("a commit");
    core.lose(&at(0));
    assigned(&mut core, 0, 2, Position::at(Offset(0)));
    delivered(&mut core, 0, 2, &[0]);
    core.effects();
    let left_out = vec![(at(0), Generation(1))];
    core.committed(Committed { left_out, ..Committed::default() }).expect("nothing is refused");
    assert!(launched(&mut core).is_empty());
    core.gather(now()).expect("the attempt starts under the new assignment");
    core.committed(Committed::default()).expect("nothing is refused");
    assert_eq!(launched(&mut core).len(), 1);
}

#[test]
fn a_partition_that_leaves_is_released_when_its_last_commit_is_done() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    delivered(&mut core, 0, 1, &[0, 1]);
    core.gather(now()).expect("a commit");
    core.effects();
    // It is revoked while the commit that starts its attempts is under way: they are given back.
    core.revoke(&[at(0)]);
    assert!(core.effects().is_empty());
    core.committed(Committed::default()).expect("nothing is refused");
    assert!(core.effects().is_empty(), "launched or released too early");
    let shares = core.gather(now()).expect("a last commit");
    assert_eq!(shares[0].position, Position { next: Offset(0), note: Note::new("2").expect("short") });
    core.committed(Committed::default()).expect("nothing is refused");
    assert!(matches!(core.effects()[..], [Effect::Release(_)]));
    assert_eq!((core.partitions(), core.in_flight(), core.queued()), (0, 0, 0));
}

#[test]
fn inline_kinds_take_no_more_than_a_commit_should_carry() {
    let mut core = core("log");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    delivered(&mut core, 0, 1, &[0]);
    core.gather(now()).expect("a commit");
    let offsets: Vec<u64> = (1..3000).collect();
    delivered(&mut core, 0, 1, &offsets);
    assert!(!core.wants_more());
    core.committed(Committed::default()).expect("nothing is refused");
    let shares = core.gather(now()).expect("a commit");
    assert_eq!((shares[0].outputs.len(), shares[0].position.next), (2000, Offset(2001)));
    core.admit(now());
    assert!(core.wants_more());
    core.committed(Committed::default()).expect("nothing is refused");
    let shares = core.gather(now()).expect("a commit");
    assert_eq!((shares[0].outputs.len(), shares[0].position.next), (999, Offset(3000)));
    assert!(!core.effects().iter().any(|effect| matches!(effect, Effect::Pause(_))));
}

#[test]
fn a_commit_that_ends_in_an_error_holds_nothing_up() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    assigned(&mut core, 1, 1, Position::at(Offset(0)));
    delivered(&mut core, 0, 1, &[0]);
    core.gather(now()).expect("a commit");
    core.commit_failed();
    assert!(launched(&mut core).is_empty());
    assert_eq!((core.partitions(), core.in_flight()), (1, 0));
    delivered(&mut core, 1, 1, &[1]);
    core.gather(now()).expect("the next commit");
    core.revoke_all();
    core.commit_failed();
    assert_eq!((core.partitions(), core.in_flight()), (0, 0), "a group that stops would wait for ever");
}

/// The share of the only partition, refused because of its output of that number.
fn refused(share: &Share, record: Option<usize>, code: RefusalCode) -> Committed {
    let refusal = Refusal { record, topic: "progress".into(), code, reason: "no".into() };
    let refused = vec![RefusedShare { share: share.clone(), refusals: vec![refusal] }];
    Committed { refused, ..Committed::default() }
}

#[test]
fn a_result_that_the_bus_never_takes_is_left_out_and_all_else_goes_on() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    delivered(&mut core, 0, 1, &[0]);
    core.gather(now()).expect("a commit");
    core.committed(Committed::default()).expect("nothing is refused");
    let runs = launched(&mut core);
    core.ended(runs[0].0, Ended::Done(Ok(Answer::of(&Value::String("long".repeat(1000))))), now());
    delivered(&mut core, 0, 1, &[1]);
    let shares = core.gather(now()).expect("a commit");
    assert_eq!(shares[0].outputs.len(), 2, "an end and a start");
    core.committed(refused(&shares[0], Some(0), RefusalCode::TooLarge)).expect("it is told in short");
    assert!(launched(&mut core).is_empty(), "its start is not in the log");
    let again = core.gather(now()).expect("the same commit, shorter");
    assert_eq!((&again[0].outputs[1], again[0].position.next), (&shares[0].outputs[1], shares[0].position.next));
    assert!(again[0].outputs[0].size() < 1000);
    core.committed(Committed::default()).expect("nothing is refused");
    assert_eq!(launched(&mut core).len(), 1);
}

#[test]
fn a_partition_of_which_nothing_can_be_told_is_given_up_and_says_why() {
    let mut core = core("work");
    assigned(&mut core, 0, 1, Position::at(Offset(0)));
    for (record, code) in [(Some(0), RefusalCode::Forbidden), (None, RefusalCode::Position)] {
        assigned(&mut core, 0, 1, Position::at(Offset(0)));
        delivered(&mut core, 0, 1, &[0]);
        let shares = core.gather(now()).expect("a commit");
        let error = core.committed(refused(&shares[0], record, code)).expect_err("it cannot go on");
        assert!(matches!(&error, GroupError::Refused(refusal) if refusal.code == code), "{error}");
        assert_eq!((core.partitions(), core.in_flight()), (0, 0));
        assert!(launched(&mut core).is_empty());
    }
}
