//! `herald job-runner`: jobs, or some of them, on Kafka.

use std::process::ExitCode;

use contracts::topics;

use super::{Process, Role, configure, health, run as run_role};

use clap::Args;
use settings::{BusOptions, HealthOptions};
use std::path::PathBuf;

/// What `herald job-runner` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
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

const ROLE: Role = Role {
    name: "job-runner",
    topics: &[topics::PROGRESS, topics::REJECTED, topics::CATALOG, topics::CONTROL, topics::STARTS],
    needs_catalog: true,
};

/// Runs it.
///
/// # Errors
/// The configuration cannot be used, or the bus has stopped for good.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut config = configure(ROLE, &options.bus, |layers| health(layers, &options.health))?;
    if !options.jobs.is_empty() {
        config.job_runner.jobs = options.jobs;
    }
    if let Some(folder) = options.folder {
        config.job_runner.folder = folder;
    }
    if !config.job_runner.folder.is_dir() {
        let folder = config.job_runner.folder.display();
        let error = format!(
            "`job-runner.folder` is {folder}, which is no folder; commands run in it: give another with --folder"
        );
        return Err(config.refuse(error).into());
    }
    run_role(ROLE, config, serve)
}

async fn serve(mut process: Process) -> anyhow::Result<ExitCode> {
    let mut facts = vec![("jobs", process.config.job_runner.jobs.join(","))];
    facts.extend(process.serve_health().await?.map(|address| ("health", format!("http://{address}"))));
    process.supervisor.add(process.stages.follow());
    process.supervisor.add(process.stages.heed());
    process.supervisor.add(process.stages.revive());
    process.supervisor.add(process.stages.job_runner(&process.health));
    process.run(facts).await
}
