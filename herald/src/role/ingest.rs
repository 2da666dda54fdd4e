//! `herald ingest`: the webhook, on Kafka.

use std::{process::ExitCode, sync::Arc};

use contracts::{outcomes::Outcomes, topics};

use super::{Process, Role, configure, health, outcomes::Remote, run as run_role};
use clap::Args;
use client::exit::Usage;
use client::http::Base;
use settings::Config;
use settings::{BusOptions, HealthOptions};
use std::net::SocketAddr;

/// What `herald ingest` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
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

const ROLE: Role =
    Role { name: "ingest", topics: &[topics::RAW, topics::REJECTED, topics::CATALOG], needs_catalog: false };

/// Runs it.
///
/// # Errors
/// The configuration cannot be used, the address cannot be listened on, or the bus has stopped for good.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = configure(ROLE, &options.bus, |mut layers| {
        if let Some(address) = options.listen {
            layers = layers.flag("--listen", "ingest.listen.address", address.to_string());
        }
        if let Some(api) = &options.results {
            layers = layers.flag("--results", "ingest.results.api", api.to_string());
        }
        health(layers, &options.health)
    })?;
    config.ingest.check().map_err(|error| config.refuse(error))?;
    let remote = remote(&config)?;
    run_role(ROLE, config, async |process| serve(process, remote).await)
}

/// Whom to ask for a caller who waits.
fn remote(config: &Config) -> Result<Option<Remote>, Usage> {
    let results = &config.ingest.results;
    let Some(api) = &results.api else { return Ok(None) };
    let base = client::address::api(api).map_err(|error| Usage(format!("`ingest.results.api`: {error}")))?;
    Ok(Some(Remote::new(base, results.token.clone())))
}

async fn serve(mut process: Process, remote: Option<Remote>) -> anyhow::Result<ExitCode> {
    let results = remote.as_ref().map_or_else(|| "not known, so nobody can wait".to_owned(), Remote::to_string);
    let outcomes = remote.map(|remote| Arc::new(remote) as Arc<dyn Outcomes>);
    let catalogs = Arc::new(process.stages.catalogs.clone());
    let deps = ::ingest::Deps { bus: process.kafka.clone(), outcomes, catalogs };
    let mut ingest = ::ingest::Service::new(process.config.ingest.clone(), deps)?;
    let mut facts = vec![("webhook", format!("http://{}/hasura", ingest.bind().await?)), ("results", results)];
    process.supervisor.add(process.stages.ingest(ingest));
    process.supervisor.add(process.stages.follow());
    facts.extend(process.serve_health().await?.map(|address| ("health", format!("http://{address}"))));
    process.run(facts).await
}
