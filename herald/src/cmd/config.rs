//! `herald config`: the default configuration file, which is where the defaults are documented.

use std::process::ExitCode;

use crate::config::DEFAULTS;
use client::print;

/// Prints it.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    print::line(DEFAULTS.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
