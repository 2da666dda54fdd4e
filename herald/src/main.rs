//! Herald: database changes become named business events, and jobs run for them. One binary: roles and tools.

mod aside;
mod bench;
mod cli;
mod cmd;
mod config;
mod dev;
mod exit;
mod http;
mod init;
mod live;
mod page;
mod payload;
mod print;
mod render;
mod role;
mod sse;
mod stages;
mod status;

use std::process::ExitCode;

use clap::Parser as _;

/// Records are made by one thread and freed by another, which the system's own allocator is slow at. librdkafka and SQLite keep
/// theirs: a thousand threads of librdkafka would each hold on to memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    runtime::files::raise();
    let ran = if cli.command.serves() && init::is_wanted() { init::run() } else { cmd::run(cli.command) };
    match ran {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}
