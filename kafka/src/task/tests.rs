//! What a task tells its stage, with a consumer that reaches no broker: the group's part is played by the test.

use super::*;
use crate::{client::Client, codec::Names, consume::Pace, outbox::Outbox, read::Readers, slots::Slots, starts::Starts};
use bus::{Position, Subscription};

fn task() -> Task {
    let config = Config::new(["127.0.0.1:1"]);
    let slot = Arc::new(Slots::default()).take("g");
    let (commands, inbox) = mpsc::unbounded_channel();
    let wake = Arc::new(Notify::new());
    let consumer = consume::consumer(&config, &slot, wake.clone()).expect("a consumer");
    let cluster = Arc::new(Cluster::open(&config).expect("clients"));
    let readers = Arc::new(Readers::new(&config, cluster.clone()));
    let starts = Arc::new(Starts::new(cluster.clone(), readers));
    let shared = Arc::new(Shared {
        group: slot.group.clone(),
        names: Names::new(&config.prefix),
        consumer: Client::new(consumer),
        owned: std::sync::Mutex::default(),
        outbox: Outbox::new(Pace::of(&config, &slot).fetch_ahead),
        starts: starts.clone(),
        commands,
    });
    let committer = Committer::start(&config, cluster.clone());
    let process = Process { config, cluster, starts, committer };
    Task::new(process, shared, slot, Subscription::to(["t"]), inbox, wake)
}

fn found(at: &TopicPartition) -> Vec<Fetched> {
    vec![Fetched { at: at.clone(), position: Position::at(Offset::ZERO), is_first: false }]
}

#[tokio::test]
async fn what_is_found_while_it_is_being_taken_away_is_not_told_any_more() {
    let mut task = task();
    let (early, late) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
    task.find(vec![early.clone(), late.clone()], 1);
    let generation = task.parts[&early].generation;
    task.announce(generation, found(&early));
    task.revoked(vec![early.clone(), late.clone()], false);
    task.announce(generation, found(&late));
    task.let_go();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(task.shared.outbox.next().await.expect("a delivery"));
    }
    assert!(
        matches!(&told[..], [Delivery::Assigned(given), Delivery::Revoking { partitions, .. }, Delivery::Lost(lost)]
            if given.len() == 1 && given[0].partition == early && *partitions == [early.clone()] && *lost == [early.clone()]),
        "{told:?}"
    );
    assert!(task.parts.is_empty() && lock(&task.shared.owned).is_empty());
}
