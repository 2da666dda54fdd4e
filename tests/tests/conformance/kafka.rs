//! The bus on Apache Kafka, each case under a prefix of its own.

use std::sync::Arc;

use ::kafka::{
    Config, Kafka,
    layout::{Kind, Settings},
};
use bus::Bus;

/// A bus of four partitions on the broker of this run.
pub(crate) fn bus() -> (Arc<dyn Bus>, ()) {
    // What the bus says stands beside what the test says.
    let _ = tracing_subscriber::fmt()
        .with_test_writer()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .try_init();
    (Arc::new(Kafka::open(&config(&prefix())).expect("a configuration that librdkafka takes")), ())
}

/// A prefix that nobody else has.
pub(crate) fn prefix() -> String {
    format!("t{:x}.", jiff::Timestamp::now().as_nanosecond())
}

/// What the tests have in common.
pub(crate) fn config(prefix: &str) -> Config {
    let mut config = Config { prefix: prefix.to_owned(), ..Config::new(broker::shared().split(',')) };
    for (kind, settings) in &mut config.layout.kinds {
        if *kind != Kind::Table {
            *settings = Settings { partitions: 4, ..settings.clone() };
        }
    }
    config
}
