//! What a bus tells and forgets of a group.

use std::sync::Arc;

use bus::{Bus, Outgoing, Partition, Position, Share, TopicPartition};

use crate::harness::*;

pub(crate) async fn lag_is_told_and_advice_counts(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
    let member = bus.join("group", vec!["in".into()]).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    assert_eq!(bus.lag("group").await.unwrap(), []);
    let third = all(&bus, "in").await[2].offset;
    let at = TopicPartition::new("in", 0);
    member.advise(&at, third);
    until(async || !bus.lag("group").await.unwrap().is_empty()).await;
    let lag = bus.lag("group").await.unwrap();
    assert_eq!((&lag[0].partition, lag[0].position), (&at, third));
    assert!(lag[0].records >= 1 && lag[0].end > third);
    drop(assignments);
}

pub(crate) async fn who_has_read_everything_has_no_lag(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    publish_to(&bus, "in", 0, &["a"]).await;
    let member = bus.join("first", vec!["in".into()]).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let read = records(&*member, 1).await;
    let generation = assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation;
    let outputs = vec![Outgoing::new("out", "k", "A").to_partition(Partition(1))];
    let share = Share { partition: read[0].at(), generation, outputs, position: position_after(&read[0]) };
    member.commit(vec![share]).await.unwrap();
    let second = bus.join("second", vec!["out".into()]).await.unwrap();
    let assignments = assigned_count(&*second, 4).await;
    open_all(&*second, &assignments);
    let read = records(&*second, 1).await;
    let at_first = Share {
        partition: read[0].at(),
        generation: assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation,
        outputs: vec![],
        position: Position::at(read[0].offset),
    };
    let behind = async || bus.lag("second").await.unwrap().iter().map(|lag| lag.records).sum::<u64>();
    second.commit(vec![at_first.clone()]).await.unwrap();
    until(async || behind().await > 0).await;
    second.commit(vec![Share { position: position_after(&read[0]), ..at_first }]).await.unwrap();
    until(async || behind().await == 0).await;
}

pub(crate) async fn a_forgotten_group_starts_anew(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a"]).await;
    let member = bus.join("group", vec!["in".into()]).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let read = records(&*member, 1).await;
    let generation = assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation;
    let share = Share { partition: read[0].at(), generation, outputs: vec![], position: position_after(&read[0]) };
    member.commit(vec![share]).await.unwrap();
    assert!(bus.forget("group").await.is_err());
    member.leave().await;
    bus.forget("group").await.unwrap();
    let again = bus.join("group", vec!["in".into()]).await.unwrap();
    assert!(assigned_count(&*again, 4).await.iter().all(|assignment| assignment.position.is_none()));
}

pub(crate) async fn who_gives_up_joining_is_no_member(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    for _ in 0..20 {
        // Polled once, so that the request is out, then dropped.
        let mut joining = Box::pin(bus.join("group", vec!["in".into()]));
        let polled = futures_util::FutureExt::now_or_never(&mut joining);
        drop((joining, polled));
    }
    let member = bus.join("group", vec!["in".into()]).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    publish_to(&bus, "in", 3, &["ours"]).await;
    assert_eq!(texts(&records(&*member, 1).await), ["ours"]);
}

pub(crate) async fn an_idle_group_goes_on_where_it_is_placed(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
    let (at, second) = (TopicPartition::new("in", 0), all(&bus, "in").await[1].offset);
    let has_members =
        async || bus.groups().await.unwrap().into_iter().find(|g| g.name == "group").map(|g| g.has_members);
    assert_eq!(has_members().await, None);
    let member = bus.join("group", vec!["in".into()]).await.unwrap();
    assigned_count(&*member, 4).await;
    assert_eq!(has_members().await, Some(true));
    assert!(bus.place("group", vec![(at.clone(), second)]).await.is_err(), "somebody is in it");
    member.leave().await;
    until(async || bus.place("group", vec![(at.clone(), second)]).await.is_ok()).await;
    assert_eq!(has_members().await, Some(false));
    let again = bus.join("group", vec!["in".into()]).await.unwrap();
    let assignments = assigned_count(&*again, 4).await;
    assert!(assignments.iter().any(|is| is.partition == at && is.position == Some(Position::at(second))));
}
