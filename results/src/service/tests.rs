use std::{collections::BTreeMap, path::Path};

use bus::{
    Offset, Outgoing, Record,
    embedded::{Config as BusConfig, Embedded},
    hostile::Hostile,
};
use contracts::{
    headers::ce,
    ids::CorrelationId,
    outcomes::{Awaited, Outcomes},
    progress::{AttemptState, Progress},
    summary::{State, Summary},
};

use super::*;
use crate::store::{
    Page,
    tests::facts::{detected, done, large, occurrence, step},
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

fn config(folder: &Path) -> Config {
    // The facts are of long ago, and neither due nor to be deleted for that.
    let long = runtime::config::Duration::secs(1 << 32);
    Config { path: folder.join("results.db"), keep: long, deadline: long, ..Config::default() }
}

/// Starts the stage; after a kill its store may take a moment to be let go.
async fn start(bus: &Arc<dyn Bus>, config: Config) -> Running {
    let service =
        eventually("the store is free", async || Service::new(config.clone(), Deps { bus: bus.clone() }).ok()).await;
    let (handle, shutdown) = (service.handle(), CancellationToken::new());
    Running { handle, task: tokio::spawn(service.run(shutdown.clone())), shutdown }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }

    /// Drops everything at once, as a kill does.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn complete(&self, correlation: &str, revision: u64) -> Summary {
        eventually(correlation, async || {
            assert!(!self.task.is_finished(), "the stage has ended");
            let id = correlation.parse().expect("an id");
            let found = self.handle.summary(id, Page::default()).await.expect("read");
            found.filter(|summary| summary.state == State::Complete && summary.revision >= revision)
        })
        .await
    }
}

/// What a condition answers once it does.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn publish(bus: &Arc<dyn Bus>, progress: &[Progress]) {
    let records = progress
        .iter()
        .map(|one| Outgoing::new(PROGRESS, one.occurrence.correlation.as_str().to_owned(), one.encode()));
    let records: Vec<Outgoing> = records.collect();
    eventually("the bus takes progress", async || bus.publish(records.clone()).await.ok()).await;
}

async fn read_all(bus: &Arc<dyn Bus>, topic: &str) -> Vec<Record> {
    let topics = bus.topics().await.expect("topics");
    let Some(info) = topics.iter().find(|info| info.topic.as_str() == topic) else { return Vec::new() };
    let mut out = Vec::new();
    for at in info.each() {
        let mut from = Offset::ZERO;
        loop {
            let records = bus.read(&at, from, 1 << 20).await.expect("read");
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            out.extend(records);
        }
    }
    out
}

/// The highest revision that was published of each correlation.
async fn published(bus: &Arc<dyn Bus>) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for record in read_all(bus, COMPLETED).await {
        let summary: Summary = serde_json::from_slice(record.value()).expect("a summary");
        assert_eq!(record.key.as_deref(), Some(summary.correlation.as_str().as_bytes()));
        let id = announce::id(&summary).to_string();
        assert_eq!(record.headers.text(ce::ID), Some(id.as_str()));
        let revision = out.entry(summary.correlation.to_string()).or_insert(0);
        *revision = summary.revision.max(*revision);
    }
    out
}

fn embedded(folder: &Path) -> Arc<dyn Bus> {
    Arc::new(Embedded::open(&BusConfig::new(folder)).expect("a bus"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_gathered_announced_and_advised() {
    let folder = tempfile::tempdir().expect("a folder");
    let bus = embedded(folder.path());
    let running = start(&bus, config(folder.path())).await;
    let all: Vec<Progress> = (0..200).flat_map(|number| done(&format!("c{number}"), number)).collect();
    publish(&bus, &all).await;
    for number in 0..200 {
        running.complete(&format!("c{number}"), 2).await;
    }
    let expected: BTreeMap<String, u64> = (0..200).map(|number| (format!("c{number}"), 2)).collect();
    eventually("everything is announced", async || (published(&bus).await == expected).then_some(())).await;
    eventually("the bus is advised", async || {
        let lag = bus.lag(GROUP).await.expect("lag");
        (!lag.is_empty() && lag.iter().all(|lag| lag.records == 0)).then_some(())
    })
    .await;
    running.stop().await;
    // A clean end leaves nothing to be announced again.
    let before = read_all(&bus, COMPLETED).await.len();
    let running = start(&bus, config(folder.path())).await;
    publish(&bus, &done("last", 500)).await;
    running.complete("last", 2).await;
    eventually("the last is announced", async || published(&bus).await.contains_key("last").then_some(())).await;
    assert_eq!(read_all(&bus, COMPLETED).await.len(), before + 1);
    running.stop().await;
}

#[tokio::test]
async fn what_was_told_just_before_the_end_is_gathered() {
    let folder = tempfile::tempdir().expect("a folder");
    let bus = embedded(folder.path());
    let running = start(&bus, config(folder.path())).await;
    publish(&bus, &done("first", 1)).await;
    running.complete("first", 2).await;
    let handle = running.handle.clone();
    // On the one thread of this test hardly anything is read between the two.
    publish(&bus, &done("last", 2)).await;
    running.stop().await;
    let last = handle.summary("last".parse().expect("an id"), Page::default()).await.expect("read");
    assert_eq!(last.expect("it is known").state, State::Complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_when_its_invocation_is_known_and_all_is_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let bus = embedded(folder.path());
    let running = start(&bus, config(folder.path())).await;
    publish(&bus, &done("a", 1)).await;
    running.complete("a", 2).await;
    let second = occurrence("a", 2);
    let awaited = Awaited { correlation: second.correlation.clone(), invocation: Some(second.invocation), raw: None };
    // Complete, but the invocation is not known yet.
    let waited = running.handle.wait(awaited.clone(), Duration::from_millis(20)).await.expect("asked");
    assert!(!waited.complete && waited.summary.is_some());
    let handle = running.handle.clone();
    let waiting = tokio::spawn(async move { handle.wait(awaited, PATIENCE).await });
    publish(&bus, &[detected(&second, &["log"])]).await;
    publish(&bus, &[step(&second, "log", 1, AttemptState::Succeeded)]).await;
    let waited = waiting.await.expect("no panic").expect("asked");
    assert!(waited.complete);
    assert_eq!(waited.summary.expect("known").counters.succeeded, 2);
    let unknown = Awaited { correlation: "nobody".parse().expect("an id"), invocation: None, raw: None };
    let waited = running.handle.wait(unknown, Duration::ZERO).await.expect("asked");
    assert!(!waited.complete && waited.summary.is_none());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_bus_is_refused() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let bus = embedded(folder.path());
    let running = start(&bus, config(folder.path())).await;
    publish(&bus, &done("a", 1)).await;
    running.complete("a", 2).await;
    running.stop().await;
    let running = start(&embedded(other.path()), config(folder.path())).await;
    let error = running.task.await.expect("no panic").expect_err("the wrong bus");
    assert!(matches!(error, Error::OtherBus { .. }) && error.is_final(), "{error}");
}

/// Each correlation once or twice, spread over time, with some facts told twice.
fn story(correlations: u64) -> Vec<Progress> {
    let mut out = Vec::new();
    for number in 0..correlations {
        let occurrence = occurrence(&format!("c{}", number % (correlations / 2)), number);
        out.push(detected(&occurrence, &["a", "b"]));
        out.push(step(&occurrence, "a", 1, AttemptState::Succeeded));
        out.push(step(&occurrence, "b", 1, AttemptState::Retrying));
        out.push(step(&occurrence, "b", 2, AttemptState::Failed));
        if number % 3 == 0 {
            out.push(step(&occurrence, "b", 2, AttemptState::Failed));
        }
    }
    // Far apart what belongs together, in an order that is the same each time.
    let length = out.len();
    let stride = (1..).map(|one| length / 3 + one).find(|one| gcd(*one, length) == 1).expect("a stride");
    (0..length).map(|index| out[index * stride % length].clone()).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_hostile_bus_and_killed_in_between_the_answer_is_the_same() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().expect("a folder");
        let hostile = Arc::new(Hostile::new(seed));
        let bus: Arc<dyn Bus> = hostile.clone();
        eventually("topics", async || bus.create(vec![TopicSpec::new(PROGRESS)]).await.ok()).await;
        let mut running = start(&bus, config(folder.path())).await;
        publish(&bus, &done("joined", 999)).await;
        running.complete("joined", 2).await;
        let story = story(60);
        for (index, chunk) in story.chunks(20).enumerate() {
            publish(&bus, chunk).await;
            if index % 4 == 3 {
                // In the middle of what was just told, but not before it has joined.
                running.kill().await;
                running = start(&bus, config(folder.path())).await;
                let marker = format!("joined-{index}");
                publish(&bus, &done(&marker, 1000 + index as u64)).await;
                running.complete(&marker, 2).await;
            }
        }
        hostile.calm();
        for number in 0..30 {
            let summary = running.complete(&format!("c{number}"), 8).await;
            let counters = &summary.counters;
            assert_eq!((summary.revision, counters.invocations), (8, 2), "seed {seed}");
            assert_eq!((counters.succeeded, counters.failed, counters.repeated), (2, 2, 0), "seed {seed}");
        }
        let expected: BTreeMap<String, u64> = (0..30).map(|number| (format!("c{number}"), 8)).collect();
        eventually("everything is announced", async || {
            let mut found = published(&bus).await;
            found.retain(|correlation, _| !correlation.starts_with("joined"));
            (found == expected).then_some(())
        })
        .await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_wait_in_the_outbox_while_the_bus_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = Arc::new(Hostile::new(7));
    hostile.calm();
    let bus: Arc<dyn Bus> = hostile.clone();
    bus.create(vec![TopicSpec::new(PROGRESS)]).await.expect("topics");
    publish(&bus, &done("a", 1)).await;
    hostile.fill(true);
    let running = start(&bus, config(folder.path())).await;
    running.complete("a", 2).await;
    running.kill().await;
    assert!(published(&bus).await.is_empty());
    let running = start(&bus, config(folder.path())).await;
    hostile.fill(false);
    eventually("it is announced", async || published(&bus).await.contains_key("a").then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_announcements_than_memory_has_room_for_are_published_from_the_outbox() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = Arc::new(Hostile::new(7));
    hostile.calm();
    let bus: Arc<dyn Bus> = hostile.clone();
    bus.create(vec![TopicSpec::new(PROGRESS)]).await.expect("topics");
    let count = 2 * ANNOUNCED as u64 / PIECE as u64;
    let mut expected = BTreeMap::new();
    for number in 0..count {
        let correlation = format!("c{number}");
        publish(&bus, &large(&correlation, number, PIECE)).await;
        expected.insert(correlation, 2);
    }
    hostile.fill(true);
    let running = start(&bus, config(folder.path())).await;
    for correlation in expected.keys() {
        running.complete(correlation, 2).await;
    }
    assert!(published(&bus).await.is_empty());
    hostile.fill(false);
    eventually("everything is announced", async || (published(&bus).await == expected).then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_are_kept_by_the_clock() {
    let folder = tempfile::tempdir().expect("a folder");
    let bus = embedded(folder.path());
    let deadline = runtime::config::Duration::secs(5);
    let running = start(&bus, Config { deadline, ..config(folder.path()) }).await;
    publish(&bus, &[detected(&occurrence("stuck", 1), &["log"])]).await;
    let id: CorrelationId = "stuck".parse().expect("an id");
    let waited =
        running.handle.wait(Awaited { correlation: id, invocation: None, raw: None }, PATIENCE).await.expect("asked");
    assert!(waited.complete && waited.summary.expect("known").incomplete);
    eventually("it is announced", async || published(&bus).await.contains_key("stuck").then_some(())).await;
    running.stop().await;
}
