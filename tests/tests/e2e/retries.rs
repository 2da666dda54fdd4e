//! Jobs that fail are tried again, whoever is killed meanwhile, and end as dead letters if nothing helps.

use std::collections::BTreeMap;

use contracts::{
    dead::{DeadLetter, Reason},
    progress::{AttemptState, Fact},
    summary::{Outcome, State},
};
use serde_json::{Value, json};
use tests::{Herald, body};

use crate::support::{job, shell, with_jobs};

/// Soon again.
const SOON: &str = "    backoff: { initial: 100ms, max: 200ms }\n";

/// A script that fails as often as the file of its row says, and tells each attempt.
fn fails(times: u32) -> String {
    format!(
        "echo \"$1 $HERALD_ATTEMPT $HERALD_RUN_ID\" >> \"$SCRATCH/attempts\"; [ \"$HERALD_ATTEMPT\" -gt {times} ] || \
         {{ echo 'out of paper' >&2; exit 75; }}"
    )
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_under_the_same_key_and_each_attempt_is_shown() {
    let event = with_jobs("things", &shell("print", &fails(2), SOON));
    let herald = Herald::build().event("thing.made", &event).start().await;
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let print = job(&summary, "print");
    assert_eq!((print.outcome, print.attempts), (Some(Outcome::Success), 3));
    let earlier: Vec<_> = print.earlier.iter().map(|past| (past.attempt, past.state)).collect();
    assert_eq!(earlier, [(1, AttemptState::Retrying), (2, AttemptState::Retrying)]);
    assert_eq!(print.earlier[0].error.as_deref(), Some("exit status 75: out of paper"));
    let attempts = herald.marks("attempts");
    let told = |number: u32| format!("1 {number} {}", print.run);
    assert_eq!(attempts, [told(1), told(2), told(3)]);
}

#[tokio::test]
async fn what_waits_is_shown_with_its_reason_and_its_time_and_its_correlation_waits_with_it() {
    let slow = "    attempts: 8\n    backoff: { initial: 1h, max: 1h }\n";
    let jobs =
        format!("{}  - id: note\n    log: {{}}\n", shell("charge", "echo '429 from payments' >&2; exit 75", slow));
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &jobs)).start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    let id = accepted.correlation_id;
    let summary = herald
        .wait_for("its first attempt to fail", async || {
            herald
                .summary(&id)
                .await
                .filter(|summary| summary.counters.succeeded == 1 && job(summary, "charge").again.is_some())
        })
        .await;
    let charge = job(&summary, "charge");
    assert_eq!((charge.state, charge.attempts, charge.of), (State::InProcess, 1, Some(8)));
    assert_eq!(summary.state, State::InProcess);
    let shown = herald.cli(&["show", id.as_str()]).await.expect(0).stdout;
    assert!(shown.contains("↻ charge  exit status 75: 429 from payments, attempt 1 of 8, again in "), "{shown}");
    let jobs: Value = herald.get("/v1/jobs").await.json();
    let charge = jobs["jobs"].as_array().unwrap().iter().find(|job| job["job"] == "thing.made.charge").unwrap();
    assert_eq!(charge["retrying"], 1, "{jobs}");
    herald.leave_work();
}

#[tokio::test]
async fn what_fails_for_good_is_a_dead_letter_with_the_whole_event() {
    let jobs = format!(
        "{}{}",
        shell("spent", "echo no >&2; exit 1", "    attempts: 2\n    backoff: { initial: 10ms, max: 10ms }\n"),
        shell("final", "echo never >&2; exit 64", "    finalExitCodes: [64]\n")
    );
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &jobs)).start().await;
    let summary = herald.run(body::insert("a", "things", json!({ "id": 7 }))).await;
    let (spent, last) = (job(&summary, "spent"), job(&summary, "final"));
    assert_eq!((spent.attempts, spent.of, spent.dead), (2, Some(2), Some(Reason::Attempts)));
    assert_eq!((last.attempts, last.of, last.dead), (1, Some(5), Some(Reason::Final)));
    let shown = herald.cli(&["show", summary.correlation.as_str()]).await.expect(0).stdout;
    assert!(
        shown.contains("❌ spent  exit status 1: no, attempt 2 of 2, dead-lettered · herald dlq redrive spent"),
        "{shown}"
    );
    herald.sigterm().await;
    let log = herald.log();
    for (name, of) in [("spent", spent), ("final", last)] {
        let records = log.records(&format!("dead.job.thing.made.{name}")).await;
        assert_eq!(records.len(), 1, "{name}");
        let letter = DeadLetter::of(&records[0].headers).expect("a letter");
        assert_eq!((letter.run, Some(letter.reason), letter.attempts), (of.run, of.dead, of.attempts));
        let events = log.records("event.thing.made").await;
        assert_eq!(letter.origin.offset, events[0].offset.0);
        assert_eq!((&records[0].value, records[0].partition), (&events[0].value, events[0].partition));
        for (header, value) in events[0].headers.iter() {
            assert_eq!(records[0].headers.get(header), Some(value), "{header}");
        }
    }
    let waiting: Vec<_> = log.records("lane.job.thing.made.spent").await.into_iter().collect();
    let last: BTreeMap<_, _> = waiting.into_iter().map(|record| (record.key, record.value)).collect();
    assert!(last.values().all(Option::is_none), "something is left in the lane");
}

#[tokio::test]
async fn a_key_waits_behind_its_first_and_no_other_does() {
    // The first of the key fails until there is a mark.
    let script = "echo \"$1\" >> \"$SCRATCH/begun\"; [ \"$1\" != 1 ] || [ -e \"$SCRATCH/go\" ] || exit 1";
    let options = "    attempts: 1000\n    backoff: { initial: 50ms, max: 50ms }\n";
    let event = with_jobs("things", &shell("print", script, options))
        .replace("key: data.id", "key: data.key")
        .replace("data: { id: new.id }", "data: { id: new.id, key: new.key }")
        .replace("sample: { id: 1 }", "sample: { id: 1, key: a }");
    let herald = Herald::build().event("thing.made", &event).start().await;
    let mut of_key = Vec::new();
    for n in 1..=5 {
        let body = body::insert(&format!("a-{n}"), "things", json!({ "id": n, "key": "a" }));
        let id = herald.post(body).await.correlation_id;
        // Rows of several keys are detected side by side: one after another, so that the order of the events is known.
        herald.wait_for("its event", async || herald.summary(&id).await.filter(|it| it.counters.events == 1)).await;
        of_key.push(id);
    }
    // A sentinel: what comes later of another key is done, and nothing of this one.
    let other = body::insert("b", "things", json!({ "id": 99, "key": "b" }));
    assert_eq!(herald.run(other).await.outcome, Some(Outcome::Success));
    herald
        .wait_for("several attempts", async || {
            (herald.marks("begun").iter().filter(|id| *id == "1").count() > 2).then_some(())
        })
        .await;
    assert!(!herald.marks("begun").iter().any(|id| ["2", "3", "4", "5"].contains(&id.as_str())));
    herald.mark("go");
    for id in &of_key {
        assert_eq!(herald.complete(id, 1).await.outcome, Some(Outcome::Success));
    }
    let order: Vec<String> = herald.marks("begun").into_iter().filter(|id| id != "1" && id != "99").collect();
    assert_eq!(order, ["2", "3", "4", "5"]);
}

#[tokio::test]
async fn what_waits_survives_kill_9_and_each_run_ends_once() {
    const RUNS: usize = 40;
    let options = "    attempts: 20\n    backoff: { initial: 300ms, max: 1s }\n    order: none\n";
    let script = "echo \"$1 $HERALD_ATTEMPT\" >> \"$SCRATCH/attempts\"; [ -e \"$SCRATCH/go\" ] || exit 1";
    let mut herald =
        Herald::build().event("thing.made", &with_jobs("things", &shell("print", script, options))).start().await;
    let mut all = Vec::new();
    for n in 0..RUNS {
        all.push(herald.post(body::insert(&format!("t-{n}"), "things", json!({ "id": n }))).await.correlation_id);
    }
    for kill in 0..3 {
        let begun = herald.marks("attempts").len();
        herald
            .wait_for("attempts to begin", async || (herald.marks("attempts").len() >= begun + RUNS / 2).then_some(()))
            .await;
        herald.kill9();
        herald.start().await;
        if kill == 1 {
            herald.mark("go");
        }
    }
    for id in &all {
        let summary = herald.complete(id, 1).await;
        assert_eq!(summary.outcome, Some(Outcome::Success), "{summary:#?}");
    }
    herald.sigterm().await;
    let log = herald.log();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for progress in log.progress().await {
        if let Fact::Job(step) = progress.fact
            && matches!(step.state, AttemptState::Succeeded | AttemptState::Failed)
        {
            *ends.entry(step.run.to_string()).or_default() += 1;
        }
    }
    assert_eq!((ends.len(), ends.values().sum::<usize>()), (RUNS, RUNS));
}

#[tokio::test]
async fn a_job_that_kills_herald_while_it_waits_ends_as_a_dead_letter_and_others_go_on() {
    let kill =
        "[ \"$HERALD_ATTEMPT\" = 1 ] && exit 1; echo \"$HERALD_ATTEMPT\" >> \"$SCRATCH/attempts\"; kill -9 $PPID";
    let jobs = format!(
        "{}  - id: note\n    log: {{}}\n",
        shell("kill", kill, "    attempts: 3\n    backoff: { initial: 50ms, max: 50ms }\n")
    );
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &jobs)).start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.death().await;
    herald.launch();
    herald.death().await;
    herald.start().await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    let kill = job(&summary, "kill");
    assert_eq!((kill.outcome, kill.attempts, kill.dead), (Some(Outcome::Failure), 3, Some(Reason::Interrupted)));
    assert_eq!(herald.marks("attempts"), ["2", "3"]);
    assert_eq!(job(&summary, "note").outcome, Some(Outcome::Success));
}
