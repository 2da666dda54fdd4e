//! What is published when a correlation completes: its summary, as a CloudEvent in Kafka's binary mode on `completed`.

use std::{sync::Arc, time::Duration};

use bus::{Bus, MAX_RECORD, Outgoing, PublishError, Refusal, RefusalCode, TopicSpec};
use contracts::{
    headers::{CONTENT_TYPE, Writer, ce},
    ids::{CorrelationId, NAMESPACE},
    summary::Summary,
    topics::COMPLETED,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::store::Announced;

/// What `ce_type` is.
pub const TYPE: &str = "herald.completed";
/// What `ce_source` is.
pub const SOURCE: &str = "/herald/results";
/// How many records one publication has at most.
const CHUNK: usize = 500;
/// What a record may have beside its value, in bytes.
const ROOM: usize = 16 * 1024;
/// How long to wait at first, and at most, before a refused publication is tried again.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// The id of an announcement, derived from the correlation and the revision: announced again, it is recognised.
pub fn id(correlation: &CorrelationId, revision: u64) -> Uuid {
    let mut name = Vec::with_capacity(128);
    for part in [b"completed".as_slice(), correlation.as_str().as_bytes(), &revision.to_be_bytes()] {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The record of a summary. Where its lists are more than a record may have, it is left with its counters and the cursor
/// of the first page.
pub fn record(mut summary: Summary) -> Outgoing {
    let mut value = encode(&summary);
    if value.len() > MAX_RECORD - ROOM {
        summary.invocations.clear();
        summary.next = Some(crate::store::first_page());
        value = encode(&summary);
    }
    let mut headers = Writer::with_capacity(8, 256);
    headers.push(ce::SPECVERSION, "1.0");
    headers.push(ce::ID, id(&summary.correlation, summary.revision));
    headers.push(ce::SOURCE, SOURCE);
    headers.push(ce::TYPE, TYPE);
    headers.push(ce::SUBJECT, summary.correlation.as_str());
    headers.push(ce::TIME, summary.received);
    headers.push(ce::CORRELATION_ID, summary.correlation.as_str());
    headers.push(CONTENT_TYPE, "application/json");
    Outgoing::new(COMPLETED, summary.correlation.as_str().to_owned(), value).with_headers(headers.finish())
}

fn encode(summary: &Summary) -> Vec<u8> {
    serde_json::to_vec(summary).expect("invariant: a summary is plain data with string keys")
}

/// Publishes what is announced, in order and each until it is durable, and tells how far it has come in the outbox. Ends
/// with the channel; broken off, what is left stays in the outbox.
pub(crate) async fn publish(bus: Arc<dyn Bus>, mut announced: mpsc::Receiver<Announced>, sent: watch::Sender<i64>) {
    while let Some(Announced { id, summaries }) = announced.recv().await {
        let mut records: Vec<Outgoing> = summaries.into_iter().map(record).collect();
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(CHUNK));
            let chunk = std::mem::replace(&mut records, rest);
            publish_chunk(&*bus, chunk).await;
        }
        sent.send_replace(id);
    }
}

async fn publish_chunk(bus: &dyn Bus, chunk: Vec<Outgoing>) {
    let mut patience = PATIENCE.0;
    loop {
        match bus.publish(chunk.clone()).await {
            Ok(_) => return,
            Err(PublishError::Refused(Refusal { topic, code: RefusalCode::UnknownTopic, .. })) => {
                if let Err(error) = bus.create(vec![TopicSpec::new(topic)]).await {
                    tracing::warn!(%error, "`{COMPLETED}` cannot be created yet");
                }
            }
            Err(error @ (PublishError::Unavailable(_) | PublishError::Full { .. })) => {
                tracing::warn!(%error, records = chunk.len(), "summaries are held back until the bus takes them");
            }
            Err(error @ PublishError::Refused(_)) => {
                // Their lists were cut to fit, so what is too large is an id or a count: a bug, and no reason to stop.
                tracing::error!(%error, "a summary cannot be published; it is left to the API");
                return;
            }
        }
        tokio::time::sleep(patience).await;
        patience = (patience * 2).min(PATIENCE.1);
    }
}
