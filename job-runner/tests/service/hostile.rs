//! On a bus that does all that is allowed: every record ends exactly once, and those of a key in order.

use std::sync::Arc;

use bus::hostile::{Hostile, Manners};
use contracts::{
    ids::JobRunId,
    progress::{
        AttemptState::{Failed, Succeeded},
        JobStep,
    },
};
use job_runner::Config;
use runtime::config::Size;
use serde_json::{Value, json};

use crate::support::*;

/// Two processes on a hostile bus, until every record has ended.
async fn every_record_ends_once(seed: u64, kind: &str, config: Config) {
    const EVENTS: u64 = 150;
    let bus = Arc::new(Hostile::new(seed));
    topics(&*bus, &["a", "b"]).await;
    let (diary, mut registry) = (Diary::default(), standard());
    diary.kind(&mut registry);
    let mut spec = job("one", kind, Value::Null, &["a", "b"]);
    spec.attempts = ATTEMPTS;
    let start = || Runner::with(bus.clone(), registry.clone(), view(1, vec![spec.clone()]), config.clone());
    let (first, second) = (start(), start());
    for n in 0..EVENTS {
        let name = if n.is_multiple_of(3) { "b" } else { "a" };
        publish(&*bus, vec![record(&event(name, n, &["one"], 1), &(n % 7).to_string(), json!({}))]).await;
    }
    bus.calm();
    // A publication that was refused may be in the log all the same; the detector's are not, being hops.
    let records = everything(&*bus, "event.a").await.len() + everything(&*bus, "event.b").await.len();
    let ends = |all: &Steps| all.values().flatten().filter(|step| is_end(step)).count();
    until(&*bus, "every record has ended", |all| ends(all) >= records).await;
    first.stop().await;
    second.stop().await;
    let all = steps(&*bus).await;
    assert_eq!(ends(&all), records, "seed {seed}");
    assert_eq!(all.len() as u64, EVENTS, "seed {seed}");
    all.values().filter(|steps| steps.iter().filter(|step| is_end(step)).count() == 1).for_each(|steps| check(steps));
}

const ATTEMPTS: u32 = 50;

/// Hardly any room, so that most records are left in the log and read again.
fn cramped() -> Config {
    Config { queue_records: 2, queue_bytes: Size::kib(2), ..Config::default() }
}

fn is_end(step: &JobStep) -> bool {
    matches!(step.state, Succeeded | Failed)
}

/// The steps of one run of one record, in the order of the log: attempts grow, and nothing follows the end.
fn check(steps: &[JobStep]) {
    assert!(steps.last().is_some_and(|step| step.state == Succeeded), "another end than success: {steps:#?}");
    assert!(steps.windows(2).all(|pair| pair[0].attempt <= pair[1].attempt), "{steps:#?}");
    assert!(steps.iter().all(|step| step.attempt <= ATTEMPTS), "{steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_hostile_bus_every_record_ends_exactly_once() {
    for seed in 0..6 {
        every_record_ends_once(seed, "work", Config::default()).await;
        every_record_ends_once(seed, "work", cramped()).await;
        every_record_ends_once(seed, "log", Config::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_one_key_of_one_event_run_in_order_and_never_side_by_side() {
    in_order(Config::default()).await;
    in_order(cramped()).await;
}

async fn in_order(config: Config) {
    let bus = Arc::new(Hostile::with(3, 3, Manners::ROUGH));
    topics(&*bus, &["a", "b"]).await;
    let (diary, mut registry) = (Diary::default(), standard());
    diary.kind(&mut registry);
    let jobs = vec![job("one", "work", Value::Null, &["a", "b"])];
    let runner = Runner::with(bus.clone(), registry, view(1, jobs), config);
    let name = |n: u64| if n.is_multiple_of(3) { "b" } else { "a" };
    publish(
        &*bus,
        (0..300).map(|n| record(&event(name(n), n, &["one"], 1), &(n % 5).to_string(), json!({}))).collect(),
    )
    .await;
    until(&*bus, "they ended", |steps| ended(steps, 300)).await;
    let entries = diary.entries();
    for key in 0..5 {
        for which in ["a", "b"] {
            let runs: Vec<JobRunId> =
                (0..300).filter(|n| n % 5 == key && name(*n) == which).map(|n| run_id(which, n, "one")).collect();
            let own: Vec<_> = entries.iter().filter(|(run, _)| runs.contains(run)).copied().collect();
            let expected: Vec<_> = runs.iter().flat_map(|run| [(*run, true), (*run, false)]).collect();
            assert_eq!(own, expected, "key {key} of {which}");
        }
    }
    runner.stop().await;
}
