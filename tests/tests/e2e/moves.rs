//! What the README shows, with the catalog that it names and the tools that it runs.

use contracts::summary::{Outcome, Summary};
use serde_json::{Value, json};
use tests::{Engine, Herald, body, client::Request};

use crate::support::{job, names, result};

const PICKUP: &str = "catalog/payloads/pickup-successful.json";

/// The path of a payload beside the catalog under test.
fn payload(herald: &Herald, name: &str) -> String {
    herald.catalog().join("payloads").join(name).display().to_string()
}

/// `correlation <id>` in what a tool printed.
fn correlation(stdout: &str) -> String {
    let (_, rest) = stdout.split_once("correlation ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_main_job_of_the_readme_works_and_works_a_second_time() {
    let herald = Herald::build().example("moves").start().await;
    let pickup = payload(&herald, "pickup-successful.json");
    if herald.engine() == &Engine::Embedded {
        // What `dev` proposes to type next.
        assert!(herald.stdout().contains(&format!("send {pickup}")), "{}", herald.stdout());
    }
    let mut correlations = Vec::new();
    for _ in 0..2 {
        let output = herald.cli(&["send", &pickup, "--wait"]).await.expect(0);
        output.has(&[
            "🔔 Detected 2 events from UPDATE public.moves\n   correlation ",
            "\n   ⭐ move.cancel.pending",
            "\n      ✅ job-1  Job 1 complete!  (",
            "\n   ⭐ move.pickup.successful",
            "\n      ✅ job-1  Job 1 complete!  (",
            "\n      ✅ publish-event-log  Wrote event log for move.pickup.successful",
            "\n      ✅ rerun-ar  Accounts receivable ran again for move 13107",
        ]);
        correlations.push(correlation(&output.stdout));
    }
    assert_ne!(correlations[0], correlations[1], "a second send is another invocation");
    let log = herald.marks("event-log.jsonl");
    assert_eq!(log.len(), 2, "{log:?}");
    let event: Value = serde_json::from_str(&log[0]).unwrap();
    assert_eq!(
        event["data"],
        serde_json::json!({
            "moveId": 13107, "customerId": 7, "driverId": 42, "pickedUpAt": "2026-03-02T09:41:07.512+00:00"
        })
    );
    assert_eq!(
        (&event["subject"], &event["userid"], &event["organisationid"]),
        (&"13107".into(), &"42".into(), &"berlin".into())
    );
    assert_eq!(event["traceparent"].as_str().unwrap()[3..35], *"c74abd6e9ebbedf2ee5c232e79afdf73");

    // What was shown once is shown again.
    let shown = herald.cli(&["show", &correlations[0]]).await.expect(0);
    shown.has(&[&correlations[0], "⭐ move.cancel.pending", "✅ rerun-ar  Accounts receivable ran again"]);
    let waited = herald.cli(&["show", &correlations[0], "--wait"]).await.expect(0);
    waited.has(&["✅ rerun-ar"]);
}

#[tokio::test]
async fn the_same_id_again_is_a_duplicate_with_the_same_ids() {
    let herald = Herald::build().example("moves").start().await;
    let damage = payload(&herald, "damage-reported.json");
    let send = ["send", &damage, "--same-id", "--json"];
    let first: Value = serde_json::from_str(&herald.cli(&send).await.expect(0).stdout).unwrap();
    let again: Value = serde_json::from_str(&herald.cli(&send).await.expect(0).stdout).unwrap();
    for id in ["correlationId", "invocationId"] {
        assert_eq!(first[id], again[id]);
    }
    assert_ne!(first["raw"], again["raw"]);
    let correlation = first["correlationId"].as_str().unwrap().parse().unwrap();
    let summary = herald
        .wait_for("the duplicate", async || {
            let summary = herald.complete(&correlation, 1).await;
            (summary.counters.repeated == 1).then_some(summary)
        })
        .await;
    assert_eq!(names(&summary), ["vehicle.damage.reported"]);
    assert_eq!(summary.counters.jobs, 1, "nothing runs a second time");
    let waited = herald.cli(&["send", &damage, "--same-id", "--wait"]).await.expect(0);
    waited.has(&["⭐ vehicle.damage.reported", "✅ publish-event-log", "🔁 Received"]);
    assert_eq!(herald.marks("event-log.jsonl").len(), 1);
}

#[tokio::test]
async fn json_is_one_document_that_says_what_the_text_says() {
    let herald = Herald::build().example("moves").start().await;
    let damage = payload(&herald, "damage-reported.json");
    let output = herald.cli(&["send", &damage, "--wait", "--json"]).await.expect(0);
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    let sent: Summary = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(sent.outcome, Some(Outcome::Success));
    assert_eq!(names(&sent), ["vehicle.damage.reported"]);
    assert!(result(job(&sent, "publish-event-log")).contains("vehicle.damage.reported"));
    let shown = herald.cli(&["show", sent.correlation.as_str(), "--json"]).await.expect(0);
    let shown: Summary = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((shown.revision, shown.counters), (sent.revision, sent.counters));
}

#[tokio::test]
async fn a_change_that_is_no_event_says_of_each_event_why_not() {
    let herald = Herald::build().example("moves").start().await;
    let output = herald.cli(&["send", &payload(&herald, "price-corrected.json"), "--wait"]).await.expect(0);
    output.has(&[
        "🔕 Detected no event from UPDATE public.moves",
        "· move.cancel.pending: ",
        "· move.pickup.successful: ",
        "· move.rescheduled: ",
    ]);
    assert!(!output.stdout.contains("vehicle."), "events on other tables are none of its business:\n{}", output.stdout);
}

#[tokio::test]
async fn dev_prints_a_block_for_each_webhook_where_it_is_told_to() {
    if Engine::of_suite() != Engine::Embedded {
        return;
    }
    // Accounts receivable does not know the move, as the example's README proposes.
    let build = Herald::build().example("moves").file("scripts/ledger.txt", "12001\n");
    let herald = build.flag("--print", "blocks").start().await;
    for (name, code) in [("pickup-successful.json", 1), ("price-corrected.json", 0)] {
        herald.cli(&["send", &payload(&herald, name), "--wait"]).await.expect(code);
    }
    let blocks = [
        "\n🔔 Detected 2 events from UPDATE public.moves\n   correlation ",
        "\n      ❌ rerun-ar  exit status 3: no move 13107",
        "\n   · not move.rescheduled: pickup_at did not change\n",
        "\n🔕 Detected no event from UPDATE public.moves\n   correlation ",
        "\n   · 3 not detected; closest move.",
        "\nmove.pickup.successful.rerun-ar │ no move 13107\n",
    ];
    let has_all = || blocks.iter().all(|block| herald.stdout().contains(block)).then_some(());
    herald.wait_for("a block of each", async || has_all()).await;
    let told = herald.stdout().matches("Detected ").count();
    assert_eq!(told, 2, "a block is printed once:\n{}", herald.stdout());
    assert!(!herald.stdout().contains('\u{1b}'), "no colours where there is no terminal");
}

#[tokio::test]
async fn tail_shows_events_as_they_are_published() {
    let herald = Herald::build().example("moves").start().await;
    let all = herald.tool(&["tail"]);
    let json = herald.tool(&["tail", "vehicle.*", "--json"]);
    // The one without `--json` says when it follows; the other is asked for until it does.
    herald.wait_for("tail to follow", async || all.stderr().contains("following").then_some(())).await;
    herald
        .wait_for("a vehicle on both", async || {
            herald.cli(&["send", &payload(&herald, "damage-reported.json")]).await.expect(0);
            (!json.stdout().is_empty() && !all.stdout().is_empty()).then_some(())
        })
        .await;
    herald.cli(&["send", &payload(&herald, "move-requested.json"), "--wait"]).await.expect(0);
    herald.wait_for("the move", async || all.stdout().contains("⭐ move.requested").then_some(())).await;
    let line = all.stdout().lines().find(|line| line.contains("⭐ vehicle.damage.reported")).unwrap().to_owned();
    assert!(line.contains(r#"{"inspectionId":9001,"moveId":13107,"parts":["left door"]}"#), "{line}");
    let event: Value = serde_json::from_str(json.stdout().lines().next().unwrap()).unwrap();
    assert_eq!((&event["specversion"], &event["type"]), (&"1.0".into(), &"vehicle.damage.reported".into()));
    // The move came behind a vehicle, so by then it would be here.
    assert!(!json.stdout().contains("move.requested"), "{}", json.stdout());
}

#[tokio::test]
async fn curl_does_what_the_tools_do() {
    let herald = Herald::build().example("moves").start().await;
    let body = std::fs::read(payload(&herald, "damage-reported.json")).unwrap();
    let answer = herald.hook(Request::post("/hasura?wait=30s", body.clone())).await.expect(200);
    let summary: Summary = answer.json();
    assert_eq!(names(&summary), ["vehicle.damage.reported"]);
    assert_eq!(answer.header("x-correlation-id"), summary.correlation.as_str());
    assert_eq!(answer.header("x-invocation-id"), summary.invocations[0].invocation.to_string());
    let shown = herald.summary(&summary.correlation).await.unwrap();
    assert_eq!(shown.revision, summary.revision);

    let place = summary.invocations[0].raw;
    let raw = herald.get(&format!("/v1/raw/{place}")).await.expect(200);
    assert_eq!(raw.body, body, "the payload, byte for byte");
}

#[tokio::test]
async fn without_a_herald_the_tools_say_so() {
    let mut herald = Herald::build().example("moves").start().await;
    let (send, show) = (
        herald.tool(&["send", &payload(&herald, "move-requested.json"), "--wait"]),
        herald.tool(&["show", "nothing-of-that-name"]),
    );
    assert!(send.output().await.expect(0).stdout.contains("greet"));
    assert!(show.output().await.expect(1).stderr.contains("nothing is known of `nothing-of-that-name`"));
    let correlation = herald.run(body::insert("known", "things", json!({ "id": 1 }))).await.correlation;
    herald.cli(&["show", correlation.as_str(), "--wait=0"]).await.expect(0).has(&[correlation.as_str()]);
    let (url, api) = (format!("http://{}", herald.webhook()), format!("http://{}", herald.api()));
    herald.sigterm().await;
    herald.start().await;
    let gone = herald.cli(&["send", PICKUP, "--url", &url]).await.expect(2);
    assert!(gone.stderr.contains("cannot read"), "{}", gone.stderr);
    let gone = herald.cli(&["send", &payload(&herald, "move-requested.json"), "--url", &url]).await.expect(3);
    assert!(gone.stderr.contains("cannot reach"), "{}", gone.stderr);
    herald.cli(&["show", "some", "--api", &api]).await.expect(3);
    herald.cli(&["show", "some", "--no-such-flag"]).await.expect(2);
}
