use std::{collections::BTreeSet, sync::atomic::Ordering::SeqCst, time::Duration};

use axum::{body::Body, http::Request};
use bus::{
    Offset, Outgoing, TopicPartition, TopicSpec,
    embedded::{Config as BusConfig, Embedded},
    hostile::Flaky,
};
use contracts::{
    envelope::EventHeaders,
    headers::Headers,
    ids::EventId,
    progress::{AttemptState, Progress},
    raw::Place,
    topics::{CONTROL, PROGRESS, RAW, REJECTED},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{
    Config, Deps, Service,
    store::tests::facts::{EVENT, detected, done, occurrence, step, undetected},
};

mod orders;

struct Fixture {
    _folder: tempfile::TempDir,
    flaky: Arc<Flaky>,
    bus: Arc<dyn Bus>,
    router: Router,
    shutdown: CancellationToken,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_groups(vec![crate::GROUP.to_owned()]).await
    }

    async fn with_groups(groups: Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let embedded = Arc::new(Embedded::open(&BusConfig::new(folder.path())).expect("a bus"));
        let flaky = Arc::new(Flaky::new(embedded));
        let bus: Arc<dyn Bus> = flaky.clone();
        // The facts are of long ago, and neither due nor to be deleted for that.
        let long = runtime::config::Duration::secs(1 << 32);
        let path = folder.path().join("results.db");
        let config = Config { path, keep: long, deadline: long, ..Config::default() };
        let service = Service::new(config, Deps { bus: bus.clone() }).expect("a store");
        let shutdown = CancellationToken::new();
        let jobs = orders::Fake::follow(bus.clone());
        let mut said = crate::Jobs::said(&*jobs);
        let api = Api {
            handle: service.handle().knowing(jobs),
            bus: bus.clone(),
            groups: Arc::new(move || groups.clone()),
            jobs: Arc::new(|| {
                let job = GroupName::of_definition(&"007".parse().expect("a name"));
                vec![(job, serde_json::json!({ "state": "stopped" }))]
            }),
            troubles: Arc::new(Vec::new),
            meters: Meters::default(),
            shutdown: shutdown.clone(),
        };
        tokio::spawn(service.run(shutdown.clone()));
        let topics = vec![TopicSpec::new(PROGRESS), TopicSpec::new(RAW), TopicSpec::table(CONTROL)];
        bus.create(topics).await.expect("topics");
        said.wait_for(Option::is_some).await.expect("what was said is known");
        Self { _folder: folder, flaky, bus, router: router(api), shutdown }
    }

    async fn tell(&self, progress: &[Progress]) {
        let records = progress
            .iter()
            .map(|one| Outgoing::new(PROGRESS, one.occurrence.correlation.as_str().to_owned(), one.encode()));
        self.bus.publish(records.collect()).await.expect("published");
    }

    async fn event(&self, number: u64) {
        self.event_of(EVENT, number, format!("{{\"number\":{number}.00}}")).await;
    }

    async fn event_of(&self, event: &str, number: u64, value: String) {
        let event: contracts::names::EventRef = event.parse().expect("a name");
        let occurrence = occurrence("order-7", number);
        let headers = EventHeaders {
            id: EventId::derived(occurrence.invocation, &event),
            event: event.clone(),
            source: contracts::envelope::source_of("default"),
            subject: Some(number.to_string()),
            time: occurrence.received,
            dataschema: None,
            correlation: occurrence.correlation,
            invocation: occurrence.invocation,
            cause: None,
            user: None,
            organisation: None,
            traceparent: None,
            jobs: vec!["log".parse().expect("a name")],
            catalog: 3,
            depth: 0,
            raw: Place { partition: 0, offset: number },
        };
        let record = Outgoing::new(event.topic(), number.to_string(), value).with_headers(headers.encode());
        self.bus.publish(vec![record]).await.expect("published");
    }

    async fn ask(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let path = request.uri().to_string();
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        if !status.is_success() {
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        }
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    async fn stream(&self, path: &str) -> Frames {
        let request = Request::get(path).header("accept", "text/event-stream").body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Frames { body: response.into_body(), text: String::new() }
    }
}

struct Frames {
    body: Body,
    text: String,
}

impl Frames {
    /// The next event: its name, and its data.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let parsed = field("event: ").zip(field("data: "));
                self.text = rest.to_owned();
                let Some((name, data)) = parsed else { continue };
                return Some((name, serde_json::from_str(&data).expect("JSON")));
            }
            let frame = tokio::time::timeout(Duration::from_secs(30), self.body.frame()).await.expect("in time")?;
            let data = frame.expect("a frame").into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlation_is_shown_waited_for_and_unknown_without_a_wait() {
    let api = Fixture::new().await;
    let (status, body) = api.ask("/v1/correlations/order-7").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("nothing is known of the correlation `order-7`"), "{body}");
    assert_eq!(api.ask("/v1/correlations/order-7?wait=20ms").await.0, StatusCode::NOT_FOUND);
    let facts = done("order-7", 1);
    let (summary, ()) = tokio::join!(api.get("/v1/correlations/order-7?wait=30s"), api.tell(&facts));
    assert_eq!((summary["state"].as_str(), summary["outcome"].as_str()), (Some("complete"), Some("success")));
    assert_eq!(summary["invocations"][0]["events"][0]["jobs"][0]["result"]["price"].to_string(), "1.10");
    let open = occurrence("order-7", 2);
    // Complete, but for what is awaited: that is not complete.
    let path = format!("/v1/correlations/order-7?wait=20ms&invocation={}", open.invocation);
    let state = api.get(&path).await;
    assert_eq!((state["state"].as_str(), state.get("outcome")), (Some("inProcess"), None));
    assert_eq!(state["expected"][0]["invocation"], open.invocation.to_string());
    api.tell(&[detected(&open, &["log"])]).await;
    let path = format!("/v1/correlations/order-7?wait=200ms&invocation={}", open.invocation);
    assert_eq!(api.get(&path).await["state"], "inProcess");
    api.tell(&[step(&open, "log", 1, AttemptState::Succeeded)]).await;
    let page = api.get("/v1/correlations/order-7?wait=30s&limit=1").await;
    assert_eq!(
        (page["counters"]["invocations"].as_u64(), page["invocations"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    let next = page["next"].as_str().expect("a next page");
    let page = api.get(&format!("/v1/correlations/order-7?limit=1&cursor={next}")).await;
    assert_eq!((page["invocations"][0]["raw"].as_str(), page.get("next")), (Some("0/2"), None));
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_with_a_problem_that_says_what_to_do() {
    let api = Fixture::new().await;
    for path in [
        "/v1/correlations/order-7?wait=soon",
        "/v1/correlations/order-7?wait=-1",
        "/v1/correlations/order-7?cursor=x",
        "/v1/correlations/order-7?limit=0",
        "/v1/correlations/order-7?wait=1&raw=0/7",
        "/v1/correlations/order-7?wiat=1",
        "/v1/correlations/order-7?until=never",
        "/v1/correlations/a%20b",
        "/v1/invocations?state=done",
        "/v1/invocations?key=7",
        "/v1/invocations?since=yesterday",
        "/v1/invocations?event=move.*",
        "/v1/invocations/order/why",
        "/v1/ids/order?limit=5",
        "/v1/ids/order?source=a/b",
        "/v1/invocations?state=failed&state=complete",
        "/v1/events/a..b",
        "/v1/events?name=a%20b",
        "/v1/raw/0/x",
        "/v1/status?x=1",
    ] {
        assert_eq!(api.ask(path).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(api.ask("/v1/events/move.unknown").await.0, StatusCode::NOT_FOUND);
    assert_eq!(api.ask("/v1/raw/0/7").await.0, StatusCode::NOT_FOUND);
    let request = Request::post("/v1/status").body(Body::empty()).expect("a request");
    let response = api.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (405, &"application/problem+json".parse().expect("a header"))
    );
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_of_the_list_that_gave_it() {
    let groups = ["a".to_owned(), "b".to_owned()];
    let api = Fixture::with_groups(groups.to_vec()).await;
    let topics =
        ["event.one", "event.two", REJECTED].map(|name| TopicSpec { partitions: Some(1), ..TopicSpec::new(name) });
    api.bus.create(topics.to_vec()).await.expect("topics");
    for number in 0..2 {
        api.event_of("one", number, "{}".to_owned()).await;
        api.event_of("two", number, "{}".to_owned()).await;
        let refusal = Outgoing::new(REJECTED, "k", "{}");
        api.bus.publish(vec![refusal]).await.expect("published");
        api.tell(&done("order-7", number)).await;
    }
    let last = occurrence("order-7", 1).invocation;
    api.get(&format!("/v1/correlations/order-7?wait=30s&invocation={last}")).await;
    let lists = ["invocations", "events", "events/one", "events/two", "rejected", "status", "correlations/order-7"];
    let mut cursors = Vec::new();
    for list in lists {
        let page = api.get(&format!("/v1/{list}?limit=1")).await;
        cursors.push(page["next"].as_str().unwrap_or_else(|| panic!("{list} has one page: {page}")).to_owned());
    }
    let wrong =
        ["", "-1", "0", "x", ":", "1.1.", "99999999999999999999", "invocations:-1", "invocations:+1", "invocations:0"]
            .map(str::to_owned);
    for (list, own) in lists.iter().zip(&cursors) {
        for cursor in cursors.iter().chain(&wrong) {
            let (status, body) = api.ask(&format!("/v1/{list}?cursor={cursor}")).await;
            let wanted = if cursor == own { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            assert_eq!(status, wanted, "{list} with {cursor:?}: {body}");
        }
    }
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_sends_the_state_then_changes_then_its_end() {
    let api = Fixture::new().await;
    let mut frames = api.stream("/v1/correlations/order-7?until=complete").await;
    assert_eq!(frames.next().await.expect("a state").0, "unknown");
    let one = occurrence("order-7", 1);
    api.tell(&[detected(&one, &["log"])]).await;
    let (name, summary) = frames.next().await.expect("a change");
    assert_eq!((name.as_str(), summary["counters"]["pending"].as_u64()), ("summary", Some(1)));
    api.tell(&[step(&one, "log", 1, AttemptState::Succeeded)]).await;
    let (name, summary) = frames.next().await.expect("a change");
    assert_eq!((name.as_str(), summary["state"].as_str()), ("summary", Some("complete")), "{summary}");
    assert_eq!(frames.next().await.expect("an end").0, "end");
    assert!(frames.next().await.is_none());
    // Without `until` it goes on, and ends with the process.
    let mut frames = api.stream("/v1/correlations/order-7").await;
    assert_eq!(frames.next().await.expect("a state").1["state"], "complete");
    api.shutdown.cancel();
    assert!(frames.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_are_listed_with_filters_and_pages() {
    let api = Fixture::new().await;
    for number in 0..5 {
        api.tell(&done(&format!("c{number}"), number)).await;
        api.get(&format!("/v1/correlations/c{number}?wait=30s")).await;
    }
    api.tell(&[undetected(&occurrence("none", 9))]).await;
    api.get("/v1/correlations/none?wait=30s").await;
    let page = api.get("/v1/invocations?limit=2").await;
    assert_eq!(
        (page["invocations"][0]["raw"].as_str(), page["invocations"][1]["raw"].as_str()),
        (Some("0/9"), Some("0/4"))
    );
    let next = page["next"].as_str().expect("a next page");
    assert_eq!(api.get(&format!("/v1/invocations?limit=2&cursor={next}")).await["invocations"][0]["raw"], "0/3");
    let page = api.get("/v1/invocations?events=none").await;
    assert_eq!(page["invocations"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["invocations"][0]["undetected"][0]["because"], "`status` did not change");
    let count = async |path: &str| api.get(path).await["invocations"].as_array().map(Vec::len);
    for (path, found) in [
        ("/v1/invocations?table=moves&key=7", 6),
        ("/v1/invocations?table=public.moves&key=7&events=none", 1),
        ("/v1/invocations?table=shop.moves", 0),
        ("/v1/invocations?event=move.pickup.successful&since=2026-01-02T03:04:05Z", 5),
        ("/v1/invocations?event=move.pickup.successful.v2", 0),
        ("/v1/invocations?since=2027-01-02T03:04:05%2B01:00", 0),
    ] {
        assert_eq!(count(path).await, Some(found), "{path}");
    }
    let found = api.get(&format!("/v1/ids/{}", &done("x", 1)[0].occurrence.invocation.to_string()[..8])).await;
    assert_eq!((&found["ids"][0]["kind"], found["ids"].as_array().map(Vec::len)), (&"invocation".into(), Some(1)));
    let id = done("x", 1)[0].occurrence.invocation;
    let explained = api.get(&format!("/v1/invocations/{id}/why")).await;
    assert_eq!(
        (&explained["invocation"]["raw"], explained.get("why")),
        (&"0/1".into(), None),
        "nobody knows catalogs here"
    );
    let unknown = contracts::ids::InvocationId::derived("default", "x");
    assert_eq!(api.ask(&format!("/v1/invocations/{unknown}/why")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(api.get("/v1/ids/no-such").await, serde_json::json!({ "ids": [] }));
    assert_eq!(api.get("/v1/invocations?state=failed").await["invocations"].as_array().map(Vec::len), Some(0));
    let status = api.get("/v1/status").await;
    assert_eq!((status["results"]["invocations"].as_u64(), status["results"]["open"].as_u64()), (Some(6), Some(0)));
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn occurrences_of_an_event_are_paged_newest_first() {
    let api = Fixture::new().await;
    let topic = TopicSpec { partitions: Some(3), ..TopicSpec::new(format!("event.{EVENT}")) };
    api.bus.create(vec![topic]).await.expect("a topic");
    for number in 0..25 {
        api.event(number).await;
    }
    assert_eq!(api.get("/v1/events").await["events"][0]["event"], EVENT);
    assert_eq!(api.get("/v1/events?name=other.*").await["events"].as_array().map(Vec::len), Some(0));
    let (mut seen, mut path) = (Vec::new(), format!("/v1/events/{EVENT}?limit=4"));
    loop {
        let page = api.get(&path).await;
        let occurrences = page["occurrences"].as_array().expect("a list");
        seen.extend(occurrences.iter().map(|one| one["data"]["number"].to_string()));
        if let Some(first) = occurrences.first() {
            assert_eq!((first["specversion"].as_str(), first["type"].as_str()), (Some("1.0"), Some(EVENT)));
            assert_eq!((first["correlationid"].as_str(), first["heraldjobs"].as_str()), (Some("order-7"), Some("log")));
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/events/{EVENT}?limit=4&cursor={next}");
    }
    assert_eq!(seen, (0..25).rev().map(|number| format!("{number}.00")).collect::<Vec<_>>());
    // A place that nobody gave is one like any other.
    let last = u64::MAX;
    for (cursor, count) in [(format!("{last}.{last}.{last}"), 25), (format!("{last}"), 25), ("0.0.0.0.0".to_owned(), 0)]
    {
        let page = api.get(&format!("/v1/events/{EVENT}?cursor=event.{EVENT}:{cursor}")).await;
        assert_eq!(page["occurrences"].as_array().map(Vec::len), Some(count), "{cursor}");
    }
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_ends_where_there_are_no_more_however_large_they_are() {
    let api = Fixture::new().await;
    let sizes = [100_000, 300_000, 10, 70_000];
    for (name, partitions) in [("one", 1), ("three", 3)] {
        let topic = TopicSpec { partitions: Some(partitions), ..TopicSpec::new(format!("event.{name}")) };
        api.bus.create(vec![topic]).await.expect("a topic");
        for number in 0..60 {
            let text = "x".repeat(sizes[number % sizes.len()]);
            api.event_of(name, number as u64, format!("{{\"number\":{number},\"text\":\"{text}\"}}")).await;
        }
        for limit in [1, 7, 60, 1000] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = api.get(&format!("/v1/events/{name}?limit={limit}{cursor}")).await;
                let occurrences = page["occurrences"].as_array().expect("a list");
                assert!(!occurrences.is_empty(), "a page says that there are more, and there are none");
                seen.extend(occurrences.iter().map(|one| one["data"]["number"].as_u64().expect("a number")));
                let Some(next) = page["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(seen, (0..60).rev().collect::<Vec<_>>(), "{limit} of {partitions} partitions");
        }
    }
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_of_events_begins_at_the_end_and_follows_new_topics() {
    let api = Fixture::new().await;
    let create = async |name: &str| api.bus.create(vec![TopicSpec::new(name)]).await.expect("a topic");
    create(&format!("event.{EVENT}")).await;
    api.event(1).await;
    let mut frames = api.stream("/v1/events?name=move.pickup.*&name=later").await;
    api.event(2).await;
    let (name, event) = frames.next().await.expect("an event");
    assert_eq!((name.as_str(), event["data"]["number"].to_string().as_str()), ("event", "2.00"));
    create("event.other").await;
    create("event.later").await;
    let plain = |topic: &str| Outgoing::new(topic, "k", "not JSON");
    api.bus.publish(vec![plain("event.other"), plain("event.later")]).await.expect("published");
    let (_, foreign) = frames.next().await.expect("an event");
    assert!(foreign["unreadable"].as_str().is_some_and(|reason| reason.contains("ce_type")), "{foreign}");
    api.shutdown.cancel();
    assert!(frames.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_payloads_are_read_from_the_bus() {
    let api = Fixture::new().await;
    assert_eq!(api.get("/v1/rejected").await["rejected"].as_array().map(Vec::len), Some(0));
    api.bus.create(vec![TopicSpec::new(REJECTED)]).await.expect("a topic");
    let refusals = (0..3).map(|number| Outgoing::new(REJECTED, "k", format!("{{\"v\":1,\"size\":{number}}}")));
    api.bus.publish(refusals.collect()).await.expect("published");
    let page = api.get("/v1/rejected?limit=2").await;
    assert_eq!((page["rejected"][0]["size"].as_u64(), page["rejected"][1]["size"].as_u64()), (Some(2), Some(1)));
    let next = page["next"].as_str().expect("a next page");
    assert_eq!(api.get(&format!("/v1/rejected?limit=2&cursor={next}")).await["rejected"][0]["size"], 0);

    let headers: Headers = [("herald-source", "default")].into_iter().collect();
    let body = "{ \"as\" : 1.00, \"received\": true }";
    let spots = api.bus.publish(vec![Outgoing::new(RAW, "k", body).with_headers(headers)]).await.expect("published");
    let request = Request::get(format!("/v1/raw/{}/{}", spots[0].partition.0, spots[0].offset));
    let response =
        api.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!(response.headers()["herald-source"], "default");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), body);
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_groups_are_asked_for_in_a_few_questions_and_paged() {
    let groups: BTreeSet<String> = (0..300).map(|number| format!("job.{number:03}")).collect();
    let api = Fixture::with_groups(groups.iter().cloned().collect()).await;
    api.bus.publish(vec![Outgoing::new(RAW, "k", "{}")]).await.expect("published");
    for group in &groups {
        api.bus.place(group, vec![(TopicPartition::new(RAW, 0), Offset::ZERO)]).await.expect("placed");
    }
    let (mut seen, mut jobs, mut cursor) = (BTreeSet::new(), Vec::new(), String::new());
    for page in 0.. {
        let before = api.flaky.asked.load(SeqCst);
        let status = api.get(&format!("/v1/status?limit=120{cursor}")).await;
        let asked = api.flaky.asked.load(SeqCst) - before;
        // The stage may ask where to begin meanwhile.
        assert!(asked <= 10, "{asked} questions to the bus for page {page}");
        for (name, group) in status["groups"].as_object().expect("groups") {
            assert_eq!((&group["lag"], &group["partitions"][0]["end"]), (&1.into(), &1.into()), "{name}");
            assert!(seen.insert(name.clone()), "{name} is there twice");
        }
        jobs.extend(status["jobs"].as_object().into_iter().flat_map(|jobs| jobs.keys().cloned()));
        let Some(next) = status["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((seen, jobs), (groups, vec!["007".to_owned()]));
    assert_eq!(api.get("/v1/status").await["groups"].as_object().map(serde_json::Map::len), Some(100));
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_paged_and_a_stream_of_all_of_them_begins_with_a_few_questions() {
    let api = Fixture::new().await;
    let names: Vec<String> = (0..250).map(|number| format!("many.e{number:03}")).collect();
    let topics = names.iter().map(|name| TopicSpec { partitions: Some(2), ..TopicSpec::new(format!("event.{name}")) });
    api.bus.create(topics.collect()).await.expect("topics");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/events?name=many.*&limit=99{cursor}")).await;
        let events = page["events"].as_array().expect("a list");
        seen.extend(events.iter().map(|one| one["event"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, names);
    assert_eq!(api.get("/v1/events?limit=1").await["events"].as_array().map(Vec::len), Some(1));
    let before = api.flaky.asked.load(SeqCst);
    let mut frames = api.stream("/v1/events").await;
    // The topics, their ends and the first look for new topics; the stage may ask where to begin meanwhile.
    let asked = api.flaky.asked.load(SeqCst) - before;
    assert!(asked <= 10, "{asked} questions to the bus");
    api.bus.publish(vec![Outgoing::new("event.many.e249", "k", "{}")]).await.expect("published");
    assert_eq!(frames.next().await.expect("an event").0, "event");
    api.shutdown.cancel();
}
