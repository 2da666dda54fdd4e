//! Sources into `raw`: what comes in is authenticated, bounded, given its ids, and answered once it is durable.
//!
//! A request is admitted (`admission`) or refused without reading its body; its body is interpreted (`interpret`) by a pure
//! function that decides ids, key and headers and copies nothing; one record is published, and only then is it answered
//! with 2xx. `service` is the one file that awaits. Nothing is detected here: ingest knows no catalog, and keeps nothing
//! but a bound on what is under way.

mod admission;
mod answer;
mod budget;
mod config;
mod correlation;
mod interpret;
mod key;
mod notices;
mod rejections;
mod service;
mod trace;

pub use config::{Config, ConfigError, CorrelationConfig};
pub use service::{Counters, Deps, Error, Service};
