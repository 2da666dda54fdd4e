//! What is not detected says why, always, and without anything being made while deciding.

use contracts::{summary::Summary, why::Why};
use serde_json::json;
use tests::{Herald, body, client::Request};

use crate::support::noted;

fn rule(table: &str, when: &str) -> String {
    format!(
        "from: {{ table: {table}, operations: [insert] }}\nwhen: |\n  {when}\nsample: {{ id: 1 }}\ndata: {{ id: new.id }}\n"
    )
}

#[tokio::test]
async fn what_did_not_happen_says_why_beside_what_did_and_by_the_catalog_that_decided() {
    let herald = Herald::build()
        .event("thing.made", &noted("things"))
        .event("thing.typo", &rule("things", "new.idd == 1"))
        .start()
        .await;
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let one = &summary.invocations[0];
    assert_eq!(one.events.len(), 1);
    assert_eq!((one.undetected.len(), one.undetected[0].because.as_str()), (1, "new.idd is missing"));
    let shown = herald.cli(&["show", summary.correlation.as_str()]).await.expect(0);
    shown.has(&["thing.typo: new.idd is missing"]);
    // Edited, the catalog that decided is still asked, and the one that counts now can be.
    herald.apply("events/thing.typo.yaml", &rule("things", "new.id == 7")).await;
    let again = herald.summary(&summary.correlation).await.expect("known");
    assert_eq!(again.invocations[0].undetected[0].because, "new.idd is missing");
    // Who answers follows the catalog by itself.
    let why = herald
        .wait_for("the answer by the catalog that counts now", async || {
            let why: Why = herald.get(&format!("/v1/raw/{}/why", one.raw)).await.expect(200).json();
            (why.catalog == 2).then_some(why)
        })
        .await;
    assert_eq!(why.undetected[0].because, "new.id == 7 is false (new.id = 1)");
    let tree = why.undetected[0].explanation.as_ref().expect("a tree");
    assert_eq!((tree.text.as_str(), tree.value.as_deref()), ("new.id == 7", Some("false")));
    assert_eq!((tree.parts[0].text.as_str(), tree.parts[0].value.as_deref()), ("new.id", Some("1")));
    let why: Why = herald.get(&format!("/v1/raw/{}/why?catalog=1", one.raw)).await.expect(200).json();
    assert_eq!(why.undetected[0].because, "new.idd is missing");
    herald.get("/v1/raw/0/999999/why").await.expect(404);
}

#[tokio::test]
async fn what_no_event_is_about_says_so_with_the_closest() {
    let herald = Herald::build().event("thing.made", &rule("shop.things", "new.id == 1")).start().await;
    let summary = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    let because = summary.invocations[0].because.clone().expect("a reason");
    assert_eq!(because, "no event is about public.things; closest: shop.things (thing.made)");
    herald.cli(&["show", summary.correlation.as_str()]).await.expect(0).has(&[&because]);
    let nightly = json!({ "scheduled_time": "2026-01-01T00:00:00Z", "name": "nightly", "id": "s1", "payload": {} });
    let nightly = herald.run(nightly).await;
    let because = nightly.invocations[0].because.clone().expect("a reason");
    assert!(because.starts_with("no event is about the scheduled trigger nightly: "), "{because}");
}

#[tokio::test]
async fn the_same_id_with_another_change_is_not_run_and_everybody_says_so() {
    let herald = Herald::build().event("thing.made", &noted("things")).start().await;
    let first = herald.run(body::insert("a", "things", json!({ "id": 1 }))).await;
    // The same row, and so the same partition of `raw`, however many there are.
    let another = body::insert("a", "things", json!({ "id": 1, "name": "another" })).to_string();
    let summary: Summary = herald.hook(Request::post("/hasura?wait=60s", another.clone())).await.expect(200).json();
    assert_eq!(summary.invocations[0].reused, 1, "the wait was for what had come before");
    assert_eq!(summary.invocations[0].reused_at.len(), 1);
    assert_eq!((summary.counters.events, summary.counters.jobs), (1, 1));
    // Under another correlation each is told what became of itself, whichever came first.
    let elsewhere = async |body: String| -> Summary {
        let request = Request::post("/hasura?wait=60s", body).header("x-correlation-id", "elsewhere");
        herald.hook(request).await.expect(200).json()
    };
    let refused = elsewhere(another.clone()).await.invocations.remove(0);
    assert!(refused.rejected.is_some_and(|why| why.starts_with("id-reused: ")) && refused.duplicate_of.is_none());
    let known = elsewhere(body::insert("a", "things", json!({ "id": 1 })).to_string()).await.invocations.remove(0);
    assert_eq!((known.rejected, known.duplicate_of, known.reused), (None, Some(first.invocations[0].raw), 1));
    let file = herald.catalog().join("another.json").display().to_string();
    std::fs::write(&file, another).unwrap();
    let sent = herald.tool(&["send", &file, "--same-id", "--wait"]).output().await;
    sent.expect(1).has(&["id-reused"]);
    // Whoever delivers the first change again is told of that one.
    let first_again = herald.catalog().join("first.json").display().to_string();
    std::fs::write(&first_again, body::insert("a", "things", json!({ "id": 1 })).to_string()).unwrap();
    herald.tool(&["send", &first_again, "--same-id", "--wait"]).output().await.expect(0);
    herald.cli(&["show", first.correlation.as_str()]).await.expect(0).has(&["id-reused"]);
    let rejected = herald.get("/v1/rejected").await.expect(200).text();
    assert!(rejected.contains("id-reused"), "{rejected}");
}
