//! Events that are published by name: from outside, and by jobs.

use std::collections::BTreeSet;

use contracts::summary::{Outcome, State, Summary};
use serde_json::{Value, json};
use tests::{Herald, body, client::Request};

use crate::support::{events, job, names, shell, with_jobs};

const NOTED: &str = "sample: { id: 1 }\njobs:\n  - id: note\n    log: { message: \"row ${data.id}\" }\n";

/// An event that is published by name, and publishes another.
fn leads_to(event: &str, options: &str) -> String {
    format!("sample: {{ id: 1 }}\njobs:\n  - id: announce\n    publish: {{ event: {event}{options} }}\n")
}

#[tokio::test]
async fn an_event_that_is_published_by_name_runs_its_jobs_and_is_answered_like_a_webhook() {
    let herald = Herald::build().event("order.paid", NOTED).start().await;
    let request = Request::post("/events/order.paid?wait=60s", r#"{"id":7}"#).header("idempotency-key", "k");
    let summary: Summary = herald.hook(request.clone()).await.expect(200).json();
    assert_eq!((summary.state, summary.outcome), (State::Complete, Some(Outcome::Success)));
    assert_eq!(names(&summary), ["order.paid"]);
    assert_eq!(crate::support::result(job(&summary, "note")), r#"{"message":"row 7"}"#);
    let again: Summary = herald.hook(request.clone()).await.expect(200).json();
    assert_eq!((again.correlation, again.counters.repeated, again.counters.jobs), (summary.correlation.clone(), 1, 1));
    let listed: Value = herald.get("/v1/events/order.paid?limit=10").await.json();
    let one = &listed["occurrences"][0];
    assert_eq!(
        (&one["source"], &one["subject"], &one["data"]),
        (&json!("/events"), &json!("k"), &json!({ "id": 7 })),
        "{listed}"
    );
    herald.cli(&["show", summary.correlation.as_str()]).await.expect(0).has(&["from a publication of order.paid"]);
}

#[tokio::test]
async fn who_waits_for_a_publication_under_the_id_of_another_is_refused() {
    let herald = Herald::build().event("order.paid", NOTED).event("order.late", NOTED).start().await;
    let publish = |event: &str, data: &'static str| {
        Request::post(format!("/events/{event}?wait=60s"), data).header("idempotency-key", "k")
    };
    let first: Summary = herald.hook(publish("order.paid", r#"{"id":7}"#)).await.expect(200).json();
    for (event, data) in [("order.late", r#"{"id":7}"#), ("order.paid", r#"{"id":8}"#)] {
        let refused: Value = herald.hook(publish(event, data)).await.expect(409).json();
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with("id-reused: ") && detail.contains(event), "{refused}");
    }
    let again: Summary = herald.hook(publish("order.paid", r#"{ "id": 7.0 }"#)).await.expect(200).json();
    assert_eq!((again.correlation, again.counters.events, again.invocations[0].reused), (first.correlation, 1, 2));
    // Without a wait nothing is known of it yet.
    herald.hook(Request::post("/events/order.late", "{}").header("idempotency-key", "k")).await.expect(200);
}

#[tokio::test]
async fn an_event_that_the_catalog_does_not_have_is_taken_and_then_rejected_which_a_waiting_caller_sees() {
    let herald = Herald::build().event("order.paid", NOTED).start().await;
    let answer = herald.hook(Request::post("/events/order.payd?wait=60s", "{}")).await.expect(200);
    let summary: Summary = answer.json();
    assert_eq!((summary.state, summary.outcome), (State::Complete, Some(Outcome::Failure)));
    let rejected = summary.invocations[0].rejected.as_deref().unwrap_or_default();
    assert!(rejected.contains("unknown-event") && rejected.contains("did you mean order.paid?"), "{rejected}");
    let list: Value = herald.get("/v1/rejected").await.json();
    assert_eq!(list["rejected"][0]["reason"], "unknown-event", "{list}");
}

#[tokio::test]
async fn a_batch_is_answered_with_the_ids_of_each_and_waited_for_as_a_whole() {
    let herald = Herald::build().event("order.paid", NOTED).start().await;
    let event = |id: u32| json!({ "specversion": "1.0", "id": id.to_string(), "source": "/s", "type": "order.paid", "data": { "id": id } });
    let batch = |events: Value, query: &str| {
        Request::post(format!("/events/order.paid{query}"), events.to_string())
            .header("content-type", "application/cloudevents-batch+json")
    };
    let all: Vec<Summary> = herald.hook(batch(json!([event(1), event(2)]), "?wait=60s")).await.expect(200).json();
    assert!(all.len() == 2 && all.iter().all(|one| one.state == State::Complete), "{all:#?}");
    let mut other = event(3);
    other["type"] = json!("order.placed");
    herald.hook(batch(json!([event(4), other]), "")).await.expect(400);
    let newest: Value = herald.get("/v1/events/order.paid?limit=10").await.json();
    assert_eq!(newest["occurrences"].as_array().map(Vec::len), Some(2), "{newest}");
}

#[tokio::test]
async fn what_a_job_publishes_belongs_to_its_correlation_which_is_complete_with_it() {
    let options = ", data: { id: data.id, by: event.name }, key: \"'k-' + string(data.id)\"";
    let herald = Herald::build()
        .event(
            "order.placed",
            &with_jobs("orders", &format!("  - id: announce\n    publish: {{ event: a.b{options} }}\n")),
        )
        .event("a.b", &leads_to("b.c", ""))
        .event("b.c", &leads_to("c.d", ""))
        .event("c.d", NOTED)
        .start()
        .await;
    for number in 0..10 {
        let request = body::insert(&format!("o-{number}"), "orders", json!({ "id": number }));
        let answer = herald.hook(Request::post("/hasura?wait=60s", request.to_string())).await.expect(200);
        let summary: Summary = answer.json();
        assert_eq!(names(&summary), ["a.b", "b.c", "c.d", "order.placed"]);
        assert_eq!((summary.counters.succeeded, summary.counters.repeated, summary.counters.jobs), (4, 0, 4));
        let published = job(&summary, "announce").published.as_ref().expect("what it published");
        let child =
            summary.invocations.iter().find(|one| one.invocation == published.invocation).expect("its invocation");
        let origin = child.origin.as_ref().expect("an origin");
        assert_eq!(origin.cause, Some(job(&summary, "announce").run));
        let depths: BTreeSet<u32> =
            summary.invocations.iter().filter_map(|one| Some(one.origin.as_ref()?.depth)).collect();
        assert_eq!(depths, (0..4).collect());
    }
    let listed: Value = herald.get("/v1/events/c.d?limit=1").await.json();
    let one = &listed["occurrences"][0];
    assert_eq!((&one["subject"], &one["data"]), (&json!("k-9"), &json!({ "id": 9, "by": "order.placed" })), "{listed}");
    assert_eq!((&one["source"], &one["heralddepth"]), (&json!("/jobs/b.c.announce"), &json!("3")), "{listed}");
    let shown = herald.cli(&["show", one["correlationid"].as_str().unwrap()]).await.expect(0);
    shown.has(&["✅ announce  published a.b → ⭐ a.b (below)", "from c.d, published by b.c.announce"]);
}

#[tokio::test]
async fn a_circle_that_may_repeat_ends_at_depth_16_with_a_rejection() {
    let herald = Herald::build().event("loop.turned", &leads_to("loop.turned", ", mayRepeat: true")).start().await;
    let answer = herald.hook(Request::post("/events/loop.turned?wait=60s", "{}")).await.expect(200);
    let summary: Summary = answer.json();
    assert_eq!((summary.counters.events, summary.counters.succeeded, summary.counters.errors), (17, 17, 1));
    let refused: Vec<_> = summary.invocations.iter().filter_map(|one| one.rejected.as_deref()).collect();
    assert!(refused.len() == 1 && refused[0].contains("17 cascades deep"), "{refused:?}");
}

#[tokio::test]
async fn what_is_too_large_to_be_published_fails_its_run_and_names_its_largest_member() {
    let event = "from: { table: orders, operations: [insert] }\ndata: { list: new.list }\nsample: { list: [a] }\njobs:\n\
        \u{20} - id: announce\n    publish:\n      event: a.b\n      data:\n        small: size(data.list)\n\
        \u{20}       many: data.list.map(x, data.list)\n";
    let herald = Herald::build().event("order.placed", event).event("a.b", NOTED).start().await;
    let list = vec!["x".repeat(3000); 100];
    let summary = herald.run(body::insert("o-1", "orders", json!({ "id": 1, "list": list }))).await;
    let announce = job(&summary, "announce");
    assert_eq!((announce.outcome, announce.attempts), (Some(Outcome::Failure), 1));
    let error = announce.error.as_deref().unwrap_or_default();
    assert!(error.contains("many"), "{error}");
    assert_eq!(summary.invocations.len(), 1);
}

#[tokio::test]
async fn each_is_published_once_whatever_is_killed() {
    let effect = shell("effect", "echo \"$HERALD_RUN_ID\" >> \"$SCRATCH/effects\"", "    order: none\n");
    let placed = with_jobs("orders", "  - id: announce\n    publish: { event: a.b, data: data }\n");
    let mut herald = Herald::build()
        .event("order.placed", &placed)
        .event("a.b", &format!("sample: {{ id: 1 }}\njobs:\n{effect}"))
        .start()
        .await;
    let mut correlations = Vec::new();
    for number in 0..60 {
        let accepted = herald.post(body::insert(&format!("o-{number}"), "orders", json!({ "id": number }))).await;
        correlations.push(accepted.correlation_id);
        if number % 20 == 10 {
            herald.kill9();
            herald.start().await;
        }
    }
    let mut runs = BTreeSet::new();
    for correlation in &correlations {
        let summary = herald.complete(correlation, 2).await;
        assert_eq!((summary.counters.events, summary.counters.repeated), (2, 0), "{summary:#?}");
        runs.extend(events(&summary).iter().flat_map(|event| &event.jobs).map(|job| job.run.to_string()));
    }
    let effects: BTreeSet<String> = herald.marks("effects").into_iter().collect();
    assert!(effects.is_subset(&runs), "something ran for what nobody published");
    assert_eq!(effects.len(), 60);
}

#[tokio::test]
async fn a_catalog_whose_events_go_in_a_circle_is_refused_with_the_chain() {
    let herald = Herald::build().event("a.b", NOTED).start().await;
    let circle = leads_to("a.b", "");
    herald.edit(&[("events/a.b.yaml", circle.as_str())]).await;
    let told = herald.complaint().await;
    assert!(told.contains("a.b → announce → a.b"), "{told}");
}

#[tokio::test]
async fn the_command_publishes_and_waits_like_send() {
    let herald =
        Herald::build().event("order.placed", &leads_to("order.paid", "")).event("order.paid", NOTED).start().await;
    std::fs::write(herald.scratch().join("data.json"), r#"{"id":7}"#).unwrap();
    let file = herald.scratch().join("data.json");
    let publish =
        ["publish", "order.placed", file.to_str().unwrap(), "--id", "ü 1", "--key", "a b", "--correlation", "c-1"];
    let shown = herald.cli(&[&publish[..], &["--wait=60s"]].concat()).await.expect(0);
    shown.has(&[
        "from a publication of order.placed",
        "✅ announce  published order.paid → ⭐ order.paid (below)",
        "✅ note  row 7",
    ]);
    let listed: Value = herald.get("/v1/events/order.paid").await.json();
    assert_eq!(listed["occurrences"][0]["subject"], "a b", "{listed}");
    herald.cli(&publish).await.expect(0).has(&["📨 Accepted", "c-1"]);
    let summary = herald
        .wait_for("the duplicate to be counted", async || {
            herald.summary(&"c-1".parse().unwrap()).await.filter(|summary| summary.counters.repeated == 1)
        })
        .await;
    assert_eq!(summary.counters.jobs, 2);
    let unknown = herald.cli(&["publish", "order.payd", file.to_str().unwrap(), "--wait=60s"]).await.expect(1);
    unknown.has(&["❌ Refused a publication of order.payd", "did you mean order.paid?"]);
    herald.cli(&["publish", "order..paid", "-"]).await.expect(2);
}

/// A file of a catalog as a page shows it.
fn file_of(page: &str, name: &str) -> String {
    let begin = format!("```yaml\n# {name}\n");
    page.split(&begin)
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap_or_else(|| panic!("no {name}"))
        .to_owned()
}

#[tokio::test]
async fn the_examples_of_the_docs_do_what_they_say() {
    let page = |name: &str| std::fs::read_to_string(tests::root().join("docs").join(name)).unwrap();
    let catalog = page("catalog.md");
    let herald = Herald::build()
        .event("order.paid", &file_of(&catalog, "events/order.paid.yaml"))
        .event("order.invoiced", &file_of(&catalog, "events/order.invoiced.yaml"))
        .start()
        .await;
    let row = |status: &str| json!({ "id": 7, "total": 12.5, "status": status });
    let mut change = body::update("o-1", "orders", row("placed"), row("paid"));
    change["table"]["schema"] = json!("shop");
    let answer = herald.hook(Request::post("/hasura?wait=60s", change.to_string())).await.expect(200);
    let summary: Summary = answer.json();
    assert_eq!(crate::support::result(job(&summary, "book")), r#"{"message":"Booked 12.5 for order 7"}"#);
    let http = page("http.md");
    let command = http.split("```sh\ncurl -d").nth(1).and_then(|rest| rest.split("```").next()).expect("a command");
    let command = format!("curl -sd {command}").replace("127.0.0.1:8080", &herald.webhook().to_string());
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let summary: Summary = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(
        (summary.state, names(&summary)),
        (State::Complete, vec!["order.invoiced".to_owned(), "order.paid".to_owned()])
    );
}
