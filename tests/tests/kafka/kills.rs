//! kill -9.

use std::time::Duration;

use tests::{FIRST, Random, Role};

use crate::pipeline::{Pipeline, SECOND, blocking, build, long, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_is_killed_in_turn_and_at_random_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let mut random = Random::of_environment();
    let mut pipeline = Pipeline::start(build(blocking(broker::shared).await)).await;
    for role in Role::ALL {
        pipeline.goes_on().await;
        tokio::time::sleep(random.millis(20, 500)).await;
        pipeline.herald.fleet_mut().kill9(role, FIRST);
        pipeline.restart(role, FIRST).await;
    }
    let cycles = if long() { 300 } else { 3 };
    for _ in 0..cycles {
        pipeline.load.more();
        at_random(&mut pipeline, &mut random).await;
    }
    pipeline.count("kill -9 of every role").await;
}

/// One or two of any role, and they come back at once, after a while, or are killed again while they do.
async fn at_random(pipeline: &mut Pipeline, random: &mut Random) {
    let role = random.of(&Role::ALL);
    let instances =
        if role == Role::Results { vec![FIRST] } else { random.of(&[vec![FIRST], vec![SECOND], vec![FIRST, SECOND]]) };
    tokio::time::sleep(random.millis(20, 900)).await;
    for instance in &instances {
        pipeline.herald.fleet_mut().kill9(role, instance);
    }
    match random.below(3) {
        0 => {
            for instance in &instances {
                pipeline.herald.fleet_mut().launch(role, instance);
            }
            tokio::time::sleep(random.millis(0, 300)).await;
            for instance in &instances {
                pipeline.herald.fleet_mut().kill9(role, instance);
            }
        }
        // Longer than a session: others have its partitions by then.
        1 => tokio::time::sleep(Duration::from_secs(4)).await,
        _ => {}
    }
    for instance in &instances {
        pipeline.restart(role, instance).await;
    }
}
