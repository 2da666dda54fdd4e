//! Runs that fail: tried again through the lane, over restarts and on a hostile bus, until they end or are dead letters.

use std::{collections::BTreeMap, sync::Arc};

use bus::hostile::Hostile;
use contracts::{
    dead::{DeadLetter, Reason},
    progress::AttemptState::{Failed, Retrying, Started, Succeeded},
};
use job_runner::{Answer, Config, Failure, Registry, Run};
use serde_json::{Value, json};

use crate::support::*;

/// A kind whose attempts fail up to the number that the event's place says, modulo four.
fn failing() -> Registry {
    let mut registry = standard();
    registry.function("failing", |run: Run| async move {
        let fails = run.event.raw.offset % 4;
        if u64::from(run.attempt) <= fails { Err(Failure::new("not yet")) } else { Ok(Answer::nothing()) }
    });
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_is_tried_again_and_one_that_never_succeeds_is_a_dead_letter() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let mut spec = job("one", "failing", Value::Null, &["a"]);
    spec.attempts = 3;
    let runner = Runner::start(bus.clone(), failing(), view(1, vec![spec]));
    publish(&*bus, (0..4).map(|n| record(&event("a", n, &["one"], 1), "k", json!({ "n": n }))).collect()).await;
    let steps = until(&*bus, "all ended", |steps| ended(steps, 4)).await;
    let of = |n| states(&steps[&run_id("a", n, "one")]);
    assert_eq!(of(0), [(1, Started), (1, Succeeded)]);
    assert_eq!(of(1), [(1, Started), (1, Retrying), (2, Started), (2, Succeeded)]);
    let again = [(1, Started), (1, Retrying), (2, Started), (2, Retrying)];
    assert_eq!(of(2), [&again[..], &[(3, Started), (3, Succeeded)]].concat());
    assert_eq!(of(3), [&again[..], &[(3, Started), (3, Failed)]].concat());
    let retried = &steps[&run_id("a", 1, "one")][1];
    assert_eq!((retried.error.as_deref(), retried.of), (Some("not yet"), Some(3)));
    assert!(retried.again > retried.ended);
    let letters = everything(&*bus, "dead.job.one").await;
    let letter = DeadLetter::of(&letters[0].headers).expect("a letter");
    assert_eq!((letters.len(), letter.reason, letter.attempts), (1, Reason::Attempts, 3));
    assert_eq!(letters[0].value(), br#"{"n":3}"#);
    runner.until("nothing waits", |all| all["one"].waiting == 0).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_hostile_bus_and_over_crashes_every_run_that_fails_ends_exactly_once() {
    const EVENTS: u64 = 120;
    for seed in 0..4 {
        let bus = Arc::new(Hostile::new(seed));
        topics(&*bus, &["a"]).await;
        let mut spec = job("one", "failing", Value::Null, &["a"]);
        spec.attempts = 60;
        let config = if seed % 2 == 0 { Config::default() } else { Config { queue_records: 2, ..Config::default() } };
        let start = || Runner::with(bus.clone(), failing(), view(1, vec![spec.clone()]), config.clone());
        let (mut first, second) = (start(), start());
        for n in 0..EVENTS {
            publish(&*bus, vec![record(&event("a", n, &["one"], 1), &(n % 7).to_string(), json!({}))]).await;
            if n % 40 == 39 {
                first.crash().await;
                first = start();
            }
        }
        bus.calm();
        let records = everything(&*bus, "event.a").await.len();
        let ends = |all: &Steps| all.values().flatten().filter(|step| matches!(step.state, Succeeded | Failed)).count();
        let all = until(&*bus, "every record has ended", |all| ends(all) >= records).await;
        first.stop().await;
        second.stop().await;
        assert_eq!((ends(&all), all.len() as u64), (records, EVENTS), "seed {seed}");
        let mut lane: BTreeMap<_, _> = BTreeMap::new();
        for record in everything(&*bus, "lane.job.one").await {
            lane.insert((record.partition, record.key), record.value);
        }
        assert!(lane.values().all(Option::is_none), "seed {seed}: something waits for ever");
    }
}
