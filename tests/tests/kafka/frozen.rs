//! The only broker, frozen again and again, so that clients lose it within whatever they were about: everything comes back by
//! itself, and what was accepted stands once in the log and is decided once, whether or not its body has an id.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use broker::Cluster;
use contracts::{
    ids::InvocationId,
    progress::{Fact, Progress},
    raw::{Place, RawHeaders},
};
use serde_json::json;
use tests::{Accepted, FIRST, Herald, Random, Role, body, client, client::Request, rows};

use crate::pipeline::{SECOND, blocking, build, long, report, turn};

/// How often a webhook is posted.
const PERIOD: Duration = Duration::from_millis(200);
/// Longer than a publication may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Webhooks at a steady, slow rate; every other one has no id.
#[derive(Default)]
struct Trickle {
    accepted: Mutex<Vec<Accepted>>,
    stopped: AtomicBool,
}

impl Trickle {
    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Posts to both instances by turns. What is not accepted is not posted again: with an id it would only be known already.
    async fn run(&self, addresses: [std::net::SocketAddr; 2]) {
        let mut period = tokio::time::interval(PERIOD);
        for n in 0_u64.. {
            period.tick().await;
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let mut change = body::insert(&format!("row-{n}"), "rows", json!({ "id": n, "n": n }));
            if n.is_multiple_of(2) {
                change.as_object_mut().unwrap().remove("id");
            }
            let request = Request::post("/hasura", change.to_string());
            let address = addresses[usize::from(n / 2 % 2 == 1)];
            match tokio::time::timeout(ANSWER, client::send(address, &request)).await {
                Ok(Ok(answer)) if answer.status == 200 => self.accepted.lock().unwrap().push(answer.json()),
                Ok(Ok(answer)) => assert_eq!(answer.status, 503, "{}", answer.text()),
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_broker_is_frozen_again_and_again_and_everybody_comes_back() {
    let _turn = turn().await;
    let mut random = Random::of_environment();
    let cluster = Arc::new(blocking(|| Cluster::single().start().unwrap_or_else(|error| panic!("{error}"))).await);
    let mut herald = build(&cluster.bootstrap()).start().await;
    for role in [Role::Ingest, Role::Detector, Role::JobRunner] {
        herald.fleet_mut().start(role, SECOND).await;
    }
    let addresses = [FIRST, SECOND].map(|instance| herald.fleet().address(Role::Ingest, instance));
    let trickle = Arc::new(Trickle::default());
    let posting = tokio::spawn({
        let trickle = trickle.clone();
        async move { trickle.run(addresses).await }
    });
    taken(&herald, &trickle).await;
    for _ in 0..if long() { 25 } else { 3 } {
        cluster.node(1).freeze();
        tokio::time::sleep(random.millis(6500, 9000)).await;
        cluster.node(1).thaw();
        let before = trickle.accepted();
        tokio::time::sleep(random.millis(6000, 8000)).await;
        report(&format!("thawed: {} were accepted", trickle.accepted() - before));
    }
    taken(&herald, &trickle).await;
    cluster.node(1).freeze();
    readiness(&herald, 503, "the brokers do not answer").await;
    cluster.node(1).thaw();
    readiness(&herald, 200, "").await;
    taken(&herald, &trickle).await;
    trickle.stopped.store(true, Ordering::SeqCst);
    posting.await.unwrap();
    rows::caught_up(&herald).await;
    herald.sigterm().await;
    let accepted = std::mem::take(&mut *trickle.accepted.lock().unwrap());
    let log = herald.log();
    each_once(&accepted, &log.raw().await, &log.progress().await);
}

/// Ends when the one that serves results says so of itself.
async fn readiness(herald: &Herald, status: u16, reason: &str) {
    herald
        .wait_for(&format!("/readyz to answer {status}"), async || {
            let answer = herald.get("/readyz").await;
            (answer.status == status && answer.text().contains(reason)).then_some(())
        })
        .await;
}

/// Ends when each ingest has taken some more.
async fn taken(herald: &Herald, trickle: &Trickle) {
    let before = trickle.accepted();
    herald.wait_for("webhooks to be taken", async || (trickle.accepted() >= before + 20).then_some(())).await;
}

/// What was accepted stands once in the log; whatever stands there was decided once.
fn each_once(accepted: &[Accepted], raw: &[(Place, RawHeaders)], progress: &[Progress]) {
    let mut stands: HashMap<InvocationId, u32> = HashMap::new();
    for (_, headers) in raw {
        *stands.entry(headers.invocation).or_default() += 1;
    }
    let (mut detected, mut ended): (HashMap<InvocationId, u32>, HashMap<InvocationId, u32>) = Default::default();
    for Progress { occurrence, fact } in progress {
        match fact {
            Fact::Detected(_) => *detected.entry(occurrence.invocation).or_default() += 1,
            Fact::Job(step)
                if step.state == contracts::progress::AttemptState::Succeeded && step.job.to_string() == "note" =>
            {
                *ended.entry(occurrence.invocation).or_default() += 1;
            }
            _ => {}
        }
    }
    for accepted in accepted {
        assert_eq!(stands.get(&accepted.invocation_id), Some(&1), "{accepted:?} in the log");
    }
    for (place, RawHeaders { invocation, received, .. }) in raw {
        let of = format!("{invocation}, at {place} since {received}");
        assert_eq!(detected.get(invocation), Some(&1), "detections of {of}");
        assert_eq!(ended.get(invocation), Some(&1), "runs of {of}");
    }
    report(&format!("{} accepted, {} in the log", accepted.len(), raw.len()));
}
