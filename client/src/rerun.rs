//! `herald rerun`: one job of one event runs again, and no sibling of it.

use std::process::ExitCode;

use clap::Args;
use contracts::{ids::JobRunId, names::EventRef};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    exit,
    http::encode,
    ids::Given,
    order::{Orderer, counted},
    print::{self, BOLD, DIM},
    status::say_if_catalog_is_awaited,
};

/// What `herald rerun` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    given: Given,
    /// The job: its full name, or its name within the event
    #[arg(long, value_name = "JOB")]
    job: String,
    /// The event, where several of the correlation have the job
    #[arg(long, value_name = "EVENT")]
    event: Option<EventRef>,
    /// The run, where several of one event are under the correlation
    #[arg(long, value_name = "RUN")]
    run: Option<JobRunId>,
    /// For a job that has left the catalog: the version of the catalog by whose definition it runs
    #[arg(long, value_name = "VERSION")]
    definition: Option<u64>,
    #[command(flatten)]
    order: Orderer,
}

/// What was ordered.
#[derive(Debug, Deserialize)]
struct Ordered {
    job: String,
    event: EventRef,
    attempts: u64,
    #[serde(default)]
    paused: bool,
}

/// Orders it.
///
/// # Errors
/// The API cannot be reached, or refuses; that nothing is known of it is an answer, with exit code 1.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Some(meant) = options.given.meant(&options.order.api, None).await? else {
        print::error(&options.given.unknown());
        say_if_catalog_is_awaited(&options.order.api).await;
        return Ok(ExitCode::from(exit::NO));
    };
    let body = [
        ("job", Some(Value::from(options.job.as_str()))),
        ("event", options.event.as_ref().map(|event| event.to_string().into())),
        ("run", options.run.map(|run| run.to_string().into())),
        ("definition", options.definition.map(Value::from)),
    ];
    let body: Map<String, Value> =
        body.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let correlation = meant.correlation;
    let path = format!("/v1/correlations/{}/rerun", encode(correlation.as_str()));
    let ordered: Ordered = options.order.post(&path, body).await?;
    if !options.order.json {
        let Ordered { job, event, attempts, paused } = ordered;
        let runs = if options.order.dry_run { "would run" } else { "runs" };
        let mut text = format!(
            "↻ {BOLD}{job}{BOLD:#} {runs} again for {event}, after {}, under the same idempotency key",
            counted(attempts, "attempt")
        );
        if paused {
            text.push_str("\n   the job is paused: it waits until that is resumed");
        }
        if !options.order.dry_run {
            text.push_str(&format!(
                "\n   {DIM}`{} show {correlation}` shows what becomes of it{DIM:#}",
                print::command()
            ));
        }
        print::block(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
