//! `herald init`: a small catalog that runs, of the tables of a PostgreSQL, of those that Hasura tracks and of its cron triggers, or of one that is made up.

mod example;
mod files;
mod metadata;
#[cfg_attr(not(feature = "postgres"), path = "without_postgres.rs")]
mod postgres;
mod schedule;
mod stub;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use client::{exit::Usage, print};

use self::{files::Plan, table::Table};
use crate::hasura::DEFAULT_SOURCE;

/// What `herald init` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The catalog's folder: a new or an empty one
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// An event for each table that Hasura tracks, and for each cron trigger: its metadata's folder, or an exported file
    #[arg(long, value_name = "METADATA")]
    from_hasura: Option<PathBuf>,
    /// A description of each table of a PostgreSQL, and an event: postgres://user@host/database. A password may be in PGPASSWORD
    #[arg(long, value_name = "URL")]
    from_postgres: Option<String>,
    /// Only these tables: `orders` or `shop.orders`; may be repeated
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// What Hasura calls the database of --from-postgres
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SOURCE, value_parser = client::send::source)]
    database: String,
    /// Only describe the tables: for a catalog that there is, whose tables have changed
    #[arg(long, requires = "from_postgres")]
    describe: bool,
    /// Write into a folder that is not empty, and over files of the same names
    #[arg(long)]
    force: bool,
}

/// Nobody answers where the tables are.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask PostgreSQL: {0}")]
pub struct Away(String);

/// Does it.
///
/// # Errors
/// A source cannot be read, the folder has what would be lost, or a file cannot be written.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let folder = &options.folder;
    if !options.describe && !options.force {
        files::check_empty(folder)?;
    }
    let plan = plan(&options).await?.with_schemas();
    let written = plan.write(folder, options.force)?;
    print::line(&written.told(folder))?;
    plan.notes.iter().for_each(|note| print::note(note));
    if !options.describe {
        print::line(&next(folder, &plan))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn plan(options: &Options) -> anyhow::Result<Plan> {
    if options.from_hasura.is_none() && options.from_postgres.is_none() {
        if !options.tables.is_empty() {
            return Err(Usage("--table chooses among the tables of --from-hasura or --from-postgres".into()).into());
        }
        return Ok(example::plan());
    }
    let mut notes = Vec::new();
    let known = options.from_hasura.as_deref().map(crate::hasura::metadata::read).transpose()?;
    let (tracked, schedules) = match known {
        Some(known) => (Some(metadata::tables(known.tables)), known.schedules),
        None => (None, Vec::new()),
    };
    let schedules = if options.describe || !options.tables.is_empty() { Vec::new() } else { schedules };
    let found = match &options.from_postgres {
        Some(url) => Some(postgres::tables(url, &options.database).await?),
        None => None,
    };
    let mut tables = match (tracked, found) {
        (Some(tracked), Some(found)) => joined(tracked, found, &options.database, &mut notes),
        (tracked, found) => found.or(tracked).unwrap_or_default(),
    };
    choose(&mut tables, &options.tables)?;
    if tables.is_empty() && schedules.is_empty() {
        return Err(Usage("there is no table: none is tracked, or the database has none".into()).into());
    }
    let mut plan = stub::plan(&tables, options.describe, notes);
    schedule::add(&mut plan, &schedules);
    Ok(plan)
}

/// The tables that Hasura tracks, with the columns that the database has. `database` is what Hasura calls that.
fn joined(tracked: Vec<Table>, found: Vec<Table>, database: &str, notes: &mut Vec<String>) -> Vec<Table> {
    let mut out = Vec::new();
    let mut missing = BTreeSet::new();
    for table in tracked {
        let is_it = |other: &&Table| (&other.schema, &other.name) == (&table.schema, &table.name);
        match found.iter().find(is_it).filter(|_| table.source == database) {
            Some(known) => out.push(known.clone()),
            None => {
                if table.source == database {
                    missing.insert(table.full_name());
                }
                out.push(table);
            }
        }
    }
    if !missing.is_empty() {
        let names = missing.into_iter().collect::<Vec<_>>().join(", ");
        notes.push(format!("Hasura tracks what is no table of the database: {names}"));
    }
    out
}

/// Leaves the tables that are asked for.
fn choose(tables: &mut Vec<Table>, wanted: &[String]) -> Result<(), Usage> {
    if wanted.is_empty() {
        return Ok(());
    }
    let full = |name: &String| if name.contains('.') { name.clone() } else { format!("public.{name}") };
    let wanted: BTreeSet<String> = wanted.iter().map(full).collect();
    let known: BTreeSet<String> = tables.iter().map(Table::full_name).collect();
    if let Some(name) = wanted.iter().find(|name| !known.contains(*name)) {
        let meant = expressions::closest(name, known.iter().map(String::as_str));
        let help = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        return Err(Usage(format!("there is no table {name}{help}")));
    }
    tables.retain(|table| wanted.contains(&table.full_name()));
    Ok(())
}

/// What to type next.
fn next(folder: &Path, plan: &Plan) -> String {
    let herald = std::env::var("HERALD_COMMAND").unwrap_or_else(|_| "herald".to_owned());
    let shown = values::shell(&folder.display().to_string());
    let mut out = format!("\nNext:\n  {herald} check {shown}\n  {herald} test {shown}\n  {herald} dev {shown}\n");
    if !plan.payloads.is_empty() {
        out.push_str("and then, in a second terminal:\n");
    }
    // What is of a database must be sent as of it: a payload does not say it.
    for (payload, source) in &plan.payloads {
        let payload = values::shell(&folder.join(payload).display().to_string());
        let source = if source == DEFAULT_SOURCE { String::new() } else { format!(" --source {source}") };
        out.push_str(&format!("  {herald} send {payload}{source} --wait\n"));
    }
    out.truncate(out.trim_end().len());
    out
}
