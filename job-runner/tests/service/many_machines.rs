//! What a bus of many machines brings: outages, jobs that run elsewhere, partitions that come and go while paused.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
};

use bus::{
    Assignment, Committed, Delivery, Error, Generation, Member, Offset, Position, Share, Subscription, TopicPartition,
    hostile::{Flaky, Hostile, Manners},
};
use catalog::Order;
use contracts::outcomes::BoxFuture;
use job_runner::{Config, GroupState, Registry};
use runtime::config::Duration;
use serde_json::{Value, json};

use crate::support::*;

async fn failed_again(flaky: &Flaky) {
    let (before, begun) = (flaky.failed.load(SeqCst), std::time::Instant::now());
    while flaky.failed.load(SeqCst) < before + 2 {
        assert!(begun.elapsed().as_secs() < 30, "nobody tries again");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_for_by_every_job_and_ends_none() {
    let inner = mild();
    topics(&*inner, &["a"]).await;
    let flaky = Arc::new(Flaky::new(inner.clone()));
    flaky.fail(true);
    let config = Config { rejoin_initial: Duration::millis(1), rejoin_max: Duration::millis(5), ..Config::default() };
    let jobs = ["one", "two"].map(|name| job(name, "log", Value::Null, &["a"])).to_vec();
    let runner = Runner::with(flaky.clone(), standard(), view(1, jobs), config);
    publish(&*inner, vec![record(&event("a", 1, &["one", "two"], 1), "k", json!({}))]).await;
    failed_again(&flaky).await;
    runner
        .until("both wait", |all| {
            all.len() == 2
                && all
                    .values()
                    .all(|one| matches!(&one.state, GroupState::Waiting(error) if error.kind() == "unavailable"))
        })
        .await;
    flaky.fail(false);
    until(&*inner, "both ended", |steps| ended(steps, 2)).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_cannot_join_stops_at_once_when_it_is_told_to() {
    let inner = mild();
    topics(&*inner, &["a"]).await;
    let flaky = Arc::new(Flaky::new(inner));
    flaky.fail(true);
    let config = Config { rejoin_initial: Duration::secs(600), rejoin_max: Duration::secs(600), ..Config::default() };
    let runner = Runner::with(flaky.clone(), standard(), view(1, vec![job("one", "log", Value::Null, &["a"])]), config);
    runner.until("it waits", |all| all.values().any(|one| matches!(one.state, GroupState::Waiting(_)))).await;
    let begun = std::time::Instant::now();
    runner.stop().await;
    assert!(begun.elapsed().as_secs() < 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_runs_the_jobs_that_its_patterns_select_and_no_others() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let jobs = |names: &[&str]| names.iter().map(|name| job(name, "log", Value::Null, &["a"])).collect::<Vec<_>>();
    let config = |pattern: &str| Config { jobs: vec![pattern.to_owned()], ..Config::default() };
    let start =
        |pattern| Runner::with(bus.clone(), standard(), view(1, jobs(&["publish-log", "mail"])), config(pattern));
    let first = start("publish-*");
    let stamp = ["publish-log", "mail", "publish-mail"];
    publish(&*bus, vec![record(&event("a", 1, &stamp, 1), "k", json!({}))]).await;
    let steps = until(&*bus, "one ended", |steps| ended(steps, 1)).await;
    assert_eq!(steps.into_keys().collect::<Vec<_>>(), [run_id("a", 1, "publish-log")]);
    let second = start("*mail");
    until(&*bus, "two ended", |steps| ended(steps, 2)).await;
    first.catalog.send_replace(Some(Arc::new(view(2, jobs(&["publish-log", "mail", "publish-mail"])))));
    let steps = until(&*bus, "three ended", |steps| ended(steps, 3)).await;
    assert!(steps.values().all(|steps| steps.len() == 1), "{steps:#?}");
    let names =
        |runner: &Runner| runner.handle.status().iter().map(|one| one.group.full_name().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["publish-log".into(), "publish-mail".into()], vec!["mail".to_owned()])
    );
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_move_while_they_are_paused_deliver_again() {
    const EVENTS: u64 = 400;
    let manners = Manners { revoke: 150, lose: 150, short: 500, ..Manners::HOSTILE };
    for seed in 0..8 {
        let bus = Arc::new(Hostile::with(seed, 2, Manners { refuse: 0, ..manners }));
        topics(&*bus, &["a"]).await;
        let mut registry: Registry = standard();
        Diary::default().kind(&mut registry);
        let mut spec = job("one", "work", Value::Null, &["a"]);
        (spec.concurrency, spec.attempts) = (1, 10_000);
        let config = Config { queue_records: 2, ..Config::default() };
        let runner = Runner::with(bus.clone(), registry, view(1, vec![spec]), config);
        let records = (0..EVENTS).map(|n| record(&event("a", n, &["one"], 1), &n.to_string(), json!({})));
        publish(&*bus, records.collect()).await;
        let is_done = |steps: &Steps| ended(steps, EVENTS as usize / 2);
        until(&*bus, "half of them ended", is_done).await;
        bus.calm();
        until(&*bus, "all ended", |steps| ended(steps, EVENTS as usize)).await;
        runner.stop().await;
    }
}

/// A member that says what it was told to, and then nothing; it writes down how its partition is paused and opened.
struct Scripted {
    says: Mutex<VecDeque<Delivery>>,
    heard: Arc<Mutex<Vec<String>>>,
    /// What becomes of its commits.
    commits: Result<Committed, Error>,
}

impl Scripted {
    fn hear(&self, what: impl Into<String>) {
        self.heard.lock().expect("a list").push(what.into());
    }
}

impl Member for Scripted {
    fn next(&self) -> BoxFuture<'_, Result<Delivery, Error>> {
        Box::pin(async {
            let is_open = self.heard.lock().expect("a list").iter().any(|heard| heard.starts_with("open"));
            let says = {
                let mut says = self.says.lock().expect("a script");
                // Nothing is delivered before it was opened.
                if !is_open && matches!(says.front(), Some(Delivery::Records(..))) { None } else { says.pop_front() }
            };
            match says {
                Some(delivery) => Ok(delivery),
                None => std::future::pending().await,
            }
        })
    }
    fn open(&self, _: &TopicPartition, generation: Generation, _: Offset) {
        self.hear(format!("open {}", generation.0));
    }
    fn pause(&self, _: &TopicPartition) {
        self.hear("pause");
    }
    fn resume(&self, _: &TopicPartition) {
        self.hear("resume");
    }
    fn subscribe(&self, _: Subscription) {}
    fn commit(&self, _: Vec<Share>) -> BoxFuture<'_, Result<Committed, Error>> {
        let commits = self.commits.clone();
        Box::pin(async { commits })
    }
    fn advise(&self, _: &TopicPartition, _: Offset) {}
    fn release(&self, _: &[TopicPartition]) {}
    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[tokio::test]
async fn a_pause_that_came_too_late_for_its_assignment_does_not_outlive_it() {
    let inner = mild();
    topics(&*inner, &["a"]).await;
    let at = TopicPartition::new("event.a", 0);
    let assigned = |generation| {
        let (partition, generation) = (at.clone(), Generation(generation));
        Delivery::Assigned(vec![Assignment { partition, generation, position: Position::at(Offset::ZERO) }])
    };
    publish(&*inner, (0..9).map(|n| record(&event("a", n, &["one"], 1), "k", json!({}))).collect()).await;
    let mut records = everything(&*inner, "event.a").await;
    records.iter_mut().for_each(|record| record.partition = at.partition);
    // The bus has assigned the partition anew before it hears of the pause, so that it pauses the new assignment.
    let records = Delivery::Records(at.clone(), Generation(1), records);
    let says = Mutex::new(VecDeque::from([assigned(1), records, Delivery::Lost(vec![at.clone()]), assigned(2)]));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let flaky = Flaky::new(inner);
    *flaky.member.lock().expect("the member") =
        Some(Box::new(Scripted { says, heard: heard.clone(), commits: Ok(Committed::default()) }));
    let mut registry = standard();
    registry.function("stuck", |_| std::future::pending());
    let mut spec = job("one", "stuck", Value::Null, &["a"]);
    (spec.concurrency, spec.order) = (1, Order::None);
    let config = Config { queue_records: 2, ..Config::default() };
    let runner = Runner::with(Arc::new(flaky), registry, view(1, vec![spec]), config);
    let calls = || heard.lock().expect("a list").clone();
    runner.until("it is open again", |_| calls().contains(&"open 2".to_owned())).await;
    assert_eq!(calls(), ["resume", "open 1", "pause", "resume", "open 2"]);
    runner.stop().await;
}

#[tokio::test]
async fn a_commit_that_fails_ends_the_membership_and_the_next_one_does_the_work() {
    let inner = mild();
    topics(&*inner, &["a"]).await;
    publish(&*inner, vec![record(&event("a", 1, &["one"], 1), "k", json!({}))]).await;
    let (partition, generation) = (TopicPartition::new("event.a", 0), Generation(1));
    let mut records = everything(&*inner, "event.a").await;
    records.iter_mut().for_each(|record| record.partition = partition.partition);
    let records = Delivery::Records(partition.clone(), generation, records);
    let assignment = Assignment { partition, generation, position: Position::at(Offset::ZERO) };
    let says = Mutex::new(VecDeque::from([Delivery::Assigned(vec![assignment]), records]));
    let commits = Err(Error::Unavailable("no broker answers".into()));
    let flaky = Flaky::new(inner.clone());
    *flaky.member.lock().expect("the member") = Some(Box::new(Scripted { says, heard: Arc::default(), commits }));
    let runner = Runner::start(Arc::new(flaky), standard(), view(1, vec![job("one", "log", Value::Null, &["a"])]));
    until(&*inner, "it ran", |steps| ended(steps, 1)).await;
    runner.stop().await;
}
