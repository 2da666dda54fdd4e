//! `herald doctor`: whether the configuration and the bus are fit, and what to do where they are not.

mod embedded;
mod running;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use runtime::finding::{Finding, Level};
use serde_json::json;

use crate::{finding, kafka};
use client::{address::Api, exit, print};
use settings::{BusOptions, Config, Kind};

/// What `herald doctor` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// On Kafka, the catalog whose topics and jobs are looked at [default: the one on the bus]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Write one record, into a topic of its own that is deleted afterwards, to compare the clocks
    #[arg(long)]
    probe: bool,
    /// The folder of the embedded bus and the results [default: .herald]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    bus: BusOptions,
}

/// Looks, and prints what it found; ends with 1 if something is a problem.
///
/// # Errors
/// Stdout cannot be written, the catalog's folder does not exist, or Kafka is to be looked at by a build without it.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    options.folder.as_deref().map(exit::Usage::catalog).transpose()?;
    let found = look(&options).await?;
    if !options.json {
        return finding::tell(&found);
    }
    let problems = found.iter().filter(|finding| finding.level == Level::Problem).count();
    let findings: Vec<_> = found.iter().map(as_json).collect();
    print::line(&json!({ "problems": problems, "findings": findings }).to_string())?;
    Ok(finding::code(problems))
}

async fn look(options: &Options) -> Result<Vec<Finding>, exit::Usage> {
    let config = match load(options) {
        Ok(config) => config,
        Err(finding) => return Ok(vec![finding]),
    };
    let mut found = stages(&config);
    if config.bus.kind == Kind::Embedded {
        let told = config.embedded();
        found.extend(embedded::check(&told));
        let folder = running::Folder { holder: embedded::holder(&told), is_named: options.data.is_some() };
        found.extend(running::check(&options.api, Some(&folder)).await);
        return Ok(found);
    }
    found.extend(kafka::examine(&config, options.folder.as_deref(), options.probe).await?);
    found.extend(running::check(&options.api, None).await);
    Ok(found)
}

fn load(options: &Options) -> Result<Config, Finding> {
    let layers = settings::layers(&options.bus).map(|layers| match &options.data {
        Some(data) => layers.flag("--data", "data", data.display().to_string()),
        None => layers,
    });
    let advice = "`herald config` prints every setting with what it means";
    let failed = |error: exit::Usage| Finding::problem("configuration", error.to_string(), advice);
    layers.and_then(Config::load).map_err(failed)
}

/// What the stages say of their own settings.
fn stages(config: &Config) -> Vec<Finding> {
    let checks = [
        ("ingest", config.ingest.check().map_err(|error| config.refuse(error))),
        ("api.listen", config.api.listen.check("api.listen").map_err(|error| config.refuse(error))),
    ];
    let problem = |(place, result): (&str, Result<(), exit::Usage>)| {
        let error = result.err()?;
        Some(
            Finding::problem("configuration", error.to_string(), "that role does not start until it is mended")
                .at(place),
        )
    };
    checks.into_iter().filter_map(problem).collect()
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let Finding { check, level, what, places, advice } = finding;
    json!({ "check": check, "level": level.as_str(), "what": what, "places": places, "advice": advice })
}
