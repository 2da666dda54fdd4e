//! What a real broker never takes: it is refused alone, and other members', partitions' and topics' records go on.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use bus::{
    Bus, Committed, Delivery, Member, Offset, Outgoing, Partition, Position, PublishError, Record, RefusalCode, Share,
    Subscription, TopicPartition, TopicSpec,
};
use contracts::topics::PROGRESS;
use kafka::{
    Config, Kafka,
    layout::{Layout, Overrides},
};

use crate::harness::{PATIENCE, prefix};

fn open(brokers: &str, prefix: &str, layout: Layout) -> Arc<Kafka> {
    let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).try_init();
    Arc::new(Kafka::open(&Config { prefix: prefix.to_owned(), layout, ..Config::new([brokers]) }).unwrap())
}

/// A member of a group over the two partitions of `in` that has them both, and a share of each without outputs.
async fn member(bus: &Kafka, group: &str) -> (Box<dyn Member>, [Share; 2]) {
    let member = bus.join(group, Subscription::to(["in"])).await.unwrap();
    let mut shares = BTreeMap::new();
    let all = async {
        while shares.len() < 2 {
            let Delivery::Assigned(assignments) = member.next().await.unwrap() else { continue };
            for it in assignments {
                let position = Position::at(Offset(1));
                let share = Share { partition: it.partition, generation: it.generation, outputs: vec![], position };
                shares.insert(share.partition.clone(), share);
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("both partitions");
    (member, shares.into_values().collect::<Vec<_>>().try_into().unwrap())
}

async fn two_of_in(bus: &Kafka) {
    bus.create(vec![TopicSpec { partitions: Some(2), ..TopicSpec::new("in") }]).await.unwrap();
    for partition in [0, 1] {
        bus.publish(vec![Outgoing::new("in", "k", "v").to_partition(Partition(partition))]).await.unwrap();
    }
}

async fn commit(member: &dyn Member, shares: Vec<Share>) -> Committed {
    tokio::time::timeout(PATIENCE, member.commit(shares)).await.expect("an end").unwrap()
}

/// All records of a topic: a read ends wherever the broker's answer does.
async fn all(bus: &Kafka, topic: &str) -> Vec<Record> {
    let mut all = Vec::new();
    for partition in 0..bus.topics().await.unwrap().iter().find(|it| it.topic.as_str() == topic).unwrap().partitions {
        let at = TopicPartition::new(topic, partition);
        let mut from = Offset::ZERO;
        loop {
            let records = bus.read(&at, from, 1 << 20).await.unwrap();
            let Some(last) = records.last() else { break };
            from = last.offset.next();
            all.extend(records);
        }
    }
    all
}

async fn count(bus: &Kafka, topic: &str) -> usize {
    all(bus, topic).await.len()
}

/// A topic that takes 96 KiB in one batch, as a platform team may have made it, and a bus that does not know.
async fn small(name: &str) -> Arc<Kafka> {
    let prefix = prefix(name);
    let small = Overrides { max_record: Some(32 * 1024), partitions: Some(1), ..Overrides::default() };
    let names = ["small", PROGRESS].map(|name| (name.to_owned(), small.clone()));
    let maker = open(broker::shared(), &prefix, Layout { names: names.into(), ..Layout::default() });
    maker.create(["small", "large", PROGRESS].map(TopicSpec::new).into()).await.unwrap();
    open(broker::shared(), &prefix, Layout::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_beyond_its_topics_limit_is_refused_alone_and_many_small_ones_are_not() {
    let bus = small("small").await;
    two_of_in(&bus).await;
    let (member, [mut first, mut second]) = member(&bus, "group").await;
    // Together they are far beyond what the topic takes in a batch.
    first.outputs = (0..500).map(|n| Outgoing::new("small", format!("{n}"), vec![b'x'; 2000])).collect();
    first.outputs.push(Outgoing::new("large", "k", vec![b'x'; 500_000]));
    second.outputs = vec![Outgoing::new("large", "k", "fits"), Outgoing::new("small", "k", vec![b'x'; 200_000])];
    let committed = commit(&*member, vec![first, second]).await;
    let [refused] = &committed.refused[..] else { panic!("{committed:?}") };
    let [refusal] = &refused.refusals[..] else { panic!("{refused:?}") };
    assert_eq!(
        (refused.share.partition.partition.0, refusal.record, refusal.code),
        (1, Some(1), RefusalCode::TooLarge)
    );
    assert_eq!((count(&bus, "small").await, count(&bus, "large").await), (500, 1));
    assert_eq!((&committed.left_out, &committed.lost), (&vec![], &vec![]));
    let mut share = refused.share.clone();
    share.outputs.pop();
    assert_eq!(commit(&*member, vec![share]).await, Committed::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_beyond_its_topics_limit_is_refused_alone_whatever_it_would_have_been_joined_to() {
    let bus = small("lines").await;
    two_of_in(&bus).await;
    let (member, [mut first, mut second]) = member(&bus, "group").await;
    first.outputs = (0..300).map(|n| Outgoing::new(PROGRESS, format!("{n}"), vec![b'x'; 2000])).collect();
    second.outputs = vec![Outgoing::new(PROGRESS, "k", "fits"), Outgoing::new(PROGRESS, "k", vec![b'x'; 200_000])];
    let committed = commit(&*member, vec![first, second]).await;
    let [refused] = &committed.refused[..] else { panic!("{committed:?}") };
    let [refusal] = &refused.refusals[..] else { panic!("{refused:?}") };
    assert_eq!(
        (refused.share.partition.partition.0, refusal.record, refusal.code),
        (1, Some(1), RefusalCode::TooLarge)
    );
    let records = all(&bus, PROGRESS).await;
    let lines: usize = records.iter().map(|record| record.value().split(|byte| *byte == b'\n').count()).sum();
    assert_eq!(lines, 300);
    assert!(records.len() < 300, "{} records", records.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_beyond_its_topics_limit_is_refused_and_many_small_ones_are_not() {
    let bus = small("published").await;
    let publish = |size: usize| bus.publish(vec![Outgoing::new("small", "k", vec![b'x'; size])]);
    let all = futures_util::future::join_all((0..500).map(|_| publish(2000))).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|one| one.is_err()));
    let refused = publish(200_000).await.unwrap_err();
    let PublishError::Refused(refusal) = &refused else { panic!("{refused}") };
    assert_eq!((refusal.topic.as_str(), refusal.code), ("small", RefusalCode::TooLarge));
    publish(2000).await.unwrap();
    assert_eq!(count(&bus, "small").await, 501);
}

/// Lets everybody read a topic, by which nobody may write it any more: CreateAcls, version 1, as the protocol has it.
fn allow_reading_alone(brokers: &str, topic: &str) {
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat();
    let (is_topic, literal, read, allow) = ([2], [3], [3], [3]);
    let request = [
        &30_i16.to_be_bytes()[..],
        &1_i16.to_be_bytes(),
        &7_i32.to_be_bytes(),
        &text("test"),
        &1_i32.to_be_bytes(),
        &is_topic,
        &text(topic),
        &literal,
        &text("User:*"),
        &text("*"),
        &read,
        &allow,
    ]
    .concat();
    let mut stream = TcpStream::connect(brokers).unwrap();
    stream.write_all(&[&u32::try_from(request.len()).unwrap().to_be_bytes()[..], &request].concat()).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    // The correlation, the throttle time, the count of results, and the code of the first.
    assert_eq!(answer[12..14], [0, 0], "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_may_not_be_written_is_refused_alone() {
    let start = || {
        broker::Cluster::single()
            .property("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .property("allow.everyone.if.no.acl.found", "true")
            .start()
    };
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let prefix = prefix("acl");
    let bus = open(&cluster.bootstrap(), &prefix, Layout::default());
    two_of_in(&bus).await;
    bus.create(["open", "closed"].map(TopicSpec::new).to_vec()).await.unwrap();
    allow_reading_alone(&cluster.bootstrap(), &format!("{prefix}closed"));
    // It is known to every part of the broker a moment later.
    let closed = || bus.publish(vec![Outgoing::new("closed", "k", "v")]);
    let refusal = crate::harness::wait_for("a publication to be refused", async || match closed().await {
        Err(PublishError::Refused(refusal)) => Some(refusal),
        _ => None,
    });
    assert_eq!((refusal.await.code, count(&bus, "open").await), (RefusalCode::Forbidden, 0));
    let (one, [mut first, mut second]) = member(&bus, "one").await;
    let (other, [mut third, _]) = member(&bus, "other").await;
    let open = |n: usize| Outgoing::new("open", format!("{n}"), "v");
    first.outputs = vec![open(1), Outgoing::new("closed", "k", "v"), open(2), Outgoing::new("closed", "k", "v")];
    second.outputs = vec![open(3)];
    third.outputs = vec![open(4)];
    let (committed, others) = tokio::join!(commit(&*one, vec![first, second]), commit(&*other, vec![third]));
    assert_eq!(others, Committed::default());
    let [refused] = &committed.refused[..] else { panic!("{committed:?}") };
    let told: Vec<_> = refused.refusals.iter().map(|it| (it.record, it.topic.as_str(), it.code)).collect();
    let forbidden = |at| (Some(at), "closed", RefusalCode::Forbidden);
    assert_eq!(told, [forbidden(1), forbidden(3)]);
    assert_eq!(count(&bus, "open").await, 2);
    let mut share = refused.share.clone();
    share.outputs.retain(|output| output.topic.as_str() == "open");
    assert_eq!(commit(&*one, vec![share]).await, Committed::default());
    assert_eq!(count(&bus, "open").await, 4);
    drop((one, other, bus));
    tokio::time::timeout(Duration::from_secs(60), tokio::task::spawn_blocking(move || drop(cluster)))
        .await
        .unwrap()
        .unwrap();
}
