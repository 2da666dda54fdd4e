//! What the bus on Kafka is told: how the cluster is reached, and how its topics are laid out. No client is needed to say it.

mod config;
pub mod layout;

pub use config::{Config, OWNED};
