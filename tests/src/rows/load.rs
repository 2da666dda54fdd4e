//! Clients that post as Hasura does.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use contracts::ids::{CorrelationId, InvocationId};
use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{
    Accepted, body,
    client::{Connection, Request},
};

/// How many post at the same time.
pub const CLIENTS: usize = 12;
/// How many webhooks a cycle may have, so that the rest of it is about what is still to be done.
const EACH_CYCLE: u64 = 2000;
/// How long a client waits before it tries again.
const AGAIN: Duration = Duration::from_millis(10);

/// One webhook that was answered with a 2xx.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The row's number.
    pub n: u64,
    /// The id that the webhook was answered with.
    pub invocation: InvocationId,
    /// The client that it is from.
    pub correlation: CorrelationId,
}

/// What is posted, and what of it was accepted.
#[derive(Debug, Default)]
pub struct Load {
    next: AtomicU64,
    allowed: AtomicU64,
    more: Notify,
    stopped: AtomicBool,
    accepted: Mutex<Vec<Sent>>,
}

impl Load {
    /// Starts the clients, which post to whatever address there is.
    pub fn start(self: &Arc<Self>, webhooks: watch::Receiver<Option<SocketAddr>>) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (load, webhooks) = (self.clone(), webhooks.clone());
            clients.spawn(async move { load.client(client, webhooks).await });
        }
        clients
    }

    /// Lets another cycle's webhooks be posted.
    pub fn more(&self) {
        self.allowed.store(self.next.load(Ordering::SeqCst) + EACH_CYCLE, Ordering::SeqCst);
        self.more.notify_waiters();
    }

    /// What is being posted is posted until it is accepted, and nothing after it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.more.notify_waiters();
    }

    /// All that was accepted until now.
    pub fn accepted(&self) -> Vec<Sent> {
        self.accepted.lock().unwrap().clone()
    }

    /// The next number, when there is leave for it; none at the end.
    async fn next(&self) -> Option<u64> {
        loop {
            let told = self.more.notified();
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            let allowed = self.allowed.load(Ordering::SeqCst);
            let free = |next| (next < allowed).then_some(next + 1);
            if let Ok(n) = self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free) {
                return Some(n);
            }
            told.await;
        }
    }

    async fn client(&self, client: usize, mut webhooks: watch::Receiver<Option<SocketAddr>>) {
        let mut connection = None;
        while let Some(n) = self.next().await {
            let body = body::insert(&format!("row-{n}"), "rows", json!({ "id": n, "n": n })).to_string();
            let request = Request::post("/hasura", body).header("x-correlation-id", &format!("client-{client}"));
            let ids = loop {
                let address = webhooks.wait_for(Option::is_some).await.unwrap().unwrap();
                match post(&mut connection, address, &request).await {
                    Some(ids) => break ids,
                    None => tokio::time::sleep(AGAIN).await,
                }
            };
            let sent = Sent { n, invocation: ids.invocation_id, correlation: ids.correlation_id };
            assert_eq!(sent.invocation, InvocationId::derived("default", &format!("row-{n}")));
            self.accepted.lock().unwrap().push(sent);
        }
    }
}

/// The ids of a 2xx; none of anything else, whereupon the same is posted again.
async fn post(connection: &mut Option<Connection>, address: SocketAddr, request: &Request) -> Option<Accepted> {
    if connection.as_ref().is_none_or(|connection| connection.address() != address) {
        *connection = Connection::open(address).await.ok();
    }
    let answer = connection.as_mut()?.send(request).await;
    match answer {
        Ok(answer) if answer.status == 200 => Some(answer.json()),
        Ok(answer) => {
            assert_eq!(answer.status, 503, "nothing else may be answered under load: {}", answer.text());
            None
        }
        Err(_) => {
            *connection = None;
            None
        }
    }
}
