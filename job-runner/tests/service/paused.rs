//! Jobs that an operator has paused: what is theirs waits in the log, and nothing else waits for it.

use std::sync::Arc;

use bus::Bus;
use contracts::{
    control::{Control, Said, Standing, What},
    names::GroupName,
};
use serde_json::{Value, json};

use crate::support::*;

fn standing(what: What) -> Option<Arc<Standing>> {
    let said = Said { by: "ann".into(), at: bus::now(), because: None };
    let control = Control { group: GroupName::of_full_name("one"), said, what };
    let mut standing = Standing::default();
    standing.take(control.key().as_bytes(), Some(&control.encode())).expect("a record");
    Some(Arc::new(standing))
}

/// The job `one`, of a kind, and its sibling `two`, on the event `a`.
async fn begun(kind: &str) -> (Arc<bus::hostile::Hostile>, Runner) {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let mut registry = standard();
    Diary::default().kind(&mut registry);
    let jobs = vec![job("one", kind, Value::Null, &["a"]), job("two", "log", Value::Null, &["a"])];
    let runner = Runner::start(bus.clone(), registry, view(1, jobs));
    (bus, runner)
}

async fn post(bus: &dyn Bus, numbers: std::ops::Range<u64>) {
    let records = numbers.map(|n| record(&event("a", n, &["one", "two"], 1), &format!("k{}", n % 7), json!({})));
    publish(bus, records.collect()).await;
}

fn ended_of(steps: &Steps, job: &str, numbers: std::ops::Range<u64>) -> usize {
    numbers.filter(|n| steps.get(&run_id("a", *n, job)).is_some_and(|steps| !steps.is_empty())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_starts_nothing_and_runs_all_of_it_once_it_is_resumed() {
    for kind in ["work", "log"] {
        let (bus, runner) = begun(kind).await;
        runner.control.send_replace(standing(What::Pause));
        runner.until("it is paused", |all| all.get("one").is_some_and(|one| one.hold.is_some())).await;
        post(&*bus, 0..50).await;
        let steps = until(&*bus, "its sibling has run", |steps| ended_of(steps, "two", 0..50) == 50).await;
        assert_eq!(ended_of(&steps, "one", 0..50), 0, "{kind}");
        runner.control.send_replace(standing(What::Resume));
        let steps = until(&*bus, "all of it has run", |steps| ended(steps, 100)).await;
        for n in 0..50 {
            let steps = &steps[&run_id("a", n, "one")];
            assert!(steps.iter().all(|step| step.attempt == 1) && steps.len() <= 2, "{kind}: {steps:?}");
        }
        runner.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_run_before_it_is_known_what_is_paused() {
    let (bus, runner) = begun("work").await;
    runner.until("it runs", |all| all.contains_key("one")).await;
    runner.stop().await;
    let registry = standard();
    let jobs = vec![job("one", "log", Value::Null, &["a"]), job("two", "log", Value::Null, &["a"])];
    let runner = Runner::start_untold(bus.clone(), registry, view(2, jobs));
    post(&*bus, 0..5).await;
    runner.catalog.send_modify(|_| {});
    tokio::task::yield_now().await;
    assert!(runner.handle.status().is_empty(), "no group has joined");
    runner.control.send_replace(standing(What::Pause));
    let steps = until(&*bus, "its sibling has run", |steps| ended_of(steps, "two", 0..5) == 5).await;
    assert_eq!(ended_of(&steps, "one", 0..5), 0);
    assert_eq!(runner.handle.status()[0].hold.as_ref().map(|hold| hold.said.by.as_str()), Some("ann"));
    runner.stop().await;
}
