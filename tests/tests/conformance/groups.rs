//! What a bus tells and forgets of a group.

use std::sync::Arc;

use bus::{Assignment, Begin, Bus, Offset, Outgoing, Partition, Position, Share, Start, Subscription, TopicPartition};

use crate::harness::*;

pub(crate) async fn lag_is_told_and_advice_counts(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    let third = all(&bus, "in").await[2].offset;
    let at = TopicPartition::new("in", 0);
    member.advise(&at, third);
    let told = async || bus.lag("group").await.unwrap().into_iter().find(|lag| lag.partition == at);
    until(async || told().await.is_some_and(|lag| lag.position == third)).await;
    let lag = told().await.unwrap();
    assert!(lag.records >= 1 && lag.end > third);
    drop(assignments);
}

pub(crate) async fn who_has_read_everything_has_no_lag(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    publish_to(&bus, "in", 0, &["a"]).await;
    let member = bus.join("first", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let read = records(&*member, 1).await;
    let generation = assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation;
    let outputs = vec![Outgoing::new("out", "k", "A").to_partition(Partition(1))];
    let share = Share { partition: read[0].at(), generation, outputs, position: position_after(&read[0]) };
    member.commit(vec![share]).await.unwrap();
    let second = bus.join("second", Subscription::to(["out"])).await.unwrap();
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
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let read = records(&*member, 1).await;
    let generation = assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation;
    let share = Share { partition: read[0].at(), generation, outputs: vec![], position: position_after(&read[0]) };
    member.commit(vec![share]).await.unwrap();
    assert!(bus.forget("group").await.is_err());
    member.leave().await;
    bus.forget("group").await.unwrap();
    let again = bus.join("group", Subscription::to(["in"])).await.unwrap();
    assert!(assigned_count(&*again, 4).await.iter().all(|assignment| start(assignment) == Offset::ZERO));
}

pub(crate) async fn a_group_begins_where_it_is_said_and_has_a_position_before_it_reads(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
    publish_to(&bus, "in", 1, &["d"]).await;
    let (at, second) = (TopicPartition::new("in", 0), all(&bus, "in").await[1].offset);
    let marks = Begin::At(Arc::new([(at.clone(), second)].into()));
    let to = Subscription { begin: marks.clone(), ..Subscription::to(["in"]) };
    let member = bus.join("group", to.clone()).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    let expected = |it: &Assignment| if it.partition == at { second } else { Offset::ZERO };
    assert!(assignments.iter().all(|it| it.position == Position::at(expected(it))), "{assignments:?}");
    // Nothing was opened, and nothing committed by the member: the positions stand all the same.
    until(async || bus.lag("group").await.unwrap().len() == 4).await;
    let lag = bus.lag("group").await.unwrap();
    assert_eq!(lag.iter().find(|lag| lag.partition == at).unwrap().position, second);
    member.leave().await;
    drop(member);
    // It has begun: what is said now is too late.
    let again = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*again, 4).await;
    assert!(assignments.iter().all(|it| it.position == Position::at(expected(it))), "{assignments:?}");
    open_all(&*again, &assignments);
    let mut read = texts(&records(&*again, 3).await);
    read.sort();
    assert_eq!(read, ["b", "c", "d"]);
    // Whose positions are kept elsewhere has none here until it advises one.
    let to = Subscription { begin: Begin::Elsewhere, ..Subscription::to(["in"]) };
    let own = bus.join("own", to).await.unwrap();
    let assignments = assigned_count(&*own, 4).await;
    assert!(assignments.iter().all(|it| start(it) == Offset::ZERO), "{assignments:?}");
    assert!(bus.lag("own").await.unwrap().is_empty());
    own.advise(&at, second);
    until(async || bus.lag("own").await.unwrap().iter().any(|lag| lag.position == second)).await;
}

pub(crate) async fn many_groups_and_places_are_asked_for_at_once(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "other"]).await;
    publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
    let at = TopicPartition::new("in", 0);
    let read = all(&bus, "in").await;
    // More than a bus keeps clients for.
    let groups: Vec<String> = (0..12).map(|number| format!("group-{number}")).collect();
    for (number, group) in groups.iter().enumerate().skip(1) {
        let position = if number % 2 == 0 { read[2].offset.next() } else { read[1].offset };
        bus.place(group, vec![(at.clone(), position)]).await.unwrap();
    }
    let lags = bus.lags(&groups).await.unwrap();
    for (number, group) in groups.iter().enumerate() {
        let lag = lags.get(group).map_or(&[][..], Vec::as_slice);
        assert_eq!(lag, bus.lag(group).await.unwrap());
        let records = lag.iter().map(|lag| lag.records).sum::<u64>();
        match number {
            0 => assert_eq!(lag, []),
            number if number % 2 == 0 => assert_eq!((lag.len(), records), (1, 0)),
            _ => assert!(records >= 2, "{lag:?}"),
        }
    }
    let asked =
        [at.clone(), TopicPartition::new("other", 1), TopicPartition::new("in", 99), TopicPartition::new("no", 0)];
    let later = read[2].published + std::time::Duration::from_secs(3600);
    for place in [Start::Earliest, Start::End, Start::Time(read[0].published), Start::Time(later)] {
        let found = bus.offsets(&asked, place).await.unwrap();
        assert_eq!(found.len(), 2, "{place:?}: {found:?}");
        for (at, offset) in found {
            assert_eq!(offset, bus.offset(&at, place).await.unwrap(), "{place:?} of {at}");
        }
    }
}

pub(crate) async fn who_gives_up_joining_is_no_member(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    for _ in 0..20 {
        // Polled once, so that the request is out, then dropped.
        let mut joining = Box::pin(bus.join("group", Subscription::to(["in"])));
        let polled = futures_util::FutureExt::now_or_never(&mut joining);
        drop((joining, polled));
    }
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
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
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    assigned_count(&*member, 4).await;
    assert_eq!(has_members().await, Some(true));
    assert!(bus.place("group", vec![(at.clone(), second)]).await.is_err(), "somebody is in it");
    member.leave().await;
    until(async || bus.place("group", vec![(at.clone(), second)]).await.is_ok()).await;
    assert_eq!(has_members().await, Some(false));
    let again = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*again, 4).await;
    assert!(assignments.iter().any(|is| is.partition == at && is.position == Position::at(second)));
}
