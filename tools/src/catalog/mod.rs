//! `herald catalog`: puts one on the bus, and shows the versions that are there.

pub(crate) mod from;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::kafka;

/// What `herald catalog` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with a catalog.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// On Kafka: check a catalog and put it on the bus, where every role follows it
    Apply(kafka::catalog::Options),
    /// Show a version of the catalog, or what it says of one event or job
    Show(show::Show),
    /// Show what one version says differently from another, or from a folder
    Diff(show::Diff),
    /// List the versions that are kept, newest first, with what each changed
    History(show::History),
}

/// Does it.
///
/// # Errors
/// The folder or the configuration cannot be used, or nobody who has the versions can be reached.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Apply(options) => kafka::catalog::run(options).await,
        Command::Show(options) => options.run().await,
        Command::Diff(options) => options.run().await,
        Command::History(options) => options.run().await,
    }
}
