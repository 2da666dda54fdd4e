//! Jobs that write, so that their own writes come back.

use contracts::ids::CorrelationId;
use serde_json::json;
use tests::{Herald, body};

use crate::support::{names, noted, with_jobs};

/// Sends what Hasura would when the job writes a row into the table that it is given: with Herald's token in `updated_by`.
const WRITE_BACK: &str = r#"#!/bin/sh
set -eu
printf '{"id":"%s","event":{"op":"INSERT","data":{"old":null,"new":{"id":1,"updated_by":"%s"}}},"table":{"name":"%s"}}' \
    "$HERALD_RUN_ID" "$HERALD_TOKEN" "$1" | "$SENDER" send - --same-id --url "http://$(cat "$SCRATCH/webhook")" >/dev/null
printf '{"token":"%s"}\n' "$HERALD_TOKEN"
"#;

fn writes_to(table: &str) -> String {
    format!("  - id: write\n    command: [sh, scripts/write-back.sh, {table}]\n")
}

#[tokio::test]
async fn what_a_job_writes_joins_its_correlation_one_deeper() {
    let herald = Herald::build()
        .event("order.placed", &with_jobs("orders", &writes_to("bookings")))
        .event("booking.made", &noted("bookings"))
        .file("scripts/write-back.sh", WRITE_BACK)
        .start()
        .await;
    let accepted = herald.post(body::insert("o-1", "orders", json!({ "id": 1 }))).await;
    let summary = herald.complete(&accepted.correlation_id, 2).await;
    assert_eq!(names(&summary), ["booking.made", "order.placed"]);
    let depths: Vec<u32> = summary.invocations.iter().map(|one| one.origin.as_ref().unwrap().depth).collect();
    assert_eq!(depths, [0, 1]);
    let write = crate::support::job(&summary, "write");
    let token = format!("herald-0|{}|{}", accepted.correlation_id, write.run);
    assert_eq!(crate::support::result(write), json!({ "token": token }).to_string());
}

#[tokio::test]
async fn a_loop_ends_at_depth_16_with_a_rejection() {
    let herald = Herald::build()
        .event("loop.turned", &with_jobs("loops", &writes_to("loops")))
        .file("scripts/write-back.sh", WRITE_BACK)
        .start()
        .await;
    let accepted = herald.post(body::insert("l-1", "loops", json!({ "id": 1 }))).await;
    let summary = herald.complete(&accepted.correlation_id, 18).await;
    assert_eq!((summary.counters.events, summary.counters.succeeded, summary.counters.errors), (17, 17, 1));
    let refused: Vec<_> = summary.invocations.iter().filter(|one| one.rejected.is_some()).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].origin.as_ref().unwrap().depth, 17);
    assert!(refused[0].rejected.as_ref().unwrap().contains("17 cascades deep"), "{:?}", refused[0].rejected);
    let log = herald.stderr();
    let is_told = |line: &str| line.contains("a change was refused") && line.contains("17 cascades deep");
    assert_eq!(log.lines().filter(|line| is_told(line)).count(), 1, "{log}");
    let list: serde_json::Value = herald.get("/v1/rejected").await.json();
    let one = &list["rejected"][0];
    assert_eq!((&one["stage"], &one["reason"]), (&"detector".into(), &"depth".into()), "{list}");
    assert_eq!(one["correlation"].as_str().unwrap().parse::<CorrelationId>().unwrap(), accepted.correlation_id);
    herald
        .cli(&["show", accepted.correlation_id.as_str(), "--all"])
        .await
        .expect(0)
        .has(&["❌ Refused", "17 cascades deep"]);
}
