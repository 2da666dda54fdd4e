//! raw ─▶ named events: the one gate through which every event goes.
//!
//! ```text
//!  raw ─▶ service ─▶ decide ─▶ event.*, progress, rejected ┐
//!           │          │ seen (recent ids)                 ├─ one hop
//!           └──────────┴─▶ seen ────────────────────────────┘
//! ```
//!
//! - [`decide`](Decider) is pure: one raw record, the catalog and the memory of recent ids give what is to be written.
//! - `seen` is that memory: bounded in time and count, written to the side topic `seen` in the same hop.
//! - `service` is the loop; `rebuild` reads a memory back before the first record of its partition is taken.
//!
//! A detector has no clock: what is a duplicate is decided by the records' own times.

mod aside;
mod by_name;
mod config;
mod decide;
mod error;
mod found;
mod handle;
mod measure;
mod memory;
mod note;
mod origin;
mod partition;
mod publish;
mod rebuild;
mod seen;
mod service;
mod why;

/// The target of the log's lines about changes that are refused, or of which an event fails.
pub const FAILED: &str = "detector::failed";

pub use config::Config;
pub use decide::{Decider, Decision};
pub use error::Error;
pub use handle::{Counts, Handle};
pub use measure::MAX_OUTPUTS;
pub use memory::SideError;
pub use seen::{First, Seen};
pub use service::{CatalogView, Deps, GROUP, Service};
pub use why::why;

/// What of a process's detectors waits for the bus.
static OUTAGE: bus::Outage = bus::Outage::of("the detector");
