//! Which correlation a change joins.

use contracts::{ids::CorrelationId, summary::Summary};
use serde_json::{Value, json};
use tests::{Herald, body, client::Request};

use crate::support::noted;

async fn things() -> Herald {
    Herald::build().event("thing.made", &noted("things")).start().await
}

async fn correlation(herald: &Herald, request: Request) -> String {
    let ids: Value = herald.hook(request).await.expect(200).json();
    ids["correlationId"].as_str().unwrap().to_owned()
}

fn post(body: &Value) -> Request {
    Request::post("/hasura", body.to_string())
}

#[tokio::test]
async fn the_header_comes_before_the_session_before_the_token_before_the_derived_one() {
    let herald = things().await;
    let mut plain = body::insert("a", "things", json!({ "id": 1 }));
    let derived = correlation(&herald, post(&plain)).await;
    assert_eq!(derived, CorrelationId::derived("default", "a").as_str());
    plain["event"]["data"]["new"]["updated_by"] = "portal|from-token|".into();
    assert_eq!(correlation(&herald, post(&plain)).await, "from-token");
    let session = body::with_session(plain, "x-hasura-correlation-id", "from-session");
    assert_eq!(correlation(&herald, post(&session)).await, "from-session");
    let header = post(&session).header("x-correlation-id", "From-Header/7!");
    assert_eq!(correlation(&herald, header).await, "From-Header/7!");
    // What is no correlation id is passed over.
    assert_eq!(correlation(&herald, post(&session).header("x-correlation-id", "two words")).await, "from-session");
    let long = "x".repeat(129);
    assert_eq!(correlation(&herald, post(&session).header("x-correlation-id", &long)).await, "from-session");
}

#[tokio::test]
async fn everything_under_one_correlation_is_gathered() {
    let herald = things().await;
    let shared: CorrelationId = "order-7/~".parse().unwrap();
    for id in ["a", "b", "c"] {
        let body = body::insert(id, "things", json!({ "id": id }));
        herald.hook(post(&body).header("x-correlation-id", shared.as_str())).await.expect(200);
    }
    let path = "/v1/correlations/order-7%2F~?wait=2s";
    let summary = herald
        .wait_for("all three", async || {
            let answer = herald.get(path).await;
            let summary: Summary = (answer.status == 200).then(|| answer.json())?;
            (summary.counters.succeeded == 3).then_some(summary)
        })
        .await;
    assert_eq!((summary.counters.invocations, summary.counters.jobs), (3, 3));
    herald
        .cli(&["show", shared.as_str()])
        .await
        .expect(0)
        .has(&["In all: 3 invocations, 3 events, 3 jobs (3 succeeded)"]);
}

#[tokio::test]
async fn a_token_that_an_update_left_standing_is_related_and_does_not_join() {
    let changed = "from: { table: things, operations: [update, delete] }\ndata: { op: op }\nsample: { op: UPDATE }\n";
    let herald = Herald::build().event("thing.changed", changed).start().await;
    let row = |n: u32, by: &str| json!({ "id": 1, "n": n, "updated_by": by });
    let token = "herald-2|order-7|some-run";
    let standing = herald.run(body::update("a", "things", row(1, token), row(2, token))).await;
    assert_eq!(standing.correlation, CorrelationId::derived("default", "a"));
    let origin = standing.invocations[0].origin.as_ref().unwrap();
    assert_eq!((origin.related_to.as_ref().unwrap().as_str(), origin.depth), ("order-7", 0));
    herald.cli(&["show", standing.correlation.as_str()]).await.expect(0).has(&["related to correlation order-7"]);

    let deleted = herald.run(body::change("b", "DELETE", "things", row(2, token), Value::Null)).await;
    assert_eq!(deleted.correlation, CorrelationId::derived("default", "b"));
    assert_eq!(deleted.invocations[0].origin.as_ref().unwrap().related_to.as_ref().unwrap().as_str(), "order-7");

    let set = herald.run(body::update("c", "things", row(2, "dispatch"), row(3, token))).await;
    assert_eq!(set.correlation.as_str(), "order-7");
    assert_eq!(set.invocations[0].origin.as_ref().unwrap().depth, 3, "one deeper than the job that wrote");
}

#[tokio::test]
async fn a_source_is_a_name_in_the_path_and_part_of_what_is_unique() {
    let herald = things().await;
    let body = body::insert("same", "things", json!({ "id": 1 })).to_string();
    let mut ids = Vec::new();
    for path in ["/hasura", "/hasura/shop", "/hasura/depot-2"] {
        ids.push(herald.hook(Request::post(path, body.clone())).await.expect(200).text());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let summary = herald.complete(&CorrelationId::derived("shop", "same"), 1).await;
    assert_eq!(summary.invocations[0].origin.as_ref().unwrap().source, "shop");
    herald.complete(&CorrelationId::derived("default", "same"), 1).await;
}
