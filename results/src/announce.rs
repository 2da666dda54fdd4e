//! What is published when a correlation completes: its summary, as a CloudEvent in Kafka's binary mode on `completed`.

use std::{sync::Arc, time::Duration};

use bus::{Bus, MAX_RECORD, Outgoing, PublishError, Refusal, RefusalCode, TopicSpec};
use contracts::{
    headers::{CONTENT_TYPE, Writer, ce},
    ids::NAMESPACE,
    summary::Summary,
    topics::COMPLETED,
};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
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

/// The id of an announcement: announced again, it is recognised. The revision alone would come back when retention has
/// deleted a correlation and it begins anew, so the times of its first invocation and of its end are part of it.
pub fn id(summary: &Summary) -> Uuid {
    let mut name = Vec::with_capacity(160);
    let time = |time: Timestamp| time.as_nanosecond().to_be_bytes();
    let (began, ended) = (time(summary.received), summary.ended.map(time).unwrap_or_default());
    let revision = summary.revision.to_be_bytes();
    for part in [b"completed".as_slice(), summary.correlation.as_str().as_bytes(), &revision, &began, &ended] {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

fn counters_alone(mut summary: Summary) -> Summary {
    summary.invocations.clear();
    summary.next = Some(crate::store::first_page());
    summary
}

/// The same record without its lists; none if it has none.
fn shorter(record: &Outgoing) -> Option<Outgoing> {
    let summary: Summary = serde_json::from_slice(record.value.as_deref()?).ok()?;
    (!summary.invocations.is_empty()).then(|| self::record(counters_alone(summary)))
}

/// The record of a summary. Where its lists are more than a record may have, it is left with its counters and the cursor
/// of the first page.
pub fn record(mut summary: Summary) -> Outgoing {
    let mut value = encode(&summary);
    if value.len() > MAX_RECORD - ROOM {
        summary = counters_alone(summary);
        value = encode(&summary);
    }
    let mut headers = Writer::with_capacity(8, 256);
    headers.push(ce::SPECVERSION, "1.0");
    headers.push(ce::ID, id(&summary));
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

/// What is announced, and the room that it takes until it is published.
pub(crate) type Queued = (Announced, OwnedSemaphorePermit);

/// Publishes what is announced, in order and each until it is durable, and tells how far it has come in the outbox. Ends
/// with the channel; broken off, what is left stays in the outbox.
pub(crate) async fn publish(
    bus: Arc<dyn Bus>,
    mut announced: mpsc::UnboundedReceiver<Queued>,
    sent: watch::Sender<i64>,
) {
    while let Some((Announced { id, summaries, rest, .. }, _room)) = announced.recv().await {
        let mut records: Vec<Outgoing> = summaries.into_iter().map(record).collect();
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(CHUNK));
            let chunk = std::mem::replace(&mut records, rest);
            publish_chunk(&*bus, chunk).await;
        }
        if rest.is_none() {
            sent.send_replace(id);
        }
    }
}

async fn publish_chunk(bus: &dyn Bus, mut chunk: Vec<Outgoing>) {
    let mut patience = PATIENCE.0;
    while !chunk.is_empty() {
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
            Err(PublishError::Refused(Refusal { record: Some(at), code, topic, reason }))
                if !code.is_of_topic() && at < chunk.len() =>
            {
                // Its lists were cut to fit any bus; the topic may take less.
                if let Some(short) = shorter(&chunk[at]).filter(|_| code == RefusalCode::TooLarge) {
                    chunk[at] = short;
                } else {
                    tracing::error!(%topic, %code, reason, "a summary cannot be published; it is left to the API");
                    chunk.remove(at);
                }
                continue;
            }
            Err(error @ PublishError::Refused(_)) => {
                tracing::error!(%error, records = chunk.len(), "summaries are held back until `{COMPLETED}` takes them");
            }
        }
        tokio::time::sleep(patience).await;
        patience = (patience * 2).min(PATIENCE.1);
    }
}

#[cfg(test)]
mod tests {
    use bus::{
        Offset, TopicPartition,
        hostile::{Hostile, Manners},
    };
    use contracts::ids::InvocationId;
    use serde_json::json;

    use super::*;

    /// The summary of a correlation with so many invocations.
    fn summary(correlation: &str, count: usize) -> Summary {
        let invocation = json!({
            "invocation": InvocationId::derived("test", correlation), "correlation": correlation, "raw": "0/1",
            "received": "2026-01-02T03:04:05Z", "state": "complete",
        });
        let invocations = vec![invocation; count];
        let summary = json!({
            "v": 1, "correlation": correlation, "state": "complete", "revision": 1, "received": "2026-01-02T03:04:05Z",
            "counters": { "invocations": count }, "invocations": invocations,
        });
        serde_json::from_value(summary).expect("a summary")
    }

    #[tokio::test]
    async fn a_summary_that_its_topic_finds_too_large_is_told_by_its_counters_and_the_others_whole() {
        let bus = Hostile::with(1, 1, Manners::MILD);
        bus.create(vec![TopicSpec::new(COMPLETED)]).await.expect("a topic");
        bus.limit(COMPLETED, 2000);
        publish_chunk(&bus, vec![record(summary("a", 1)), record(summary("b", 100)), record(summary("c", 1))]).await;
        let at = TopicPartition::new(COMPLETED, 0);
        let records = bus.read(&at, Offset::ZERO, 1 << 20).await.expect("records");
        let told = |record: &bus::Record| {
            let summary: Summary = serde_json::from_slice(record.value()).expect("a summary");
            (summary.correlation.to_string(), summary.invocations.len(), summary.counters.invocations)
        };
        let expected = [("a".to_owned(), 1, 1), ("b".to_owned(), 0, 100), ("c".to_owned(), 1, 1)];
        assert_eq!(records.iter().map(told).collect::<Vec<_>>(), expected);
    }
}
