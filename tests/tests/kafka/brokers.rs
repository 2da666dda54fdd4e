//! Brokers that stop, die and come back; and, in the long variants, a network that is cut.

use std::sync::Arc;

use broker::{Builder, Cluster};
use tests::Random;

use crate::pipeline::{Pipeline, blocking, build, long, turn};

async fn start(builder: Builder) -> Arc<Cluster> {
    Arc::new(blocking(move || builder.start().unwrap_or_else(|error| panic!("{error}"))).await)
}

/// One node at a time, so that every partition has a leader all along. Apache Kafka 4.3 leaves out partitions without one when it
/// ends a transaction: with a single replica, a broker that stops can leave a transaction open for ever, or let an aborted one
/// count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_three_stop_and_die_and_come_back_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let cluster = start(Cluster::of_three()).await;
    let pipeline = Pipeline::start(build(&cluster.bootstrap())).await;
    // With three partitions of each topic on three nodes, each node leads some.
    for cycle in 0..if long() { 12 } else { 2 } {
        pipeline.goes_on().await;
        let (nodes, id) = (cluster.clone(), cycle % 3 + 1);
        blocking(move || if cycle % 2 == 0 { nodes.node(id).kill() } else { nodes.node(id).stop().unwrap() }).await;
        // The others take over.
        pipeline.goes_on().await;
        let nodes = cluster.clone();
        blocking(move || nodes.node(id).start().unwrap()).await;
    }
    pipeline.goes_on().await;
    pipeline.count("nodes of three that stop, die and come back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_frozen_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let mut random = Random::of_environment();
    // Its session is longer than it is frozen: else it would stop leading, which is the same as stopping.
    let cluster = start(Cluster::single().property("broker.session.timeout.ms", 120_000)).await;
    let pipeline = Pipeline::start(build(&cluster.bootstrap())).await;
    for _ in 0..if long() { 20 } else { 1 } {
        pipeline.goes_on().await;
        cluster.node(1).freeze();
        tokio::time::sleep(random.millis(3000, 9000)).await;
        cluster.node(1).thaw();
    }
    pipeline.goes_on().await;
    pipeline.count("a broker that is frozen").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: `just long` runs it"]
async fn the_network_is_cut_for_a_while_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let mut random = Random::of_environment();
    let cluster = start(Cluster::single().proxied()).await;
    let pipeline = Pipeline::start(build(&cluster.proxied_bootstrap())).await;
    for _ in 0..if long() { 15 } else { 2 } {
        pipeline.goes_on().await;
        cluster.cut();
        tokio::time::sleep(random.millis(100, 12_000)).await;
        if random.below(3) == 0 {
            cluster.node(1).proxy().unwrap().break_connections();
        }
        cluster.heal();
    }
    pipeline.goes_on().await;
    pipeline.count("a network that is cut").await;
}
