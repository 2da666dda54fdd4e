//! Instances that join, leave, are killed, and are frozen beyond their session, every second or so.

use std::time::{Duration, Instant};

use tests::{FIRST, Random, Role};

use crate::pipeline::{Pipeline, SECOND, blocking, build, long, report, turn};

const ROLES: [Role; 3] = [Role::Ingest, Role::Detector, Role::JobRunner];
/// The session of these tests, and what it takes to be found out.
const BEYOND: Duration = Duration::from_millis(4500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go_and_freeze_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let mut random = Random::of_environment();
    let mut pipeline = Pipeline::start(build(blocking(broker::shared).await)).await;
    let end = Instant::now() + if long() { Duration::from_secs(600) } else { Duration::from_secs(20) };
    let mut frozen: Vec<(Instant, Role, &str)> = Vec::new();
    let mut happened = Vec::new();
    while Instant::now() < end {
        pipeline.load.more();
        for (_, role, instance) in frozen.extract_if(.., |(at, ..)| *at <= Instant::now()) {
            pipeline.herald.fleet().thaw(role, instance);
        }
        let (role, instance) = (random.of(&ROLES), random.of(&[FIRST, SECOND, "3"]));
        if frozen.iter().all(|(_, other, which)| (*other, *which) != (role, instance)) {
            happened.push(something(&mut pipeline, &mut random, &mut frozen, role, instance).await);
        }
        tokio::time::sleep(random.millis(200, 1200)).await;
    }
    for (_, role, instance) in frozen {
        pipeline.herald.fleet().thaw(role, instance);
    }
    for role in ROLES {
        for instance in [FIRST, SECOND] {
            if !pipeline.herald.fleet().is_running(role, instance) {
                pipeline.restart(role, instance).await;
            }
        }
    }
    happened.sort_unstable();
    let kinds = happened.chunk_by(|a, b| a == b).map(|same| format!("{} × {}", same.len(), same[0]));
    report(&kinds.collect::<Vec<_>>().join(", "));
    pipeline.count("a rebalance storm").await;
}

async fn something<'i>(
    pipeline: &mut Pipeline,
    random: &mut Random,
    frozen: &mut Vec<(Instant, Role, &'i str)>,
    role: Role,
    instance: &'i str,
) -> &'static str {
    let fleet = pipeline.herald.fleet_mut();
    if !fleet.is_running(role, instance) {
        fleet.launch(role, instance);
        return "join";
    }
    match random.below(3) {
        0 => {
            fleet.kill9(role, instance);
            "kill -9"
        }
        1 => {
            fleet.sigterm(role, instance).await;
            "leave"
        }
        _ => {
            fleet.freeze(role, instance);
            frozen.push((Instant::now() + BEYOND, role, instance));
            "freeze beyond the session"
        }
    }
}
