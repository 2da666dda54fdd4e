//! That the harness itself fails when it should.

use std::process::Command;

use serde_json::json;
use tests::{Herald, body, process_exists};

use crate::support::{noted, shell, until, with_jobs};

#[tokio::test]
#[should_panic(expected = "herald died unasked")]
async fn a_herald_that_dies_unasked_fails_the_test() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let (role, instance) = herald.fleet().running().pop().unwrap();
    let pid = herald.fleet().process_id(role, &instance);
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    while process_exists(pid as i32) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[should_panic(expected = "work was left over")]
async fn work_that_is_left_over_fails_the_test() {
    let event =
        with_jobs("things", &shell("slow", &format!("touch \"$SCRATCH/begun\"; {}", until("go")), "    timeout: 5m\n"));
    let herald = Herald::build().event("thing.made", &event).start().await;
    herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.wait_for("the job to begin", async || herald.scratch().join("begun").exists().then_some(())).await;
}

#[tokio::test]
async fn work_that_may_be_left_over_does_not() {
    let event = with_jobs("things", &shell("slow", &until("go"), "    timeout: 5m\n"));
    let mut herald = Herald::build().event("thing.made", &event).start().await;
    herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.leave_work();
}
