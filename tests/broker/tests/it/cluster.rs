//! Nodes that come, go, and come back.

use std::{fs, time::Duration};

use broker::{Cluster, Error, shared};

use crate::ask::{brokers, versions, versions_within};

#[test]
fn a_node_comes_back_on_its_port_after_a_stop_a_kill_and_a_freeze() {
    let cluster = Cluster::single().start().unwrap();
    let node = cluster.node(1);
    assert_eq!(cluster.bootstrap(), node.address().to_string());
    assert_eq!(brokers(node.address()).unwrap(), [(1, node.address().port())]);

    node.stop().unwrap();
    assert!(!node.is_running());
    versions(node.address()).unwrap_err();
    node.start().unwrap();
    versions(node.address()).unwrap();

    node.kill();
    versions(node.address()).unwrap_err();
    node.start().unwrap();
    versions(node.address()).unwrap();

    node.freeze();
    assert!(node.is_running());
    versions_within(node.address(), Duration::from_millis(300)).unwrap_err();
    node.thaw();
    versions(node.address()).unwrap();
    // A frozen one can be stopped, too.
    node.freeze();
    node.stop().unwrap();
}

#[test]
fn three_nodes_know_each_other_and_survive_the_loss_of_one() {
    let cluster = Cluster::of_three().start().unwrap();
    let all: Vec<_> = cluster.nodes().iter().map(|node| (node.id(), node.address().port())).collect();
    let known = |id| {
        let mut known = brokers(cluster.node(id).address()).unwrap();
        known.sort_unstable();
        known
    };
    for id in [1, 2, 3] {
        assert_eq!(known(id), all);
    }
    cluster.node(1).kill();
    versions(cluster.node(2).address()).unwrap();
    cluster.node(1).start().unwrap();
    assert_eq!(known(1), all);
}

#[test]
fn a_process_shares_one_broker() {
    let first = shared();
    assert!(std::ptr::eq(first, shared()));
    versions(first.split(',').next().unwrap().parse().unwrap()).unwrap();
}

#[test]
fn properties_options_and_the_place_of_the_data_can_be_chosen() {
    let data = tempfile::tempdir().unwrap();
    let given = Cluster::single().property("num.partitions", 7).java_option("-Xmx300m").data(data.path());
    let cluster = given.start().unwrap();
    let properties = fs::read_to_string(cluster.node(1).folder().join("server.properties")).unwrap();
    assert!(properties.contains("\nnum.partitions=7\n"), "{properties}");
    let java = cluster.node(1).process_id().unwrap();
    let command = fs::read_to_string(format!("/proc/{java}/cmdline")).unwrap();
    assert!(command.contains("-Xmx300m"), "{command}");
    assert!(data.path().join("node-1/__cluster_metadata-0").is_dir());
    let folder = cluster.node(1).folder().to_owned();
    drop(cluster);
    assert!(!folder.exists());
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let error = Cluster::single().property("log.dirs", "/dev/null/nowhere").start().unwrap_err();
    let Error::Node { node: 1, what, log, .. } = &error else { panic!("{error}") };
    assert!(what.starts_with("ended while it started"), "{what}");
    assert!(log.contains("/dev/null/nowhere"), "{log}");
}
