//! Jobs are independent: one that is slow and one that fails delay no other.

use contracts::progress::{AttemptState, Fact};
use serde_json::json;
use tests::{Engine, Herald, Role, body, client::Request};

use crate::pipeline::{SECOND, blocking, turn};

const ROWS: usize = 60;

/// The slow one takes a tenth of a second for each, one at a time.
const EVENT: &str = "from: { table: rows, operations: [insert] }\ndata: { n: new.n }\nkey: data.n\nsample: { n: 1 }\n\
     jobs:\n  - id: healthy\n    log: { message: \"row ${data.n}\" }\n\
     \u{20} - id: slow\n    simulate: { delay: 100ms }\n    concurrency: 1\n\
     \u{20} - id: failing\n    command: [sh, -c, 'exit 1']\n    attempts: 1\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_and_a_failing_job_delay_no_other() {
    let _turn = turn().await;
    let kafka = Engine::Kafka(blocking(broker::shared).await.to_owned());
    let mut herald = Herald::on(kafka).setting("telemetry.filter", "warn").event("row.new", EVENT).start().await;
    herald.fleet_mut().start(Role::JobRunner, SECOND).await;
    // One correlation, so that all of its progress is in one partition, in order.
    for n in 0..ROWS {
        let change = body::insert(&format!("row-{n}"), "rows", json!({ "id": n, "n": n })).to_string();
        herald.hook(Request::post("/hasura", change).header("x-correlation-id", "all")).await.expect(200);
    }
    let summary = herald.complete(&"all".parse().unwrap(), ROWS as u64).await;
    assert_eq!((summary.counters.jobs, summary.counters.failed), (3 * ROWS as u64, ROWS as u64));
    assert_eq!(summary.counters.succeeded, 2 * ROWS as u64);
    let progress = herald.log().progress().await;
    herald.sigterm().await;
    let mut ends: Vec<String> = Vec::new();
    for progress in progress {
        if let Fact::Job(step) = progress.fact
            && matches!(step.state, AttemptState::Succeeded | AttemptState::Failed)
        {
            ends.push(step.job.to_string());
        }
    }
    assert_eq!(ends.len(), 3 * ROWS, "each run ended once");
    let last = ends.iter().rposition(|job| job == "healthy").unwrap();
    let slow = ends[..last].iter().filter(|job| *job == "slow").count();
    assert!(slow < ROWS / 2, "{slow} of {ROWS} slow runs ended before the last of the healthy ones");
}
