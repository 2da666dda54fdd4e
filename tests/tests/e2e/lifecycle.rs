//! Starting, stopping, and starting again.

use std::time::Duration;

use bus::{
    Bus as _, Offset, TopicPartition,
    embedded::{Config, Embedded},
};
use contracts::summary::State;
use serde_json::json;
use tests::{Engine, Herald, body};

use crate::support::{is_kafka, job, noted, shell, until, with_jobs};

#[tokio::test]
async fn a_second_process_where_there_may_be_one_is_refused() {
    let mut herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let second = herald.second().await;
    assert_eq!(second.code, Some(1), "{}", second.printed);
    let why = match herald.engine() {
        Engine::Embedded => "is in use by another herald",
        Engine::Kafka(_) => "another process gathers results already: instance 1 on ",
    };
    assert!(second.printed.contains(why), "{}", second.printed);
    assert_eq!(herald.run(body::insert("a", "things", json!({ "id": 1 }))).await.counters.succeeded, 1);
}

#[tokio::test]
async fn at_a_graceful_end_a_running_job_may_finish() {
    let event = with_jobs("things", "  - id: slow\n    simulate: { delay: 2s }\n");
    let mut herald = Herald::build().event("thing.made", &event).start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    running(&herald, &accepted.correlation_id, "slow").await;
    herald.sigterm().await;
    herald.start().await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    assert_eq!((summary.counters.succeeded, job(&summary, "slow").attempts), (1, 1));
}

#[tokio::test]
async fn a_job_that_does_not_finish_in_the_grace_period_gets_its_attempt_back() {
    let script = format!("echo \"$HERALD_ATTEMPT\" >> \"$SCRATCH/attempts\"; {}", until("go"));
    let event = with_jobs("things", &shell("slow", &script, "    timeout: 5m\n    attempts: 1\n"));
    let builder = Herald::build().event("thing.made", &event).setting("job-runner.grace", "200ms");
    let mut herald = builder.start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    for _ in 0..2 {
        let before = herald.marks("attempts").len();
        herald
            .wait_for("the job to run", async || (herald.marks("attempts").len() > before || before > 0).then_some(()))
            .await;
        running(&herald, &accepted.correlation_id, "slow").await;
        let took = herald.sigterm().await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        let story = herald.story();
        assert!(story.contains("runs are cancelled, since the grace is over"), "{story}");
        herald.start().await;
        if herald.engine() == &Engine::Embedded {
            let said = herald.stdout();
            assert!(said.contains("goes on   1 invocation that was not finished"), "{said}");
        }
    }
    herald.mark("go");
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    // With one attempt in all, each that had been spent would have ended it.
    assert_eq!((summary.counters.succeeded, job(&summary, "slow").attempts), (1, 1));
    assert!(herald.marks("attempts").iter().all(|attempt| attempt == "1"), "{:?}", herald.marks("attempts"));
}

#[tokio::test]
async fn who_waits_while_it_stops_is_told_that_it_is_durable() {
    let event = with_jobs("things", &shell("slow", &until("go"), "    timeout: 5m\n"));
    let mut herald = Herald::build().event("thing.made", &event).setting("job-runner.grace", "200ms").start().await;
    let waiting =
        tests::client::Request::post("/hasura?wait=1m", body::insert("a", "things", json!({ "id": 1 })).to_string());
    let address = herald.webhook();
    let waiting = tokio::spawn(async move { tests::client::send(address, &waiting).await });
    let accepted = herald.post(body::insert("b", "things", json!({ "id": 2 }))).await;
    running(&herald, &accepted.correlation_id, "slow").await;
    herald.sigterm().await;
    assert_eq!(waiting.await.unwrap().unwrap().status, 202);
    herald.mark("go");
    herald.start().await;
    herald.complete(&accepted.correlation_id, 1).await;
    herald.complete(&contracts::ids::CorrelationId::derived("default", "a"), 1).await;
}

#[tokio::test]
async fn what_is_known_is_known_after_a_crash_and_a_restart() {
    let mut herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let before = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.kill9();
    herald.start().await;
    let after = herald.summary(&before.correlation).await.unwrap();
    assert_eq!((after.revision, &after.counters), (before.revision, &before.counters));
    herald.restart().await;
    let after = herald.summary(&before.correlation).await.unwrap();
    assert_eq!((after.revision, &after.counters), (before.revision, &before.counters));
    let next = herald.run(body::insert("b", "things", json!({ "id": 2 }))).await;
    assert_eq!(next.invocations[0].catalog, before.invocations[0].catalog, "the same files are the same catalog");
}

/// Waits until a job runs.
async fn running(herald: &Herald, correlation: &contracts::ids::CorrelationId, name: &str) {
    herald
        .wait_for("the job to run", async || {
            let summary = herald.summary(correlation).await?;
            (summary.counters.jobs > 0 && job(&summary, name).state == State::InProcess).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_data_folder_that_is_deleted_under_it_ends_it_and_nothing_is_accepted() {
    if is_kafka("only the embedded bus has a data folder") {
        return;
    }
    let mut herald = Herald::build().event("thing.made", &noted("things")).start().await;
    herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    std::fs::remove_dir_all(herald.data()).unwrap();
    let address = herald.webhook();
    let body = body::insert("b", "things", json!({ "id": 2 })).to_string();
    // It may have ended by now, and then nobody answers.
    if let Ok(answer) = tests::client::send(address, &tests::client::Request::post("/hasura", body)).await {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    let ended = herald.death().await;
    assert_eq!(ended.code, Some(1), "{}", ended.printed);
    assert!(ended.printed.contains("bus.db was deleted"), "{}", ended.printed);
}

#[tokio::test]
async fn a_job_that_no_catalog_names_is_forgotten_at_the_start() {
    if is_kafka("positions on Kafka hold back nothing") {
        return;
    }
    let mut herald = Herald::build().event("thing.made", &noted("things")).start().await;
    herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.sigterm().await;
    let names = async |gone: &str| {
        let bus = Embedded::open(&Config::new(herald.data())).unwrap();
        if !gone.is_empty() {
            bus.place(gone, vec![(TopicPartition::new("raw", 0), Offset::ZERO)]).await.unwrap();
        }
        bus.groups().await.unwrap().into_iter().map(|group| group.name).collect::<Vec<_>>()
    };
    let before = names("").await;
    assert_eq!(names("job.gone").await.len(), before.len() + 1);
    herald.start().await;
    let forgotten = async || herald.stderr().contains("forgot the position of a job").then_some(());
    herald.wait_for("the position to be forgotten", forgotten).await;
    herald.sigterm().await;
    let bus = Embedded::open(&Config::new(herald.data())).unwrap();
    assert_eq!(bus.groups().await.unwrap().into_iter().map(|group| group.name).collect::<Vec<_>>(), before);
}
