//! `herald results`: what happened, and the API, on Kafka; one process, which owns the store.

use std::{path::Path, process::ExitCode, sync::Arc};

use contracts::topics;
use runtime::{
    listener::Bound,
    supervise::{Phase, Task},
};

use super::{NO_CATALOG, Process, Role, configure, run as run_role, single::Single};
use crate::stages::{Explainer, Known};
use clap::Args;
use client::exit::Usage;
use settings::BusOptions;
use settings::expiry;
use std::{net::SocketAddr, path::PathBuf};

/// What `herald results` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
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

const ROLE: Role = Role {
    name: "results",
    topics: &[topics::PROGRESS, topics::COMPLETED, topics::CATALOG, topics::CONTROL, topics::RAW, topics::REJECTED],
    needs_catalog: false,
};

/// Runs it.
///
/// # Errors
/// The configuration cannot be used, the store is in use, another process gathers results, or the bus has stopped for good.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut config = configure(ROLE, &options.bus, |mut layers| {
        if let Some(address) = options.api {
            layers = layers.flag("--api", "api.listen.address", address.to_string());
        }
        if let Some(data) = &options.data {
            layers = layers.flag("--data", "data", data.display().to_string());
        }
        layers
    })?;
    if !options.single {
        let message =
            "results keeps its store in SQLite, which one process owns: say --single, and start no second one";
        return Err(Usage(message.to_owned()).into());
    }
    if config.results.path == Path::new("results.db") {
        config.results.path = config.data.join("results.db");
    }
    config.api.listen.check("api.listen").map_err(|error| config.refuse(error))?;
    config.check_places()?;
    run_role(ROLE, config, serve)
}

async fn serve(mut process: Process) -> anyhow::Result<ExitCode> {
    let deps = ::results::Deps { bus: process.kafka.clone() };
    let results = ::results::Service::new(process.config.results.clone(), deps)?;
    let stages = &process.stages;
    let explainer = Explainer::new(process.kafka.clone(), stages.registry.clone(), stages.catalogs.clone());
    let known = Known::new(process.kafka.clone(), stages.catalogs.clone(), stages.controls.clone());
    let handle = results.handle().explained_by(Arc::new(explainer)).knowing(Arc::new(known));
    let api = Bound::bind("api.listen", "--api", &process.config.api.listen).await?;
    let facts = vec![
        ("API", format!("http://{}", api.address())),
        ("store", process.config.results.path.display().to_string()),
    ];
    let check = process.health.register("results");
    let single = Single::new(process.kafka.clone(), &process.told, expiry(&process.config.bus.kafka), check);
    process.also = Some(single.alone.clone());
    let gate = process.stages.gate.clone();
    process.supervisor.add(Task::once("results", Phase::Gather, |shutdown| {
        gate.behind(shutdown, |shutdown| single.run(results, shutdown))
    }));
    process.supervisor.add(process.stages.follow());
    process.supervisor.add(process.stages.heed());
    let catalogs = process.stages.catalogs.clone();
    let is_none = move || catalogs.none.is_open() && catalogs.follow().borrow().is_none();
    process.health.report("catalog", move || is_none().then(|| NO_CATALOG.to_owned()));
    let meters = process.supervisor.meters();
    process.supervisor.add(process.stages.api(api, handle, process.health.clone(), meters));
    process.supervisor.add(process.stages.progress(::results::GROUP, &process.health));
    process.run(facts).await
}
