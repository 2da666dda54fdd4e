//! `herald detector`: changes become events, on Kafka.

use std::process::ExitCode;

use contracts::topics;

use super::{Process, Role, configure, health, run as run_role};

use clap::Args;
use settings::{BusOptions, HealthOptions};

/// What `herald detector` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) health: HealthOptions,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}

const ROLE: Role = Role {
    name: "detector",
    topics: &[topics::RAW, topics::SEEN, topics::PROGRESS, topics::REJECTED, topics::CATALOG, topics::STARTS],
    needs_catalog: true,
};

/// Runs it.
///
/// # Errors
/// The configuration cannot be used, or the bus has stopped for good.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = configure(ROLE, &options.bus, |layers| health(layers, &options.health))?;
    run_role(ROLE, config, serve)
}

async fn serve(mut process: Process) -> anyhow::Result<ExitCode> {
    let health = process.serve_health().await?.map(|address| ("health", format!("http://{address}")));
    process.supervisor.add(process.stages.follow());
    process.supervisor.add(process.stages.detector(process.config.detector.schemas_url.clone()));
    process.supervisor.add(process.stages.progress(::detector::GROUP, &process.health));
    process.run(health.into_iter().collect()).await
}
