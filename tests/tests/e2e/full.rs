//! A bus that has no more room.

use contracts::ids::CorrelationId;
use serde_json::{Value, json};
use tests::{Herald, body, client::Request};

use crate::support::{is_kafka, shell, until};

/// Why nothing of this applies to Kafka.
const HAS_NO_LIMIT: &str = "`bus.max-bytes` is the embedded bus's: how much Kafka holds is the brokers' business";

/// Text that no packing makes smaller.
fn filler(seed: usize) -> String {
    let mut state = seed as u64 * 2 + 1;
    let letter = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        char::from(b'0' + (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 58) as u8)
    };
    std::iter::repeat_with(letter).filter(|c| *c != '\\').take(256 * 1024).collect()
}

fn big(n: usize) -> Request {
    let row = json!({ "id": n, "filler": filler(n) });
    Request::post("/hasura", body::insert(&format!("big-{n}"), "things", row).to_string())
}

/// A Herald with room for 16 MiB, with one job that reads events as large as their rows.
async fn small(job: &str) -> Herald {
    let event = format!(
        "from: {{ table: things, operations: [insert] }}\ndata: {{ id: new.id, filler: new.filler }}\nsample: {{ id: 1 }}\njobs:\n{job}"
    );
    Herald::build().event("thing.made", &event).setting("bus.max-bytes", "16MiB").start().await
}

#[tokio::test]
async fn a_full_bus_answers_503_until_what_holds_it_back_has_been_worked_off() {
    if is_kafka(HAS_NO_LIMIT) {
        return;
    }
    let mut herald = small(&shell("slow", &until("go"), "    timeout: 5m\n    concurrency: 1\n")).await;
    let mut accepted: Vec<CorrelationId> = Vec::new();
    let refused = loop {
        let n = accepted.len();
        assert!(n < 100, "25 MiB were taken which nobody had read, and 16 are allowed");
        let answer = herald.hook(big(n)).await;
        if answer.status != 200 {
            break answer;
        }
        let ids: Value = answer.json();
        accepted.push(ids["correlationId"].as_str().unwrap().parse().unwrap());
        // Each is detected before the next comes, so that it is the job alone that holds records back.
        let detected = accepted.last().unwrap();
        herald
            .wait_for("its detection", async || herald.summary(detected).await.filter(|s| s.counters.jobs == 1))
            .await;
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.header("retry-after"), "5");
    assert!(refused.text().contains("bus.max-bytes"), "it says what to do: {}", refused.text());
    assert!(accepted.len() > 20, "{}", accepted.len());
    assert_eq!(herald.get("/readyz").await.status, 200, "full is not broken");
    // Also after a crash, since starting again writes too.
    herald.kill9();
    herald.start().await;
    herald.mark("go");
    for correlation in &accepted {
        assert_eq!(herald.complete(correlation, 1).await.counters.succeeded, 1);
    }
    herald.wait_for("room", async || (herald.hook(big(accepted.len())).await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_bus_on_which_everybody_keeps_up_takes_more_than_it_has_room_for() {
    if is_kafka(HAS_NO_LIMIT) {
        return;
    }
    let herald = small("  - id: note\n    log: { message: \"row ${data.id}\" }\n").await;
    // Four times what fits: each is posted until it is taken, as Hasura does.
    for n in 0..256 {
        let request = big(n);
        herald.wait_for("room", async || (herald.hook(request.clone()).await.status == 200).then_some(())).await;
    }
}
