//! What each subcommand does, a file each.

mod catalog;
mod config;
pub(crate) mod doctor;
pub(crate) mod groups;
pub(crate) mod schemas;
pub(crate) mod topics;

use std::{future::Future, process::ExitCode};

use anyhow::Context as _;

use crate::{
    cli::{CatalogCommand, Command},
    dev, role,
};

/// Runs a subcommand to its end.
///
/// # Errors
/// See [`crate::exit`] for the exit code that each error becomes.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev(options) => dev::run(options),
        Command::Ingest(options) => role::ingest::run(options),
        Command::Detector(options) => role::detector::run(options),
        Command::JobRunner(options) => role::job_runner::run(options),
        Command::Results(options) => role::results::run(options),
        Command::Catalog(options) => match options.command {
            CatalogCommand::Apply(options) => block_on(catalog::apply(options)),
        },
        Command::Topics(options) => block_on(topics::run(options)),
        Command::Groups(options) => block_on(groups::run(options)),
        Command::Doctor(options) => block_on(doctor::run(options)),
        Command::Send(options) => block_on(client::send::run(options)),
        Command::Show(options) => block_on(client::show::run(options)),
        Command::Tail(options) => block_on(client::tail::run(options)),
        Command::Bench(options) => bench::run(options),
        Command::Schemas(options) => schemas::run(&options),
        Command::Config => config::run(),
    }
}

/// A tool does one thing at a time: one thread is enough.
fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?.block_on(work)
}
