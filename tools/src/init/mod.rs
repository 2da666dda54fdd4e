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
use crate::hasura::{self, DEFAULT_SOURCE};

/// Where the webhook listens beside a Hasura, which is at 8080.
const BESIDE_HASURA: &str = "127.0.0.1:8082";

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
    /// What Hasura calls the database of --from-postgres [default: the only one of --from-hasura, else default]
    #[arg(long, value_name = "NAME", requires = "from_postgres", value_parser = client::send::source)]
    database: Option<String>,
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
    if options.tables.is_empty()
        && let Some(note) = plan.gone(folder)
    {
        print::note(&note);
    }
    if !options.describe {
        print::line(&next(folder, &plan, options.from_hasura.is_some()))?;
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
    let known = options.from_hasura.as_deref().map(hasura::metadata::read).transpose()?;
    let (tracked, schedules, databases) = match known {
        Some(known) => (Some(metadata::tables(known.tables)), known.schedules, known.databases),
        None => (None, Vec::new(), Vec::new()),
    };
    let schedules = if options.describe || !options.tables.is_empty() { Vec::new() } else { schedules };
    let found = match &options.from_postgres {
        Some(url) => {
            let database = database(options.database.as_deref(), &databases)?;
            Some((postgres::tables(url, &database).await?, database))
        }
        None => None,
    };
    let described = found.as_ref().map(|(_, database)| database.clone());
    let mut tables = match (tracked, found) {
        (Some(tracked), Some((found, database))) => joined(tracked, found, &database, &mut notes),
        (tracked, found) => found.map(|(found, _)| found).or(tracked).unwrap_or_default(),
    };
    choose(&mut tables, &options.tables)?;
    if tables.is_empty() && schedules.is_empty() {
        return Err(Usage("there is no table: none is tracked, or the database has none".into()).into());
    }
    let mut plan = stub::plan(&tables, options.describe, notes);
    schedule::add(&mut plan, &schedules);
    plan.described = described;
    Ok(plan)
}

/// What Hasura calls the database of --from-postgres.
fn database(said: Option<&str>, known: &[String]) -> Result<String, Usage> {
    let named = said.unwrap_or(DEFAULT_SOURCE);
    match (said, known) {
        (_, []) => Ok(named.to_owned()),
        (None, [only]) => Ok(only.clone()),
        _ if known.iter().any(|database| database == named) => Ok(named.to_owned()),
        (None, _) => {
            let known = known.join(", ");
            Err(Usage(format!(
                "Hasura has several databases, {known}: say by --database which of them --from-postgres is"
            )))
        }
        (Some(_), _) => Err(hasura::no_database(named, known)),
    }
}

/// The tables that Hasura tracks, with the columns that the database has. `database` is what Hasura calls that.
fn joined(tracked: Vec<Table>, found: Vec<Table>, database: &str, notes: &mut Vec<String>) -> Vec<Table> {
    let mut out = Vec::new();
    let mut missing = BTreeSet::new();
    for table in tracked {
        let is_it = |other: &&Table| (&other.schema, &other.name) == (&table.schema, &table.name);
        match found.iter().find(is_it).filter(|_| table.source == database) {
            Some(known) => out.push(known.clone()),
            // Of one that is no table, a view say, Hasura tells no changes.
            None if table.source == database => drop(missing.insert(table.full_name())),
            None => out.push(table),
        }
    }
    if !missing.is_empty() {
        let names: Vec<String> = missing.into_iter().collect();
        let names = files::listed(&names);
        notes.push(format!(
            "left out, since Hasura tracks it and it is no table of the database (a view, which can have no event triggers, or \
             gone): {names}"
        ));
    }
    out
}

/// Leaves the tables that are asked for.
fn choose(tables: &mut Vec<Table>, wanted: &[String]) -> Result<(), Usage> {
    if wanted.is_empty() {
        return Ok(());
    }
    let read = |text: &String| {
        catalog::Table::parse(text)
            .ok_or_else(|| Usage(format!("`{text}` is no table's name; as in orders, or shop.orders")))
    };
    let wanted: BTreeSet<catalog::Table> = wanted.iter().map(read).collect::<Result<_, _>>()?;
    let known: BTreeSet<catalog::Table> = tables.iter().map(Table::id).collect();
    if let Some(missing) = wanted.iter().find(|table| !known.contains(*table)) {
        return Err(Usage(format!("there is no table {missing}; {}", instead_of(missing, &known))));
    }
    tables.retain(|table| wanted.contains(&table.id()));
    Ok(())
}

/// The table that was meant, where that can be told; else those that there are.
fn instead_of(missing: &catalog::Table, known: &BTreeSet<catalog::Table>) -> String {
    let known: Vec<&catalog::Table> = known.iter().collect();
    let same_name = known.iter().copied().filter(|table| table.name.eq_ignore_ascii_case(&missing.name));
    let mut meant: Vec<&catalog::Table> = same_name.collect();
    if meant.is_empty() {
        meant.extend(missing.slip_of(&known));
    }
    match meant.as_slice() {
        [] => format!("there are {}", first(&known)),
        meant => format!("did you mean {}?", meant.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")),
    }
}

fn first(tables: &[&catalog::Table]) -> String {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    files::listed(&names)
}

/// What to type next.
fn next(folder: &Path, plan: &Plan, has_hasura: bool) -> String {
    let herald = std::env::var("HERALD_COMMAND").unwrap_or_else(|_| "herald".to_owned());
    let shown = values::shell(&folder.display().to_string());
    // Hasura's own port is Herald's, too.
    let (listen, url) = match has_hasura {
        true => (format!(" --listen {BESIDE_HASURA}"), format!(" --url http://{BESIDE_HASURA}")),
        false => (String::new(), String::new()),
    };
    let mut out =
        format!("\nNext:\n  {herald} check {shown}\n  {herald} test {shown}\n  {herald} dev {shown}{listen}\n");
    if !plan.payloads.is_empty() {
        out.push_str("and then, in a second terminal:\n");
    }
    // What is of a database must be sent as of it: a payload does not say it.
    for (payload, source) in &plan.payloads {
        let payload = values::shell(&folder.join(payload).display().to_string());
        let source = if source == DEFAULT_SOURCE { String::new() } else { format!(" --source {source}") };
        out.push_str(&format!("  {herald} send {payload}{source}{url} --wait\n"));
    }
    if has_hasura {
        out.push_str(&format!(
            "and for Hasura the event triggers that tell Herald, with the URL by which Hasura reaches it:\n  \
             {herald} hasura triggers --catalog {shown}{url}\n"
        ));
    }
    out.truncate(out.trim_end().len());
    out
}
