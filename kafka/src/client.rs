//! What every client of librdkafka in this process has in common: its configuration, and where its words go.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::threads::lock;
use bus::MAX_RECORD;
use kafka_config::Config;

/// Why the bus could not be set up. No broker is needed for it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration cannot be used.
    #[error("the configuration of Kafka cannot be used: {0}")]
    Config(String),
}

impl OpenError {
    pub(crate) fn of(error: KafkaError) -> Self {
        Self::Config(error.to_string())
    }
}

/// How long one question to a broker may take before it is asked again.
pub(crate) const QUESTION: Duration = Duration::from_secs(5);

/// How long a client may find no broker that it can use, before another takes its place.
///
/// librdkafka can lose all of them for good: a broker that is alone, and was away for so long that its controller has fenced it,
/// comes back with metadata that names no broker, whereupon the client forgets those that it had, and never asks the first ones
/// again (librdkafka's issue 5301).
pub(crate) const UNUSABLE: Duration = Duration::from_secs(10);

/// How long those who still use a client may take to be done with it.
const DONE: Duration = Duration::from_secs(10);

/// Room for what the protocol puts around a record of [`MAX_RECORD`] bytes.
pub(crate) const MAX_BATCH: usize = MAX_RECORD + 64 * 1024;

/// What a client is told: where, who, whatever the operator passes through, what this kind of client prefers, which
/// properties may change, and what it must have, which they may not.
pub fn configured(config: &Config, preferred: &[(&str, String)], required: &[(&str, String)]) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", config.brokers.join(","));
    client.set("client.id", client_id(config));
    for (key, value) in COMMON {
        client.set(*key, *value);
    }
    client.set("message.max.bytes", MAX_BATCH.to_string());
    for (key, value) in preferred {
        client.set(*key, value);
    }
    for (key, value) in &config.properties {
        client.set(key, value);
    }
    for (key, value) in required {
        client.set(*key, value);
    }
    // What librdkafka tells of itself is told only to who asks for it.
    let asked = config.properties.contains_key("debug");
    client.set_log_level(if asked { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
    client
}

/// How quickly every client notices, and comes back.
const COMMON: &[(&str, &str)] = &[
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("retry.backoff.ms", "10"),
    ("retry.backoff.max.ms", "500"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
    ("socket.timeout.ms", "10000"),
    ("socket.connection.setup.timeout.ms", "5000"),
    ("topic.metadata.refresh.interval.ms", "60000"),
    ("topic.metadata.propagation.max.ms", "2000"),
];

/// Who we are to the brokers and to `herald doctor`.
pub fn client_id(config: &Config) -> String {
    format!("{}{}.{}", config.prefix, config.role, config.instance)
}

/// What every reading client prefers: bounded memory, whatever lies ahead.
pub fn reading(fetch_ahead: usize) -> Vec<(&'static str, String)> {
    vec![
        ("fetch.max.bytes", fetch_ahead.max(MAX_BATCH).to_string()),
        ("max.partition.fetch.bytes", fetch_ahead.clamp(64 * 1024, 1024 * 1024).to_string()),
        ("queued.max.messages.kbytes", (fetch_ahead / 1024).max(1).to_string()),
        ("fetch.error.backoff.ms", "50".to_owned()),
        ("fetch.queue.backoff.ms", "5".to_owned()),
    ]
}

/// What every reading client must have. Positions are ours alone, so that librdkafka neither commits nor resets any.
pub fn strict() -> Vec<(&'static str, String)> {
    [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

/// A client that others may take the place of. Closing one takes up to seconds, so that it is never done where others wait for
/// the thread.
pub(crate) struct Client<C: Send + Sync + 'static>(Mutex<Arc<C>>);

impl<C: Send + Sync + 'static> Client<C> {
    pub(crate) fn new(client: C) -> Self {
        Self(Mutex::new(Arc::new(client)))
    }

    /// The one of now.
    pub(crate) fn get(&self) -> Arc<C> {
        lock(&self.0).clone()
    }

    /// Puts another in its place; the one before is closed once nobody uses it any more.
    pub(crate) fn replace(&self, client: C) {
        let old = std::mem::replace(&mut *lock(&self.0), Arc::new(client));
        retire(old);
    }
}

impl<C: Send + Sync + 'static> Drop for Client<C> {
    fn drop(&mut self) {
        retire(self.get());
    }
}

/// Closes a client as soon as nobody else uses it.
pub(crate) fn retire<C: Send + Sync + 'static>(client: Arc<C>) {
    let close = move || {
        let begun = Instant::now();
        while Arc::strong_count(&client) > 1 && begun.elapsed() < DONE {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(client);
    };
    // As threads of their own they would be cut off where the process ends.
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(close)),
        Err(_) => drop(std::thread::Builder::new().name("kafka-close".into()).spawn(close)),
    }
}

/// Whether a client has met an outage in its life: then a request of its own whose answer was lost may have been carried out, and
/// what the brokers refuse afterwards may be its own doing.
#[derive(Debug, Default)]
pub(crate) struct Shaken(AtomicBool);

impl Shaken {
    /// From what a client tells of itself.
    pub(crate) fn hear(&self, error: &KafkaError) {
        if matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::Resolve
            )
        ) {
            self.note();
        }
    }

    /// From what a client logs: requests that were not answered, connections that broke, a session that ran out.
    pub(crate) fn listen(&self, facility: &str) {
        if matches!(facility, "REQTMOUT" | "FAIL" | "SESSTMOUT") {
            self.note();
        }
    }

    /// That something was not answered, or came late.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// librdkafka's words go to `tracing`.
#[derive(Debug, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        log(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        global(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// What librdkafka says is for who looks into it: whoever needs the client says what happened, and whether anything is to be done.
pub fn log(facility: &str, message: &str) {
    tracing::debug!(kafka.facility = facility, "librdkafka: {message}");
}

/// A client's own trouble: told at the level of detail, because whoever asks gets an error of his own.
pub fn global(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, "kafka: {reason}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_is_replaced_is_closed_elsewhere_once_nobody_uses_it() {
        struct Told(std::sync::mpsc::Sender<std::thread::ThreadId>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(std::thread::current().id());
            }
        }
        let (told, closed) = std::sync::mpsc::channel();
        let client = Client::new(Told(told.clone()));
        let used = client.get();
        client.replace(Told(told));
        assert!(closed.try_recv().is_err(), "it is in use");
        drop(used);
        let waited = tokio::task::spawn_blocking(move || closed.recv_timeout(Duration::from_secs(60)));
        let on = waited.await.expect("a thread").expect("it is closed");
        assert_ne!(on, std::thread::current().id());
    }
}
