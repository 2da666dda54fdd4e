//! The contract, point by point.

use std::{collections::HashMap, sync::Arc};

use bus::{
    Bus, Delivery, Error, InvalidNote, Member, Note, Offset, Outage, Outgoing, Partition, Position, Replay, Share,
    Start, Subscription, TopicPartition, TopicSpec,
};
use contracts::{
    headers::{Headers, KIND},
    topics::{PROGRESS, partition_of},
};

use crate::harness::*;

pub(crate) async fn a_key_has_one_partition_and_keeps_its_order(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    for key in ["a", "b", "c", "d", "e"] {
        for place in publish(&bus, "in", key, (0..20).map(|n| format!("{key}{n}"))).await {
            assert_eq!(place.partition, Partition(partition_of(key.as_bytes(), 4)));
        }
    }
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    open_all(&*member, &assigned_count(&*member, 4).await);
    let mut next: HashMap<String, u32> = HashMap::new();
    for record in records(&*member, 100).await {
        let value = text(&record);
        let (key, number) = value.split_at(1);
        let expected = next.entry(key.to_owned()).or_default();
        assert_eq!(number, expected.to_string());
        *expected += 1;
    }
}

pub(crate) async fn nothing_is_delivered_before_it_is_opened(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["closed"]).await;
    publish_to(&bus, "in", 1, &["open"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let all = assigned_count(&*member, 4).await;
    let at = |partition| all.iter().find(|a| a.partition == TopicPartition::new("in", partition)).unwrap();
    member.open(&at(1).partition, at(1).generation, Offset::ZERO);
    assert_eq!(texts(&records(&*member, 1).await), ["open"]);
    // The sentinel is published last and delivered first: the closed partition stays silent.
    publish_to(&bus, "in", 1, &["sentinel"]).await;
    assert_eq!(texts(&records(&*member, 1).await), ["sentinel"]);
    member.open(&at(0).partition, at(0).generation, Offset::ZERO);
    assert_eq!(texts(&records(&*member, 1).await), ["closed"]);
}

pub(crate) async fn a_partition_can_be_opened_elsewhere(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
    let third = all(&bus, "in").await[2].offset;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    for assignment in assigned_count(&*member, 4).await {
        let from = if assignment.partition.partition == Partition(0) { third } else { Offset::ZERO };
        member.open(&assignment.partition, assignment.generation, from);
    }
    assert_eq!(texts(&records(&*member, 1).await), ["c"]);
}

pub(crate) async fn outputs_position_and_note_are_committed_together(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    publish_to(&bus, "in", 0, &["a", "b"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let read = records(&*member, 2).await;
    // The longest that is possible, with every character that is.
    let note = Note::new((' '..='~').cycle().take(Note::MAX).collect::<String>()).unwrap();
    let share = Share {
        partition: read[0].at(),
        generation: assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation,
        outputs: vec![Outgoing::new("out", "k", "A")],
        position: Position { next: read[0].offset.next(), note: note.clone() },
    };
    assert_eq!(member.commit(vec![share]).await.unwrap(), bus::Committed::default());
    assert_eq!(texts(&all(&bus, "out").await), ["A"]);
    member.leave().await;
    let second = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*second, 4).await;
    let again = assignments.iter().find(|a| a.partition == read[0].at()).unwrap();
    assert_eq!(again.position, Position { next: read[0].offset.next(), note });
    assert!(assignments.iter().filter(|a| a.partition != read[0].at()).all(|a| start(a) == Offset::ZERO));
    open_all(&*second, &assignments);
    assert_eq!(texts(&records(&*second, 1).await), ["b"]);
}

pub(crate) async fn lines_of_one_commit_are_one_record_of_their_partition(bus: Arc<dyn Bus>) {
    create(&bus, &["in", PROGRESS]).await;
    publish_to(&bus, "in", 0, &["a"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let read = records(&*member, 1).await;
    let lines: Vec<(String, String)> = (0..40).map(|n| (format!("k{}", n % 10), format!("line {n}"))).collect();
    let lone = Outgoing::new(PROGRESS, "k0", "of another kind").with_headers([(KIND, "x")].into_iter().collect());
    let mut outputs: Vec<_> =
        lines.iter().map(|(key, line)| Outgoing::new(PROGRESS, key.clone(), line.clone())).collect();
    outputs.insert(20, lone);
    let share = Share {
        partition: read[0].at(),
        generation: assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation,
        outputs,
        position: Position { next: read[0].offset.next(), note: Note::default() },
    };
    assert_eq!(member.commit(vec![share]).await.unwrap(), bus::Committed::default());
    let (lone, joined): (Vec<_>, Vec<_>) =
        all(&bus, PROGRESS).await.into_iter().partition(|record| !record.headers.is_empty());
    assert_eq!(texts(&lone), ["of another kind"], "what has headers stands by itself");
    let mut expected: HashMap<Partition, Vec<&str>> = HashMap::new();
    for (key, line) in &lines {
        expected.entry(Partition(partition_of(key.as_bytes(), 4))).or_default().push(line);
    }
    let mut found: HashMap<Partition, Vec<&str>> = HashMap::new();
    for record in &joined {
        let value = std::str::from_utf8(record.value()).unwrap();
        found.entry(record.partition).or_default().extend(value.split('\n'));
    }
    assert_eq!(found, expected, "every line once, in its key's partition, in order");
    // The one that stands by itself may part those of its partition.
    assert!((expected.len()..=expected.len() + 1).contains(&joined.len()), "{} records", joined.len());
}

pub(crate) async fn a_note_is_printable_text_that_fits(_: Arc<dyn Bus>) {
    assert_eq!(Note::new("n".repeat(Note::MAX + 1)), Err(InvalidNote::TooLong(Note::MAX + 1)));
    for found in ['\0', '\n', '\u{7f}', 'é'] {
        assert_eq!(Note::new(format!("ab{found}c")), Err(InvalidNote::NotPrintable { at: 2, found }));
    }
    assert_eq!(Note::new("").unwrap(), Note::default());
}

pub(crate) async fn what_was_not_committed_comes_again(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    publish_to(&bus, "in", 0, &["a", "b"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    open_all(&*member, &assigned_count(&*member, 4).await);
    assert_eq!(records(&*member, 2).await.len(), 2);
    drop(member);
    let second = bus.join("group", Subscription::to(["in"])).await.unwrap();
    open_all(&*second, &assigned_count(&*second, 4).await);
    assert_eq!(texts(&records(&*second, 2).await), ["a", "b"]);
}

pub(crate) async fn a_share_of_an_older_assignment_is_left_out_and_the_others_stand(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    publish_to(&bus, "in", 0, &["old"]).await;
    publish_to(&bus, "in", 1, &["ours"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let mut shares = Vec::new();
    let mut older = None;
    for record in records(&*member, 2).await {
        let generation = assignments.iter().find(|a| a.partition == record.at()).unwrap().generation;
        let stale = bus::Generation(generation.0.wrapping_sub(1));
        let generation = if record.partition == Partition(0) { stale } else { generation };
        if record.partition == Partition(0) {
            older = Some((record.at(), generation));
        }
        let outputs = vec![Outgoing::new("out", "k", text(&record))];
        shares.push(Share { partition: record.at(), generation, outputs, position: position_after(&record) });
    }
    let committed = member.commit(shares).await.unwrap();
    assert_eq!(committed.left_out, older.into_iter().collect::<Vec<_>>());
    assert_eq!(texts(&all(&bus, "out").await), ["ours"]);
}

pub(crate) async fn a_revoked_partition_may_still_commit_and_is_then_handed_over(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    for partition in 0..4 {
        publish_to(&bus, "in", partition, &[&format!("p{partition}a"), &format!("p{partition}b")]).await;
    }
    let first = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*first, 4).await;
    open_all(&*first, &assignments);
    let read = records(&*first, 8).await;
    let second = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let Delivery::Revoking { partitions, .. } = first.next().await.unwrap() else { panic!("expected a revocation") };
    assert_eq!(partitions.len(), 2);
    let mut shares = Vec::new();
    for partition in &partitions {
        let record = read.iter().find(|record| record.at() == *partition).unwrap();
        let generation = assignments.iter().find(|a| a.partition == *partition).unwrap().generation;
        let outputs = vec![Outgoing::new("out", "k", text(record))];
        shares.push(Share { partition: partition.clone(), generation, outputs, position: position_after(record) });
    }
    assert_eq!(first.commit(shares.clone()).await.unwrap(), bus::Committed::default());
    first.release(&partitions);
    let handed_over = assigned_count(&*second, 2).await;
    assert!(handed_over.iter().all(|a| partitions.contains(&a.partition) && a.position.next > Offset::ZERO));
    open_all(&*second, &handed_over);
    assert!(texts(&records(&*second, 2).await).iter().all(|value| value.ends_with('b')));
    // The first has given them back: what it says of them now is left out.
    assert_eq!(first.commit(shares).await.unwrap().left_out.len(), 2);
}

pub(crate) async fn reading_goes_on_while_a_commit_is_under_way(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "out"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    publish_to(&bus, "in", 0, &["a"]).await;
    let read = records(&*member, 1).await;
    let generation = assignments.iter().find(|a| a.partition == read[0].at()).unwrap().generation;
    let outputs = (0..500).map(|n| Outgoing::new("out", "k", format!("{n}"))).collect();
    let share = Share { partition: read[0].at(), generation, outputs, position: position_after(&read[0]) };
    publish_to(&bus, "in", 0, &["b"]).await;
    let (committed, more) = tokio::join!(member.commit(vec![share]), records(&*member, 1));
    assert_eq!(committed.unwrap(), bus::Committed::default());
    assert_eq!(texts(&more), ["b"]);
}

/// A member that has read everything of `in` but for what stands in the first partition, which it has paused.
async fn paused(bus: &Arc<dyn Bus>) -> Box<dyn Member> {
    create(bus, &["in", "other"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    open_all(&*member, &assigned_count(&*member, 4).await);
    member.pause(&TopicPartition::new("in", 0));
    publish_to(bus, "in", 0, &["paused"]).await;
    publish_to(bus, "in", 1, &["sentinel"]).await;
    assert_eq!(texts(&records(&*member, 1).await), ["sentinel"]);
    member
}

pub(crate) async fn a_paused_partition_delivers_nothing(bus: Arc<dyn Bus>) {
    let member = paused(&bus).await;
    member.resume(&TopicPartition::new("in", 0));
    assert_eq!(texts(&records(&*member, 1).await), ["paused"]);
}

pub(crate) async fn a_partition_that_was_paused_when_it_went_delivers_when_it_is_back(bus: Arc<dyn Bus>) {
    let member = paused(&bus).await;
    changed_to(&*member, "other").await;
    open_all(&*member, &changed_to(&*member, "in").await);
    let mut again = texts(&records(&*member, 2).await);
    again.sort();
    assert_eq!(again, ["paused", "sentinel"]);
}

pub(crate) async fn topics_can_be_added_and_created_later(bus: Arc<dyn Bus>) {
    create(&bus, &["one"]).await;
    let member = bus.join("group", Subscription::to(["one", "later"])).await.unwrap();
    open_all(&*member, &assigned_count(&*member, 4).await);
    create(&bus, &["later"]).await;
    open_all(&*member, &assigned_count(&*member, 4).await);
    publish_to(&bus, "later", 2, &["hello"]).await;
    assert_eq!(texts(&records(&*member, 1).await), ["hello"]);
    create(&bus, &["two"]).await;
    member.subscribe(Subscription::to(["one", "two"]));
    let (mut gained, mut gone) = (0, 0);
    while gained < 4 || gone < 4 {
        match member.next().await.unwrap() {
            Delivery::Assigned(assignments) => gained += assignments.len(),
            Delivery::Revoking { partitions, .. } => {
                assert!(partitions.iter().all(|partition| partition.topic.as_str() == "later"));
                member.release(&partitions);
                gone += partitions.len();
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn records_are_read_without_a_group_from_any_place(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    let at = TopicPartition::new("in", 0);
    assert_eq!(bus.read(&at, Offset::ZERO, 1024).await.unwrap(), []);
    publish_to(&bus, "in", 0, &["a", "b"]).await;
    let end = bus.offset(&at, Start::End).await.unwrap();
    publish_to(&bus, "in", 0, &["c"]).await;
    let read = |from| {
        let (bus, at) = (bus.clone(), at.clone());
        async move { bus.read(&at, from, 1024 * 1024).await.unwrap() }
    };
    let earliest = bus.offset(&at, Start::Earliest).await.unwrap();
    let everything = all(&bus, "in").await;
    assert_eq!(texts(&everything), ["a", "b", "c"]);
    assert_eq!(texts(&read(earliest).await)[0], "a");
    assert_eq!(texts(&read(everything[1].offset).await)[0], "b");
    assert_eq!(texts(&read(end).await), ["c"]);
    assert!(bus.offset(&at, Start::Time(everything[0].published)).await.unwrap() <= everything[0].offset);
    let later = everything[2].published + std::time::Duration::from_secs(3600);
    let at_end = bus.offset(&at, Start::Time(later)).await.unwrap();
    assert_eq!(at_end, bus.offset(&at, Start::End).await.unwrap());
    assert_eq!(read(at_end).await, []);
}

pub(crate) async fn a_waiting_reader_is_woken(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    let at = TopicPartition::new("in", 3);
    let end = bus.offset(&at, Start::End).await.unwrap();
    let reader = tokio::spawn({
        let (bus, at) = (bus.clone(), at.clone());
        async move {
            loop {
                bus.changed(&at, end).await.unwrap();
                let records = bus.read(&at, end, 1024).await.unwrap();
                if !records.is_empty() {
                    return texts(&records);
                }
            }
        }
    });
    publish_to(&bus, "in", 3, &["wake"]).await;
    assert_eq!(reader.await.unwrap(), ["wake"]);
}

pub(crate) async fn what_is_not_there_cannot_be_read(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    assert!(matches!(bus.read(&TopicPartition::new("nowhere", 0), Offset::ZERO, 1).await, Err(Error::UnknownTopic(_))));
    assert!(matches!(bus.offset(&TopicPartition::new("in", 99), Start::End).await, Err(Error::UnknownTopic(_))));
}

pub(crate) async fn null_values_and_explicit_partitions_are_kept(bus: Arc<dyn Bus>) {
    bus.create(vec![TopicSpec::table("table"), TopicSpec::new("in")]).await.unwrap();
    let headers: Headers = [("x-any", "1"), (KIND, "hasura")].into_iter().collect();
    let record = Outgoing { value: None, headers: headers.clone(), ..Outgoing::new("table", "k", "") };
    bus.publish(vec![record]).await.unwrap();
    let keyless = Outgoing { key: None, ..Outgoing::new("in", "", "v") };
    bus.publish(vec![keyless.to_partition(Partition(3))]).await.unwrap();
    let table = all(&bus, "table").await;
    assert_eq!((table[0].value.as_ref(), &table[0].headers), (None, &headers));
    let keyless = all(&bus, "in").await;
    assert_eq!((keyless[0].key.as_ref(), keyless[0].partition), (None, Partition(3)));
    let infos = bus.topics().await.unwrap();
    let table = infos.iter().find(|info| info.topic.as_str() == "table").unwrap();
    assert!(table.compacted && table.partitions == 1);
}

pub(crate) async fn a_deleted_topic_stops_its_readers(bus: Arc<dyn Bus>) {
    create(&bus, &["in", "other"]).await;
    publish_to(&bus, "in", 0, &["a"]).await;
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    open_all(&*member, &assigned_count(&*member, 4).await);
    records(&*member, 1).await;
    bus.delete(&"in".into()).await.unwrap();
    assert!(matches!(member.next().await, Err(Error::UnknownTopic(topic)) if topic.as_str() == "in"));
    assert!(matches!(bus.delete(&"in".into()).await, Err(Error::UnknownTopic(_))));
    // Created again it is another topic, and begins anew.
    create(&bus, &["in"]).await;
    assert_eq!(texts(&all(&bus, "in").await), Vec::<String>::new());
}

pub(crate) async fn what_was_written_before_is_replayed_and_nothing_later(bus: Arc<dyn Bus>) {
    create(&bus, &["side"]).await;
    publish_to(&bus, "side", 0, &["a", "b"]).await;
    let (outage, at) = (Outage::of("a test"), TopicPartition::new("side", 0));
    let mut replay = Replay::of(&*bus, &outage, &at, Start::Earliest).await.unwrap();
    publish_to(&bus, "side", 0, &["c"]).await;
    let mut read = Vec::new();
    while let Some(records) = replay.next().await.unwrap() {
        read.extend(texts(&records));
    }
    assert_eq!(read, ["a", "b"]);
    assert_eq!(replay.next().await.unwrap(), None);
    let gone = TopicPartition::new("gone", 0);
    let none = Replay::of(&*bus, &outage, &gone, Start::Earliest).await;
    assert!(matches!(none.err(), Some(Error::UnknownTopic(_))));
}
