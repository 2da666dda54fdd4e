//! What becomes of a run.

use std::{
    fs::Permissions,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use catalog::{Order, Template};
use contracts::progress::AttemptState::{Failed, Started, Succeeded};
use job_runner::{Answer, Failure, Run};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_that_it_starts_and_how_it_ended() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let options = json!({ "delay": "1ms", "message": "Job 1" });
    let runner = Runner::start(bus.clone(), standard(), view(1, vec![job("one", "simulate", options, &["a"])]));
    publish(&*bus, vec![record(&event("a", 1, &["one"], 1), "k", json!({}))]).await;
    let steps = until(&*bus, "it ended", |steps| ended(steps, 1)).await;
    let steps = &steps[&run_id("a", 1, "one")];
    assert_eq!(states(steps), [(1, Started), (1, Succeeded)]);
    assert_eq!(steps[1].result.as_ref().expect("a result").get(), r#"{"message":"Job 1 complete!"}"#);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inline_kind_tells_its_end_alone_and_fills_in_its_options() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let mut spec = job("log", "log", Value::Null, &["a"]);
    let message = Template::compile("move ${data.id} ${event.name}").expect("CEL");
    spec.filling = Arc::new(Template::Map(vec![("message".into(), message)]).into());
    let runner = Runner::start(bus.clone(), standard(), view(1, vec![spec]));
    let records = (0..50).map(|n| record(&event("a", n, &["log"], 1), "k", json!({ "id": n }))).collect();
    publish(&*bus, records).await;
    publish(&*bus, vec![record(&event("a", 50, &["log"], 1), "k", json!({}))]).await;
    let all = until(&*bus, "they ended", |steps| ended(steps, 51)).await;
    let seventh = &all[&run_id("a", 7, "log")];
    assert_eq!(states(seventh), [(1, Succeeded)]);
    assert_eq!(seventh[0].result.as_ref().expect("a result").get(), r#"{"message":"move 7 a"}"#);
    let failed = &all[&run_id("a", 50, "log")];
    assert_eq!(states(failed), [(1, Failed)]);
    let error = failed[0].error.as_deref().expect("an error");
    assert!(error.starts_with("the job's options cannot be filled in: message: "), "{error}");
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_a_panic_and_a_timeout_end_their_own_run_alone() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let mut registry = standard();
    registry.function("moody", |run: Run| async move {
        match run.event.raw.offset {
            1 => panic!("out of tune"),
            2 => Err(Failure::new("out of paper")),
            3 => std::future::pending().await,
            _ => Ok(Answer::nothing()),
        }
    });
    let mut spec = job("moody", "moody", Value::Null, &["a"]);
    spec.timeout = Duration::from_millis(50);
    let runner = Runner::start(bus.clone(), registry, view(1, vec![spec]));
    publish(&*bus, (0..5).map(|n| record(&event("a", n, &["moody"], 1), "k", json!({}))).collect()).await;
    let steps = until(&*bus, "they ended", |steps| ended(steps, 5)).await;
    let error = |n| {
        let steps = &steps[&run_id("a", n, "moody")];
        assert_eq!(states(steps)[0], (1, Started));
        steps[1].error.clone().unwrap_or_default()
    };
    let errors: Vec<String> = (0..5).map(error).collect();
    assert_eq!(errors, ["", "the job panicked: out of tune", "out of paper", "timed out after 50ms", ""]);
    runner.until("they are counted", |all| (all["moody"].succeeded, all["moody"].failed) == (2, 3)).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_system_has_no_room_for_is_started_later_and_has_its_whole_time_then() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("program");
    let mut program = std::fs::File::create(&path).expect("a file");
    program.write_all(b"#!/bin/sh\necho done\n").expect("written");
    program.set_permissions(Permissions::from_mode(0o755)).expect("executable");
    let mut spec = job("one", "command", json!([path]), &["a"]);
    let timeout = Duration::from_millis(100);
    spec.timeout = timeout;
    let runner = Runner::start(bus.clone(), standard(), view(1, vec![spec]));
    publish(&*bus, vec![record(&event("a", 1, &["one"], 1), "k", json!({}))]).await;
    until(&*bus, "it begins", |steps| !steps.is_empty()).await;
    // What is being written cannot be started. For several times its timeout it is held up so.
    tokio::time::sleep(timeout * 5).await;
    drop(program);
    let steps = until(&*bus, "it ended", |steps| ended(steps, 1)).await;
    let steps = &steps[&run_id("a", 1, "one")];
    assert_eq!(states(steps), [(1, Started), (1, Succeeded)], "{:?}", steps[1].error);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_hangs_delays_no_other_job_and_no_other_key() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let (open, mut registry) = (Arc::new(Notify::new()), standard());
    let gate = open.clone();
    registry.function("gated", move |run: Run| {
        let gate = gate.clone();
        async move {
            if run.event.raw.offset == 0 {
                gate.notified().await;
            }
            Ok(Answer::nothing())
        }
    });
    let jobs = vec![job("slow", "gated", Value::Null, &["a"]), job("quick", "log", Value::Null, &["a"])];
    let runner = Runner::start(bus.clone(), registry, view(1, jobs));
    let key = |n: u64| if n.is_multiple_of(4) { "same".to_owned() } else { n.to_string() };
    publish(&*bus, (0..40).map(|n| record(&event("a", n, &["slow", "quick"], 1), &key(n), json!({}))).collect()).await;
    // Forty of the quick one, and thirty of the slow one: all keys but that of the one that hangs.
    until(&*bus, "all others ended", |steps| ended(steps, 70)).await;
    let blocked = steps(&*bus).await;
    assert!(!blocked.contains_key(&run_id("a", 4, "slow")), "it overtook one of its key");
    assert_eq!(states(&blocked[&run_id("a", 0, "slow")]), [(1, Started)]);
    open.notify_one();
    until(&*bus, "all ended", |steps| ended(steps, 80)).await;
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_run_side_by_side_than_the_job_says() {
    let bus = mild();
    topics(&*bus, &["a"]).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, highest, mut registry) = (now.clone(), most.clone(), standard());
    registry.function("counted", move |_: Run| {
        let (counter, highest) = (counter.clone(), highest.clone());
        async move {
            highest.fetch_max(counter.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
            counter.fetch_sub(1, SeqCst);
            Ok(Answer::nothing())
        }
    });
    let mut spec = job("counted", "counted", Value::Null, &["a"]);
    (spec.concurrency, spec.order) = (3, Order::None);
    let runner = Runner::start(bus.clone(), registry, view(1, vec![spec]));
    publish(&*bus, (0..60).map(|n| record(&event("a", n, &["counted"], 1), "k", json!({}))).collect()).await;
    until(&*bus, "they ended", |steps| ended(steps, 60)).await;
    assert_eq!((most.load(SeqCst), now.load(SeqCst)), (3, 0));
    runner.stop().await;
}
