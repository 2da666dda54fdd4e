//! What an operator does with jobs: pause, resume, skip, redrive, discard, run again.

use contracts::summary::{Outcome, State};
use serde_json::{Value, json};
use tests::{Herald, body};

use crate::support::{job, noted, shell, with_jobs};

/// A job that notes what it ran, and under which key, and its sibling that only logs.
fn catalog() -> String {
    let script = "echo \"$1 $HERALD_RUN_ID $HERALD_ATTEMPT\" >> \"$SCRATCH/ran\"";
    with_jobs("things", &format!("{}  - id: note\n    log: {{}}\n", shell("work", script, "")))
}

async fn jobs(herald: &Herald) -> Vec<Value> {
    let output = herald.cli(&["jobs", "--json"]).await.expect(0);
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn one(herald: &Herald, name: &str) -> Value {
    jobs(herald).await.into_iter().find(|one| one["job"] == name).unwrap_or_else(|| panic!("no job {name}"))
}

#[tokio::test]
async fn a_paused_job_holds_what_comes_over_a_crash_and_runs_each_once_when_it_is_resumed() {
    let mut herald =
        Herald::build().event("thing.made", &catalog()).event("other.made", &noted("others")).start().await;
    herald.run(body::insert("first", "things", json!({ "id": "first" }))).await;
    let said = herald.cli(&["jobs", "pause", "work", "--by", "ann", "--because", "billing is down"]).await.expect(0);
    said.has(&["thing.made.work is paused", "nothing waits for it"]);
    let mut all = Vec::new();
    for n in 0..100 {
        all.push(herald.post(body::insert(&format!("t-{n}"), "things", json!({ "id": n }))).await.correlation_id);
    }
    for id in &all {
        herald.wait_for("its sibling", async || herald.summary(id).await.filter(|it| it.counters.succeeded == 1)).await;
    }
    assert_eq!(herald.marks("ran").len(), 1, "nothing of it ran");
    let summary = herald.summary(&all[0]).await.unwrap();
    assert_eq!((summary.state, job(&summary, "work").state), (State::InProcess, State::Pending));
    assert_eq!(summary.expected[0].paused.as_ref().map(|said| said.by.as_str()), Some("ann"));
    let shown = herald.cli(&["show", all[0].as_str()]).await.expect(0);
    shown.has(&["⏸ work", "paused by ann", "billing is down"]);
    herald.cli(&["why", all[0].as_str()]).await.expect(0).has(&["⏸ work", "paused by ann"]);

    herald.kill9();
    herald.start().await;
    let paused = one(&herald, "thing.made.work").await;
    assert_eq!((&paused["state"], &paused["paused"]["because"]), (&"paused".into(), &"billing is down".into()));
    herald.run(body::insert("sentinel", "others", json!({ "id": 1 }))).await;
    assert_eq!(herald.marks("ran").len(), 1, "it is paused still");
    herald.cli(&["jobs"]).await.expect(0).has(&["thing.made.work", "paused by ann", "billing is down", "behind"]);

    herald.cli(&["jobs", "resume", "work", "--dry-run"]).await.expect(0).has(&["would be resumed"]);
    assert_eq!(one(&herald, "thing.made.work").await["state"], "paused", "nothing was ordered");
    herald.cli(&["jobs", "resume", "thing.made.work"]).await.expect(0).has(&["is resumed"]);
    for id in &all {
        assert_eq!(herald.complete(id, 1).await.outcome, Some(Outcome::Success));
    }
    let mut ran = herald.marks("ran");
    assert_eq!(ran.len(), 101);
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), 101, "each ran once");
    herald.cli(&["jobs", "resume", "work"]).await.expect(0).has(&["is not paused"]);
    herald.cli(&["jobs", "pause", "nobody"]).await.expect(1);
}

/// A job that fails while there is a mark `fail`, with one attempt, and its sibling that only notes that it ran.
fn failing() -> String {
    let work = "echo \"$1 $HERALD_RUN_ID $HERALD_ATTEMPT\" >> \"$SCRATCH/ran\"; test ! -e \"$SCRATCH/fail\"";
    let note = "echo \"$1\" >> \"$SCRATCH/noted\"";
    with_jobs("things", &format!("{}{}", shell("work", work, "    attempts: 1\n"), shell("note", note, "")))
}

async fn dead(herald: &Herald) -> Vec<Value> {
    let listed = herald.cli(&["dlq", "list", "--job", "work", "--json"]).await.expect(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    listed["dead"].as_array().unwrap().clone()
}

#[tokio::test]
async fn dead_letters_are_redriven_under_their_own_key_and_discarded_and_nothing_else_runs() {
    let mut herald = Herald::build().event("thing.made", &failing()).start().await;
    herald.mark("fail");
    let mut all = Vec::new();
    for n in 0..3 {
        let body = body::insert(&format!("t-{n}"), "things", json!({ "id": n }));
        all.push(herald.run(body).await.correlation);
    }
    let letters = dead(&herald).await;
    assert_eq!(letters.len(), 3);
    let of = |id: usize| letters.iter().find(|one| one["correlation"] == all[id].as_str()).unwrap();
    let id = |at: usize| of(at)["id"].as_str().unwrap()[..13].to_owned();
    herald.cli(&["dlq", "show", &id(0)]).await.expect(0).has(&["thing.made.work failed for thing.made", "\"id\": 0"]);
    herald.cli(&["dlq", "redrive", "work", "--dry-run"]).await.expect(0).has(&["3 dead letters would be redriven"]);
    // What is redriven of a paused job waits, over a crash, too.
    herald.cli(&["jobs", "pause", "work"]).await.expect(0);
    herald
        .cli(&["dlq", "redrive", &id(0), &id(1), "--by", "ann"])
        .await
        .expect(0)
        .has(&["2 dead letters are redriven"]);
    herald.cli(&["dlq", "discard", &id(2), "--by", "bob"]).await.expect(0).has(&["1 dead letter is discarded"]);
    herald.wait_for("no dead letter", async || dead(&herald).await.is_empty().then_some(())).await;
    let discarded = herald
        .wait_for("the discarded run", async || {
            herald.summary(&all[2]).await.filter(|it| job(it, "work").by.as_deref() == Some("bob"))
        })
        .await;
    assert_eq!((discarded.state, job(&discarded, "work").outcome), (State::Complete, Some(Outcome::Failure)));
    herald.kill9();
    herald.start().await;
    let waits = herald.summary(&all[0]).await.unwrap();
    assert_eq!((job(&waits, "work").state, job(&waits, "work").by.as_deref()), (State::InProcess, Some("ann")));
    assert_eq!(herald.marks("ran").len(), 3);
    std::fs::remove_file(herald.scratch().join("fail")).unwrap();
    herald.cli(&["jobs", "resume", "work"]).await.expect(0);
    for id in &all[..2] {
        let summary = herald.complete(id, 1).await;
        let work = job(&summary, "work");
        assert_eq!((work.outcome, work.attempts), (Some(Outcome::Success), 2));
    }
    let (ran, mut noted) = (herald.marks("ran"), herald.marks("noted"));
    assert_eq!(ran.len(), 5, "each of the two once more: {ran:?}");
    for again in &ran[3..] {
        assert!(again.ends_with(" 2") && ran[..3].contains(&format!("{} 1", again.strip_suffix(" 2").unwrap())));
    }
    noted.sort();
    assert_eq!(noted, ["0", "1", "2"], "no sibling ran again");
    herald.cli(&["dlq", "redrive", "work"]).await.expect(1);
    herald.cli(&["dlq", "redrive"]).await.expect(2);
}

#[tokio::test]
async fn one_job_of_one_event_runs_again_whether_it_failed_or_not() {
    let herald = Herald::build().event("thing.made", &failing()).start().await;
    let first = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await.correlation;
    let again = ["rerun", first.as_str(), "--job", "work"];
    herald.cli(&[&again[..], &["--dry-run"]].concat()).await.expect(0).has(&["would run again for thing.made"]);
    herald.cli(&again).await.expect(0).has(&["thing.made.work runs again for thing.made, after 1 attempt"]);
    herald.wait_for("the second run", async || (herald.marks("ran").len() == 2).then_some(())).await;
    let summary = herald.wait_for("its end", async || {
        herald.summary(&first).await.filter(|it| it.state == State::Complete && job(it, "work").attempts == 2)
    });
    assert_eq!(job(&summary.await, "work").outcome, Some(Outcome::Success));
    let ran = herald.marks("ran");
    assert_eq!(ran[0].replace(" 1", ""), ran[1].replace(" 1", "").replace(" 2", ""), "under the same key: {ran:?}");
    assert_eq!(herald.marks("noted").len(), 1);
    // One that failed is a dead letter, and is redriven.
    herald.mark("fail");
    let failed = herald.run(body::insert("b", "things", json!({ "id": 2 }))).await.correlation;
    std::fs::remove_file(herald.scratch().join("fail")).unwrap();
    herald.cli(&["rerun", failed.as_str(), "--job", "work"]).await.expect(0);
    herald.wait_for("no dead letter", async || dead(&herald).await.is_empty().then_some(())).await;
    assert_eq!(herald.complete(&failed, 1).await.outcome, Some(Outcome::Success));
    herald.cli(&["rerun", failed.as_str(), "--job", "nobody"]).await.expect(1);
}
