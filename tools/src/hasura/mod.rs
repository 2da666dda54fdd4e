//! `herald hasura triggers`: the event triggers that a catalog needs, as Hasura's metadata, and what those that there are lack.

mod check;
pub(crate) mod document;
pub(crate) mod metadata;
pub(crate) mod name;
mod needs;
#[cfg(test)]
mod tests;
mod webhook;
mod write;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use catalog::{Catalog, Severity, Sources};
use clap::{Args, Subcommand, ValueEnum};
use client::{
    exit::{self, Usage},
    print::{self, count},
};
use job_runner::Registry;

use self::write::{Address, Secret, Target};
use crate::{finding, folder::refuse_none, report::tell};

/// The source of a webhook's plain path, `/hasura`, and the name of the first database of Hasura's.
pub(crate) const DEFAULT_SOURCE: &str = "default";

/// What `herald hasura` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

/// What can be done for Hasura.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Print the event triggers that a catalog needs, or check those that there are
    Triggers(Triggers),
}

/// What `herald hasura triggers` is told.
#[derive(Debug, Clone, Args)]
struct Triggers {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(long, value_name = "FOLDER")]
    catalog: PathBuf,
    /// Where Hasura reaches Herald's webhook, without /hasura: http://herald:8080, or {{NAME}} for a variable of Hasura's
    #[arg(long, value_name = "URL", value_parser = base, required_unless_present_any = ["url_env", "check"])]
    url: Option<String>,
    /// The variable of Hasura's environment that holds the whole URL of the webhook, with /hasura
    #[arg(long, value_name = "NAME", conflicts_with = "url", value_parser = variable)]
    url_env: Option<String>,
    /// Check the metadata that there is (its folder, or an exported file) instead of printing triggers; ends with 1 if an event
    /// misses something
    #[arg(long, value_name = "METADATA")]
    check: Option<PathBuf>,
    /// The form: entries of a metadata folder, or the body of a request to /v1/metadata
    #[arg(long, value_enum, default_value_t = Format::Folder)]
    format: Format,
    /// The database, as Hasura calls it, of the events that name no source [default: default; with --check any]
    #[arg(long, value_name = "NAME", value_parser = client::send::source)]
    database: Option<String>,
    /// The variable of Hasura's environment that holds the webhook's secret
    #[arg(long, value_name = "NAME", default_value = "HERALD_SECRET", value_parser = variable)]
    secret_env: String,
    /// The request header of the secret, as `ingest.secret-header` calls it
    #[arg(long, value_name = "NAME", default_value = client::send::SECRET_HEADER)]
    secret_header: String,
    /// The webhook has no secret
    #[arg(long)]
    no_secret: bool,
    /// Tell of every update, not only of those in which a column changed that a condition wants to have changed
    #[arg(long)]
    all_columns: bool,
}

/// How triggers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// YAML, as in `databases/<database>/tables/<schema>_<table>.yaml`
    Folder,
    /// JSON, to be posted to `/v1/metadata`
    Api,
}

/// The URL before `/hasura`.
fn base(text: &str) -> Result<String, String> {
    let base = text.trim_end_matches('/');
    if let Some((before, source)) = base.rsplit_once("/hasura/") {
        return Err(format!("leave /hasura/{source} out: {before}; the source is the event's"));
    }
    if !["http://", "https://", "{{"].iter().any(|begin| base.starts_with(begin)) {
        return Err("a URL begins with http:// or https://, or is {{NAME}} for a variable of Hasura's".to_owned());
    }
    if base.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#')) {
        return Err("the webhook's URL has no query, no fragment and no blanks: http://herald:8080".to_owned());
    }
    Ok(base.strip_suffix("/hasura").unwrap_or(base).to_owned())
}

/// The name of a variable of the environment.
fn variable(text: &str) -> Result<String, String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(is_fine) || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a variable's name has letters, digits and `_`, as in HERALD_SECRET".to_owned());
    }
    Ok(text.to_owned())
}

/// Does it.
///
/// # Errors
/// The folder or an option cannot be used, or stdout cannot be written.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Command::Triggers(options) = options.command;
    Usage::catalog(&options.catalog)?;
    // The jobs run where Herald does, which need not be here.
    let registry = Registry::standard(&job_runner::Config::default());
    let mut outcome = Catalog::compile(&Sources::read(&options.catalog)?, &registry);
    refuse_none(&options.catalog, &mut outcome);
    let Some(catalog) = outcome.catalog else {
        tell(&outcome.report)?;
        let errors = count(outcome.report.count(Severity::Error), "error");
        print::line(&format!("❌ The catalog has {errors}; what it needs is not known"))?;
        return Ok(ExitCode::from(exit::NO));
    };
    match &options.check {
        Some(metadata) => check(&options, &catalog, metadata),
        None => triggers(&options, &catalog),
    }
}

/// Says what the triggers of a metadata folder lack.
fn check(options: &Triggers, catalog: &Catalog, metadata: &Path) -> anyhow::Result<ExitCode> {
    let metadata = metadata::read(metadata)?;
    let database = options.database.as_deref();
    if let Some(unknown) = database.filter(|name| !metadata.databases.iter().any(|known| known == name)) {
        return Err(no_database(unknown, &metadata.databases).into());
    }
    let target = options.target();
    let secret = target.secret.as_ref().map(|secret| secret.header.as_str());
    finding::tell(&check::check(
        catalog,
        &metadata,
        &check::Wanted { address: target.address.as_ref(), secret, database },
    ))
}

/// That Hasura has no database of that name.
pub(crate) fn no_database(name: &str, known: &[String]) -> Usage {
    let message = match expressions::closest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None if known.is_empty() => "its metadata has none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    Usage(format!("--database {name}: Hasura has no database of that name; {message}"))
}

fn triggers(options: &Triggers, catalog: &Catalog) -> anyhow::Result<ExitCode> {
    let needs = needs::of(catalog, options.database.as_deref().unwrap_or(DEFAULT_SOURCE), !options.all_columns);
    let target = options.target();
    if let Some(Address::Variable(name)) = &target.address
        && needs.triggers.windows(2).any(|pair| pair[0].source != pair[1].source)
    {
        let message = format!(
            "the events are about several databases, each with a webhook of its own: give --url '{{{{{name}}}}}', with a \
             variable that holds the URL without /hasura"
        );
        return Err(Usage(message).into());
    }
    match options.format {
        Format::Folder => print::line(write::folder(&needs.triggers, &target).trim_end())?,
        Format::Api => print::line(&serde_json::to_string_pretty(&write::api(&needs.triggers, &target))?)?,
    }
    needs.notes.iter().chain(&remark(&target)).for_each(|note| print::note(note));
    if needs.triggers.is_empty() {
        print::note("no event of the catalog is about a table, so there is nothing for Hasura to tell");
    }
    Ok(ExitCode::SUCCESS)
}

impl Triggers {
    fn target(&self) -> Target {
        let address = self.url.clone().map(Address::Base).or_else(|| self.url_env.clone().map(Address::Variable));
        let secret = Secret { header: self.secret_header.clone(), variable: self.secret_env.clone() };
        Target { address, secret: (!self.no_secret).then_some(secret) }
    }
}

/// That Hasura in a container means itself by `localhost`.
fn remark(target: &Target) -> Option<String> {
    let Some(Address::Base(base)) = &target.address else { return None };
    let host = base.split_once("://")?.1;
    let is_local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| host.starts_with(local));
    is_local.then(|| {
        format!("{base} is what Hasura reaches: in a container that is the container itself, and this machine is host.docker.internal")
    })
}
