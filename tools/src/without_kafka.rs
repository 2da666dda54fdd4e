//! Stands for `kafka` in a build without it: whoever asks for Kafka is told so, before anything else is looked at.

use std::{path::Path, process::ExitCode, sync::Arc};

use bus::Bus;
use clap::Args;
use runtime::finding::Finding;

use client::exit::Usage;
use settings::Config;

/// The whole command line of a command that needs Kafka: none of it is looked at.
#[derive(Debug, Clone, Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _given: Vec<String>,
}

/// That Kafka is asked for, and how to get a build that has it.
pub fn refusal() -> Usage {
    let refusal = "this herald was built without Kafka: for its roles and tools build one with the cargo feature `kafka`, as `cargo \
                   build -p herald` does; `herald dev <folder>` runs everything on the embedded bus, `bus.kind = \"embedded\"`";
    Usage(refusal.to_owned())
}

/// Refuses a role.
///
/// # Errors
/// Always.
pub fn refuse(_: Options) -> anyhow::Result<ExitCode> {
    Err(refusal().into())
}

/// Refuses a tool.
///
/// # Errors
/// Always.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    refuse(options)
}

/// `herald catalog`.
pub mod catalog {
    pub use super::{Options, run};
}

/// `herald topics`.
pub mod topics {
    pub use super::{Options, run};
}

pub(crate) fn open(_: &Config, _: &str) -> Result<Arc<dyn Bus>, Usage> {
    Err(refusal())
}

pub(crate) async fn examine(_: &Config, _: Option<&Path>, _: bool) -> Result<Vec<Finding>, Usage> {
    Err(refusal())
}

/// Nobody was asked.
pub fn is_away(_: &anyhow::Error) -> bool {
    false
}
