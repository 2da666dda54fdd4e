//! Commands that are kept, and what becomes of any command when Herald is killed.

use std::process::{Command, Stdio};

use contracts::summary::Outcome;
use serde_json::json;
use tests::{Herald, Role, body, process_exists};

use crate::support::{job, result, shell, until, with_jobs};

/// A program that answers each event by its process id, and before that does something.
fn kept(id: &str, before: &str, options: &str) -> String {
    // `$${` is a written `${`.
    let script = format!(
        "read -r hello; echo '{{\"protocol\":1}}'; while IFS= read -r m; do i=$${{m#*\\\"id\\\":\\\"}}; i=$${{i%%\\\"*}}; {before}\n\
         echo \"{{\\\"id\\\":\\\"$i\\\",\\\"result\\\":$$}}\"; done; echo $$ >> \"$SCRATCH/ended\""
    );
    let script = serde_json::to_string(&script).unwrap();
    format!("  - id: {id}\n    command: {{ run: [sh, -c, {script}], keep: true }}\n{options}")
}

#[tokio::test]
async fn one_process_answers_one_event_after_another_until_it_is_no_longer_wanted() {
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &kept("work", ":", ""))).start().await;
    let mut pids = Vec::new();
    for n in 0..5 {
        let summary = herald.run(body::insert(&format!("t-{n}"), "things", json!({ "id": n }))).await;
        pids.push(result(job(&summary, "work")).to_owned());
    }
    pids.dedup();
    let [pid] = &pids[..] else { panic!("{pids:?}") };
    herald.sigterm().await;
    assert_eq!(herald.marks("ended"), [pid.as_str()], "it read the end of its stdin");
    assert!(!process_exists(pid.parse().unwrap()));
}

#[tokio::test]
async fn a_shutdown_waits_for_what_a_kept_process_works_on() {
    let wait = format!("touch \"$SCRATCH/begun\"; {}", until("go"));
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &kept("work", &wait, ""))).start().await;
    let accepted = herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    herald.wait_for("the job to begin", async || herald.scratch().join("begun").exists().then_some(())).await;
    let (role, instance) =
        herald.fleet().running().into_iter().find(|(role, _)| matches!(role, Role::Dev | Role::JobRunner)).unwrap();
    herald.fleet().ask_to_stop(role, &instance);
    herald.mark("go");
    herald.restart().await;
    let summary = herald.complete(&accepted.correlation_id, 1).await;
    assert_eq!((job(&summary, "work").outcome, job(&summary, "work").attempts), (Some(Outcome::Success), 1));
}

#[tokio::test]
async fn no_command_outlives_a_herald_that_is_killed() {
    let busy = "echo $$ >> \"$SCRATCH/pids\"; trap '' TERM HUP; sleep 600";
    let jobs =
        format!("{}{}", kept("kept", busy, ""), shell("plain", &format!("(trap '' HUP; sleep 600) & {busy}"), ""));
    let mut herald = Herald::build().event("thing.made", &with_jobs("things", &jobs)).start().await;
    herald.post(body::insert("a", "things", json!({ "id": 1 }))).await;
    let pids: Vec<i32> = herald
        .wait_for("both commands", async || {
            let pids = herald.marks("pids");
            (pids.len() == 2).then(|| pids.iter().map(|pid| pid.parse().unwrap()).collect())
        })
        .await;
    herald.kill9();
    while pids.iter().any(|pid| process_exists(*pid)) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    herald.leave_work();
}

#[tokio::test]
async fn a_program_that_fails_says_whether_and_when_it_is_tried_again() {
    let give_up = "echo '{\"error\":\"no such order\",\"retry\":false}' > \"$HERALD_RESULT\"; exit 75";
    let herald = Herald::build().event("thing.made", &with_jobs("things", &shell("work", give_up, ""))).start().await;
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let work = job(&summary, "work");
    assert_eq!(
        (work.outcome, work.attempts, work.error.as_deref()),
        (Some(Outcome::Failure), 1, Some("no such order"))
    );
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "shown with --nocapture")]
async fn the_example_in_node_and_python_runs() {
    if !is_there("node") || !is_there("python3") {
        return eprintln!("passed over: it needs node and python3");
    }
    let herald = Herald::build().example("parcels").setting("job-runner.environment", "[\"SCRATCH\"]").start().await;
    let payload = |name: &str| -> serde_json::Value {
        let path = tests::root().join(format!("examples/parcels/payloads/{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let posted = herald.run(payload("posted")).await;
    let audit = r#"{"message": "17 changed id, receiver_email, sender_email, shelf, status, weight"}"#;
    assert_eq!(result(job(&posted, "audit")), audit);
    let mail = r#"{"message":"to bob@example.com: ada@example.com sends you parcel 7."}"#;
    assert_eq!(result(job(&posted, "send-mail")), mail);
    let delivered = herald.run(payload("delivered")).await;
    assert_eq!(result(job(&delivered, "audit")), r#"{"message": "23 changed shelf, status"}"#);
    assert_eq!(result(job(&delivered, "send-mail")), r#"{"message":"to ada@example.com: Parcel 7 has arrived."}"#);
}
