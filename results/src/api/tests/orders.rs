//! Orders, dead letters, and how jobs are.

use contracts::{
    control::{Control, Order, Standing, What},
    dead::{self, DeadLetter, Reason},
    headers,
    ids::JobRunId,
    lane,
    names::{EventRef, JobName},
    origin::Origin,
    outcomes::BoxFuture,
    topics,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::*;
use crate::jobs::{Job, Jobs};

/// The jobs of these tests: `log` on the event, and `note` on it and on another; `gone` has left.
pub(super) struct Fake(watch::Sender<Option<Arc<Standing>>>);

impl Fake {
    pub(super) fn follow(bus: Arc<dyn Bus>) -> Arc<Self> {
        let fake = Arc::new(Self(watch::Sender::new(None)));
        let said = fake.0.clone();
        tokio::spawn(async move {
            let (at, mut standing, mut next) = (TopicPartition::new(CONTROL, 0), Standing::default(), Offset::ZERO);
            loop {
                // Before there is a topic, and when the test is over, there is nothing to read.
                let Ok(records) = bus.read(&at, next, 1 << 20).await else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                for record in records {
                    next = record.offset.next();
                    standing
                        .take(record.key.as_deref().unwrap_or_default(), record.value.as_deref())
                        .expect("a record");
                }
                said.send_replace(Some(Arc::new(standing.clone())));
                if bus.changed(&at, next).await.is_err() {
                    return;
                }
            }
        });
        fake
    }
}

fn group(full_name: &str) -> GroupName {
    GroupName::of_full_name(full_name)
}

impl Jobs for Fake {
    fn catalog(&self) -> Option<u64> {
        Some(3)
    }

    fn rate(&self, group: &GroupName) -> Option<String> {
        (group.full_name() == format!("{EVENT}.note")).then(|| "10/s".to_owned())
    }

    fn all(&self) -> Vec<Job> {
        let job = |full: &str, name: &str, event: &str| Job {
            group: group(full),
            name: name.parse().expect("a name"),
            events: vec![event.parse().expect("a name")],
            retired: false,
        };
        let (other, own) = (format!("other.{}", "note"), format!("{EVENT}.note"));
        vec![job("log", "log", EVENT), job(&own, "note", EVENT), job(&other, "note", "other")]
    }

    fn group(&self, event: &EventRef, job: &JobName) -> GroupName {
        if job.as_str() == "note" { GroupName::of_inline(event, job) } else { GroupName::of_definition(job) }
    }

    fn said(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.0.subscribe()
    }

    fn versions_with<'a>(&'a self, group: &'a GroupName) -> BoxFuture<'a, Result<Vec<u64>, bus::Error>> {
        let versions = if group.full_name() == "gone" { vec![1, 2] } else { Vec::new() };
        Box::pin(async move { Ok(versions) })
    }
}

impl Fixture {
    async fn order(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::post(path).header("x-herald-by", "ann").body(Body::from(body.to_owned()));
        let (status, body) = self.send(request.expect("a request")).await;
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Everything on `control`.
    async fn said(&self) -> Vec<Control> {
        let records = self.bus.read(&TopicPartition::new(CONTROL, 0), Offset::ZERO, 1 << 20).await.expect("records");
        records.iter().filter_map(|record| Control::decode(record.value.as_deref()?).ok()).collect()
    }

    /// A dead letter of a job; none deletes it.
    async fn dead(&self, job: &str, number: u64, reason: Option<Reason>) {
        let topic = topics::dead(&group(job));
        let known = self.bus.topics().await.expect("topics");
        if !known.iter().any(|info| info.topic.as_str() == topic) {
            let spec = TopicSpec { partitions: Some(2), compacted: true, ..TopicSpec::new(topic.as_str()) };
            self.bus.create(vec![spec]).await.expect("a topic");
        }
        let (event, occurrence) = (EVENT.parse::<EventRef>().expect("a name"), occurrence("order-7", number));
        let job: JobName = job.parse().expect("a name");
        let id = EventId::derived(occurrence.invocation, &event);
        let at: Timestamp = occurrence.received;
        let origin = Origin { topic: event.topic(), partition: (number % 2) as u32, offset: number };
        let letter = reason.map(|reason| DeadLetter {
            v: dead::VERSION,
            run: JobRunId::derived(id, &job),
            job: job.clone(),
            reason,
            error: format!("{number} of {}", "x".repeat(300)),
            attempts: 5,
            first: at,
            last: at,
            origin: origin.clone(),
            catalog: 3,
        });
        let headers = EventHeaders {
            id,
            event,
            source: "default".into(),
            subject: None,
            time: at,
            dataschema: None,
            correlation: occurrence.correlation,
            invocation: occurrence.invocation,
            cause: None,
            user: None,
            organisation: None,
            traceparent: None,
            jobs: vec![job],
            catalog: 3,
            depth: 0,
            raw: Place { partition: 0, offset: number },
        };
        let record = Outgoing::new(topic, origin.to_string(), format!("{{\"number\":{number}.00}}"));
        let record = match &letter {
            Some(letter) => {
                let letter = letter.encode();
                record.with_headers(lane::moved(&headers.encode(), Some(b"k"), Some((headers::DEAD, &letter))))
            }
            None => Outgoing { value: None, ..record },
        };
        let record = record.to_partition(bus::Partition(origin.partition));
        self.bus.publish(vec![record]).await.expect("published");
    }
}

fn texts(list: &Value, member: &str) -> Vec<String> {
    let each = list.as_array().expect("a list").iter();
    each.map(|one| one[member].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_and_resumed_by_whoever_says_who_it_is() {
    let api = Fixture::new().await;
    let anonymous = Request::post("/v1/jobs/log/pause").body(Body::empty()).expect("a request");
    let (status, body) = api.send(anonymous).await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("x-herald-by: ann"), "{body}");
    let (status, paused) = api.order("/v1/jobs/log/pause", r#"{"because":"too loud","dryRun":true}"#).await;
    assert_eq!((status, &paused["changed"], &paused["dryRun"]), (StatusCode::OK, &true.into(), &true.into()));
    assert!(api.said().await.is_empty(), "nothing is ordered by a dry run");
    let (_, paused) = api.order("/v1/jobs/log/pause", r#"{"because":"too loud"}"#).await;
    assert_eq!((&paused["job"], &paused["paused"]["by"]), (&"log".into(), &"ann".into()));
    let listed = api.get("/v1/jobs").await;
    let log = listed["jobs"].as_array().expect("jobs").iter().find(|job| job["job"] == "log").expect("the job");
    assert_eq!((&log["state"], &log["paused"]["because"]), (&"paused".into(), &"too loud".into()));
    api.tell(&[detected(&occurrence("order-7", 1), &["log", "note"])]).await;
    let waits = "the run is known";
    let summary = loop {
        let summary = api.ask("/v1/correlations/order-7").await;
        if summary.0.is_success() {
            break serde_json::from_str::<Value>(&summary.1).expect(waits);
        }
    };
    let jobs = &summary["invocations"][0]["events"][0]["jobs"];
    assert_eq!((&jobs[0]["paused"]["by"], jobs[1].get("paused")), (&"ann".into(), None), "{jobs}");
    assert_eq!(summary["expected"][0]["paused"]["because"], "too loud");
    let (_, again) = api.order("/v1/jobs/log/pause", "").await;
    assert_eq!(again["changed"], false);
    let (_, resumed) = api.order("/v1/jobs/log/resume", "").await;
    assert_eq!((&resumed["changed"], resumed.get("paused")), (&true.into(), None));
    assert_eq!(api.order("/v1/jobs/log/resume", "").await.1["changed"], false);
    assert_eq!(api.said().await.len(), 3, "that it is not paused is not said twice");
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_named_and_orders_read_as_they_should_be() {
    let api = Fixture::new().await;
    for (path, body, status, told) in [
        ("/v1/jobs/note/pause", "", StatusCode::CONFLICT, "may be 2 jobs; give the full name"),
        ("/v1/jobs/nobody/pause", "", StatusCode::NOT_FOUND, "there is no job `nobody`"),
        ("/v1/jobs/log/pause?x=1", "", StatusCode::BAD_REQUEST, "there are no parameters here"),
        ("/v1/jobs/log/pause", "{\"becuase\":1}", StatusCode::BAD_REQUEST, "unknown field `becuase`"),
        ("/v1/dead/redrive", "{}", StatusCode::BAD_REQUEST, "say which dead letters are meant"),
        ("/v1/dead/discard", "{\"ids\":[\"0123abcd\"]}", StatusCode::NOT_FOUND, "there is no dead letter"),
        ("/v1/correlations/a/rerun", "{}", StatusCode::BAD_REQUEST, "say which job"),
        ("/v1/correlations/a/rerun", "{\"job\":\"log\"}", StatusCode::NOT_FOUND, "nothing is known of a run of `log`"),
    ] {
        let (found, answer) = api.order(path, body).await;
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(found == status && detail.contains(told), "{path} {body}: {found} {answer}");
    }
    let (status, body) = api.ask("/v1/jobs/log/pause").await;
    assert!(status == StatusCode::METHOD_NOT_ALLOWED && body.contains("use POST"), "{body}");
    let full = format!("/v1/jobs/{EVENT}.note/pause");
    assert_eq!(api.order(&full, "").await.1["job"], format!("{EVENT}.note"));
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_filtered_paged_and_shown() {
    let api = Fixture::new().await;
    assert_eq!(api.get("/v1/dead").await["count"], 0);
    for number in 0..5 {
        api.dead("log", number, Some(if number == 3 { Reason::Final } else { Reason::Attempts })).await;
    }
    api.dead("gone", 7, Some(Reason::Time)).await;
    let all = api.get("/v1/dead").await;
    assert_eq!((all["count"].as_u64(), all.get("next")), (Some(6), None));
    assert_eq!(texts(&all["dead"], "job"), ["gone", "log", "log", "log", "log", "log"], "the last to die first");
    assert!(all["dead"][0]["error"].as_str().is_some_and(|error| error.chars().count() == 201), "{all}");
    for (query, count) in [
        ("job=log", 5),
        ("job=gone", 1),
        ("reason=final", 1),
        ("event=other", 0),
        ("correlation=order-7&job=log&reason=attempts", 4),
        ("since=2026-01-02T03:04:05.003Z", 3),
        ("before=2026-01-02T03:04:05.003Z", 3),
    ] {
        assert_eq!(api.get(&format!("/v1/dead?{query}")).await["count"], count, "{query}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/dead?limit=2{cursor}")).await;
        seen.extend(texts(&page["dead"], "origin"));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, texts(&all["dead"], "origin"));
    // One that is redriven or discarded is gone, and one that died again is there once.
    api.dead("log", 1, None).await;
    api.dead("log", 2, Some(Reason::Interrupted)).await;
    assert_eq!(api.get("/v1/dead?job=log").await["count"], 4);
    assert_eq!(api.get("/v1/dead?job=log&reason=interrupted").await["count"], 1);
    let id = all["dead"][1]["id"].as_str().expect("an id");
    let whole = api.get(&format!("/v1/dead/{}", &id[..8])).await;
    assert_eq!((&whole["letter"]["id"], &whole["key"]), (&id.into(), &"k".into()));
    assert!(whole["letter"]["error"].as_str().is_some_and(|error| error.len() > 300), "the whole error");
    assert_eq!(whole["cloudEvent"]["data"]["number"].to_string(), "4.00");
    assert_eq!((&whole["headers"]["ce_type"], whole["headers"].get("herald-dead")), (&EVENT.into(), None));
    let jobs = api.get("/v1/jobs").await;
    let dead: Vec<_> = jobs["jobs"].as_array().expect("jobs").iter().map(|job| (&job["job"], &job["dead"])).collect();
    assert!(dead.contains(&(&"gone".into(), &1.into())) && dead.contains(&(&"log".into(), &4.into())), "{dead:?}");
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_redriven_and_discarded_by_an_order_for_each_job() {
    let api = Fixture::new().await;
    for number in 0..4 {
        api.dead("log", number, Some(Reason::Attempts)).await;
    }
    api.dead("gone", 7, Some(Reason::Attempts)).await;
    let (status, dry) = api.order("/v1/dead/redrive", r#"{"job":"log","dryRun":true}"#).await;
    assert_eq!((status, &dry["letters"], dry["orders"][0].get("order")), (StatusCode::OK, &4.into(), None));
    let (status, none) = api.order("/v1/dead/redrive", r#"{"job":"log","reason":"final"}"#).await;
    assert_eq!((status, &none["letters"]), (StatusCode::OK, &0.into()));
    assert!(api.said().await.is_empty(), "nothing was ordered yet");
    let (status, given) = api.order("/v1/dead/redrive", r#"{"job":"log","because":"billing is back"}"#).await;
    assert_eq!((status, &given["orders"][0]["letters"]), (StatusCode::ACCEPTED, &4.into()));
    let said = api.said().await;
    let [Control { what: What::Order(id, Order::Redrive(letters)), said, .. }] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(given["orders"][0]["order"], id.to_string());
    assert_eq!((&letters.until, said.because.as_deref()), (&[(0, 2), (1, 2)].into(), Some("billing is back")));
    // One that has left runs only by a definition that it had.
    for (body, told) in [
        (r#"{"job":"gone"}"#, "version 2 was the last that had it"),
        (r#"{"job":"gone","definition":3}"#, "version 3 of the catalog did not have `gone`"),
    ] {
        let (status, refused) = api.order("/v1/dead/redrive", body).await;
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(status == StatusCode::CONFLICT && detail.contains(told), "{body}: {refused}");
    }
    let (_, given) = api.order("/v1/dead/redrive", r#"{"job":"gone","definition":1}"#).await;
    assert_eq!(given["orders"][0]["definition"], 1);
    let (_, given) = api.order("/v1/dead/discard", r#"{"all":true}"#).await;
    let orders = given["orders"].as_array().expect("orders");
    assert_eq!(texts(&given["orders"], "job"), ["gone", "log"]);
    assert_eq!((&orders[0]["definition"], orders[1].get("definition")), (&2.into(), None));
    // The same request again is the same order.
    let twice = || {
        let request = Request::post("/v1/dead/discard").header("x-herald-by", "ann").header("idempotency-key", "a");
        api.send(request.body(Body::from(r#"{"job":"log"}"#)).expect("a request"))
    };
    let before = api.said().await.len();
    assert_eq!(twice().await, twice().await);
    assert_eq!(api.said().await.len(), before + 1);
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_that_has_ended_is_run_again_where_its_event_stands() {
    let api = Fixture::new().await;
    api.bus
        .create(vec![TopicSpec { partitions: Some(2), ..TopicSpec::new(format!("event.{EVENT}")) }])
        .await
        .expect("a topic");
    for number in 0..5 {
        api.event(number).await;
    }
    let one = occurrence("order-7", 3);
    api.tell(&[detected(&one, &["log", "note"]), step(&one, "log", 1, AttemptState::Succeeded)]).await;
    let known = async || {
        loop {
            let (status, answer) = api.order("/v1/correlations/order-7/rerun", r#"{"job":"note"}"#).await;
            if status != StatusCode::NOT_FOUND {
                return (status, answer);
            }
        }
    };
    let (status, running) = known().await;
    assert!(
        status == StatusCode::CONFLICT && running["detail"].as_str().is_some_and(|it| it.contains("has not ended"))
    );
    let (status, given) = api.order("/v1/correlations/order-7/rerun", r#"{"job":"log"}"#).await;
    assert_eq!((status, &given["attempts"]), (StatusCode::ACCEPTED, &1.into()), "{given}");
    let said = api.said().await;
    let Some(Control { what: What::Order(_, Order::Rerun(rerun)), .. }) = said.last() else { panic!("{said:?}") };
    assert_eq!((rerun.run.to_string().into(), rerun.attempts), (given["run"].clone(), 1));
    let at = TopicPartition::new(rerun.origin.topic.as_str(), rerun.origin.partition);
    let records = api.bus.read(&at, Offset(rerun.origin.offset), 1).await.expect("records");
    assert_eq!(records[0].headers.text(headers::ce::ID), Some(rerun.event_id.to_string().as_str()));
    let other = occurrence("order-7", 4);
    api.tell(&[detected(&other, &["log"]), step(&other, "log", 1, AttemptState::Succeeded)]).await;
    api.get(&format!("/v1/correlations/order-7?wait=200ms&invocation={}", other.invocation)).await;
    let (status, both) = api.order("/v1/correlations/order-7/rerun", r#"{"job":"log"}"#).await;
    assert!(
        status == StatusCode::CONFLICT && both["detail"].as_str().is_some_and(|it| it.contains("2 runs")),
        "{both}"
    );
    // A run that is a dead letter is redriven.
    api.dead("log", 4, Some(Reason::Attempts)).await;
    let run = JobRunId::derived(
        EventId::derived(other.invocation, &EVENT.parse().expect("a name")),
        &"log".parse().expect("a name"),
    );
    api.order("/v1/correlations/order-7/rerun", &format!(r#"{{"job":"log","run":"{run}"}}"#)).await;
    let said = api.said().await;
    let Some(Control { what: What::Order(_, Order::Redrive(letters)), .. }) = said.last() else { panic!("{said:?}") };
    assert_eq!(letters.filter.runs, [run]);
    api.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_back_a_run_is_said_and_whoever_resumes_its_job_has_the_target_tried() {
    let api = Fixture::new().await;
    let at: Timestamp = "2026-11-21T02:22:51Z".parse().expect("a time");
    let probe = at.checked_add(jiff::SignedDuration::from_secs(10)).expect("a time");
    let occurrence = occurrence("c-1", 1);
    let mut failed = step(&occurrence, "log", 1, AttemptState::Retrying);
    if let contracts::progress::Fact::Job(step) = &mut failed.fact {
        step.error = Some("503 from billing".into());
        (step.ended, step.again, step.probe) = (Some(at), Some(at), Some(probe));
    }
    api.tell(&[detected(&occurrence, &["log", "note"]), failed]).await;
    let summary = loop {
        let summary = api.get("/v1/correlations/c-1?wait=1s").await;
        if summary["invocations"][0]["events"][0]["jobs"][0]["waits"].is_object() {
            break summary;
        }
    };
    let jobs = &summary["invocations"][0]["events"][0]["jobs"];
    let open = serde_json::json!({ "held": "circuit", "because": "503 from billing", "until": probe.to_string() });
    assert_eq!(
        (&jobs[0]["waits"], &jobs[1]["waits"]),
        (&open, &serde_json::json!({ "held": "rate", "because": "10/s" }))
    );
    let listed = api.get("/v1/jobs").await;
    let log = listed["jobs"].as_array().expect("jobs").iter().find(|job| job["job"] == "log").expect("it is there");
    assert_eq!((&log["state"], &log["circuit"]["error"]), (&"circuitOpen".into(), &"503 from billing".into()));
    let (_, resumed) = api.order("/v1/jobs/log/resume", "{}").await;
    assert_eq!((&resumed["changed"], &resumed["probed"]), (&false.into(), &true.into()));
    assert_eq!(api.said().await.len(), 1);
}
