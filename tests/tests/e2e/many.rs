//! Many invocations under one correlation: its summary is counters, its lists are paged.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use contracts::{
    ids::CorrelationId,
    summary::{State, Summary},
};
use serde_json::json;
use tests::{
    Herald, body,
    client::{Connection, Request},
};

use crate::support::noted;

const COUNT: u32 = 20_000;
const SENDERS: usize = 24;

/// Takes numbers until there are none left, and posts a thing for each.
async fn send(address: std::net::SocketAddr, next: &AtomicU32) {
    let mut connection = Connection::open(address).await.unwrap();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= COUNT {
            return;
        }
        let body = body::insert(&format!("many-{n}"), "things", json!({ "id": n })).to_string();
        let request = Request::post("/hasura", body).header("x-correlation-id", "many");
        connection.send(&request).await.unwrap().expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_invocations_of_one_correlation_are_counted_and_paged() {
    // A line of log for each would be kept by the harness; they are none of this test's business.
    let herald =
        Herald::build().event("thing.made", &noted("things")).setting("telemetry.filter", "warn").start().await;
    let next = std::sync::Arc::new(AtomicU32::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (address, next) = (herald.webhook(), next.clone());
        senders.spawn(async move { send(address, &next).await });
    }
    let all: CorrelationId = "many".parse().unwrap();
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let summary = herald.complete(&all, u64::from(COUNT)).await;
    let counters = &summary.counters;
    assert_eq!((counters.events, counters.jobs, counters.succeeded), (20_000, 20_000, 20_000));
    assert_eq!((counters.pending, counters.in_process, counters.failed, counters.repeated), (0, 0, 0, 0));
    assert!(summary.invocations.len() <= 1000, "one page, not all {}", summary.invocations.len());
    assert!(summary.next.is_some());

    let mut seen = HashSet::new();
    let mut cursor = None;
    loop {
        let at = cursor.map(|cursor: String| format!("&cursor={cursor}")).unwrap_or_default();
        let page: Summary = herald.get(&format!("/v1/correlations/many?limit=1000{at}")).await.expect(200).json();
        assert_eq!(page.state, State::Complete);
        assert!(page.invocations.len() <= 1000);
        for invocation in &page.invocations {
            assert!(seen.insert(invocation.invocation), "{} is on two pages", invocation.invocation);
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), COUNT as usize);
    let shown = tokio::time::timeout(Duration::from_secs(60), herald.cli(&["show", "many"])).await.unwrap().expect(0);
    shown.has(&[
        "In all: 20000 invocations, 20000 events, 20000 jobs (20000 succeeded)",
        "more; `herald show --all many`",
    ]);
}
