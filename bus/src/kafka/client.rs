//! What every client of librdkafka in this process has in common: its configuration, and where its words go.

use std::time::Duration;

use rdkafka::{ClientConfig, ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError};

use crate::{MAX_RECORD, kafka::config::Config};

/// How long one question to a broker may take before it is asked again.
pub(crate) const QUESTION: Duration = Duration::from_secs(5);

/// Room for what the protocol puts around a record of [`MAX_RECORD`] bytes.
pub(crate) const MAX_BATCH: usize = MAX_RECORD + 64 * 1024;

/// What a client is told: where, who, whatever the operator passes through, what this kind of client prefers, which
/// properties may change, and what it must have, which they may not.
pub(crate) fn configured(config: &Config, preferred: &[(&str, String)], required: &[(&str, String)]) -> ClientConfig {
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
pub(crate) fn client_id(config: &Config) -> String {
    format!("{}{}.{}", config.prefix, config.role, config.instance)
}

/// What every reading client prefers: bounded memory, whatever lies ahead.
pub(crate) fn reading(fetch_ahead: usize) -> Vec<(&'static str, String)> {
    vec![
        ("fetch.max.bytes", fetch_ahead.max(MAX_BATCH).to_string()),
        ("max.partition.fetch.bytes", fetch_ahead.clamp(64 * 1024, 1024 * 1024).to_string()),
        ("queued.max.messages.kbytes", (fetch_ahead / 1024).max(1).to_string()),
        ("fetch.error.backoff.ms", "50".to_owned()),
        ("fetch.queue.backoff.ms", "5".to_owned()),
    ]
}

/// What every reading client must have. Positions are ours alone, so that librdkafka neither commits nor resets any.
pub(crate) fn strict() -> Vec<(&'static str, String)> {
    [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

/// librdkafka's words go to `tracing`.
#[derive(Debug, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        global(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(kafka.facility = facility, "librdkafka: {message}");
        }
        // Brokers that come and go are told here for each connection; whoever needs the bus says it once.
        _ => tracing::debug!(kafka.facility = facility, "librdkafka: {message}"),
    }
}

/// A client's own trouble: told at the level of detail, because whoever asks gets an error of his own.
pub(crate) fn global(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, "kafka: {reason}");
}
