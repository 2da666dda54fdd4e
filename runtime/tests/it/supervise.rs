//! What happens when tasks fail, and in which order they end.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use runtime::{
    health::Health,
    supervise::{Cause, Failure, OnFailure, Phase, Supervisor, Task},
};
use tokio_util::sync::CancellationToken;

/// What happened, in order.
#[derive(Clone, Default)]
struct History(Arc<Mutex<Vec<&'static str>>>);

impl History {
    fn add(&self, what: &'static str) {
        self.0.lock().expect("a lock").push(what);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().expect("a lock").clone()
    }

    /// A task that ends when it is asked to, and says so.
    fn task(&self, name: &'static str, phase: Phase) -> Task {
        let history = self.clone();
        Task::once(name, phase, async move |shutdown: CancellationToken| {
            shutdown.cancelled().await;
            history.add(name);
            Ok::<(), io::Error>(())
        })
    }
}

async fn run(tasks: Vec<Task>, stop: CancellationToken) -> Result<(), Failure> {
    let mut supervisor = Supervisor::new(Health::new());
    tasks.into_iter().for_each(|task| supervisor.add(task));
    tokio::time::timeout(Duration::from_secs(20), supervisor.run(stop)).await.expect("it ends")
}

fn stopped() -> CancellationToken {
    let stop = CancellationToken::new();
    stop.cancel();
    stop
}

#[tokio::test]
async fn sources_end_before_sinks() {
    let history = History::default();
    let tasks = vec![
        history.task("bus", Phase::Bus),
        history.task("results", Phase::Gather),
        history.task("ingest", Phase::Intake),
        history.task("runner", Phase::Run),
        history.task("detector", Phase::Detect),
    ];
    run(tasks, stopped()).await.expect("a good end");
    assert_eq!(history.all(), ["ingest", "detector", "runner", "results", "bus"]);
}

#[tokio::test]
async fn a_task_that_fails_ends_the_process_in_order_and_is_named() {
    let history = History::default();
    let failing = Task::once("runner", Phase::Run, async |_| Err(io::Error::other("the disk is gone")));
    let tasks = vec![history.task("bus", Phase::Bus), failing, history.task("ingest", Phase::Intake)];
    let failure = run(tasks, CancellationToken::new()).await.expect_err("a failure");
    assert_eq!(failure.to_string(), "runner failed: the disk is gone");
    assert_eq!(history.all(), ["ingest", "bus"]);
}

#[tokio::test]
async fn a_task_that_ends_unasked_or_panics_has_failed() {
    let ended = Task::once("a", Phase::Run, async |_| Ok::<(), io::Error>(()));
    let failure = run(vec![ended], CancellationToken::new()).await.expect_err("a failure");
    assert!(matches!(failure, Failure { task: "a", cause: Cause::Ended }), "{failure}");
    let panicking = Task::once("b", Phase::Run, async |shutdown: CancellationToken| {
        assert!(shutdown.is_cancelled(), "{} is wrong", "it");
        Ok::<(), io::Error>(())
    });
    let failure = run(vec![panicking], CancellationToken::new()).await.expect_err("a failure");
    assert_eq!(failure.to_string(), "b failed: it panicked: it is wrong");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_within_its_budget_is_dropped_and_named() {
    let history = History::default();
    let stuck = Task::once("runner", Phase::Run, async |_| std::future::pending::<Result<(), io::Error>>().await);
    let tasks = vec![history.task("bus", Phase::Bus), stuck.budget(Duration::from_secs(3))];
    let begun = tokio::time::Instant::now();
    let failure = run(tasks, stopped()).await.expect_err("a failure");
    assert_eq!(failure.to_string(), "runner failed: it did not end within 3s");
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(history.all(), ["bus"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_is_told_with_what_was_wrong_then() {
    let health = Health::new();
    health.register("data folder").not_ready("cannot write data/bus.db");
    health.register("catalog").ready();
    let mut supervisor = Supervisor::new(health);
    supervisor.add(Task::once("detector", Phase::Detect, |_| std::future::pending::<io::Result<()>>()));
    let failure = supervisor.run(stopped()).await.expect_err("a failure");
    let told = "detector failed: it did not end within 10s; data folder: cannot write data/bus.db";
    assert_eq!(failure.to_string(), told);
}

#[tokio::test]
async fn a_sink_that_fails_while_sources_end_is_told() {
    let history = History::default();
    let source_ended = CancellationToken::new();
    let told = source_ended.clone();
    let source = Task::once("ingest", Phase::Intake, async move |shutdown: CancellationToken| {
        shutdown.cancelled().await;
        told.cancel();
        std::future::pending::<Result<(), io::Error>>().await
    });
    let sink = Task::once("bus", Phase::Bus, async move |_| {
        source_ended.cancelled().await;
        Err(io::Error::other("the disk is gone"))
    });
    let tasks = vec![source.budget(Duration::from_millis(50)), sink, history.task("results", Phase::Gather)];
    let failure = run(tasks, stopped()).await.expect_err("a failure");
    assert_eq!(failure.to_string(), "bus failed: the disk is gone");
    assert_eq!(history.all(), ["results"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_may_be_started_again_is_with_growing_pauses() {
    let (begun, starts) = (tokio::time::Instant::now(), Arc::new(AtomicU32::new(0)));
    let stop = CancellationToken::new();
    let (count, fifth) = (starts.clone(), stop.clone());
    let task = Task::new("source", Phase::Intake, move |shutdown| {
        let (start, fifth) = (count.fetch_add(1, Ordering::Relaxed) + 1, fifth.clone());
        async move {
            match start {
                1 => Err(io::Error::other("no luck")),
                2 => panic!("worse luck"),
                3 | 4 => Ok(()),
                _ => {
                    fifth.cancel();
                    shutdown.cancelled().await;
                    Ok(())
                }
            }
        }
    });
    let policy = OnFailure::Restart { initial: Duration::from_secs(1), max: Duration::from_secs(3) };
    run(vec![task.on_failure(policy)], stop).await.expect("a good end");
    assert_eq!((starts.load(Ordering::Relaxed), begun.elapsed().as_secs()), (5, 1 + 2 + 3 + 3));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_again_and_again_makes_the_process_unready_until_it_runs_for_long() {
    let (health, stop, starts) = (Health::new(), CancellationToken::new(), Arc::new(AtomicU32::new(0)));
    let (seen, count) = (health.clone(), starts.clone());
    let task = Task::new("detector", Phase::Detect, move |shutdown: CancellationToken| {
        let (start, seen) = (count.fetch_add(1, Ordering::Relaxed) + 1, seen.clone());
        async move {
            assert_eq!(seen.is_ready(), start <= 3, "at start {start}");
            if start <= 4 {
                return Err(io::Error::other("a record that is too large"));
            }
            shutdown.cancelled().await;
            Ok(())
        }
    });
    let policy = OnFailure::Restart { initial: Duration::from_secs(1), max: Duration::from_secs(3) };
    let mut supervisor = Supervisor::new(health.clone());
    supervisor.add(task.on_failure(policy));
    let running = tokio::spawn(supervisor.run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(1 + 2000 + 3000)).await;
    let troubles = health.troubles();
    assert_eq!(troubles.len(), 1);
    let (task, why) = &troubles[0];
    assert!(*task == "detector" && why.starts_with("it has failed 3 times since 2"), "{why}");
    assert!(why.ends_with("a record that is too large"), "{why}");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(health.is_ready() && health.troubles().is_empty() && starts.load(Ordering::Relaxed) == 5);
    stop.cancel();
    running.await.expect("no panic").expect("a good end");
}

#[tokio::test(start_paused = true)]
async fn each_task_has_its_own_budget_to_end() {
    let begun = tokio::time::Instant::now();
    let stuck =
        Task::once("stuck", Phase::Run, |_| std::future::pending::<io::Result<()>>()).budget(Duration::from_secs(1));
    let slow = Task::once("slow", Phase::Run, |shutdown: CancellationToken| async move {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(8)).await;
        Ok::<(), io::Error>(())
    });
    let failure = run(vec![stuck, slow], stopped()).await.expect_err("one is dropped");
    assert_eq!((failure.task, begun.elapsed()), ("stuck", Duration::from_secs(8)));
    assert_eq!(failure.to_string(), "stuck failed: it did not end within 1s");
}

#[tokio::test]
async fn without_tasks_it_waits_for_the_stop() {
    run(vec![], stopped()).await.expect("a good end");
}

#[tokio::test]
async fn a_final_error_ends_the_process_although_the_task_may_be_started_again() {
    let task = Task::new("detector", Phase::Detect, async |_| Err(io::Error::from(io::ErrorKind::PermissionDenied)));
    let policy = OnFailure::Restart { initial: Duration::from_secs(60), max: Duration::from_secs(60) };
    let denied = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let task = task.on_failure(policy).final_if(denied);
    let failure = run(vec![task], CancellationToken::new()).await.expect_err("a failure");
    assert_eq!(failure.to_string(), "detector failed: permission denied");
}
