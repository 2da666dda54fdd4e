//! Jobs whose events gather in windows: the last one runs, whoever is killed meanwhile, and the others are superseded by it.

use contracts::{
    ids::CorrelationId,
    summary::{Job, Outcome, State},
};
use serde_json::json;
use tests::{Herald, body};

use crate::support::{job, shell, with_jobs};

/// An event whose job notes the ids that it runs for, with these options.
fn event(options: &str) -> String {
    with_jobs("things", &shell("index", "echo \"$1\" >> \"$SCRATCH/ran\"", options))
        .replace("key: data.id", "key: data.key")
        .replace("data: { id: new.id }", "data: { id: new.id, key: new.key }")
        .replace("sample: { id: 1 }", "sample: { id: 1, key: a }")
}

async fn run_of(herald: &Herald, id: &CorrelationId, what: &str, is_so: impl Fn(&Job) -> bool) -> Job {
    let look = async || {
        let summary = herald.summary(id).await.filter(|summary| summary.counters.jobs == 1)?;
        Some(job(&summary, "index").clone()).filter(&is_so)
    };
    herald.wait_for(what, look).await
}

/// Sends rows of the key `a` one after another, so that the order of their events is known.
async fn gather(herald: &Herald, ids: std::ops::RangeInclusive<u32>) -> Vec<CorrelationId> {
    let mut sent = Vec::new();
    for n in ids {
        let body = body::insert(&format!("a-{n}"), "things", json!({ "id": n, "key": "a" }));
        let id = herald.post(body).await.correlation_id;
        run_of(herald, &id, "its event to gather", |run| run.gathered.is_some()).await;
        sent.push(id);
    }
    sent
}

#[tokio::test]
async fn the_last_event_of_a_window_runs_and_those_before_it_are_superseded_also_over_kill_9() {
    let long = "    debounce: { quiet: 1h, by: data.key }\n";
    let mut herald = Herald::build().event("thing.made", &event(long)).start().await;
    let sent = gather(&herald, 1..=3).await;
    for id in &sent[..2] {
        let run = run_of(&herald, id, "it to be superseded", |run| run.state == State::Complete).await;
        assert_eq!((run.outcome, run.attempts), (Some(Outcome::Superseded), 0));
        assert_eq!(herald.complete(id, 1).await.outcome, Some(Outcome::Success), "it ended well");
    }
    let runs: Vec<Job> = runs_of(&herald, &sent).await;
    assert_eq!(runs[0].superseded_by.map(|by| by.run), Some(runs[1].run));
    assert_eq!(runs[1].superseded_by.map(|by| by.run), Some(runs[2].run));
    assert_eq!((runs[2].state, runs[2].gathered.map(|window| window.events)), (State::Pending, Some(3)));

    herald.cli(&["show", sent[0].as_str()]).await.expect(0).has(&["⏭ index", "superseded by a later event"]);
    let because = format!("run {} of event", runs[1].run);
    herald.cli(&["why", sent[0].as_str()]).await.expect(0).has(&["⏭ index", &because]);
    herald.cli(&["show", sent[2].as_str()]).await.expect(0).has(&["⏳ index", "its window ends in", "3 events so far"]);
    let why = herald.cli(&["why", sent[2].as_str()]).await.expect(0);
    why.has(&["waits until", "for the end of its window: 3 events so far"]);
    assert!(!why.stdout.contains("about to take it"), "{}", why.stdout);
    herald.cli(&["jobs"]).await.expect(0).has(&["thing.made.index", "1 gathers in a window"]);

    herald.kill9();
    herald.start().await;
    // A sentinel of another key: it gathers, and nothing has run.
    let other = herald.post(body::insert("b-9", "things", json!({ "id": 9, "key": "b" }))).await.correlation_id;
    run_of(&herald, &other, "its event to gather", |run| run.gathered.is_some()).await;
    assert!(herald.marks("ran").is_empty(), "a window has ended before its time");
    let fourth = gather(&herald, 4..=4).await;
    let run = run_of(&herald, &fourth[0], "its event to gather", |run| run.gathered.is_some()).await;
    assert_eq!(run.gathered.map(|window| window.events), Some(4), "the window is the one of before");

    // What waits runs by the new definition.
    herald.apply("events/thing.made.yaml", &event(&long.replace("1h", "50ms"))).await;
    for id in [&fourth[0], &other] {
        assert_eq!(herald.complete(id, 1).await.outcome, Some(Outcome::Success));
    }
    let mut ran = herald.marks("ran");
    ran.sort();
    assert_eq!(ran, ["4", "9"]);
    let run = run_of(&herald, &sent[2], "it to be superseded", |run| run.state == State::Complete).await;
    assert_eq!(run.outcome, Some(Outcome::Superseded));

    // An operator has one of them run, at once and for itself.
    herald.cli(&["rerun", sent[1].as_str(), "--job", "index"]).await.expect(0);
    run_of(&herald, &sent[1], "it to run", |run| run.outcome == Some(Outcome::Success)).await;
    assert!(herald.marks("ran").contains(&"2".to_owned()));
}

async fn runs_of(herald: &Herald, sent: &[CorrelationId]) -> Vec<Job> {
    let mut runs = Vec::new();
    for id in sent {
        runs.push(job(&herald.summary(id).await.unwrap(), "index").clone());
    }
    runs
}

#[tokio::test]
async fn whoever_waits_for_an_event_that_is_superseded_is_told_so_and_one_without_a_value_is_a_dead_letter() {
    let options = "    debounce: { quiet: 1h, by: data.key.of }\n";
    let mut herald = Herald::build().event("thing.made", &event(options)).start().await;
    let row = json!({ "id": 1, "key": "a" });
    let summary = herald.run(body::insert("a-1", "things", row)).await;
    let failed = job(&summary, "index");
    assert_eq!(failed.outcome, Some(Outcome::Failure));
    assert!(failed.error.as_deref().unwrap_or_default().contains("`debounce.by`"), "{failed:?}");
    herald.apply("events/thing.made.yaml", &event("    debounce: { quiet: 1h }\n")).await;
    herald.cli(&["dlq", "redrive", "thing.made.index"]).await.expect(0);
    run_of(&herald, &summary.correlation, "it to run at once", |run| run.outcome == Some(Outcome::Success)).await;
    let first = gather(&herald, 2..=2).await;
    let waiting = tokio::spawn({
        let path = format!("/v1/correlations/{}?wait=60s", first[0]);
        let (address, request) = (herald.api(), tests::client::Request::get(path));
        async move { tests::client::send(address, &request).await }
    });
    gather(&herald, 3..=3).await;
    let told: contracts::summary::Summary = waiting.await.unwrap().unwrap().expect(200).json();
    assert_eq!(job(&told, "index").outcome, Some(Outcome::Superseded));
    assert_eq!(herald.marks("ran"), ["1"]);
    herald.leave_work();
}
