//! Which records a group takes, and what stops it.

use std::{collections::HashSet, sync::Arc};

use bus::{
    Assignment, Bus, Committed, Delivery, Note, Offset, Position, Share, Subscription,
    hostile::{Hostile, Manners},
};
use contracts::ids::JobRunId;
use job_runner::{Answer, Config, GroupState, GroupStatus, Run};
use runtime::config::Duration;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_passes_over_events_that_do_not_name_it_and_its_lag_ends() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let jobs = vec![job("one", "log", Value::Null, &["a"]), job("two", "log", Value::Null, &["a"])];
    let runner = Runner::start(bus.clone(), standard(), view(1, jobs));
    publish(&*bus, (0..20).map(|n| record(&event("a", n, &["one"], 1), &n.to_string(), json!({}))).collect()).await;
    let steps = until(&*bus, "they ended", |steps| ended(steps, 20)).await;
    assert!(steps.values().flatten().all(|step| step.job.as_str() == "one"));
    let two = contracts::names::GroupName::of_definition(&"two".parse().expect("a name"));
    while runner.handle.lag(&two).await.expect("lag") > 0 {
        tokio::task::yield_now().await;
    }
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_position_starts_at_its_mark() {
    let bus = Arc::new(Hostile::with(1, 1, Manners::MILD));
    topics(&*bus, &["a", "b"]).await;
    let before = |name: &str| (0..5).map(|n| record(&event(name, n, &["one"], 1), "k", json!({}))).collect::<Vec<_>>();
    publish(&*bus, before("a")).await;
    publish(&*bus, before("b")).await;
    let mut view = view(1, vec![job("one", "log", Value::Null, &["a", "b"])]);
    let end = bus.offset(&bus::TopicPartition::new("event.a", 0), bus::Start::End).await.expect("the end");
    let group = view.jobs[0].group.clone();
    view.starts.entry(group).or_default().insert(bus::TopicPartition::new("event.a", 0), end);
    let runner = Runner::start(bus.clone(), standard(), view);
    publish(&*bus, vec![record(&event("a", 5, &["one"], 1), "k", json!({}))]).await;
    let steps = until(&*bus, "they ended", |steps| ended(steps, 6)).await;
    let runs: HashSet<JobRunId> = steps.into_keys().collect();
    let expected = (0..5).map(|n| run_id("b", n, "one")).chain([run_id("a", 5, "one")]);
    assert_eq!(runs, expected.collect());
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_catalog_waits_for_it() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let spec = job("one", "log", json!({ "message": "old" }), &["a"]);
    let runner = Runner::start(bus.clone(), standard(), view(1, vec![spec]));
    publish(&*bus, vec![record(&event("a", 1, &["one"], 2), "k", json!({}))]).await;
    runner
        .until("it waits", |all| all.get("one").is_some_and(|one| matches!(one.state, GroupState::AwaitsCatalog(2))))
        .await;
    assert!(steps(&*bus).await.is_empty());
    let spec = job("one", "log", json!({ "message": "new" }), &["a"]);
    runner.catalog.send_replace(Some(Arc::new(view(2, vec![spec]))));
    let steps = until(&*bus, "it ended", |steps| ended(steps, 1)).await;
    assert_eq!(steps[&run_id("a", 1, "one")][0].result.as_ref().expect("a result").get(), r#"{"message":"new"}"#);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_not_there_stops_its_job_alone_until_the_catalog_is_better() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let jobs = |kind| vec![job("one", kind, Value::Null, &["a"]), job("two", "log", Value::Null, &["a"])];
    let runner = Runner::start(bus.clone(), standard(), view(1, jobs("fax")));
    publish(&*bus, vec![record(&event("a", 1, &["one", "two"], 1), "k", json!({}))]).await;
    until(&*bus, "the other ended", |steps| ended(steps, 1)).await;
    runner
        .until("it says why", |all| match all.get("one").map(|one| &one.state) {
            Some(GroupState::Stopped(error)) => error.to_string().contains("no kind of job `fax`"),
            _ => false,
        })
        .await;
    runner.catalog.send_replace(Some(Arc::new(view(2, jobs("log")))));
    until(&*bus, "both ended", |steps| ended(steps, 2)).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_is_recorded_and_holds_up_nothing() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let runner = Runner::start(bus.clone(), standard(), view(1, vec![job("one", "log", Value::Null, &["a"])]));
    let headers = [(contracts::headers::JOBS, "one")].into_iter().collect();
    let strange = bus::Outgoing::new("event.a", "k", "{}").with_headers(headers);
    publish(&*bus, vec![strange, record(&event("a", 1, &["one"], 1), "k", json!({}))]).await;
    until(&*bus, "the good one ended", |steps| ended(steps, 1)).await;
    let rejected = everything(&*bus, "rejected").await;
    let rejected: Value = serde_json::from_slice(rejected[0].value()).expect("JSON");
    assert_eq!((&rejected["stage"], &rejected["reason"]), (&json!("job-runner"), &json!("unreadable-event")));
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_memory_is_bounded_and_reading_goes_on_when_it_has_gone() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let (gate, mut registry) = (Arc::new(Semaphore::new(0)), standard());
    let door = gate.clone();
    registry.function("gated", move |_: Run| {
        let door = door.clone();
        async move {
            door.acquire().await.expect("open").forget();
            Ok(Answer::nothing())
        }
    });
    let config = Config { queue_records: 8, ..Config::default() };
    let mut spec = job("gated", "gated", Value::Null, &["a"]);
    spec.concurrency = 2;
    let runner = Runner::with(bus.clone(), registry, view(1, vec![spec]), config);
    publish(&*bus, (0..200).map(|n| record(&event("a", n, &["gated"], 1), &n.to_string(), json!({}))).collect()).await;
    runner
        .until("it is full", |all| all.get("gated").is_some_and(|gated| (gated.queued, gated.in_flight) == (6, 2)))
        .await;
    for count in 0..200 {
        gate.add_permits(1);
        let status = &runner.handle.status()[0];
        assert!(status.queued + status.in_flight <= 8, "{count}: {status:?}");
        tokio::task::yield_now().await;
    }
    until(&*bus, "they ended", |steps| ended(steps, 200)).await;
    runner.stop().await;
}

/// Writes the position of `job.one` in `event.a/0`, as a tool would while no process has the group.
async fn set_position(bus: &dyn Bus, position: Position) -> bool {
    let member = bus.join("job.one", Subscription::to(["event.a"])).await.expect("a member");
    let assigned = match member.next().await.expect("a delivery") {
        Delivery::Assigned(mut assigned) => assigned.remove(0),
        // Its own process had it at this moment.
        _ => return false,
    };
    let Assignment { partition, generation, .. } = assigned;
    let share = Share { partition, generation, outputs: Vec::new(), position };
    let is_done = member.commit(vec![share]).await.expect("an end") == Committed::default();
    member.leave().await;
    is_done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_stopped_by_its_position_is_shown_alone_and_goes_on_once_the_position_is_mended() {
    let bus = Arc::new(Hostile::with(1, 1, Manners::MILD));
    topics(&*bus, &["a"]).await;
    let note = Note::new("999").expect("short");
    assert!(set_position(&*bus, Position { next: Offset(0), note }).await);
    let jobs = vec![job("one", "log", Value::Null, &["a"]), job("two", "log", Value::Null, &["a"])];
    let config = Config { rejoin_initial: Duration::millis(20), rejoin_max: Duration::millis(20), ..Config::default() };
    let runner = Runner::with(bus.clone(), standard(), view(1, jobs), config);
    publish(&*bus, vec![record(&event("a", 1, &["one", "two"], 1), "k", json!({}))]).await;
    until(&*bus, "the other ended", |steps| ended(steps, 1)).await;
    let why = "the position of `event.a/0` cannot be understood: its note has format '9'";
    runner
        .until("it says why", |all| match all.get("one").map(|one| (&one.state, one.since)) {
            Some((GroupState::Stopped(error), Some(_))) => error.to_string().starts_with(why),
            _ => false,
        })
        .await;
    let complaint = std::iter::repeat_with(|| runner.board.complaint()).flatten().next().expect("a complaint");
    assert!(complaint.starts_with("1 of 2 jobs stand still: `one` since 2"), "{complaint}");
    assert!(complaint.contains(why), "{complaint}");
    assert_eq!(steps(&*bus).await.len(), 1);
    while !set_position(&*bus, Position::at(Offset(0))).await {
        tokio::task::yield_now().await;
    }
    until(&*bus, "it went on without a restart", |steps| ended(steps, 2)).await;
    runner.until("it runs", |all| all.values().all(|one| matches!(one.state, GroupState::Running))).await;
    assert_eq!(runner.board.complaint(), None);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_groups_start_and_stop() {
    let bus = Arc::new(Hostile::with(1, 1, Manners::MILD));
    topics(&*bus, &["a"]).await;
    let jobs = (0..2000).map(|n| job(&format!("j{n}"), "log", Value::Null, &["a"])).collect();
    let runner = Runner::start(bus.clone(), standard(), view(1, jobs));
    let is_running = |status: &GroupStatus| matches!(status.state, GroupState::Running);
    runner.until("all run", |all| all.len() == 2000 && all.values().all(is_running)).await;
    publish(&*bus, vec![record(&event("a", 1, &["j7", "j1999"], 1), "k", json!({}))]).await;
    until(&*bus, "two ended", |steps| ended(steps, 2)).await;
    runner.stop().await;
}
