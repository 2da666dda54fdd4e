//! The tools that need a catalog's folder, and nothing else: no bus, no server.

pub mod check;
pub mod detect;
pub mod eval;
mod given;
pub mod rules;

use std::path::Path;

use catalog::{Catalog, Outcome, Report, Severity, Sources};
use client::{exit::Usage, print};
use job_runner::{Config, Registry};

/// Compiles a folder, and says what its jobs need that is not there.
///
/// # Errors
/// There is no such folder, or it cannot be read.
fn compile(folder: &Path) -> anyhow::Result<Outcome> {
    Usage::catalog(folder)?;
    let registry = Registry::standard(&Config { folder: folder.to_owned(), ..Config::default() });
    Ok(Catalog::compile(&Sources::read(folder)?, &registry.here()))
}

/// Prints what is wrong with a catalog, errors first, and how much it is.
fn tell(report: &Report) -> anyhow::Result<()> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        report.problems.iter().partition(|problem| problem.severity == Severity::Error);
    for problem in errors.iter().chain(&warnings) {
        print::line(&problem.to_string())?;
    }
    Ok(())
}

/// `no errors`, `1 error`, `2 errors`.
fn count(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

/// The catalog; or none, once its errors are told.
fn usable(folder: &Path) -> anyhow::Result<Option<Catalog>> {
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
