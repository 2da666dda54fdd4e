//! Herald: database changes become named business events, and jobs run for them. One binary: roles and tools.

mod cli;
mod dev;
mod exit;
mod init;
#[cfg_attr(not(feature = "kafka"), path = "without_roles.rs")]
mod role;
mod stages;

use std::process::ExitCode;

use clap::Parser as _;

/// Records are made by one thread and freed by another, which the system's own allocator is slow at. librdkafka and SQLite keep
/// theirs: a thousand threads of librdkafka would each hold on to memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ran = match cli::Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(refused) if refused.use_stderr() => return exit::refuse(&refused),
        Err(help) => client::print::help(&help).map(|()| ExitCode::SUCCESS),
    };
    ran.unwrap_or_else(|error| exit::report(&error))
}

fn run(command: cli::Command) -> anyhow::Result<ExitCode> {
    runtime::files::raise();
    if command.serves() && init::is_wanted() { init::run() } else { command.run() }
}
