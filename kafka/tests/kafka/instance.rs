//! Two processes with the same instance, by mistake: one of them ends with an error that says so, the other goes on.

use std::time::Duration;

use crate::{
    count::{blocking, count},
    given::Given,
    harness::{Input, behind, bus, prefix, wait_for},
    process::Worker,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_with_the_same_instance_one_ends_and_says_why() {
    let given = Given::new(broker::shared(), &prefix("twins")).times(Duration::from_secs(3), Duration::from_secs(3));
    let bus = bus(&given).await;
    let input = Input::start(bus.clone(), 500);
    let mut twins = vec![Worker::start(given.clone())];
    twins[0].says("committed", 20).await;
    twins.push(Worker::start(given.clone()));
    let index = wait_for("one to end", async || twins.iter_mut().position(|twin| twin.ended().is_some())).await;
    let ended = twins.swap_remove(index);
    assert!(
        ended.said().iter().any(|line| line.starts_with("ended: ") && line.contains("instance `1`")),
        "{}",
        ended.story()
    );
    let mut left = twins.swap_remove(0);
    let before = left.times("committed");
    left.says("committed", before + 20).await;
    let accepted = input.stop().await;
    wait_for("every record to be copied", async || behind(&bus).await.filter(|behind| *behind == 0)).await;
    left.leave().await;
    blocking(move || count(&given, accepted)).await.assert_each_once();
}
