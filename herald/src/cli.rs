//! The command line: every subcommand with its flags, and nothing of what they do.

mod roles;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::roles::{
    ApplyOptions, CatalogCommand, CatalogOptions, DetectorOptions, HealthOptions, IngestOptions, JobRunnerOptions,
    ResultsOptions,
};
use crate::cmd;

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
    Dev(DevOptions),
    /// Take webhooks, and nothing else: one role, on Kafka
    Ingest(IngestOptions),
    /// Turn changes into events, and nothing else: one role, on Kafka
    Detector(DetectorOptions),
    /// Run jobs, and nothing else: one role, on Kafka
    JobRunner(JobRunnerOptions),
    /// Gather results and serve the API, and nothing else: one role, on Kafka
    Results(ResultsOptions),
    /// Put a catalog on the bus
    Catalog(CatalogOptions),
    /// Show what is to be done about Kafka's topics, do it, or print who may use them
    Topics(cmd::topics::Options),
    /// Show who reads what from where, and say from where a group goes on
    Groups(cmd::groups::Options),
    /// Check the configuration and the bus, and say what to do
    Doctor(cmd::doctor::Options),
    /// Send a webhook as Hasura would, and show what becomes of it
    Send(client::send::Options),
    /// Show what happened under a correlation id
    Show(client::show::Options),
    /// Follow events as they are published
    Tail(client::tail::Options),
    /// Measure throughput and latency of a running pipeline
    Bench(bench::Options),
    /// Print or export the JSON Schemas of everything that travels
    Schemas(cmd::schemas::Options),
    /// Print the default configuration, with comments
    Config,
}

impl Command {
    /// Whether it runs until it is told to stop.
    pub(crate) fn serves(&self) -> bool {
        matches!(self, Self::Dev(_) | Self::Ingest(_) | Self::Detector(_) | Self::JobRunner(_) | Self::Results(_))
    }
}

/// What `herald dev` is told; what is absent comes from the configuration file, the environment or the defaults.
#[derive(Debug, Clone, Args)]
pub(crate) struct DevOptions {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`; it is read again whenever a file changes
    #[arg(value_name = "FOLDER")]
    pub(crate) catalog: PathBuf,
    /// Where the webhook listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) api: Option<SocketAddr>,
    /// The folder of the log and the results [default: .herald]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// A configuration file; `herald config` prints the default one
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which bus, and where it is: for the roles and for the tools that open it. What is absent comes from the configuration
/// file, the environment or the defaults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BusOptions {
    /// The bus: embedded, or kafka [default: embedded]
    #[arg(long, value_name = "KIND")]
    pub(crate) bus: Option<String>,
    /// Kafka's brokers to begin with, as in a:9092,b:9092
    #[arg(long, value_name = "HOST:PORT,…")]
    pub(crate) brokers: Option<String>,
    /// What stands before every topic and group [default: herald.]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Which process of its role this is: the same after a restart, and unique [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// A configuration file; `herald config` prints the default one
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
