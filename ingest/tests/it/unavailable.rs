//! What callers are told while the bus, or whoever knows outcomes, does not do its part.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use crate::support::{INSERT, Ingest, bus, receive, request};
use bus::{
    Bus, Error, GroupInfo, Lag, Member, Offset, Outgoing, PublishError, Record, Spot, Start, Subscription, Topic,
    TopicInfo, TopicPartition, TopicSpec,
};
use contracts::{
    outcomes::{Awaited, BoxFuture, Outcomes, Unavailable, Waited},
    summary::Summary,
};
use ingest::Config;
use runtime::config;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore};

/// A bus whose publications wait until they are let go.
struct Held {
    behind: Arc<dyn Bus>,
    waiting: Semaphore,
    go: Semaphore,
}

impl Held {
    fn new(behind: Arc<dyn Bus>) -> Arc<Self> {
        Arc::new(Self { behind, waiting: Semaphore::new(0), go: Semaphore::new(0) })
    }

    async fn has_waiting(&self, count: u32) {
        self.waiting.acquire_many(count).await.expect("open").forget();
    }
}

impl Bus for Held {
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Spot>, PublishError>> {
        Box::pin(async move {
            self.waiting.add_permits(1);
            self.go.acquire().await.expect("open").forget();
            self.behind.publish(batch).await
        })
    }
    fn join(&self, group: &str, to: Subscription) -> BoxFuture<'_, Result<Box<dyn Member>, Error>> {
        self.behind.join(group, to)
    }
    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        from: Offset,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        self.behind.read(at, from, max)
    }
    fn changed<'a>(&'a self, at: &'a TopicPartition, from: Offset) -> BoxFuture<'a, Result<(), Error>> {
        self.behind.changed(at, from)
    }
    fn offset<'a>(&'a self, at: &'a TopicPartition, place: Start) -> BoxFuture<'a, Result<Offset, Error>> {
        self.behind.offset(at, place)
    }
    fn offsets<'a>(
        &'a self,
        of: &'a [TopicPartition],
        place: Start,
    ) -> BoxFuture<'a, Result<HashMap<TopicPartition, Offset>, Error>> {
        self.behind.offsets(of, place)
    }
    fn create(&self, topics: Vec<TopicSpec>) -> BoxFuture<'_, Result<(), Error>> {
        self.behind.create(topics)
    }
    fn delete<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), Error>> {
        self.behind.delete(topic)
    }
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>> {
        self.behind.topics()
    }
    fn lags<'a>(&'a self, groups: &'a [String]) -> BoxFuture<'a, Result<BTreeMap<String, Vec<Lag>>, Error>> {
        self.behind.lags(groups)
    }
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, Error>> {
        self.behind.groups()
    }
    fn place<'a>(
        &'a self,
        group: &'a str,
        positions: Vec<(TopicPartition, Offset)>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.behind.place(group, positions)
    }
    fn forget<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.behind.forget(group)
    }
}

#[tokio::test]
async fn a_bus_that_cannot_take_it_is_503_with_retry_after_and_then_200() {
    let mut config = Config::default();
    config.retry_after = config::Duration::secs(7);
    let ingest = Ingest::start(config).await;
    type Switch = fn(&bus::hostile::Hostile, bool);
    for switch in [bus::hostile::Hostile::break_store as Switch, bus::hostile::Hostile::fill] {
        switch(&ingest.bus, true);
        let answer = ingest.post("/hasura", &[], INSERT).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        // What can never be taken gets the same answer as ever.
        let refused = ingest.post("/hasura", &[], "{}").await;
        assert_eq!((refused.status, refused.header("retry-after")), (400, None));
        switch(&ingest.bus, false);
        assert_eq!(ingest.post("/hasura", &[], INSERT).await.status, 200);
    }
    assert_eq!(ingest.counters.unavailable.load(Ordering::Relaxed), 2);
    ingest.bus.stop();
    assert_eq!(ingest.post("/hasura", &[], INSERT).await.status, 503);
    ingest.stop().await;
}

#[tokio::test]
async fn a_bus_that_does_not_answer_is_503_after_the_publish_timeout() {
    let (bus, mut config) = (bus().await, Config::default());
    config.publish_timeout = config::Duration::millis(50);
    let ingest = Ingest::with(config, bus.clone(), Held::new(bus), None).await;
    let answer = ingest.post("/hasura", &[], INSERT).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    ingest.stop().await;
}

#[tokio::test]
async fn more_than_may_be_under_way_is_503_at_once() {
    let (bus, mut config) = (bus().await, Config::default());
    config.max_in_flight = 2;
    let held = Held::new(bus.clone());
    let ingest = Ingest::with(config, bus, held.clone(), None).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
        stream.write_all(&request("POST", "/hasura", &[], INSERT.as_bytes())).await.expect("sent");
        streams.push(stream);
    }
    held.has_waiting(2).await;
    let answer = ingest.post("/hasura", &[], INSERT).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    held.go.add_permits(3);
    for stream in &mut streams {
        assert_eq!(receive(stream).await.status, 200);
    }
    assert_eq!(ingest.post("/hasura", &[], INSERT).await.status, 200);
    ingest.stop().await;
}

#[tokio::test]
async fn more_bytes_than_may_be_under_way_are_503_at_once() {
    let (bus, mut config) = (bus().await, Config::default());
    config.max_body = config::Size(300);
    config.max_in_flight_bytes = config::Size(300);
    let held = Held::new(bus.clone());
    let ingest = Ingest::with(config, bus, held.clone(), None).await;
    let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
    stream.write_all(&request("POST", "/hasura", &[], INSERT.as_bytes())).await.expect("sent");
    held.has_waiting(1).await;
    let body = format!("{INSERT}{}", " ".repeat(290 - INSERT.len()));
    assert_eq!(ingest.post("/hasura", &[], &body).await.status, 503);
    held.go.add_permits(2);
    assert_eq!(receive(&mut stream).await.status, 200);
    assert_eq!(ingest.post("/hasura", &[], &body).await.status, 200);
    ingest.stop().await;
}

#[tokio::test]
async fn bodies_that_are_announced_and_not_sent_keep_nobody_out() {
    let (bus, mut config) = (bus().await, Config::default());
    config.max_body = config::Size(1000);
    config.max_in_flight_bytes = config::Size(2000);
    let ingest = Ingest::with(config, bus.clone(), bus, None).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
        // The answer `100 Continue` shows that the body is being read.
        let head = b"POST /hasura HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n";
        stream.write_all(head).await.expect("sent");
        assert_eq!(receive(&mut stream).await.status, 100);
        silent.push(stream);
    }
    assert_eq!(ingest.post("/hasura", &[], INSERT).await.status, 200);
    drop(silent);
    ingest.stop().await;
}

#[tokio::test]
async fn refusals_that_cannot_be_recorded_delay_nobody_and_are_counted() {
    let ingest = Ingest::start(Config::default()).await;
    ingest.bus.break_store(true);
    for _ in 0..20 {
        assert_eq!(ingest.post("/hasura", &[], "{}").await.status, 400);
    }
    let counters = ingest.counters.clone();
    ingest.stop().await;
    assert_eq!(counters.unrecorded.load(Ordering::Relaxed), 20);
    assert_eq!(counters.refused.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn what_the_bus_never_takes_is_not_told_to_come_again() {
    let ingest = Ingest::start(Config::default()).await;
    let hostile = ingest.bus.clone();
    hostile.limit(contracts::topics::RAW, 100);
    let large = ingest.post("/hasura", &[], INSERT).await;
    assert_eq!((large.status, large.header("retry-after")), (413, None), "{large:?}");
    hostile.forbid(contracts::topics::RAW);
    let forbidden = ingest.post("/hasura", &[], INSERT).await;
    assert_eq!((forbidden.status, forbidden.header("retry-after")), (500, None), "{forbidden:?}");
    let detail = forbidden.json()["detail"].as_str().expect("a detail").to_owned();
    assert!(detail.contains("`raw`") && detail.contains("forbidden"), "{detail}");
    hostile.allow();
    assert_eq!(ingest.post("/hasura", &[], INSERT).await.status, 200);
    ingest.stop().await;
}

/// Answers waits from a list, and remembers what was asked.
#[derive(Default)]
struct Told {
    answers: Mutex<VecDeque<Result<Waited, Unavailable>>>,
    asked: Mutex<Vec<(Awaited, Duration)>>,
}

impl Outcomes for Told {
    fn wait(&self, awaited: Awaited, timeout: Duration) -> BoxFuture<'_, Result<Waited, Unavailable>> {
        self.asked.lock().expect("a lock").push((awaited, timeout));
        let answer = self.answers.lock().expect("a lock").pop_front();
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

fn summary() -> Summary {
    serde_json::from_str(
        r#"{"v":1,"correlation":"c","state":"complete","revision":3,"received":"2026-01-02T03:04:05Z",
            "counters":{"invocations":1},"invocations":[]}"#,
    )
    .expect("a summary")
}

#[tokio::test]
async fn who_waits_is_told_what_has_become_of_it() {
    let (bus, told) = (bus().await, Arc::new(Told::default()));
    told.answers.lock().expect("a lock").extend([
        Ok(Waited { complete: true, summary: Some(summary()) }),
        Ok(Waited { complete: false, summary: Some(summary()) }),
        Ok(Waited { complete: false, summary: None }),
        Err(Unavailable("gone".into())),
    ]);
    let ingest = Ingest::with(Config::default(), bus.clone(), bus, Some(told.clone())).await;
    let correlation = [("x-correlation-id", "c")];
    let complete = ingest.post("/hasura?wait=30s", &correlation, INSERT).await;
    assert_eq!((complete.status, &complete.json()["revision"]), (200, &3.into()), "{complete:?}");
    assert_eq!(complete.header("x-correlation-id"), Some("c"));
    let so_far = ingest.post("/hasura", &[correlation[0], ("prefer", "wait=7")], INSERT).await;
    assert_eq!((so_far.status, &so_far.json()["revision"]), (202, &3.into()));
    for _ in 0..2 {
        let unknown = ingest.post("/hasura?wait=1", &correlation, INSERT).await;
        let (state, known) = (unknown.json(), unknown.header("x-invocation-id"));
        assert_eq!((unknown.status, &state["correlation"], &state["state"]), (202, &"c".into(), &"pending".into()));
        assert_eq!(state["expected"][0]["invocation"].as_str(), known, "the detector is awaited: {state}");
        assert_eq!(unknown.header("x-correlation-id"), Some("c"));
    }
    let asked: Vec<_> = told.asked.lock().expect("a lock").iter().map(|(_, timeout)| timeout.as_secs()).collect();
    assert_eq!(asked, [30, 7, 1, 1]);
    let invocation = told.asked.lock().expect("a lock")[0].0.invocation.map(|id| id.to_string());
    assert_eq!(complete.header("x-invocation-id"), invocation.as_deref());
    assert_eq!(ingest.raw().await.len(), 4);
    ingest.stop().await;
}

#[tokio::test]
async fn a_stop_ends_a_wait_with_what_is_known() {
    let (bus, told) = (bus().await, Arc::new(Told::default()));
    let ingest = Ingest::with(Config::default(), bus.clone(), bus.clone(), Some(told.clone())).await;
    let mut stream = TcpStream::connect(ingest.address).await.expect("connected");
    stream.write_all(&request("POST", "/hasura?wait=5m", &[], INSERT.as_bytes())).await.expect("sent");
    let at = TopicPartition::new(contracts::topics::RAW, 0);
    while ingest.raw().await.is_empty() {
        bus.changed(&at, Offset::ZERO).await.expect("watched");
    }
    while told.asked.lock().expect("a lock").is_empty() {
        tokio::task::yield_now().await;
    }
    told.answers.lock().expect("a lock").push_back(Ok(Waited { complete: false, summary: Some(summary()) }));
    ingest.shutdown.cancel();
    let answer = receive(&mut stream).await;
    assert_eq!((answer.status, &answer.json()["revision"]), (202, &3.into()), "{answer:?}");
    ingest.stop().await;
}
