//! The tools that need a catalog's folder, and nothing else: no bus, no server.

pub mod check;
pub mod detect;
mod elsewhere;
pub mod eval;
mod from_log;
mod given;
mod junit;
mod repl;
pub(crate) mod rows;
pub mod rules;

use std::path::{Path, PathBuf};

use catalog::{Catalog, Location, Outcome, Problem, Report, Rule, Severity, Sources};
use client::{
    exit::Usage,
    print::{self, count},
};
use job_runner::{Config, Registry};
use settings::BusOptions;

use crate::report::tell;

pub use self::elsewhere::remark;

/// Compiles a folder, and says what its jobs need that is not there.
///
/// # Errors
/// There is no such folder, or it cannot be read.
fn compile(folder: &Path) -> anyhow::Result<Outcome> {
    compile_with(folder, std::env::var_os("HERALD_CONFIG").map(PathBuf::from))
}

/// The same, where the secrets that jobs may use are those of a configuration file.
fn compile_with(folder: &Path, config: Option<PathBuf>) -> anyhow::Result<Outcome> {
    Usage::catalog(folder)?;
    let layers = settings::layers(&BusOptions { config, ..BusOptions::default() })?;
    let configured = settings::Config::load(layers)?.job_runner;
    let registry = Registry::standard(&Config { folder: folder.to_owned(), ..configured });
    let mut outcome = Catalog::compile(&Sources::read(folder)?, &registry.here());
    if refuse_none(folder, &mut outcome) {
        return Ok(outcome);
    }
    strays(folder).into_iter().for_each(|stray| outcome.report.push(stray));
    Ok(outcome)
}

/// Lets a folder without `events/` be an error instead of an empty catalog; whether it is one.
pub(crate) fn refuse_none(folder: &Path, outcome: &mut Outcome) -> bool {
    let is_none = !folder.join("events").exists();
    if is_none {
        outcome.report.problems.retain(|problem| problem.rule != Rule::Empty);
        outcome.report.push(elsewhere::no_catalog(folder));
        outcome.catalog = None;
    }
    is_none
}

fn yaml_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
    names.sort();
    names
}

/// What nobody reads, and looks as if it was to be read: events in the folder itself, and what lies in a folder whose name is
/// one letter short.
fn strays(folder: &Path) -> Vec<Problem> {
    let is_event = |name: &String| {
        let path = folder.join(name);
        let is_small = std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() < 1024 * 1024);
        is_small && std::fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| line.starts_with("from:")))
    };
    let mut found: Vec<_> = yaml_files(folder).into_iter().filter(is_event).map(|name| (name, "events")).collect();
    for (short, meant) in [("event", "events"), ("job", "jobs"), ("table", "tables")] {
        found.extend(yaml_files(&folder.join(short)).into_iter().map(|name| (format!("{short}/{name}"), meant)));
    }
    let problem = |(file, meant): (String, &str)| Problem {
        severity: Severity::Warning,
        rule: Rule::File,
        message: format!("{file} is not read"),
        place: Location { file, line: 0, column: 0 },
        help: Some(format!("move it into {meant}/, or out of the catalog's folder")),
        text: String::new(),
    };
    found.into_iter().map(problem).collect()
}

/// The catalog; or none, once its errors are told.
pub(crate) fn usable(folder: &Path) -> anyhow::Result<Option<Catalog>> {
    let Outcome { catalog, report } = compile(folder)?;
    if catalog.is_none() {
        useless(&report)?;
    }
    Ok(catalog)
}

fn useless(report: &Report) -> anyhow::Result<()> {
    tell(report)?;
    print::line(&format!("❌ The catalog has {}", count(report.count(Severity::Error), "error")))
}
