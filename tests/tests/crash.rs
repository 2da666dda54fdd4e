//! kill -9 at random moments under load, and then a count: nothing lost, nothing twice.
//!
//! Clients post as Hasura does: again, with the same id, until there is a 2xx. What is counted afterwards is the log itself,
//! record by record, and what the API says of it. A job's effect may happen more than once, always under the same
//! idempotency key; its result is there once.
//!
//! `HERALD_CRASH_CYCLES` makes it longer; `HERALD_CRASH_SEED` repeats the moments of a run.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use tests::{
    Herald, Random,
    rows::{self, CATALOG, CLIENTS, Load},
};

/// How often it is killed, unless the environment says otherwise.
const CYCLES: u64 = 15;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_doubled_by_kill_9_under_load() {
    crash(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_doubled_with_several_partitions_either() {
    crash(3).await;
}

#[expect(clippy::print_stderr, reason = "shown when it fails")]
async fn crash(partitions: u32) {
    let mut random = Random::of_environment();
    // A line of log for each would be kept by the harness.
    let mut builder = Herald::build().setting("telemetry.filter", "warn").partitions(partitions);
    for (name, text) in CATALOG {
        builder = builder.event(name, text);
    }
    let mut herald = builder.start().await;
    let load = Arc::new(Load::default());
    let mut clients = load.start(herald.webhooks());
    for _ in 0..number("HERALD_CRASH_CYCLES").unwrap_or(CYCLES) {
        load.more();
        // The moment itself is what is random here: nothing is hoped for.
        tokio::time::sleep(Duration::from_millis(20 + random.below(900))).await;
        match random.below(4) {
            // A graceful end under load loses nothing either.
            0 => drop(herald.sigterm().await),
            // Killed again while it comes back.
            1 => {
                herald.kill9();
                herald.launch();
                tokio::time::sleep(Duration::from_millis(random.below(120))).await;
                herald.kill9();
            }
            _ => herald.kill9(),
        }
        herald.start().await;
    }
    load.stop();
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let accepted = load.accepted();
    assert!(accepted.len() > CLIENTS * 10, "there was hardly any load: {}", accepted.len());

    let summaries = rows::settled(&herald, &accepted).await;
    let effects = herald.marks("effects");
    herald.sigterm().await;
    let log = rows::of_log(&herald.log(), &accepted).await;
    rows::of_effects(&effects, &log);
    if partitions == 1 {
        rows::of_order(&log);
    }
    rows::of_results(&summaries, &log, &accepted);
    eprintln!("{} webhooks, {log}, {} effects", accepted.len(), effects.len());
}
