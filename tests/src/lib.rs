//! The harness of the end-to-end tests: the real `herald` binary, built once and always up to date, on folders of its own,
//! spoken to over real HTTP.
//!
//! - [`Herald`] is a whole one: started, killed, stopped and started again on the same folder. What it prints is kept, and
//!   shown when a test fails. Dropping it fails the test if it died unasked, or if work was left over.
//! - [`Fleet`] is its processes, one by one: `dev` alone on the embedded bus; on Kafka any number of instances of each
//!   [`Role`], started, killed, frozen and stopped on their own.
//! - [`client`] speaks HTTP, [`Tool`] runs the command line, [`body`] makes what Hasura sends.
//! - [`Receiver`] is a target of `http` jobs, which the test answers.
//! - [`Log`] reads what was written, so that losses and doubles can be counted.
//! - [`rows`] is a load of webhooks and the count of what became of them.
//! - [`Engine`] is the bus that all of it runs on: one suite, whatever the bus.
//!
//! Nothing here sleeps in hope: a test waits for a condition ([`Herald::wait_for`]), and that nothing happened is shown by
//! a sentinel behind it.

mod binary;
pub mod body;
pub mod client;
mod engine;
mod fleet;
mod herald;
mod home;
mod log;
mod process;
mod random;
mod receiver;
mod role;
pub mod rows;
mod tool;

pub use binary::{herald as binary, root};
pub use engine::Engine;
pub use fleet::Fleet;
pub use herald::{Accepted, Herald};
pub use home::{Builder, Ended};
pub use log::Log;
pub use process::exists as process_exists;
pub use random::Random;
pub use receiver::{Received, Receiver};
pub use role::Role;
pub use tool::{Output, Tool};

use std::time::Duration;

/// How long a condition may take to come true before a test gives up. Far more than it takes, since two cores are shared.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(15);
/// The first instance of a role: the one that a [`Herald`] begins with.
pub const FIRST: &str = "1";
