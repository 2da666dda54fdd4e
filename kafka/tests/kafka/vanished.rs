//! Topics and records that vanish under a member: it stops with an error, and never jumps.

use std::{sync::Arc, time::Duration};

use bus::{Begin, Bus, Delivery, Error, Member, Offset, Subscription};
use kafka::Kafka;
use rdkafka::{
    ClientConfig, Offset as RawOffset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use crate::{
    given::{Given, PARTITIONS},
    harness::{PATIENCE, bus, prefix, publish},
};

async fn given(name: &str) -> (Given, Arc<Kafka>) {
    let given = Given::new(broker::shared(), &prefix(name));
    let bus = bus(&given).await;
    (given, bus)
}

/// Deletes what stands before an offset in partition 0 of `in`, as retention does when it is behind.
async fn delete_records(given: &Given, before: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &given.brokers).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&format!("{}in", given.prefix), 0, RawOffset::Offset(before)).unwrap();
    let deleted = admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    assert_eq!(deleted.elements()[0].offset(), RawOffset::Offset(before));
}

/// What a member is told until it fails, with everything opened from where it was committed, or from zero.
async fn until_error(member: &dyn Member) -> Error {
    let told = async {
        loop {
            match member.next().await {
                Ok(Delivery::Assigned(assignments)) => {
                    for it in assignments {
                        member.open(&it.partition, it.generation, it.position.next);
                    }
                }
                Ok(Delivery::Records(at, _, records)) => {
                    let from = records[0].offset;
                    assert!(at.partition.0 != 0 || from == Offset::ZERO, "it jumped to {from} in {at}");
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("an error")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_behind_the_edge_of_retention_stops_the_group() {
    let (given, bus) = given("edge").await;
    publish(&bus, 0, 600).await;
    delete_records(&given, 50).await;
    let marks = Begin::At(Arc::new([(bus::TopicPartition::new("in", 0), Offset::ZERO)].into()));
    let to = Subscription { begin: marks, ..Subscription::to(["in"]) };
    let member = bus.join("copy", to).await.unwrap();
    match until_error(&*member).await {
        Error::PositionLost { group, partition, position, begins } => {
            assert_eq!((group.as_str(), partition.to_string().as_str()), ("copy", "in/0"));
            assert_eq!((position, begins), (Offset::ZERO, Offset(50)));
        }
        other => panic!("{other}"),
    }
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_deleted_under_a_reading_member_stop_it() {
    let (given, bus) = given("under").await;
    publish(&bus, 0, 60).await;
    let member = bus.join("copy", Subscription::to(["in"])).await.unwrap();
    let mut got = 0;
    while got < 60 {
        match member.next().await.unwrap() {
            Delivery::Assigned(assignments) => {
                for it in assignments {
                    member.open(&it.partition, it.generation, Offset::ZERO);
                }
            }
            Delivery::Records(_, _, records) => got += records.len(),
            other => panic!("{other:?}"),
        }
    }
    // It reads no further, while more comes and goes again.
    for partition in 0..PARTITIONS {
        member.pause(&bus::TopicPartition::new("in", partition));
    }
    publish(&bus, 60, 6000).await;
    // What is fetched ahead is ours; what was not is gone.
    delete_records(&given, 999).await;
    for partition in 0..PARTITIONS {
        member.resume(&bus::TopicPartition::new("in", partition));
    }
    let mut next = Offset(10);
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match member.next().await {
                Ok(Delivery::Records(at, _, records)) if at.partition.0 == 0 => {
                    assert_eq!(records[0].offset, next, "it jumped");
                    next = records[records.len() - 1].offset.next();
                    if next == Offset(1000) {
                        return None;
                    }
                }
                Ok(_) => {}
                Err(error) => return Some(error),
            }
        }
    })
    .await;
    match ended {
        // All of it had been fetched before it was deleted.
        Ok(None) => {}
        Ok(Some(Error::PositionLost { position, begins, .. })) => {
            assert_eq!((position, begins), (next, Offset(999)));
        }
        other => panic!("{other:?} after {next}"),
    }
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_stops_its_readers_and_no_other() {
    let (_, bus) = given("gone").await;
    publish(&bus, 0, 60).await;
    let (reader, other) = (
        bus.join("copy", Subscription::to(["in"])).await.unwrap(),
        bus.join("other", Subscription::to(["out"])).await.unwrap(),
    );
    let Delivery::Assigned(assignments) = other.next().await.unwrap() else { panic!("an assignment") };
    assert_eq!(assignments.len(), PARTITIONS as usize);
    for it in assignments {
        other.open(&it.partition, it.generation, Offset::ZERO);
    }
    let stopped = async { until_error(&*reader).await };
    let deleted = async {
        crate::harness::wait_for("the reader to be a member", async || {
            bus.members("copy").await.ok().filter(|members| !members.is_empty())
        })
        .await;
        bus.delete(&"in".into()).await.unwrap();
    };
    let (error, ()) = tokio::join!(stopped, deleted);
    assert!(matches!(&error, Error::UnknownTopic(topic) if topic.as_str() == "in"), "{error}");
    bus.publish(vec![bus::Outgoing::new("out", "k", "v")]).await.unwrap();
    assert!(matches!(other.next().await.unwrap(), Delivery::Records(..)));
    reader.leave().await;
    other.leave().await;
}

async fn assigned(member: &dyn Member) -> Vec<bus::Assignment> {
    loop {
        if let Delivery::Assigned(assignments) = member.next().await.expect("a delivery") {
            return assignments;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_positions_are_gone_stops_until_it_is_said_from_where_it_goes_on() {
    let (given, bus) = given("forgotten").await;
    publish(&bus, 0, 60).await;
    let begin = async || {
        let member = bus.join("copy", Subscription::to(["in"])).await.unwrap();
        let mut begun = 0;
        while begun < PARTITIONS {
            let assignments = assigned(&*member).await;
            begun += assignments.len() as u32;
            let share = |it: bus::Assignment| {
                assert_eq!(it.position, bus::Position::at(Offset::ZERO), "{}", it.partition);
                let position = bus::Position::at(Offset(3));
                bus::Share { partition: it.partition, generation: it.generation, outputs: Vec::new(), position }
            };
            let committed = member.commit(assignments.into_iter().map(share).collect()).await.unwrap();
            assert_eq!(committed, bus::Committed::default());
        }
        member.leave().await;
    };
    begin().await;
    // Another tool deletes the group, as Kafka does once nobody was in it for long.
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &given.brokers).create().unwrap();
    let group = format!("{}copy", given.prefix);
    let delete = async || admin.delete_groups(&[&group], &AdminOptions::new()).await.unwrap().remove(0).ok();
    crate::harness::wait_for("the group to be deleted", delete).await;
    let member = bus.join("copy", Subscription::to(["in"])).await.unwrap();
    let error = until_error(&*member).await;
    assert!(matches!(&error, Error::PositionGone { group, .. } if group == "copy"), "{error}");
    member.leave().await;
    drop(member);
    // Nobody is in it: it is said from where it goes on.
    let places = (0..PARTITIONS).map(|partition| (bus::TopicPartition::new("in", partition), Offset(5))).collect();
    bus.place("copy", places).await.unwrap();
    let member = bus.join("copy", Subscription::to(["in"])).await.unwrap();
    let positions = assigned(&*member).await.into_iter().map(|it| it.position.next);
    assert!(positions.eq([Offset(5); PARTITIONS as usize]), "it goes on there");
    member.leave().await;
    drop(member);
    // A group that was forgotten on purpose is a new one.
    crate::harness::wait_for("the group to be forgotten", async || bus.forget("copy").await.ok()).await;
    begin().await;
}
