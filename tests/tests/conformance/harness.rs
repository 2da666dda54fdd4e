//! What the cases share: publishing, and a member that is waited for.

use std::{sync::Arc, time::Duration};

use bus::{
    Assignment, Bus, Delivery, Member, Offset, Outgoing, Partition, Position, Record, Start, Subscription,
    TopicPartition, TopicSpec,
};

/// How long a case may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn create(bus: &Arc<dyn Bus>, topics: &[&str]) {
    bus.create(topics.iter().map(|topic| TopicSpec::new(*topic)).collect()).await.unwrap();
}

/// Publishes values under a key, one after another.
pub(crate) async fn publish(
    bus: &Arc<dyn Bus>,
    topic: &str,
    key: &str,
    values: impl IntoIterator<Item = String>,
) -> Vec<TopicPartition> {
    let mut places = Vec::new();
    for value in values {
        let spots = bus.publish(vec![Outgoing::new(topic, key.to_owned(), value)]).await.unwrap();
        places.push(TopicPartition { topic: topic.into(), partition: spots[0].partition });
    }
    places
}

pub(crate) async fn publish_to(bus: &Arc<dyn Bus>, topic: &str, partition: u32, values: &[&str]) {
    let record = |value: &&str| Outgoing::new(topic, "k", (*value).to_owned()).to_partition(Partition(partition));
    bus.publish(values.iter().map(record).collect()).await.unwrap();
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.value().to_vec()).unwrap()
}

pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(text).collect()
}

/// Everything in a topic, partition by partition.
pub(crate) async fn all(bus: &Arc<dyn Bus>, topic: &str) -> Vec<Record> {
    let info = bus.topics().await.unwrap().into_iter().find(|info| info.topic.as_str() == topic).unwrap();
    let mut out = Vec::new();
    for at in info.each() {
        let end = bus.offset(&at, Start::End).await.unwrap();
        let mut from = bus.offset(&at, Start::Earliest).await.unwrap();
        while from < end {
            let records = bus.read(&at, from, 64 * 1024).await.unwrap();
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            out.extend(records);
        }
    }
    out
}

/// The next assignment of at least one partition; anything else fails.
pub(crate) async fn assigned(member: &dyn Member) -> Vec<Assignment> {
    match member.next().await.unwrap() {
        Delivery::Assigned(assignments) => assignments,
        other => panic!("expected an assignment, got {other:?}"),
    }
}

/// All assignments, until there are `count` partitions.
pub(crate) async fn assigned_count(member: &dyn Member, count: usize) -> Vec<Assignment> {
    let mut out = Vec::new();
    while out.len() < count {
        out.extend(assigned(member).await);
    }
    assert_eq!(out.len(), count);
    out
}

/// What a member is assigned once it reads another topic, and has given back all else.
pub(crate) async fn changed_to(member: &dyn Member, topic: &str) -> Vec<Assignment> {
    member.subscribe(Subscription::to([topic]));
    let (mut gained, mut gone) = (Vec::new(), 0);
    while gained.len() < 4 || gone < 4 {
        match member.next().await.unwrap() {
            Delivery::Assigned(assignments) => gained.extend(assignments),
            Delivery::Revoking { partitions, .. } => {
                member.release(&partitions);
                gone += partitions.len();
            }
            other => panic!("{other:?}"),
        }
    }
    gained
}

pub(crate) fn start(assignment: &Assignment) -> Offset {
    assignment.position.next
}

pub(crate) fn open_all(member: &dyn Member, assignments: &[Assignment]) {
    for assignment in assignments {
        member.open(&assignment.partition, assignment.generation, start(assignment));
    }
}

/// Exactly the next `count` records; anything else fails.
pub(crate) async fn records(member: &dyn Member, count: usize) -> Vec<Record> {
    let mut out = Vec::new();
    while out.len() < count {
        match member.next().await.unwrap() {
            Delivery::Records(_, _, records) => out.extend(records),
            other => panic!("expected records, got {other:?}; have {:?}", texts(&out)),
        }
    }
    assert_eq!(out.len(), count, "{:?}", texts(&out));
    out
}

pub(crate) fn position_after(record: &Record) -> Position {
    Position::at(record.offset.next())
}

/// Asks until it holds; the case's own patience bounds it.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}
