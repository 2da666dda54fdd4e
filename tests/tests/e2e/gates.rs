//! What holds jobs back: a rate that nothing exceeds, runs of one value beside each other, and a target that fails throughout.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::{
    ids::CorrelationId,
    summary::{Held, Outcome},
};
use serde_json::{Value, json};
use tests::{Engine, Herald, Receiver, Role, body};
use tokio::task::JoinHandle;

use crate::support::{job, shell, until, with_jobs};

/// A target that answers everything, notes when it was called by its own clock, and fails while it is told to.
struct Target {
    url: String,
    host: String,
    calls: Arc<Mutex<Vec<(Instant, String)>>>,
    is_down: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    async fn start(is_down: bool) -> Self {
        let mut receiver = Receiver::endless().await;
        let (url, host) = (receiver.url("/${data.id}"), receiver.host());
        let (calls, down) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(is_down)));
        let (noted, told) = (calls.clone(), down.clone());
        let task = tokio::spawn(async move {
            loop {
                let request = receiver.next().await;
                let path = request.head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
                noted.lock().unwrap().push((Instant::now(), path));
                let status = if told.load(Ordering::Relaxed) { "503 Service Unavailable" } else { "200 OK" };
                request.try_answer(status).await;
            }
        });
        Self { url, host, calls, is_down: down, task }
    }

    fn calls(&self) -> Vec<(Instant, String)> {
        self.calls.lock().unwrap().clone()
    }

    /// The most calls within a second, whenever that begins, of those that are such.
    fn busiest_second(&self, is_such: impl Fn(&str) -> bool) -> usize {
        let calls: Vec<Instant> =
            self.calls().into_iter().filter(|(_, path)| is_such(path)).map(|(at, _)| at).collect();
        let within = |from: &Instant| {
            calls.iter().filter(|at| *at >= from && at.duration_since(*from) < Duration::from_secs(1)).count()
        };
        calls.iter().map(within).max().unwrap_or(0)
    }
}

async fn post(herald: &Herald, id: usize) -> CorrelationId {
    herald.post(body::insert(&format!("t-{id}"), "things", json!({ "id": id }))).await.correlation_id
}

/// On Kafka a second process shares the jobs.
async fn second(herald: &mut Herald) {
    if herald.engine() != &Engine::Embedded {
        herald.fleet_mut().start(Role::JobRunner, "2").await;
    }
}

async fn job_of(herald: &Herald, name: &str) -> Value {
    let jobs: Value = herald.get("/v1/jobs").await.json();
    jobs["jobs"].as_array().unwrap().iter().find(|job| job["job"] == name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_rate_is_never_exceeded_by_whoever_calls_whatever_is_killed_and_nothing_is_lost() {
    const RUNS: usize = 40;
    let target = Target::start(false).await;
    let event = with_jobs(
        "things",
        &format!("  - id: call\n    rate: 10/s\n    order: none\n    http: {{ url: \"{}\" }}\n", target.url),
    );
    let mut herald = Herald::build().event("thing.made", &event).start().await;
    second(&mut herald).await;
    let mut all = Vec::new();
    for id in 0..RUNS {
        all.push(post(&herald, id).await);
    }
    let first = herald.summary(&all[RUNS - 1]).await;
    for kill in 1..=2 {
        let calls = kill * 10;
        herald.wait_for("calls", async || (target.calls().len() >= calls).then_some(())).await;
        herald.kill9();
        herald.start().await;
        second(&mut herald).await;
    }
    for id in &all {
        let summary = herald.complete(id, 1).await;
        let call = job(&summary, "call");
        assert_eq!(call.outcome, Some(Outcome::Success), "{summary:#?}");
    }
    let most = target.busiest_second(|_| true);
    assert!(most <= 11, "{most} calls within a second");
    // What has not begun says what it waits for.
    if let Some(waits) = first.and_then(|summary| job(&summary, "call").waits.clone()) {
        assert_eq!((waits.held, waits.because.as_str()), (Held::Rate, "10/s"));
    }
}

#[tokio::test]
async fn a_rate_by_value_delays_no_other_value_and_says_what_waits() {
    let target = Target::start(false).await;
    let event = with_jobs(
        "things",
        &format!(
            "  - id: call\n    rate: {{ limit: 2/m, burst: 1, by: \"data.id < 100 ? 'many' : string(data.id)\" }}\n    order: none\n    \
             http: {{ url: \"{}\" }}\n",
            target.url
        ),
    );
    let mut herald = Herald::build().event("thing.made", &event).start().await;
    let mut many = Vec::new();
    for id in 0..20 {
        many.push(post(&herald, id).await);
    }
    // Others of their own are not behind these, whose next may begin only in half a minute.
    herald
        .wait_for("most of them to wait", async || {
            let call = job_of(&herald, "thing.made.call").await;
            (call["limited"].as_u64() >= Some(18) || call["limited"].is_null() && call["lag"] == 0).then_some(())
        })
        .await;
    let other = post(&herald, 100).await;
    let summary = herald.complete(&other, 1).await;
    assert_eq!(job(&summary, "call").outcome, Some(Outcome::Success));
    let of_many = target.calls().iter().filter(|(_, path)| path.len() < 3).count();
    assert!(of_many <= 3, "{of_many}");
    let shown = herald.cli(&["show", many[19].as_str()]).await.expect(0).stdout;
    assert!(shown.contains("⏳ call  waiting, at most 2/m by data.id < 100"), "{shown}");
    herald.leave_work();
}

#[tokio::test]
async fn runs_of_one_value_go_on_beside_each_other_up_to_their_limit_and_others_pass_them() {
    let options = "    concurrency: { limit: 2, by: \"data.id < 100 ? 'many' : 'other'\" }\n    order: none\n";
    let script = format!("echo \"$1\" >> \"$SCRATCH/begun\"; [ \"$1\" -ge 100 ] || {{ {}; }}", until("go"));
    let event = with_jobs("things", &shell("work", &script, options));
    let herald = Herald::build().event("thing.made", &event).start().await;
    let mut all = Vec::new();
    for id in 0..6 {
        all.push(post(&herald, id).await);
    }
    herald.wait_for("two to begin", async || (herald.marks("begun").len() == 2).then_some(())).await;
    // A sentinel: what comes behind all of them is done, and no third has begun.
    let other = post(&herald, 100).await;
    assert_eq!(herald.complete(&other, 1).await.outcome, Some(Outcome::Success));
    assert_eq!(herald.marks("begun").len(), 3);
    herald.mark("go");
    for id in &all {
        assert_eq!(herald.complete(id, 1).await.outcome, Some(Outcome::Success));
    }
    assert_eq!(herald.marks("begun").len(), 7);
}

#[tokio::test]
async fn a_circuit_opens_says_so_spends_no_attempts_and_closes_again_without_dead_letters() {
    const RUNS: usize = 30;
    let target = Target::start(true).await;
    let event = with_jobs(
        "things",
        &format!(
            "  - id: call\n    concurrency: 4\n    order: none\n    attempts: 5\n    backoff: {{ initial: 100ms, max: 200ms }}\n    \
             circuit: {{ failures: 4, pause: 1s, most: 2s }}\n    http: {{ url: \"{}\" }}\n",
            target.url
        ),
    );
    let herald = Herald::build().event("thing.made", &event).start().await;
    let mut all = Vec::new();
    for id in 0..RUNS {
        all.push(post(&herald, id).await);
    }
    let call = herald
        .wait_for("the circuit to open", async || {
            Some(job_of(&herald, "thing.made.call").await).filter(|job| job["state"] == "circuitOpen")
        })
        .await;
    let told = format!("503 from {}", target.host);
    assert_eq!(call["circuit"]["error"], told, "{call}");
    let listed = herald.cli(&["jobs"]).await.expect(0).stdout;
    assert!(listed.contains(&format!("⚡ thing.made.call  circuit open, {told}, probing ")), "{listed}");
    let waits = herald
        .wait_for("a run that says that it waits", async || {
            job(&herald.summary(&all[RUNS - 1]).await?, "call").waits.clone()
        })
        .await;
    assert_eq!((waits.held, waits.because.as_str()), (Held::Circuit, told.as_str()));
    let why = herald.cli(&["why", all[RUNS - 1].as_str()]).await.expect(0).stdout;
    assert!(why.contains("waiting, circuit open, 503 from "), "{why}");
    // It is tried a few times, by one at a time.
    let before = target.calls().len();
    herald.wait_for("a few probes", async || (target.calls().len() >= before + 2).then_some(())).await;
    assert!(target.calls().len() < 20, "{} calls of a target that is down", target.calls().len());
    target.is_down.store(false, Ordering::Relaxed);
    herald.cli(&["jobs", "resume", "thing.made.call"]).await.expect(0).has(&["tried at once"]);
    for id in &all {
        let summary = herald.complete(id, 1).await;
        assert_eq!(job(&summary, "call").outcome, Some(Outcome::Success), "{summary:#?}");
    }
    assert!(herald.stderr().contains("the circuit opens") && herald.stderr().contains("the circuit closes"));
    herald
        .wait_for("that it is closed", async || {
            let call = job_of(&herald, "thing.made.call").await;
            (call["state"] == "running" && call["dead"] == 0).then_some(())
        })
        .await;
}
