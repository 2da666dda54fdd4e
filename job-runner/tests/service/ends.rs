//! How attempts end with their process: by a crash, by a shutdown, by the end of the bus.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bus::{
    embedded::Embedded,
    hostile::{Hostile, Manners},
};
use catalog::Order;
use contracts::progress::AttemptState::{Failed, Interrupted, Started, Succeeded};
use job_runner::{Answer, Config, Failure, Run};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_process_died_is_spent_until_none_is_left() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let begun = Arc::new(Semaphore::new(0));
    let registry = |begun: &Arc<Semaphore>| {
        let (begun, mut registry) = (begun.clone(), standard());
        registry.function("deadly", move |_: Run| {
            begun.add_permits(1);
            std::future::pending()
        });
        registry
    };
    let mut spec = job("deadly", "deadly", Value::Null, &["a"]);
    spec.attempts = 3;
    publish(&*bus, vec![record(&event("a", 1, &["deadly"], 1), "k", json!({}))]).await;
    for _ in 0..3 {
        let runner = Runner::start(bus.clone(), registry(&begun), view(1, vec![spec.clone()]));
        begun.acquire().await.expect("open").forget();
        runner.crash().await;
    }
    let runner = Runner::start(bus.clone(), registry(&begun), view(1, vec![spec]));
    let steps = until(&*bus, "it ended", |steps| ended(steps, 1)).await;
    let steps = &steps[&run_id("a", 1, "deadly")];
    assert_eq!(
        states(steps),
        [(1, Started), (1, Interrupted), (2, Started), (2, Interrupted), (3, Started), (3, Failed)]
    );
    assert_eq!((steps[1].ended, steps[3].ended), (None, None), "when the process ended is not known");
    assert!(steps[5].error.as_deref().expect("an error").contains("all 3 attempts are spent"));
    assert_eq!(begun.available_permits(), 0, "it ran once more");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_cut_off_by_a_shutdown_is_given_back_and_one_that_finishes_in_time_counts() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let (begun, hangs) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(true)));
    let mut registry = standard();
    let (signal, still) = (begun.clone(), hangs.clone());
    registry.function("slow", move |run: Run| {
        let (signal, still) = (signal.clone(), still.clone());
        async move {
            signal.add_permits(1);
            if run.event.raw.offset == 1 && still.load(SeqCst) {
                run.cancelled.cancelled().await;
                return Err(Failure::new("cut off"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Answer::nothing())
        }
    });
    let config = Config { grace: Duration::from_millis(200).into(), ..Config::default() };
    let mut spec = job("slow", "slow", Value::Null, &["a"]);
    spec.order = Order::None;
    let runner = Runner::with(bus.clone(), registry.clone(), view(1, vec![spec.clone()]), config.clone());
    publish(&*bus, (1..3).map(|n| record(&event("a", n, &["slow"], 1), "k", json!({}))).collect()).await;
    begun.acquire_many(2).await.expect("open").forget();
    runner.stop().await;
    let told = steps(&*bus).await;
    assert_eq!(states(&told[&run_id("a", 2, "slow")]), [(1, Started), (1, Succeeded)]);
    assert_eq!(states(&told[&run_id("a", 1, "slow")]), [(1, Started)]);
    hangs.store(false, SeqCst);
    let runner = Runner::with(bus.clone(), registry, view(1, vec![spec]), config);
    let told = until(&*bus, "both ended", |steps| ended(steps, 2)).await;
    assert_eq!(states(&told[&run_id("a", 1, "slow")]), [(1, Started), (1, Started), (1, Succeeded)]);
    assert_eq!(states(&told[&run_id("a", 2, "slow")]).len(), 2);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_bus_is_the_end_of_the_stage() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let (sender, receiver) =
        tokio::sync::watch::channel(Some(Arc::new(view(1, vec![job("one", "log", Value::Null, &["a"])]))));
    let (_said, control) = tokio::sync::watch::channel(Some(Arc::default()));
    let deps = job_runner::Deps {
        bus: bus.clone(),
        catalog: receiver,
        control,
        registry: standard(),
        board: job_runner::Board::default(),
    };
    let service = job_runner::Service::new(Config::default(), deps);
    let task = tokio::spawn(service.run(tokio_util::sync::CancellationToken::new()));
    bus.stop();
    assert!(matches!(task.await.expect("no panic"), Err(job_runner::Error::Bus(bus::Error::Stopped(_)))));
    drop(sender);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_moves_takes_its_unfinished_runs_along() {
    let bus = Arc::new(Hostile::with(1, 2, Manners::MILD));
    topics(&*bus, &["a"]).await;
    let begun = Arc::new(Semaphore::new(0));
    let registry = |hangs: bool, begun: Arc<Semaphore>| {
        let mut registry = standard();
        registry.function("slow", move |run: Run| {
            begun.add_permits(1);
            async move {
                if hangs {
                    run.cancelled.cancelled().await;
                    return Err(Failure::new("cut off"));
                }
                Ok(Answer::nothing())
            }
        });
        registry
    };
    let config = Config { grace: Duration::from_millis(50).into(), ..Config::default() };
    let spec = job("slow", "slow", Value::Null, &["a"]);
    let first = Runner::with(bus.clone(), registry(true, begun.clone()), view(1, vec![spec.clone()]), config.clone());
    publish(&*bus, (0..8).map(|n| record(&event("a", n, &["slow"], 1), &n.to_string(), json!({}))).collect()).await;
    begun.acquire_many(8).await.expect("open").forget();
    let second = Runner::with(bus.clone(), registry(false, begun.clone()), view(1, vec![spec]), config);
    let moved = until(&*bus, "those of one partition ended", |steps| ended(steps, 1)).await;
    let moved = moved.values().find(|steps| steps.len() > 2).expect("one that moved");
    assert_eq!(states(moved), [(1, Started), (1, Started), (1, Succeeded)]);
    first.stop().await;
    let all = until(&*bus, "all ended", |steps| ended(steps, 8)).await;
    assert!(all.values().all(|steps| states(steps) == [(1, Started), (1, Started), (1, Succeeded)]), "{all:#?}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_bus_remembers_what_was_under_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Arc::new(Embedded::open(&bus::embedded::Config::new(folder.path())).expect("the bus"));
    let begun = Arc::new(Semaphore::new(0));
    let registry = |begun: Arc<Semaphore>| {
        let mut registry = standard();
        registry.function("mixed", move |run: Run| {
            begun.add_permits(1);
            async move {
                match (run.event.raw.offset, run.attempt) {
                    (0, 1) => std::future::pending().await,
                    _ => Ok(Answer::nothing()),
                }
            }
        });
        registry
    };
    let spec = job("mixed", "mixed", Value::Null, &["a"]);
    let bus = open();
    topics(&*bus, &["a"]).await;
    publish(&*bus, (0..100).map(|n| record(&event("a", n, &["mixed"], 1), &n.to_string(), json!({}))).collect()).await;
    let runner = Runner::start(bus.clone(), registry(begun.clone()), view(1, vec![spec.clone()]));
    until(&*bus, "all but one ended", |steps| ended(steps, 99)).await;
    runner.crash().await;
    bus.close();
    drop(bus);
    let bus = open();
    let runner = Runner::start(bus.clone(), registry(begun.clone()), view(1, vec![spec]));
    let steps = until(&*bus, "all ended", |steps| ended(steps, 100)).await;
    for (run, steps) in &steps {
        let expected = if *run == run_id("a", 0, "mixed") {
            vec![(1, Started), (1, Interrupted), (2, Started), (2, Succeeded)]
        } else {
            vec![(1, Started), (1, Succeeded)]
        };
        assert_eq!(states(steps), expected);
    }
    assert_eq!(begun.available_permits(), 101, "what had ended did not run again");
    runner.stop().await;
}
