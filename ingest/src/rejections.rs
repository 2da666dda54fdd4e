//! What was refused for its content is recorded in `rejected`, without making anybody wait for it.

use std::{sync::Arc, time::Duration};

use bus::{Bus, Outgoing, Topic};
use contracts::{
    names::EventRef,
    rejected::{Rejected, VERSION},
    topics,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// How many records may wait for the bus; beyond, they are only logged and counted.
const WAITING: usize = 1024;
/// The most records that are published at once.
const BATCH: usize = 128;
/// How long the bus may take for a batch before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take for all that is left when the process stops.
const LAST: Duration = Duration::from_secs(2);

/// One body that was refused.
pub(crate) struct Refused<'a> {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    pub(crate) source: &'a str,
    /// The event that was to be published.
    pub(crate) event: Option<&'a EventRef>,
    pub(crate) at: Timestamp,
    pub(crate) size: Option<u64>,
    /// What was read of the body.
    pub(crate) read: &'a [u8],
}

impl Refused<'_> {
    pub(crate) fn into_record(self) -> Rejected {
        Rejected {
            v: VERSION,
            stage: "ingest".to_owned(),
            reason: self.reason.to_owned(),
            detail: self.detail,
            at: self.at,
            source: self.source.to_owned(),
            size: self.size,
            sha256: (!self.read.is_empty()).then(|| sha256(self.read)),
            raw: None,
            invocation: None,
            correlation: None,
            event: self.event.cloned(),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where refusals are handed in. Bounded, and never waited for.
pub(crate) fn channel() -> (mpsc::Sender<Rejected>, mpsc::Receiver<Rejected>) {
    mpsc::channel(WAITING)
}

/// Publishes what is handed in until the shutdown, and then what is left. Tells `lost` how many could not be recorded.
pub(crate) async fn publish(
    bus: Arc<dyn Bus>,
    mut refused: mpsc::Receiver<Rejected>,
    shutdown: CancellationToken,
    lost: impl Fn(u64),
) {
    let topic = Topic::from(topics::REJECTED);
    let mut batch = Vec::with_capacity(BATCH);
    let mut ends = None;
    loop {
        let count = tokio::select! {
            biased;
            count = refused.recv_many(&mut batch, BATCH) => count,
            () = shutdown.cancelled() => 0,
        };
        if count == 0 {
            return;
        }
        if shutdown.is_cancelled() {
            ends.get_or_insert_with(|| Instant::now() + LAST);
        }
        let patience = ends.map_or(PATIENCE, |ends| ends.saturating_duration_since(Instant::now()));
        let records = batch
            .drain(..)
            .map(|rejected| Outgoing::new(topic.clone(), rejected.source.clone().into_bytes(), rejected.encode()));
        let problem = match tokio::time::timeout(patience, bus.publish(records.collect())).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the bus did not answer within {patience:?}"),
        };
        lost(count as u64);
        tracing::warn!(records = count, error = problem, "refusals could not be recorded in `rejected`");
    }
}
