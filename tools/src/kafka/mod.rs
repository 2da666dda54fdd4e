//! The tools that open Kafka, and how it is opened.

pub mod catalog;
mod doctor;
mod needs;
pub mod topics;

use std::sync::Arc;

use ::kafka::Kafka;
use bus::Bus;

use client::exit::Usage;
use settings::Config;

pub(crate) use self::doctor::examine;

/// Opens the bus, for a tool that is called so. To be called within a tokio runtime; nothing is dialled yet.
///
/// # Errors
/// A setting is wrong.
pub(crate) fn open(config: &Config, tool: &str) -> Result<Arc<dyn Bus>, Usage> {
    let kafka = Kafka::open(&config.kafka(tool)?).map_err(|error| Usage(error.to_string()))?;
    Ok(Arc::new(kafka))
}

/// Whether an error says that no broker answers.
pub fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kafka_admin::Error::Unreachable { .. }))
}
