//! `herald test`: the tests that stand beside the rules, in the events' files.

use std::{path::PathBuf, process::ExitCode};

use catalog::{Catalog, Event, RuleTest};
use clap::Args;
use client::{
    exit::{self, Usage},
    print::{self, BOLD, DIM, RED, count},
};

use super::usable;

/// What `herald test` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Only the events whose name has this in it
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// A test with its event, and what came instead of what was expected.
struct Failure<'c> {
    event: &'c Event,
    test: &'c RuleTest,
    why: String,
}

/// What came of all tests.
struct Ran<'c> {
    passed: usize,
    failures: Vec<Failure<'c>>,
    /// Events that have none.
    untested: Vec<&'c Event>,
}

/// Does it: 0 if every test passes, 1 if one does not, or the catalog has errors.
///
/// # Errors
/// The folder cannot be read, or stdout cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Some(catalog) = usable(&options.folder)? else { return Ok(ExitCode::from(exit::NO)) };
    let ran = all(&catalog, options.name.as_deref().unwrap_or_default());
    if let Some(name) = options.name.as_ref().filter(|_| ran.passed + ran.failures.len() + ran.untested.len() == 0) {
        return Err(Usage(format!("no event of the catalog has `{name}` in its name")).into());
    }
    for Failure { event, test, why } in &ran.failures {
        let name = event.name();
        print::line(&format!("❌ {BOLD}{name}{BOLD:#}: {}  {DIM}{}:{}{DIM:#}", test.name, event.file(), test.line))?;
        print::line(&format!("   {RED}{why}{RED:#}"))?;
    }
    let untested: Vec<String> = ran.untested.iter().map(|event| event.name().to_string()).collect();
    if !untested.is_empty() {
        print::note(&format!("without a test: {}", untested.join(", ")));
    }
    let sign = if ran.failures.is_empty() { "✅" } else { "❌" };
    let total = count(ran.passed + ran.failures.len(), "test");
    print::line(&format!("{sign} {total}, {} failed", ran.failures.len()))?;
    Ok(if ran.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) })
}

fn all<'c>(catalog: &'c Catalog, name: &str) -> Ran<'c> {
    let mut ran = Ran { passed: 0, failures: Vec::new(), untested: Vec::new() };
    for event in catalog.events().iter().filter(|event| event.name().to_string().contains(name)) {
        if event.tests().is_empty() {
            ran.untested.push(event);
        }
        for test in event.tests() {
            match test.run(event) {
                Ok(()) => ran.passed += 1,
                Err(why) => ran.failures.push(Failure { event, test, why }),
            }
        }
    }
    ran
}
