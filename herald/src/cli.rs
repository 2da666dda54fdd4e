//! The command line: every subcommand with its flags, and nothing of what they do.

use std::{future::Future, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::{dev, role};

/// Turns database changes into named business events, and runs jobs for them.
#[derive(Debug, Parser)]
#[command(name = "herald", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the answer is no (a sent event's job failed), 2 usage, 3 unreachable.";

/// One subcommand each; `cmd` has a file of the same name.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every stage in one process, on the embedded bus
    Dev(dev::Options),
    /// Take webhooks, and nothing else: one role, on Kafka
    Ingest(role::ingest::Options),
    /// Turn changes into events, and nothing else: one role, on Kafka
    Detector(role::detector::Options),
    /// Run jobs, and nothing else: one role, on Kafka
    JobRunner(role::job_runner::Options),
    /// Gather results and serve the API, and nothing else: one role, on Kafka
    Results(role::results::Options),
    /// Write a small catalog that runs, of the tables that there are
    Init(tools::init::Options),
    /// Say what is wrong with a catalog's folder
    Check(tools::folder::check::Options),
    /// Run the tests that stand beside the rules
    Test(tools::folder::rules::Options),
    /// Say which events a change would be, and why not the others, without a server
    Detect(tools::folder::detect::Options),
    /// Show the value of an expression, and what a condition lacks
    Eval(tools::folder::eval::Options),
    /// Put a catalog on the bus, and show and compare the versions that are there
    Catalog(tools::catalog::Options),
    /// Show what is to be done about Kafka's topics, do it, or print who may use them
    Topics(tools::kafka::topics::Options),
    /// Show who reads what from where, and say from where a group goes on
    Groups(tools::groups::Options),
    /// Check the configuration and the bus, and say what to do
    Doctor(tools::doctor::Options),
    /// Connect Hasura: the event triggers that a catalog needs
    Hasura(tools::hasura::Options),
    /// Send a webhook as Hasura would, and show what becomes of it
    Send(tools::send::Options),
    /// Publish an event by its name, and show what becomes of it
    Publish(client::publish::Options),
    /// List what came, newest first, and what became of it
    Ls(client::ls::Options),
    /// Show what happened under a correlation id
    Show(client::show::Options),
    /// Say what happened to something that came, and why or why not, at length
    Why(client::why::Options),
    /// Follow events as they are published
    Tail(client::tail::Options),
    /// Show how each job is; pause it, or let it go on
    Jobs(client::jobs::Options),
    /// List and show the dead letters of jobs, and redrive or discard them
    Dlq(client::dlq::Options),
    /// Run one job of one event again, and no other
    Rerun(client::rerun::Options),
    /// Measure throughput and latency of a running pipeline
    Bench(bench::Options),
    /// Say what changed of the schemas of events, and whom it breaks
    Schema(tools::schema::Options),
    /// Print or export the JSON Schemas of everything that travels
    Schemas(tools::schemas::Options),
    /// Print the default configuration, with comments
    Config,
    /// Print what a shell completes commands with
    Completions {
        /// Which shell
        shell: Shell,
    },
}

impl Command {
    /// Runs it to its end.
    ///
    /// # Errors
    /// See [`crate::exit`] for the exit code that each error becomes.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Dev(options) => dev::run(options),
            Self::Ingest(options) => role::ingest::run(options),
            Self::Detector(options) => role::detector::run(options),
            Self::JobRunner(options) => role::job_runner::run(options),
            Self::Results(options) => role::results::run(options),
            Self::Init(options) => block_on(tools::init::run(options)),
            Self::Check(options) => tools::folder::check::run(&options),
            Self::Test(options) => block_on(tools::folder::rules::run(options)),
            Self::Detect(options) => tools::folder::detect::run(&options),
            Self::Eval(options) => tools::folder::eval::run(&options),
            Self::Catalog(options) => block_on(tools::catalog::run(options)),
            Self::Topics(options) => block_on(tools::kafka::topics::run(options)),
            Self::Groups(options) => block_on(tools::groups::run(options)),
            Self::Doctor(options) => block_on(tools::doctor::run(options)),
            Self::Hasura(options) => tools::hasura::run(options),
            Self::Send(options) => tools::send::run(options),
            Self::Publish(options) => block_on(client::publish::run(options)),
            Self::Ls(options) => block_on(client::ls::run(options)),
            Self::Why(options) => block_on(client::why::run(options)),
            Self::Jobs(options) => block_on(client::jobs::run(options)),
            Self::Dlq(options) => block_on(client::dlq::run(options)),
            Self::Rerun(options) => block_on(client::rerun::run(options)),
            Self::Show(options) => block_on(client::show::run(options)),
            Self::Tail(options) => block_on(client::tail::run(options)),
            Self::Bench(options) => bench::run(options),
            Self::Schema(options) => block_on(tools::schema::run(options)),
            Self::Schemas(options) => tools::schemas::run(&options),
            Self::Config => tools::config::run(),
            Self::Completions { shell } => completions(shell),
        }
    }

    /// Whether it runs until it is told to stop.
    pub(crate) fn serves(&self) -> bool {
        matches!(self, Self::Dev(_) | Self::Ingest(_) | Self::Detector(_) | Self::JobRunner(_) | Self::Results(_))
    }
}

/// The script that a shell reads once, at its start.
fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "herald", &mut script);
    client::print::line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// A tool does one thing at a time: one thread is enough.
fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The words of a command, of which those in single quotes are one.
    fn words(command: &str) -> Vec<String> {
        let parts = command.split('\'').enumerate();
        let words = parts.flat_map(|(index, part)| match index % 2 {
            1 => vec![part.to_owned()],
            _ => part.split_whitespace().map(str::to_owned).collect(),
        });
        words.collect()
    }

    #[test]
    fn each_command_of_the_page_on_seeing_is_one() {
        let page = include_str!("../../docs/seeing.md");
        let lines = page.lines().filter_map(|line| line.trim_start_matches("$ ").strip_prefix("herald "));
        let mut count = 0;
        for line in lines {
            let command = line.split(" > ").next().and_then(|line| line.split("  # ").next()).unwrap_or_default();
            let parsed = Cli::try_parse_from([vec!["herald".to_owned()], words(command)].concat());
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
            count += 1;
        }
        assert!(count > 10, "only {count}");
    }

    #[test]
    fn each_command_about_jobs_of_the_page_on_operations_is_one() {
        let page = include_str!("../../docs/operations.md");
        let written = page.split('`').filter(|part| part.starts_with("herald "));
        let about_jobs = ["herald jobs", "herald dlq", "herald rerun"];
        let commands: Vec<&str> =
            written.filter(|part| about_jobs.iter().any(|begin| part.starts_with(begin))).collect();
        for command in &commands {
            let parsed = Cli::try_parse_from(words(command));
            assert!(parsed.is_ok(), "{command}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
        }
        assert!(commands.len() > 8, "only {commands:?}");
    }
}
