//! What the embedded bus promises beyond the contract: it outlives its process, is used by one at a time, and never
//! deletes what a group has yet to read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{
    Assignment, Bus, Delivery, Member, Offset, Outgoing, PublishError, Share, Start, Subscription, TopicPartition,
    TopicSpec,
    embedded::{Config, Embedded, OpenError, Standing},
};

use crate::harness::*;

/// What cannot be packed.
fn noise(state: &mut u64) -> Vec<u8> {
    let mut byte = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 56) as u8
    };
    (0..100_000).map(|_| byte()).collect()
}

fn open(config: &Config) -> Arc<dyn Bus> {
    Arc::new(Embedded::open(config).unwrap())
}

/// Why it has stopped, once it has.
async fn reason_of_end(embedded: &Embedded) -> String {
    let mut standing = embedded.standing();
    match standing.wait_for(|standing| matches!(standing, Standing::Ended(_))).await.unwrap().clone() {
        Standing::Ended(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    {
        let bus = open(&config);
        bus.create(vec![TopicSpec::new("in"), TopicSpec::table("table")]).await.unwrap();
        publish_to(&bus, "in", 0, &["a", "b", "c"]).await;
        let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
        let assignments = assigned(&*member).await;
        open_all(&*member, &assignments);
        let read = records(&*member, 3).await;
        let (partition, generation) = (read[0].at(), assignments[0].generation);
        let share = Share { partition, generation, outputs: vec![], position: position_after(&read[1]) };
        // Both are written at once, in the order in which they were told.
        member.advise(&share.partition, Offset::ZERO);
        member.commit(vec![share]).await.unwrap();
        bus.delete(&"table".into()).await.unwrap();
    }
    let bus = open(&config);
    assert_eq!(texts(&all(&bus, "in").await), ["a", "b", "c"]);
    assert_eq!(bus.topics().await.unwrap().len(), 1);
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    open_all(&*member, &assigned(&*member).await);
    assert_eq!(texts(&records(&*member, 1).await), ["c"]);
    publish_to(&bus, "in", 0, &["d"]).await;
    assert_eq!(texts(&records(&*member, 1).await), ["d"]);
}

#[tokio::test]
async fn a_second_process_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    let first = open(&config);
    match Embedded::open(&config) {
        Err(OpenError::InUse { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
        other => panic!("{:?}", other.err()),
    }
    drop(first);
    assert!(Embedded::open(&config).is_ok());
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    drop(open(&config));
    let database = rusqlite::Connection::open(folder.path().join("bus.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let refused = Embedded::open(&config).err().unwrap();
    assert!(refused.to_string().contains("format 99"), "{refused}");
}

#[tokio::test]
async fn notes_of_before_they_were_text_are_empty_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    {
        let bus = open(&config);
        create(&bus, &["in"]).await;
        let member = bus.join("job.old", Subscription::to(["in"])).await.unwrap();
        let assignment = assigned(&*member).await.remove(0);
        let position = bus::Position { next: Offset(3), note: bus::Note::new("text").unwrap() };
        let Assignment { partition, generation, .. } = assignment;
        member.commit(vec![Share { partition, generation, outputs: vec![], position }]).await.unwrap();
    }
    let set = |note: &[u8]| {
        let database = rusqlite::Connection::open(folder.path().join("bus.db")).unwrap();
        assert_eq!(database.execute("UPDATE positions SET note = ?1", [note]).unwrap(), 1);
    };
    let found = async |config: &Config| {
        let bus = open(config);
        let member = bus.join("job.old", Subscription::to(["in"])).await.unwrap();
        assigned(&*member).await.remove(0).position
    };
    assert_eq!(found(&config).await.note.as_str(), "text");
    set(&[1]);
    assert_eq!(found(&config).await, bus::Position::at(Offset(3)));
    set(&[1, 0, 2, 0]);
    let refused = Embedded::open(&config).err().unwrap().to_string();
    assert!(refused.contains("`job.old` has a note that is no text"), "{refused}");
}

/// A member of a group that has read nothing of a topic.
async fn holding(bus: &Arc<dyn Bus>, group: &str, topic: &str) -> (Box<dyn Member>, Vec<Assignment>) {
    let member = bus.join(group, Subscription::to([topic])).await.unwrap();
    let assignments = assigned(&*member).await;
    let hold = |assignment: &Assignment| Share {
        partition: assignment.partition.clone(),
        generation: assignment.generation,
        outputs: vec![],
        position: bus::Position::at(Offset::ZERO),
    };
    member.commit(assignments.iter().map(hold).collect()).await.unwrap();
    (member, assignments)
}

#[tokio::test]
async fn a_full_bus_refuses_publications_and_lets_hops_drain() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { max_bytes: 2 << 20, ..Config::new(folder.path()) };
    let bus = open(&config);
    create(&bus, &["in", "out"]).await;
    // What a group has yet to read stays, however full the bus is.
    let (member, assignments) = holding(&bus, "group", "in").await;
    let _reader = holding(&bus, "reader", "out").await;
    let mut seed = 1;
    let begun = Instant::now();
    let refused = loop {
        assert!(begun.elapsed() < PATIENCE, "it does not come to its end");
        if let Err(error) = bus.publish(vec![Outgoing::new("in", "k", noise(&mut seed))]).await {
            break error;
        }
    };
    assert!(matches!(refused, PublishError::Full { .. }), "{refused}");
    bus.create(vec![TopicSpec::table("catalog")]).await.unwrap();
    publish(&bus, "catalog", "catalog", ["the one that mends it".to_owned()]).await;
    open_all(&*member, &assignments);
    let Delivery::Records(partition, generation, read) = member.next().await.unwrap() else {
        panic!("expected records")
    };
    let outputs = vec![Outgoing::new("out", "k", "drained")];
    member.commit(vec![Share { partition, generation, outputs, position: position_after(&read[0]) }]).await.unwrap();
    assert_eq!(texts(&all(&bus, "out").await), ["drained"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_keeps_what_a_group_has_yet_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { keep_bytes: 0, keep_age: Duration::from_secs(0), ..Config::new(folder.path()) };
    let bus = open(&config);
    create(&bus, &["in", "free"]).await;
    let (at, free) = (TopicPartition::new("in", 0), TopicPartition::new("free", 0));
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned(&*member).await;
    let commit = async |next: Offset| {
        let position = bus::Position::at(next);
        let share = Share { partition: at.clone(), generation: assignments[0].generation, outputs: vec![], position };
        member.commit(vec![share]).await.unwrap();
    };
    commit(Offset::ZERO).await;
    for number in 0..50 {
        publish_to(&bus, "in", 0, &[&format!("{number}")]).await;
        publish_to(&bus, "free", 0, &[&format!("{number}")]).await;
    }
    // Nobody reads the other topic, so it goes: the sentinel that retention has run.
    let begun = Instant::now();
    while bus.offset(&free, Start::Earliest).await.unwrap() < Offset(50) {
        assert!(begun.elapsed() < PATIENCE, "it does not come to its end");
        publish_to(&bus, "in", 0, &["more"]).await;
    }
    assert_eq!(bus.offset(&at, Start::Earliest).await.unwrap(), Offset::ZERO);
    assert_eq!(texts(&bus.read(&at, Offset::ZERO, 10).await.unwrap())[0], "0");
    commit(Offset(30)).await;
    let begun = Instant::now();
    while bus.offset(&at, Start::Earliest).await.unwrap() < Offset(30) {
        assert!(begun.elapsed() < PATIENCE, "it does not come to its end");
        publish_to(&bus, "free", 0, &["more"]).await;
    }
    assert_eq!(texts(&bus.read(&at, Offset::ZERO, 10).await.unwrap())[0], "30");
    drop(member);
    drop(bus);
    let bus = open(&config);
    assert!(bus.offset(&at, Start::Earliest).await.unwrap() >= Offset(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_keeps_the_last_record_of_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    {
        let bus = open(&config);
        bus.create(vec![TopicSpec::table("table")]).await.unwrap();
        for number in 0..20 {
            for key in ["a", "b"] {
                publish(&bus, "table", key, [format!("{key}{number}")]).await;
            }
        }
    }
    // The first step of retention after the start compacts.
    let bus = open(&config);
    let begun = Instant::now();
    while all(&bus, "table").await.len() > 2 {
        assert!(begun.elapsed() < PATIENCE, "it does not come to its end");
        publish(&bus, "table", "a", ["sentinel".to_owned()]).await;
        tokio::task::yield_now().await;
        if texts(&all(&bus, "table").await)[0] == "b19" {
            break;
        }
    }
    let left = texts(&all(&bus, "table").await);
    assert_eq!(left[0], "b19");
    assert!(left[1..].iter().all(|value| value == "sentinel"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_which_everybody_has_caught_up_is_never_full() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { max_bytes: 2 << 20, ..Config::new(folder.path()) };
    let bus = open(&config);
    create(&bus, &["in"]).await;
    // Twenty times what fits; nobody reads it, so nothing holds it. Noise, which cannot be packed.
    let mut seed = 1;
    for _ in 0..400 {
        let noise = noise(&mut seed);
        // Retention comes behind the commits: full for a moment is not full for good.
        let begun = Instant::now();
        while bus.publish(vec![Outgoing::new("in", "k", noise.clone())]).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not come to its end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_file_that_is_gone_stops_the_bus_and_nothing_is_accepted() {
    for (name, replace) in [("bus.db", false), ("bus.db", true), ("bus.db-wal", false), (".", false)] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let embedded = Arc::new(Embedded::open(&Config::new(&data)).unwrap());
        let bus: Arc<dyn Bus> = embedded.clone();
        create(&bus, &["in"]).await;
        let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
        let assignments = assigned(&*member).await;
        publish_to(&bus, "in", 0, &["kept"]).await;
        if name == "." {
            std::fs::remove_dir_all(&data).unwrap();
        } else {
            std::fs::remove_file(data.join(name)).unwrap();
        }
        if replace {
            std::fs::write(data.join(name), "").unwrap();
        }
        let refused = bus.publish(vec![Outgoing::new("in", "k", "lost")]).await.unwrap_err();
        assert!(
            matches!(&refused, PublishError::Unavailable(reason) if reason.contains("deleted")),
            "{name}: {refused}"
        );
        let (partition, generation) = (assignments[0].partition.clone(), assignments[0].generation);
        let share = Share { partition, generation, outputs: vec![], position: bus::Position::at(Offset(1)) };
        assert!(matches!(member.commit(vec![share]).await, Err(bus::Error::Stopped(_))), "{name}");
        assert!(
            matches!(member.next().await, Err(bus::Error::Stopped(reason)) if reason.contains("deleted")),
            "{name}"
        );
        assert!(reason_of_end(&embedded).await.contains("To start afresh"), "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_noticed_while_nothing_happens() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(&Config::new(folder.path())).unwrap();
    std::fs::remove_file(folder.path().join("bus.db")).unwrap();
    assert!(reason_of_end(&embedded).await.contains("bus.db was deleted"));
}
