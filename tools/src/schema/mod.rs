//! `herald schema`: what the schemas of a catalog's events promise, and whether another catalog keeps it.

mod compared;
mod diff;
mod git;
mod side;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What `herald schema` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with schemas.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Say which changes of the events' schemas break those who read them; ends with 1 if any does
    Diff(diff::Options),
}

/// Does it.
///
/// # Errors
/// What is compared cannot be read, or nobody who has it can be reached.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Diff(options) => diff::run(options).await,
    }
}
