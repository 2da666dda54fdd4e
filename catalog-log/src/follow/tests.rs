use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bus::{
    Outgoing, TopicSpec,
    hostile::{Flaky, Hostile},
};
use contracts::topics;

use super::*;
use crate::publish::tests::Fixture;

fn told(news: News<'_>) -> String {
    match news {
        News::None => "none".to_owned(),
        News::Counts(record) => record.number.to_string(),
        News::Unreadable(_) => "unreadable".to_owned(),
    }
}

#[tokio::test]
async fn what_was_read_before_the_bus_was_away_is_told_when_it_is_back() {
    let fixture = Fixture::new().await;
    fixture.publisher("a", "first").apply().await.expect("a bus");
    let bus = Flaky::new(fixture.bus.clone());
    let mut follower = Follower::new(&bus);
    // Only now: what is done beside the runtime, as compiling is, has a deadline.
    tokio::time::pause();
    bus.ends_fail.store(true, SeqCst);
    let tried = async {
        while bus.failed.load(SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        news = follower.next() => panic!("{news:?}, and there may be a later one"),
        () = tried => {}
    }
    tokio::time::resume();
    bus.ends_fail.store(false, SeqCst);
    let news = tokio::time::timeout(Duration::from_secs(60), follower.next()).await.expect("it is told");
    assert_eq!(told(news.expect("a bus")), "1");
}

/// On a bus that leaves holes, and writes what it said it had refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_cannot_be_read_or_are_gone_or_come_second_change_nothing() {
    for seed in 0..10 {
        let mut fixture = Fixture::new().await;
        let bus = Arc::new(Hostile::new(seed));
        fixture.bus = bus.clone();
        while bus.create(vec![TopicSpec::table(topics::CATALOG)]).await.is_err() {}
        let mut follower = Follower::new(&*bus);
        assert_eq!(told(follower.next().await.expect("a bus")), "none", "seed {seed}");

        let (one, other) = (fixture.planned("a", "first").await, fixture.planned("b", "second").await);
        put(&*bus, "1", Some(one.encode())).await;
        assert_eq!(told(follower.next().await.expect("a bus")), "1", "seed {seed}");
        put(&*bus, "1/other", Some(other.encode())).await;
        put(&*bus, "1", None).await;
        put(&*bus, "odd", Some("{".into())).await;
        assert_eq!(told(follower.next().await.expect("a bus")), "unreadable", "seed {seed}");
        put(&*bus, "2", Some(CatalogRecord { number: 2, ..other }.encode())).await;
        assert_eq!(told(follower.next().await.expect("a bus")), "2", "seed {seed}");
    }
}

/// Once, as far as the bus says.
async fn put(bus: &dyn Bus, key: &'static str, value: Option<Vec<u8>>) {
    let outgoing = || Outgoing { value: value.clone().map(Into::into), ..Outgoing::new(topics::CATALOG, key, "") };
    while bus.publish(vec![outgoing()]).await.is_err() {}
}
