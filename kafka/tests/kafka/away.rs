//! A broker that is away under publications and hops: publishing is refused quickly and works again, hops go on by themselves.
//!
//! It is frozen, not stopped, and goes on leading: Apache Kafka 4.3 leaves out partitions without a leader when it ends a transaction, so that a
//! single one that stops can leave a transaction open for ever. Three that stop and die are in the tests of the pipeline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use broker::Cluster;

use crate::{
    count::{blocking, count},
    given::Given,
    harness::{Input, behind, bus, long, prefix, wait_for},
    process::Worker,
    storm::report,
};

/// What a publication may take when the broker is away: the delivery timeout, and room for two busy cores.
const REFUSED: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_and_comes_back_loses_nothing_and_doubles_nothing() {
    let cluster = blocking(|| {
        Arc::new(
            Cluster::single()
                .property("broker.session.timeout.ms", 120_000)
                .start()
                .unwrap_or_else(|error| panic!("{error}")),
        )
    })
    .await;
    let given = Given::new(&cluster.bootstrap(), &prefix("away"));
    let bus = bus(&given).await;
    let input = Input::start(bus.clone(), 1000);
    let mut workers = vec![Worker::start(given.named("1")), Worker::start(given.named("2"))];
    for worker in &mut workers {
        worker.says("committed", 10).await;
    }
    for _ in 0..if long() { 30 } else { 2 } {
        let refused = input.refused().len();
        cluster.node(1).freeze();
        wait_for("a publication to be refused", async || (input.refused().len() > refused).then_some(())).await;
        let lost = bus.reach().follow().borrow().clone();
        assert!(lost.contains_key("publishing"), "it is told who reaches no broker: {lost:?}");
        cluster.node(1).thaw();
        let (back, accepted) = (Instant::now(), input.accepted());
        wait_for("publications to be accepted again", async || (input.accepted() > accepted).then_some(())).await;
        let published = back.elapsed();
        for worker in &mut workers {
            let before = worker.times("committed");
            worker.says("committed", before + 5).await;
        }
        let mut reach = bus.reach().follow();
        wait_for("everybody to reach the brokers", async || reach.borrow_and_update().is_empty().then_some(())).await;
        report(&format!("back: published after {published:.1?}, hops after {:.1?}", back.elapsed()));
    }
    let refused = input.refused();
    let longest = refused.iter().max().copied().unwrap_or_default();
    report(&format!("{} refusals, the longest after {longest:.1?}", refused.len()));
    assert!(longest < REFUSED, "a refusal took {longest:?}");
    let accepted = input.stop().await;
    wait_for("every record to be copied", async || behind(&bus).await.filter(|behind| *behind == 0)).await;
    for worker in workers {
        worker.leave().await;
    }
    blocking(move || count(&given, accepted)).await.assert_each_once();
}
