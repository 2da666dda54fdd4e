//! The flags of the roles, and of what is done to the bus that they share.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use super::BusOptions;
use client::http::Base;

/// What `herald ingest` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct IngestOptions {
    /// Where the webhook listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) listen: Option<SocketAddr>,
    /// The API of `herald results`, asked for callers who wait [default: none, and nobody can wait]
    #[arg(long, value_name = "URL")]
    pub(crate) results: Option<Base>,
    #[command(flatten)]
    pub(crate) health: HealthOptions,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}

/// What `herald detector` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct DetectorOptions {
    #[command(flatten)]
    pub(crate) health: HealthOptions,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}

/// What `herald job-runner` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct JobRunnerOptions {
    /// Which jobs run here, by their full names, as in 'publish-*'; may be repeated [default: *]
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    pub(crate) jobs: Vec<String>,
    /// The folder in which commands run [default: .]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) health: HealthOptions,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}

/// What `herald results` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ResultsOptions {
    /// That this is the only one: its store is an SQLite file, which one process owns
    #[arg(long)]
    pub(crate) single: bool,
    /// Where the API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) api: Option<SocketAddr>,
    /// The folder of the results [default: .herald]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}

/// Where a role without the API says how it is.
#[derive(Debug, Clone, Args)]
pub(crate) struct HealthOptions {
    /// Where /healthz and /readyz are served [default: nowhere]
    #[arg(long = "health", value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) address: Option<SocketAddr>,
}

/// What `herald catalog` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct CatalogOptions {
    #[command(subcommand)]
    pub(crate) command: CatalogCommand,
}

/// What can be done with a catalog.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Check a catalog and put it on the bus, where every role follows it
    Apply(ApplyOptions),
}

/// What `herald catalog apply` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApplyOptions {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not create the topics that are missing
    #[arg(long)]
    pub(crate) no_topics: bool,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}
