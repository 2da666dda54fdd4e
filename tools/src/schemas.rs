//! `herald schemas`: the JSON Schemas of everything that travels, for consumers in other languages.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use serde_json::Map;

use client::print;

/// What `herald schemas` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Write one file per schema into this folder instead of printing them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// Prints one JSON object of all schemas by name, or writes `<name>.json` files into a folder.
///
/// # Errors
/// The folder or a file in it cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let schemas = contracts::schema::all();
    let Some(folder) = &options.out else {
        let by_name: Map<_, _> = schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema.into())).collect();
        print::line(&serde_json::to_string_pretty(&by_name)?)?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    for (name, schema) in schemas {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        print::line(&path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
