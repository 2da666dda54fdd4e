//! Jobs: each on its own, in order, in time, and ended whatever they do.

use std::time::Instant;

use contracts::summary::{Outcome, State, Summary};
use serde_json::json;
use tests::{Herald, body, process_exists};

use crate::support::{job, noted, shell, until, with_jobs};

/// Of a job that is not tried again.
const ONCE: &str = "    attempts: 1\n";

#[tokio::test]
async fn a_slow_job_delays_no_other() {
    let jobs = format!(
        "{}  - id: quick\n    log: {{}}\n{}",
        shell("slow", &until("go"), "    concurrency: 2\n"),
        shell("brisk", "true", "")
    );
    let herald = Herald::build().event("thing.made", &with_jobs("things", &jobs)).start().await;
    let mut all = Vec::new();
    for n in 0..30 {
        all.push(herald.post(body::insert(&format!("t-{n}"), "things", json!({ "id": n }))).await.correlation_id);
    }
    for id in &all {
        let summary = herald
            .wait_for("its quick jobs", async || {
                herald.summary(id).await.filter(|summary| summary.counters.succeeded == 2)
            })
            .await;
        assert_ne!(job(&summary, "slow").state, State::Complete);
    }
    herald.mark("go");
    for id in &all {
        assert_eq!(herald.complete(id, 1).await.counters.succeeded, 3);
    }
}

#[tokio::test]
async fn runs_of_one_key_are_in_order_and_those_of_others_beside_them() {
    // The first of each key takes longest, so that they would end in reverse if they ran side by side.
    let script = "sleep $(echo \"$2\" | sed s/^4/0.2/ | sed s/^[0-9]$/0/); echo \"$1 $2\" >> \"$SCRATCH/order\"";
    let event = format!(
        "from: {{ table: things, operations: [insert] }}\ndata: {{ key: new.key, left: new.left }}\nkey: data.key\n\
         sample: {{ key: a, left: 1 }}\njobs:\n  - id: write\n    concurrency: 8\n\
         \u{20}   command: [sh, -c, {}, sh, \"${{data.key}}\", \"${{data.left}}\"]\n",
        serde_json::to_string(script).unwrap()
    );
    let herald = Herald::build().event("thing.made", &event).start().await;
    let keys = ["a", "b", "c", "d"];
    let mut all = Vec::new();
    for left in (0..5).rev() {
        for key in keys {
            let body = body::insert(&format!("{key}-{left}"), "things", json!({ "id": key, "key": key, "left": left }));
            all.push(herald.post(body).await.correlation_id);
        }
    }
    for id in &all {
        herald.complete(id, 1).await;
    }
    let lines = herald.marks("order");
    assert_eq!(lines.len(), 20);
    for key in keys {
        let of_key: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&format!("{key} "))).collect();
        assert_eq!(of_key, ["4", "3", "2", "1", "0"], "{lines:?}");
    }
}

#[tokio::test]
async fn a_timeout_ends_a_job_with_all_its_children() {
    let script = "sleep 600 & echo $! > \"$SCRATCH/child\"; wait";
    let herald = Herald::build()
        .event("thing.made", &with_jobs("things", &shell("hang", script, "    timeout: 1s\n    attempts: 1\n")))
        .start()
        .await;
    let begun = Instant::now();
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let hang = job(&summary, "hang");
    assert_eq!(hang.outcome, Some(Outcome::Failure));
    assert!(hang.error.as_ref().unwrap().contains("1s"), "{:?}", hang.error);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    let child = herald.marks("child")[0].parse().unwrap();
    herald.wait_for("the end of the grandchild", async || (!process_exists(child)).then_some(())).await;
}

#[tokio::test]
async fn a_second_signal_kills_the_commands_that_run_with_herald() {
    let script = "echo $$ > \"$SCRATCH/own\"; trap '' TERM; sleep 600";
    let mut herald =
        Herald::build().event("thing.made", &with_jobs("things", &shell("long", script, ""))).start().await;
    herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    let own = herald
        .wait_for("the command", async || herald.marks("own").first().and_then(|own| own.parse::<i32>().ok()))
        .await;
    herald.leave_work();
    assert_eq!(herald.insist().await.code, Some(130));
    herald.wait_for("the end of the command", async || (!process_exists(own)).then_some(())).await;
}

#[tokio::test]
async fn a_job_that_kills_its_process_group_fails_and_nothing_else() {
    let jobs = format!("{}  - id: note\n    log: {{}}\n", shell("suicide", "kill -9 0", "    attempts: 1\n"));
    let herald = Herald::build().event("thing.made", &with_jobs("things", &jobs)).start().await;
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    assert_eq!(job(&summary, "suicide").outcome, Some(Outcome::Failure));
    assert!(job(&summary, "suicide").error.as_ref().unwrap().contains("SIGKILL"));
    assert_eq!(job(&summary, "note").outcome, Some(Outcome::Success));
    assert_eq!(herald.run(body::insert("b", "things", json!({ "id": 1 }))).await.counters.failed, 1);
}

#[tokio::test]
async fn a_job_that_kills_herald_ends_as_a_failure_after_its_attempts_instead_of_looping() {
    let kill = "echo \"$HERALD_ATTEMPT $HERALD_RUN_ID\" >> \"$SCRATCH/attempts\"; kill -9 $PPID";
    let event = with_jobs("things", &shell("kill", kill, "    attempts: 2\n"));
    let mut herald = Herald::build().event("thing.made", &event).event("other.made", &noted("others")).start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.death().await;
    // The second attempt may come before anything listens.
    herald.launch();
    herald.death().await;
    herald.start().await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    let kill = job(&summary, "kill");
    assert_eq!((kill.outcome, kill.attempts), (Some(Outcome::Failure), 2));
    assert!(kill.error.as_ref().unwrap().contains("all 2 attempts are spent"), "{:?}", kill.error);
    assert!(logged(&herald, "a job failed", &summary).contains("all 2 attempts are spent"));
    let attempts = herald.marks("attempts");
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert!(attempts[0].starts_with("1 ") && attempts[1].starts_with("2 "), "{attempts:?}");
    assert_eq!(attempts[0][2..], attempts[1][2..], "the idempotency key stays");
    assert_eq!(herald.run(body::insert("b", "others", json!({ "id": 1 }))).await.counters.succeeded, 1);
}

/// The one line of the log with that message about a correlation.
fn logged(herald: &Herald, message: &str, summary: &Summary) -> String {
    let log = herald.stderr();
    let id = summary.correlation.as_str();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(message) && line.contains(id)).collect();
    assert_eq!(lines.len(), 1, "{message} of {id}:\n{log}");
    lines[0].to_owned()
}

#[tokio::test]
async fn what_fails_is_told_with_its_reason() {
    let failing = "from: { table: things, operations: [insert] }\ndata: { id: new.id, twice: new.id + \"x\" }\nsample: { id: 1 }\n\
        jobs:\n  - id: note\n    log: {}\n";
    let odd = with_jobs(
        "others",
        &shell("odd", "echo '{\"step\": 1}'; echo 'one line' >&2; echo 'why not' >&2; exit 7", ONCE),
    );
    let herald = Herald::build().event("thing.made", failing).event("other.made", &odd).start().await;

    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let failed = &summary.invocations[0].failed[0];
    assert_eq!((failed.event.to_string().as_str(), failed.stage.as_str()), ("thing.made", "data"));
    assert_eq!((summary.outcome, summary.counters.errors), (Some(Outcome::Failure), 1));
    herald.cli(&["show", summary.correlation.as_str()]).await.expect(0).has(&["❌ thing.made  `data` failed: "]);
    assert!(logged(&herald, "an event failed", &summary).contains("thing.made"));
    let list: serde_json::Value = herald.get("/v1/rejected").await.json();
    assert_eq!(list["rejected"][0]["event"], "thing.made", "{list}");

    let summary = herald.run(body::insert("b", "others", json!({ "id": 1 }))).await;
    let odd = job(&summary, "odd");
    assert_eq!(odd.error.as_deref(), Some("exit status 7: why not"));
    assert_eq!((odd.attempts, odd.stderr.as_deref()), (1, Some("one line\nwhy not\n")));
    assert_eq!(odd.stdout.as_deref(), Some("{\"step\": 1}\n"));
    assert!(logged(&herald, "a job failed", &summary).contains("exit status 7: why not"));
}
