//! What is delivered more than once.

use contracts::summary::Summary;
use serde_json::json;
use tests::{Herald, body, client::Request};

use crate::support::{noted, shell, with_jobs};

#[tokio::test]
async fn a_duplicate_is_recognised_across_a_restart_and_a_crash() {
    let effect = shell("effect", "echo \"$HERALD_RUN_ID\" >> \"$SCRATCH/effects\"", "");
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &effect)).start().await;
    let body = body::insert("a", "things", json!({ "id": 1 }));
    let first = herald.post(body.clone()).await;
    herald.complete(&first.correlation_id, 1).await;
    for crash in [false, true] {
        if crash {
            herald.kill9();
        } else {
            herald.sigterm().await;
        }
        herald.start().await;
        assert_eq!(herald.post(body.clone()).await, first);
    }
    // A sentinel behind the duplicates: when it has ended, they have been looked at.
    let last = herald.post(body::insert("z", "things", json!({ "id": 1 }))).await;
    herald.complete(&last.correlation_id, 1).await;
    let summary = herald
        .wait_for("both duplicates to be counted", async || {
            herald.summary(&first.correlation_id).await.filter(|summary| summary.counters.repeated == 2)
        })
        .await;
    assert_eq!((summary.counters.invocations, summary.counters.events, summary.counters.jobs), (1, 1, 1));
    assert_eq!(herald.marks("effects").len(), 2, "one for each of two invocations");
}

#[tokio::test]
async fn a_duplicate_under_another_correlation_ends_there_at_once_and_names_the_first() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let body = body::insert("a", "things", json!({ "id": 1 }));
    let first = herald.run(body.clone()).await;
    let elsewhere = Request::post("/hasura", body.to_string()).header("x-correlation-id", "elsewhere");
    herald.hook(elsewhere).await.expect(200);
    let summary = herald.complete(&"elsewhere".parse().unwrap(), 1).await;
    assert_eq!(summary.invocations[0].duplicate_of, Some(first.invocations[0].raw));
    assert_eq!((summary.counters.events, summary.counters.jobs), (0, 0));
    herald.cli(&["show", "elsewhere"]).await.expect(0).has(&["is a duplicate of raw record"]);
}

#[tokio::test]
async fn a_wait_is_for_this_delivery_and_not_for_one_before() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let body = body::insert("a", "things", json!({ "id": 1 })).to_string();
    for before in 0..4 {
        let answer = herald.hook(Request::post("/hasura?wait=60s", body.clone())).await.expect(200);
        assert_eq!(answer.json::<Summary>().counters.repeated, before);
    }
}

#[tokio::test]
async fn beyond_the_window_the_same_change_runs_again_under_the_same_ids() {
    let effect = shell("effect", "echo \"$HERALD_RUN_ID\" >> \"$SCRATCH/effects\"", "");
    let herald = Herald::build()
        .event("thing.made", &with_jobs("things", &effect))
        .setting("detector.window", "1s")
        .start()
        .await;
    let body = body::insert("a", "things", json!({ "id": 1 }));
    let first = herald.run(body.clone()).await;
    herald
        .wait_for("a second run", async || {
            herald.post(body.clone()).await;
            (herald.marks("effects").len() >= 2).then_some(())
        })
        .await;
    let effects = herald.marks("effects");
    assert!(effects.iter().all(|run| *run == effects[0]), "the idempotency key stays: {effects:?}");
    let summary = herald.complete(&first.correlation, 1).await;
    assert_eq!(summary.invocations[0].raw, first.invocations[0].raw, "the earliest counts");
    assert_eq!(summary.counters.jobs, 1);
}
