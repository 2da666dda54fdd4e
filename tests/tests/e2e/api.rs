//! The API: live streams, lists, what is unknown.

use contracts::summary::{State, Summary};
use serde_json::{Value, json};
use tests::{Herald, body, client::Request};

use crate::support::{noted, shell, until, with_jobs};

#[tokio::test]
async fn a_live_stream_of_a_correlation_sends_the_state_first_then_changes_until_it_is_complete() {
    let event = with_jobs("things", &shell("slow", &until("go"), ""));
    let herald = Herald::build().event("thing.made", &event).start().await;
    let mut early = herald.stream("/v1/correlations/live-1?until=complete").await;
    let first = early.next().await.unwrap().unwrap();
    assert_eq!((first.kind.as_str(), first.data.as_str()), ("unknown", r#"{"correlation":"live-1"}"#));

    let post = Request::post("/hasura", body::insert("a", "things", json!({ "id": 1 })).to_string());
    herald.hook(post.header("x-correlation-id", "live-1")).await.expect(200);
    let mut revision = 0;
    let mut read = async |stream: &mut tests::client::Events| {
        let event = stream.next().await.unwrap().unwrap();
        assert_eq!(event.kind, "summary", "{}", event.data);
        let summary: Summary = serde_json::from_str(&event.data).unwrap();
        assert_eq!(event.id, summary.revision.to_string());
        assert!(summary.revision >= revision, "states do not go back");
        revision = summary.revision;
        summary
    };
    while read(&mut early).await.counters.in_process == 0 {}
    // Who comes later gets the state as it is.
    let mut late = herald.stream("/v1/correlations/live-1").await;
    assert_eq!(read(&mut late).await.state, State::InProcess);
    herald.mark("go");
    while read(&mut early).await.state != State::Complete {}
    assert_eq!(early.next().await.unwrap().unwrap().kind, "end");
    assert!(early.next().await.unwrap().is_none());
    while read(&mut late).await.state != State::Complete {}
}

#[tokio::test]
async fn events_are_listed_and_streamed_in_the_form_of_cloudevents() {
    let herald =
        Herald::build().event("thing.made", &noted("things")).event("other.made", &noted("others")).start().await;
    let known: Value = herald.get("/v1/events").await.expect(200).json();
    let names: Vec<&str> = known["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["other.made", "thing.made"]);
    let mut stream = herald.stream("/v1/events?name=thing.*").await;
    herald.run(body::insert("a", "others", json!({ "id": 1 }))).await;
    let sent = herald.run(body::insert("b", "things", json!({ "id": 2 }))).await;
    let event = stream.next().await.unwrap().unwrap();
    let event: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!((&event["type"], &event["data"]), (&"thing.made".into(), &json!({ "id": 2 })));
    assert_eq!(event["correlationid"], sent.correlation.as_str());
    assert_eq!(event["dataschema"], format!("http://{}/v1/schemas/thing.made/1", herald.api()));
    let list: Value = herald.get("/v1/events/thing.made").await.expect(200).json();
    assert_eq!(list["occurrences"], json!([event]));
    let schema: Value = herald.get("/v1/file-schemas/table.json").await.expect(200).json();
    assert_eq!(schema["title"], "A table whose columns are known");
}

#[tokio::test]
async fn what_is_unknown_or_nonsense_is_said_to_be() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    for (path, status) in [
        ("/v1/correlations/nobody", 404),
        ("/v1/correlations/nobody?wait=300ms", 404),
        ("/v1/correlations/nobody?wait=-1", 400),
        ("/v1/correlations/nobody?wait=soon", 400),
        ("/v1/correlations/nobody?wiat=1s", 400),
        ("/v1/correlations/two%20words", 400),
        ("/v1/correlations/nobody?limit=0", 400),
        ("/v1/correlations/nobody?cursor=x", 400),
        ("/v1/events/no.such.event", 404),
        ("/v1/events/..", 400),
        ("/v1/raw/0/999999", 404),
        ("/v1/raw/0/999999/why", 404),
        ("/v1/raw/99/0/why", 404),
        ("/v1/schemas/thing.made/1?x=1", 400),
        ("/v1/file-schemas/evnt.json", 404),
        ("/v1/status/", 404),
        ("/v1/correlations/", 404),
        ("/", 404),
        ("/v1/raw/x/y", 400),
        ("/v1/invocations?state=dead", 400),
        ("/v1/nowhere", 404),
    ] {
        let answer = herald.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    // What is read can be looked at without its body, and everything else is refused with what is allowed.
    for path in [
        "/v1/invocations",
        "/v1/events",
        "/v1/events/thing.made",
        "/v1/rejected",
        "/v1/schemas/thing.made/1",
        "/v1/file-schemas/event.json",
        "/v1/status",
        // Probes may have parameters that mean nothing here.
        "/healthz?x=1",
        "/readyz?x=1",
    ] {
        let head = herald.ask(herald.api(), Request::new("HEAD", path)).await;
        let get = herald.ask(herald.api(), Request::get(path)).await;
        assert_eq!((head.status, head.text().as_str()), (get.status, ""), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = herald.ask(herald.api(), Request::new(method, path)).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{method} {path}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
            assert!(answer.text().contains("use GET"), "{method} {path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_correlation_of_which_nothing_is_known_yet_is_told_when_it_is_complete() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let api = herald.api();
    let waiting =
        tokio::spawn(async move { tests::client::send(api, &Request::get("/v1/correlations/soon?wait=1m")).await });
    let post = Request::post("/hasura", body::insert("a", "things", json!({ "id": 1 })).to_string());
    herald.hook(post.header("x-correlation-id", "soon")).await.expect(200);
    let summary: Summary = waiting.await.unwrap().unwrap().expect(200).json();
    assert_eq!((summary.state, summary.counters.succeeded), (State::Complete, 1));
}

#[tokio::test]
async fn what_came_in_is_listed_newest_first_and_by_state() {
    let event = with_jobs("things", &shell("odd", "exit \"$1\"", "    attempts: 1\n"));
    let herald = Herald::build().event("thing.made", &event).start().await;
    let good = herald.run(body::insert("good", "things", json!({ "id": 0 }))).await;
    let bad = herald.run(body::insert("bad", "things", json!({ "id": 1 }))).await;
    let none = herald.run(body::insert("none", "others", json!({ "id": 1 }))).await;
    let list = async |query: &str| -> Vec<String> {
        let found: Value = herald.get(&format!("/v1/invocations{query}")).await.expect(200).json();
        let list = found["invocations"].as_array().unwrap().clone();
        list.iter().map(|one| one["correlation"].as_str().unwrap().to_owned()).collect()
    };
    let [good, bad, none] = [good, bad, none].map(|summary| summary.correlation.to_string());
    assert_eq!(list("").await, [none.clone(), bad.clone(), good.clone()]);
    assert_eq!(list("?state=failed").await, [bad]);
    assert_eq!(list("?events=none").await.join(","), none);
    assert_eq!(list("?limit=1").await, [none]);
    assert!(list("?state=pending").await.is_empty() && list("?state=incomplete").await.is_empty());
}
