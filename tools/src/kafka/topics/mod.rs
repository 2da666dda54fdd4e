//! `herald topics`: what is to be done about Kafka's topics, doing it, and who may use them.

mod acl;
mod json;
mod table;

use std::{path::PathBuf, process::ExitCode};

use bus::Topic;
use clap::{Args, Subcommand};
use kafka_admin::Admin;

use super::needs::Needs;
use client::{
    exit::{self, Usage},
    print,
};
use settings::{BusOptions, Config, Kind};

/// What `herald topics` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Show how the topics differ from what is configured and from what the catalog needs; ends with 1 if they do
    Plan(PlanOptions),
    /// Create what is missing, and change what can be changed without losing anything
    Apply(ApplyOptions),
    /// Print the commands that let a team read events, or Herald's own roles do their work
    Acl(acl::Options),
}

#[derive(Debug, Clone, Args)]
struct PlanOptions {
    /// The catalog whose events need topics [default: the one on the bus]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// A topic whose readers have read everything, so that partitions may be added; may be repeated
    #[arg(long, value_name = "TOPIC")]
    drained: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusOptions,
}

#[derive(Debug, Clone, Args)]
struct ApplyOptions {
    /// What is planned is what is done
    #[command(flatten)]
    plan: PlanOptions,
}

/// Plans, applies or prints.
///
/// # Errors
/// The configuration or the catalog cannot be used, or the brokers cannot be reached or refuse.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Plan(options) => plan(options).await,
        Command::Apply(options) => apply(options.plan).await,
        Command::Acl(options) => acl::run(&options),
    }
}

/// The configuration of a tool that only Kafka has; whoever names brokers means Kafka.
fn configure(options: &BusOptions) -> Result<Config, Usage> {
    let config = Config::load(settings::layers(options)?)?;
    if config.bus.kind == Kind::Embedded && config.bus.kafka.brokers.list().is_empty() {
        let message =
            "the embedded bus has its topics by itself: there is nothing to do; for Kafka give --brokers host:9092";
        return Err(Usage(message.to_owned()));
    }
    Ok(config)
}

/// What is needed, and who can see to it.
struct Planner {
    admin: Admin,
    needs: Needs,
    drained: Vec<Topic>,
}

impl Planner {
    async fn open(options: &PlanOptions) -> anyhow::Result<Self> {
        let config = configure(&options.bus)?;
        let told = config.kafka("topics")?;
        let admin = Admin::open(&told)?;
        // Brokers that are away are told as such, before anything waits for them.
        admin.cluster().await?;
        let needs = Needs::find(&config, "topics", options.folder.as_deref()).await?;
        let drained =
            options.drained.iter().map(|name| drained(name, &told.prefix, &needs)).collect::<Result<_, _>>()?;
        Ok(Self { admin, needs, drained })
    }

    async fn plan(&self) -> anyhow::Result<kafka_admin::Plan> {
        Ok(self.admin.plan(&self.needs.specs, &self.drained).await?)
    }
}

/// A topic that is said to be drained, with or without the prefix.
fn drained(name: &str, prefix: &str, needs: &Needs) -> Result<Topic, Usage> {
    let is = |name: &str| needs.specs.iter().find(|spec| spec.topic.as_str() == name).map(|spec| spec.topic.clone());
    let found = is(name).or_else(|| is(name.strip_prefix(prefix)?));
    found.ok_or_else(|| Usage(format!("--drained {name}: there is no such topic among those that are needed")))
}

async fn plan(options: PlanOptions) -> anyhow::Result<ExitCode> {
    let planner = Planner::open(&options).await?;
    let plan = planner.plan().await?;
    if options.json {
        print::line(&json::plan(&plan).to_string())?;
    } else {
        print::note(&format!("for {}", planner.needs.from));
        print::line(&table::plan(&plan))?;
    }
    Ok(code(plan.is_done()))
}

async fn apply(options: PlanOptions) -> anyhow::Result<ExitCode> {
    let planner = Planner::open(&options).await?;
    let plan = planner.plan().await?;
    if !options.json {
        print::note(&format!("for {}", planner.needs.from));
        if !planner.drained.is_empty() {
            print::note(
                "looking whether every group has read everything, and whether nothing is written; this takes seconds",
            );
        }
    }
    let done = planner.admin.apply(&plan).await?;
    // What is left: refused, for hands, or failed.
    let left = planner.plan().await?;
    if options.json {
        print::line(&json::applied(&done, &left).to_string())?;
    } else {
        for one in &done {
            print::line(&table::done(one))?;
        }
        print::line(&table::plan(&left))?;
    }
    Ok(code(left.is_done() && done.iter().all(|one| one.failed.is_none())))
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drained_topic_is_named_with_or_without_the_prefix_and_must_be_needed() {
        let needs = Needs::of_stages("a test");
        assert_eq!(drained("raw", "herald.", &needs).expect("needed").as_str(), "raw");
        assert_eq!(drained("herald.raw", "herald.", &needs).expect("needed").as_str(), "raw");
        assert!(drained("herald.other", "herald.", &needs).is_err());
    }

    #[test]
    fn the_embedded_bus_has_nothing_to_plan() {
        let error = configure(&BusOptions::default()).expect_err("a refusal").to_string();
        assert!(error.contains("--brokers"), "{error}");
        assert!(configure(&BusOptions { brokers: Some("h:1".into()), ..BusOptions::default() }).is_ok());
    }
}
