//! Sources into `raw`: what comes in is authenticated, bounded, given its ids, and answered once it is durable.
//!
//! A request is admitted (`admission`) or refused without reading its body; its body is interpreted by a pure function that
//! decides ids, key and headers and copies nothing: `interpret` what Hasura sends, `publication` what is published by name;
//! what comes of it is published, and only then is it answered
//! with 2xx. `service` is the one file that awaits. Nothing is detected here, and ingest keeps nothing but a bound on what is under way;
//! of the catalog it asks only what the caller of an action is answered (`action`).

mod action;
mod admission;
mod answer;
mod body;
mod budget;
mod cloud_event;
mod config;
mod correlation;
mod interpret;
mod key;
mod notices;
mod publication;
mod refusal;
mod rejections;
mod service;
mod trace;

pub use action::Catalogs;
pub use config::{Config, ConfigError, CorrelationConfig};
pub use service::{Counters, Deps, Error, Service};
