//! The stage `results`: progress ─▶ what happened, by correlation id.
//!
//! It gathers what the other stages tell on `progress` into a store of its own, answers over an HTTP API and to whoever
//! waits, and publishes the summary of each correlation that completes on `completed`.
//!
//! - [`fold`] is the pure core: facts in any order, and however often, give the same state.
//! - [`store`] keeps it in one SQLite file, together with how far `progress` has been read.
//! - [`Service`] is the one loop that awaits: it reads, has a batch folded, tells, and goes on.
//! - [`Handle`] is how others ask: waiting, subscribing, reading.
//! - [`api`] is the HTTP router; its listener and its authentication belong to the process.

pub mod announce;
pub mod api;
mod config;
mod error;
pub mod fold;
mod handle;
mod jobs;
mod pace;
mod service;
pub mod store;
mod watch;
mod why;

pub use config::{AfterLoss, Config};
pub use error::Error;
pub use handle::{AskError, Handle};
pub use jobs::{Job, Jobs};
pub use service::{Deps, Service};
pub use watch::{Change, Changes, Subscription};

/// The consumer group of this stage, whose position on the bus is only advised.
pub const GROUP: &str = "results";
