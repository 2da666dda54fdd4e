//! `herald schemas`: the JSON Schemas of everything that travels, for consumers in other languages, and of a catalog's files, for
//! editors.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use serde_json::Map;

use client::print;

#[cfg(test)]
mod tests;

/// What `herald schemas` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Write one file per schema into this folder instead of printing them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Those of a catalog's files instead, for editors: event.json, job.json and table.json
    #[arg(long)]
    pub(crate) files: bool,
}

/// Prints one JSON object of all schemas by name, or writes `<name>.json` files into a folder.
///
/// # Errors
/// The folder or a file in it cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let schemas = if options.files { of_files()? } else { of_records()? };
    let Some(folder) = &options.out else {
        let by_name = schemas.into_iter().map(|(name, text)| Ok((name.to_owned(), serde_json::from_str(&text)?)));
        let by_name = by_name.collect::<anyhow::Result<Map<_, _>>>()?;
        print::line(&serde_json::to_string_pretty(&by_name)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    for (name, text) in schemas {
        let path = folder.join(format!("{name}.json"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        print::line(&path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Of everything that travels, by name.
fn of_records() -> anyhow::Result<Vec<(&'static str, String)>> {
    let text = |(name, schema)| Ok((name, serde_json::to_string_pretty(&schema)? + "\n"));
    contracts::schema::all().into_iter().map(text).collect()
}

/// Of a catalog's files, by name; those of jobs are a part of the others'.
fn of_files() -> anyhow::Result<Vec<(&'static str, String)>> {
    let named = |(_, file, text): (_, &'static str, &str)| Ok((file.trim_end_matches(".json"), text.to_owned()));
    catalog::schema::FILES.into_iter().map(named).collect()
}
