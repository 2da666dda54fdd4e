//! `herald catalog apply`: a checked catalog goes onto the bus, where every role follows it.

use std::{collections::BTreeMap, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use bus::TopicSpec;
use catalog::{Catalog, Report, Sources};
use contracts::topics;
use job_runner::Registry;

use catalog_log::{Applied, Draft, Publisher, Writers};
use clap::{Args, Subcommand};
use client::{
    exit::{self, Usage},
    print,
};
use settings::{BusOptions, Config, Kind};
use std::path::PathBuf;

/// What `herald catalog` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with a catalog.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Check a catalog and put it on the bus, where every role follows it
    Apply(Apply),
}

/// What `herald catalog apply` is told.
#[derive(Debug, Clone, Args)]
struct Apply {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not create the topics that are missing
    #[arg(long)]
    no_topics: bool,
    #[command(flatten)]
    bus: BusOptions,
}

/// How many names of a list are shown.
const SHOWN: usize = 10;

/// Does it.
///
/// # Errors
/// The folder or the configuration cannot be used, the bus cannot be reached, or it refuses.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Command::Apply(options) = options.command;
    apply(options).await
}

/// Applies a folder, or shows what that would change.
///
/// # Errors
/// The folder cannot be read, the bus cannot be reached or refuses, or somebody else wrote a catalog at the same time.
async fn apply(options: Apply) -> anyhow::Result<ExitCode> {
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
    print::line(report.to_string().trim_end())?;
    print::line("❌ The catalog has errors; nothing was written")?;
    Ok(ExitCode::from(exit::NO))
}

fn problems(report: &Report) -> anyhow::Result<()> {
    if !report.problems.is_empty() {
        print::line(report.to_string().trim_end())?;
    }
    Ok(())
}

fn told_of(applied: Applied, created_topics: bool) -> anyhow::Result<ExitCode> {
    match applied {
        Applied::Published(draft) => {
            problems(&draft.report)?;
            let (number, topics) = (draft.number(), created(&draft.missing, created_topics));
            print::line(&format!("📖 Catalog version {number} is on the bus: {}{topics}", counted(&draft)))?;
            if !created_topics {
                missing(&draft.missing)?;
            }
        }
        Applied::Unchanged(number, report, gone) => {
            problems(&report)?;
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
        count if created => format!("; {count} topics were created"),
        _ => String::new(),
    }
}

fn counted(draft: &Draft) -> String {
    format!("{} events, {} jobs", draft.catalog.events().len(), draft.catalog.jobs().count())
}

fn would_change(draft: &Draft, creates_topics: bool) -> anyhow::Result<ExitCode> {
    problems(&draft.report)?;
    print::line(&format!("Catalog version {} would have {}:", draft.number(), counted(draft)))?;
    for (path, change) in changes(draft.before(), &draft.sources) {
        print::line(&format!("   {change} {path}"))?;
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

/// Which files differ, by path: `+` is new, `-` is gone, `~` says something else.
fn changes(before: Option<&Sources>, after: &Sources) -> BTreeMap<String, char> {
    let mut changes = BTreeMap::new();
    for file in before.iter().flat_map(|before| before.files()) {
        match after.text(&file.path) {
            None => drop(changes.insert(file.path.clone(), '-')),
            Some(text) if text != file.text => drop(changes.insert(file.path.clone(), '~')),
            Some(_) => {}
        }
    }
    for file in after.files() {
        if before.is_none_or(|before| before.text(&file.path).is_none()) {
            changes.insert(file.path.clone(), '+');
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_is_told_by_file() {
        let before = Sources::new([("events/a.yaml", "1"), ("events/b.yaml", "1"), ("events/c.yaml", "1")]);
        let after = Sources::new([("events/a.yaml", "1"), ("events/b.yaml", "2"), ("events/d.yaml", "1")]);
        let told: Vec<String> =
            changes(Some(&before), &after).iter().map(|(path, mark)| format!("{mark}{path}")).collect();
        assert_eq!(told, ["~events/b.yaml", "-events/c.yaml", "+events/d.yaml"]);
        assert_eq!(changes(None, &before).len(), 3);
    }
}
