//! Named events ─▶ jobs ─▶ progress.
//!
//! Each job of the catalog is a consumer group of its own, over the topics of all events that list it: its own position,
//! its own lag, its own failures. Jobs delay each other nowhere.
//!
//! ```text
//!  event.<name> ─▶ group ─▶ core ─▶ queue ─▶ attempt ─▶ kind          (a task per attempt)
//!                  awaits     │  pure: ledger, order, shares
//!                             └──────▶ commit: progress + position ─▶ bus
//! ```
//!
//! - [`Service`] follows the catalog and keeps one `group` per job that its patterns select; [`Handle`] says how each is.
//! - `core` decides, without awaiting and without a clock: what is taken, started, ended, committed. `ledger` is its
//!   accounting of one assignment of one partition, and what the position's note says of it; `queue` its order.
//! - `group` is the one file that awaits the bus; `attempt` the one that awaits a job.
//! - [`Kind`] is what a job can be: [`Registry::standard`] has `log`, `simulate`, `publish`, `command` and `http`, and a Rust function
//!   becomes one with [`Registry::function`].
//!
//! **An attempt counts from its start.** Its number is in the position's note, and its `started` in the progress topic,
//! before it runs; so a job that kills its process runs out of attempts instead of running for ever. Kinds that cannot
//! kill the process run [inline](Kind::inline): their end is committed in the very hop that reads the record.

#![warn(missing_docs)]

mod attempt;
mod config;
mod core;
mod error;
mod group;
mod handle;
mod kind;
mod kinds;
mod ledger;
mod line;
mod options;
mod orders;
mod plan;
mod publication;
mod queue;
mod rebuild;
mod records;
mod registry;
mod secrets;
mod selection;
mod service;
mod steps;
mod view;
mod word;

/// The target of the log's lines about runs that fail.
pub const FAILED: &str = "job_runner::failed";

pub use config::Config;
pub use error::{Error, GroupError};
pub use handle::{Board, CircuitOpen, GroupState, GroupStatus, Handle};
pub use kind::{Answer, Blame, Failure, Inline, Kind, MAX_RESULT, MAX_TEXT, Outcome, Run, Then};
pub use ledger::NoteError;
pub use publication::Publication;
pub use registry::{Hears, Registry};
pub use service::{Deps, Service};
pub use view::{CatalogView, JobSpec};

/// What of a process's jobs waits for the bus.
static OUTAGE: bus::Outage = bus::Outage::of("the job runner");
