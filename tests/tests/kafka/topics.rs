//! A topic that is deleted under us: what needs it says so and does not jump, and all is well once it is there again.

use serde_json::json;
use tests::{FIRST, Role, body, client::Request};

use crate::pipeline::{blocking, build, turn};

const TOPIC: &str = "event.row.logged";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_events_that_is_deleted_is_told_and_the_pipeline_goes_on_once_it_is_back() {
    let _turn = turn().await;
    let kafka = blocking(broker::shared).await;
    let mut herald = build(kafka).start().await;
    let row = |n: u64| body::insert(&format!("row-{n}"), "rows", json!({ "id": n, "n": n }));
    herald.run(row(1)).await;
    herald.log().bus().delete(&TOPIC.into()).await.unwrap();
    // Its records are gone unread, for all that the job knows: it stops, says so, and joins again when there is such a topic.
    herald
        .wait_for("the job to say that its topic is gone", async || {
            let logged = herald.fleet().stderr_of(Role::JobRunner, FIRST);
            logged.lines().any(|line| line.contains("ERROR") && line.contains(TOPIC)).then_some(())
        })
        .await;
    // What is to be written there waits, and is accepted.
    let accepted =
        herald.hook(Request::post("/hasura", row(2).to_string())).await.expect(200).json::<tests::Accepted>();
    let prefix = herald.fleet().prefix().to_owned();
    let created = herald.cli(&["topics", "apply", "--bus", "kafka", "--brokers", kafka, "--prefix", &prefix]).await;
    // With the default layout, which the others were not created with.
    assert!(created.stdout.contains(&format!("{TOPIC}  created")), "{}{}", created.stdout, created.stderr);
    herald.complete(&accepted.correlation_id, 1).await;
    herald.run(row(3)).await;
    herald.sigterm().await;
}
