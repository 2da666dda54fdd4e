//! `herald config`: the default configuration file, which is where the defaults are documented.

use std::process::ExitCode;

use client::print;
use settings::DEFAULTS;

/// Prints it.
pub fn run() -> anyhow::Result<ExitCode> {
    print::line(DEFAULTS.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
