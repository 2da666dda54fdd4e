//! `herald catalog apply`: a checked catalog goes onto the bus, where every role follows it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use bus::TopicSpec;
use catalog::{Catalog, Report, Severity, Sources};
use contracts::topics;
use job_runner::Registry;

use catalog_log::{Applied, Draft, Publisher, Writers};
use clap::Args;
use client::{
    exit::{self, Usage},
    print::{self, count},
};
use settings::{BusOptions, Config, Kind};

use crate::{
    changes,
    report::{counted, tell},
};

/// What `herald catalog apply` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not create the topics that are missing
    #[arg(long)]
    no_topics: bool,
    /// Let a folder without any event take away all events
    #[arg(long)]
    empty: bool,
    #[command(flatten)]
    bus: BusOptions,
}

/// How many names of a list are shown.
const SHOWN: usize = 10;

/// Applies a folder, or shows what that would change.
///
/// # Errors
/// The folder cannot be read, the bus cannot be reached or refuses, or somebody else wrote a catalog at the same time.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(settings::layers(&options.bus)?)?;
    if config.bus.kind == Kind::Embedded {
        let message = "on the embedded bus `herald dev <folder>` applies its folder by itself, at the start and whenever a \
                       file changes: there is nothing to do; for Kafka give --brokers host:9092";
        return Err(Usage(message.to_owned()).into());
    }
    Usage::catalog(&options.folder)?;
    let create_topics = config.kafka("catalog")?.create_topics && !options.no_topics;
    // Commands are looked for where they run, if that is said, or else beside the catalog.
    if config.job_runner.folder == Path::new(".") {
        config.job_runner.folder = options.folder.clone();
    }
    let registry = Registry::standard(&config.job_runner);
    // Files that cannot be used are told without any broker.
    let outcome = Catalog::compile(&Sources::read(&options.folder)?, &registry);
    if outcome.catalog.is_none() {
        return invalid(&outcome.report);
    }
    let bus = super::open(&config, "catalog")?;
    let publisher = Publisher {
        bus: bus.clone(),
        kinds: Arc::new(registry.here()),
        folder: options.folder,
        writers: Writers::Others,
        create_topics,
        may_empty: options.empty,
    };
    if options.dry_run {
        return match publisher.look().await? {
            Ok(draft) => would_change(&draft, create_topics),
            Err(applied) => told_of(applied, create_topics),
        };
    }
    if create_topics {
        let catalog = TopicSpec::table(topics::CATALOG);
        bus.create(vec![catalog]).await.context("cannot create the topic of the catalog")?;
    }
    told_of(publisher.apply().await?, create_topics)
}

fn invalid(report: &Report) -> anyhow::Result<ExitCode> {
    tell(report)?;
    let errors = count(report.count(Severity::Error), "error");
    print::line(&format!("❌ The catalog has {errors}; nothing was written"))?;
    Ok(ExitCode::from(exit::NO))
}

fn told_of(applied: Applied, created_topics: bool) -> anyhow::Result<ExitCode> {
    match applied {
        Applied::Published(draft) => {
            tell(&draft.report)?;
            let (number, topics) = (draft.number(), created(&draft.missing, created_topics));
            print::line(&format!("📖 Catalog version {number} is on the bus: {}{topics}", counted(&draft.catalog)))?;
            if !created_topics {
                missing(&draft.missing)?;
            }
        }
        Applied::Unchanged(number, report, gone) => {
            tell(&report)?;
            let topics = created(&gone, created_topics);
            print::line(&format!("📖 Catalog version {number} on the bus says the same; nothing was written{topics}"))?;
            if !created_topics {
                missing(&gone)?;
            }
        }
        Applied::Invalid(_, report) => return invalid(&report),
    }
    Ok(ExitCode::SUCCESS)
}

fn created(missing: &[TopicSpec], created: bool) -> String {
    match missing.len() {
        0 => String::new(),
        1 if created => "; 1 topic was created".to_owned(),
        topics if created => format!("; {topics} topics were created"),
        _ => String::new(),
    }
}

fn would_change(draft: &Draft, creates_topics: bool) -> anyhow::Result<ExitCode> {
    tell(&draft.report)?;
    print::line(&format!("Catalog version {} would have {}:", draft.number(), counted(&draft.catalog)))?;
    for line in changes::lines(&draft.changes()) {
        print::line(&format!("   {line}"))?;
    }
    if creates_topics && !draft.missing.is_empty() {
        print::line(&format!("Topics would be created: {}", listed(&draft.missing)))?;
    } else if !creates_topics {
        missing(&draft.missing)?;
    }
    print::line("Nothing was written")?;
    Ok(ExitCode::SUCCESS)
}

fn missing(topics: &[TopicSpec]) -> anyhow::Result<()> {
    if !topics.is_empty() {
        let topics = listed(topics);
        print::line(&format!("⚠️  Topics are missing, and their events wait: {topics}; run: herald topics apply"))?;
    }
    Ok(())
}

fn listed(topics: &[TopicSpec]) -> String {
    let shown: Vec<&str> = topics.iter().take(SHOWN).map(|spec| spec.topic.as_str()).collect();
    let more = topics.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}
