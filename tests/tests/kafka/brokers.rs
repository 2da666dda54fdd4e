//! Brokers that stop, die and come back; and, in the long variants, a network that is cut and a disk that is full.

use std::sync::Arc;

use broker::{Builder, Cluster};

use crate::{
    pipeline::{Pipeline, blocking, build, long, turn},
    random::Random,
};

async fn start(builder: Builder) -> Arc<Cluster> {
    Arc::new(blocking(move || builder.start().unwrap_or_else(|error| panic!("{error}"))).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_stopped_and_started_again_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let mut random = Random::of_environment();
    let cluster = start(Cluster::single()).await;
    let pipeline = Pipeline::start(build(&cluster.bootstrap())).await;
    for cycle in 0..if long() { 20 } else { 2 } {
        pipeline.goes_on().await;
        let (node, graceful, pause) = (cluster.clone(), cycle % 2 == 0, random.millis(0, 6000));
        blocking(move || {
            if graceful {
                node.node(1).stop().unwrap()
            } else {
                node.node(1).kill()
            }
            std::thread::sleep(pause);
            node.node(1).start().unwrap();
        })
        .await;
    }
    pipeline.goes_on().await;
    pipeline.count("a broker that stops, dies and comes back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_of_three_is_killed_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    let cluster = start(Cluster::of_three()).await;
    let pipeline = Pipeline::start(build(&cluster.bootstrap())).await;
    // With three partitions of each topic on three nodes, each node leads some.
    for cycle in 0..if long() { 12 } else { 1 } {
        pipeline.goes_on().await;
        let (nodes, id) = (cluster.clone(), cycle % 3 + 1);
        nodes.node(id).kill();
        // The others take over.
        pipeline.goes_on().await;
        blocking(move || nodes.node(id).start().unwrap()).await;
    }
    pipeline.goes_on().await;
    pipeline.count("a leader of three that is killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_is_cut_for_a_while_and_nothing_is_lost_or_doubled() {
    let _turn = turn().await;
    if !long() {
        return;
    }
    let mut random = Random::of_environment();
    let cluster = start(Cluster::single().proxied()).await;
    let pipeline = Pipeline::start(build(&cluster.proxied_bootstrap())).await;
    for _ in 0..15 {
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
