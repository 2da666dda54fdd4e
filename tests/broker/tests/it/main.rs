//! Whether the Kafka of the tests can be relied on.
#![expect(clippy::unwrap_used, reason = "tests")]

mod ask;
mod cluster;
mod orphan;
mod proxy;
