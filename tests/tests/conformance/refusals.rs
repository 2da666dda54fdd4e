//! What a bus will never take, and that it stops nothing else.

use std::sync::Arc;

use bus::{
    Bus, Committed, MAX_RECORD, Member, Offset, Outgoing, Partition, Position, PublishError, RefusalCode, Share,
    Subscription, TopicPartition,
};

use crate::harness::{all, assigned_count, create, open_all, publish_to, records, text, texts};

/// One record of each of the four partitions of `in`, read; each as a share that copies it to `out`.
async fn shares(bus: &Arc<dyn Bus>) -> (Box<dyn Member>, Vec<Share>) {
    create(bus, &["in", "out"]).await;
    for partition in 0..4 {
        publish_to(bus, "in", partition, &[&format!("p{partition}")]).await;
    }
    let member = bus.join("group", Subscription::to(["in"])).await.unwrap();
    let assignments = assigned_count(&*member, 4).await;
    open_all(&*member, &assignments);
    let mut shares: Vec<Share> = records(&*member, 4)
        .await
        .iter()
        .map(|record| Share {
            partition: record.at(),
            generation: assignments.iter().find(|a| a.partition == record.at()).unwrap().generation,
            outputs: vec![Outgoing::new("out", "k", text(record))],
            position: Position::at(record.offset.next()),
        })
        .collect();
    shares.sort_by_key(|share| share.partition.partition);
    (member, shares)
}

pub(crate) async fn a_share_that_can_never_be_taken_is_given_back_alone(bus: Arc<dyn Bus>) {
    let (member, mut shares) = shares(&bus).await;
    shares[0].outputs.push(Outgoing::new("out", "k", vec![0; MAX_RECORD]));
    shares[1].outputs.insert(0, Outgoing::new("nowhere", "k", "v"));
    shares[2].outputs.push(Outgoing::new("out", "k", "v").to_partition(Partition(99)));
    let Committed { refused, left_out, lost } = member.commit(shares.clone()).await.unwrap();
    assert_eq!((left_out, lost), (vec![], vec![]));
    let mut told: Vec<_> = refused
        .iter()
        .map(|refused| {
            let partition = refused.share.partition.partition.0 as usize;
            assert_eq!(refused.share, shares[partition]);
            let [refusal] = &refused.refusals[..] else { panic!("{refused:?}") };
            assert!(!refusal.reason.is_empty());
            (partition, refusal.record, refusal.topic.as_str().to_owned(), refusal.code)
        })
        .collect();
    told.sort_by_key(|(partition, ..)| *partition);
    let expected = [
        (0, Some(1), "out".to_owned(), RefusalCode::TooLarge),
        (1, Some(0), "nowhere".to_owned(), RefusalCode::UnknownTopic),
        (2, Some(1), "out".to_owned(), RefusalCode::UnknownPartition),
    ];
    assert_eq!(told, expected);
    assert_eq!(texts(&all(&bus, "out").await), ["p3"]);
    // They are still ours: without what was refused they are taken.
    let mended = refused.into_iter().map(|refused| {
        let mut share = refused.share;
        for refusal in refused.refusals.iter().rev() {
            share.outputs.remove(refusal.record.unwrap());
        }
        share
    });
    assert_eq!(member.commit(mended.collect()).await.unwrap(), Committed::default());
    let mut copied = texts(&all(&bus, "out").await);
    copied.sort();
    assert_eq!(copied, ["p0", "p1", "p2", "p3"]);
}

pub(crate) async fn a_publication_that_can_never_be_taken_says_which_record(bus: Arc<dyn Bus>) {
    create(&bus, &["in"]).await;
    let small = || Outgoing::new("in", "k", "small");
    for (record, code) in [
        (Outgoing::new("in", "k", vec![0; MAX_RECORD]), RefusalCode::TooLarge),
        (Outgoing::new("nowhere", "k", "v"), RefusalCode::UnknownTopic),
        (small().to_partition(Partition(99)), RefusalCode::UnknownPartition),
    ] {
        let topic = record.topic.clone();
        let refused = bus.publish(vec![small(), record]).await.unwrap_err();
        let PublishError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!((refusal.record, refusal.topic, refusal.code), (Some(1), topic, code));
    }
    // Nothing of a refused batch is there.
    let end = bus.offset(&TopicPartition::new("in", 0), bus::Start::End).await.unwrap();
    assert_eq!((texts(&all(&bus, "in").await), end), (vec![], Offset::ZERO));
}
