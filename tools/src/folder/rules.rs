//! `herald test`: the tests that stand beside the rules, in the events' files; and what a folder would make of recorded changes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use catalog::{Catalog, Event, Outcome, RuleTest};
use clap::Args;
use client::{
    address::Api,
    exit::{self, Usage},
    print::{self, BOLD, DIM, RED, clean, count},
};

use super::{
    compile, from_log,
    junit::{self, Case},
    useless,
};

/// What `herald test` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/` [default: the working directory, with --from-log]
    #[arg(value_name = "FOLDER", required_unless_present = "from_log", conflicts_with = "catalog")]
    folder: Option<PathBuf>,
    /// Only the events whose name has this in it
    #[arg(value_name = "NAME", conflicts_with = "catalog")]
    name: Option<String>,
    /// Write what came of the tests to this file, too, as JUnit's XML
    #[arg(long, value_name = "FILE", conflicts_with = "from_log")]
    junit: Option<PathBuf>,
    /// Instead of the tests: which of the last so many recorded changes would be detected differently by the folder
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    from_log: Option<u64>,
    /// With --from-log, another way to name the folder
    #[arg(long, value_name = "FOLDER", requires = "from_log")]
    catalog: Option<PathBuf>,
    /// With --from-log, print JSON
    #[arg(long, requires = "from_log")]
    json: bool,
    #[command(flatten)]
    api: Api,
}

/// What came of a test.
struct Ran<'c> {
    event: &'c Event,
    test: &'c RuleTest,
    failure: Option<String>,
}

/// Does it: 0 if every test passes, or every change is detected as it was; 1 if one is not, or the catalog has errors.
///
/// # Errors
/// The folder cannot be read, the API cannot be asked, or stdout or a file cannot be written.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let here = || PathBuf::from(".");
    let folder = options.folder.clone().or_else(|| options.catalog.clone()).unwrap_or_else(here);
    let Outcome { catalog, report } = compile(&folder)?;
    let Some(catalog) = catalog else {
        useless(&report)?;
        written(options.junit.as_deref(), || junit::broken(&report.to_string()))?;
        return Ok(ExitCode::from(exit::NO));
    };
    let name = options.name.as_deref().unwrap_or_default();
    if !catalog.events().iter().any(|event| is_meant(event, name)) && !name.is_empty() {
        return Err(Usage(format!("no event of the catalog has `{name}` in its name")).into());
    }
    if let Some(most) = options.from_log {
        return from_log::run(&catalog, most, name, &options.api, options.json).await;
    }
    let ran = all(&catalog, name);
    written(options.junit.as_deref(), || {
        let case = |one| {
            let Ran { event, test, failure }: &Ran<'_> = one;
            Case { event, name: &test.name, line: test.line, failure: failure.as_deref() }
        };
        junit::document(&ran.iter().map(case).collect::<Vec<_>>())
    })?;
    tell(&catalog, name, &ran)
}

fn written(file: Option<&Path>, document: impl FnOnce() -> String) -> Result<(), Usage> {
    let Some(file) = file else { return Ok(()) };
    fs::write(file, document()).map_err(|error| Usage(format!("cannot write {}: {error}", file.display())))
}

fn tell(catalog: &Catalog, name: &str, ran: &[Ran<'_>]) -> anyhow::Result<ExitCode> {
    let failures = ran.iter().filter_map(|one| Some((one, one.failure.as_ref()?)));
    for (Ran { event, test, .. }, why) in failures.clone() {
        let (name, title) = (event.name(), clean(&test.name));
        print::line(&format!("❌ {BOLD}{name}{BOLD:#}: {title}  {DIM}{}:{}{DIM:#}", event.file(), test.line))?;
        print::line(&format!("   {RED}{}{RED:#}", clean(why)))?;
    }
    let untested = catalog.events().iter().filter(|event| is_meant(event, name) && event.tests().is_empty());
    let untested: Vec<String> = untested.map(|event| event.name().to_string()).collect();
    if !untested.is_empty() {
        print::note(&format!("without a test: {}", untested.join(", ")));
    }
    let failed = failures.count();
    let sign = if failed == 0 { "✅" } else { "❌" };
    print::line(&format!("{sign} {}, {failed} failed", count(ran.len(), "test")))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) })
}

fn is_meant(event: &Event, name: &str) -> bool {
    event.name().to_string().contains(name)
}

fn all<'c>(catalog: &'c Catalog, name: &str) -> Vec<Ran<'c>> {
    let events = catalog.events().iter().filter(|event| is_meant(event, name));
    let tests = events.flat_map(|event| event.tests().iter().map(move |test| (event, test)));
    tests.map(|(event, test)| Ran { event, test, failure: catalog.test(event, test).err() }).collect()
}
