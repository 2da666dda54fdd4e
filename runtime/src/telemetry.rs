//! What a process tells about itself: its log, and the trace context it passes on.

mod trace_context;

use std::io::{IsTerminal, stderr};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

pub use trace_context::{NoTraceParent, TraceParent};

/// How the log is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// `auto` is text on a terminal and JSON otherwise.
    pub format: Format,
    /// What is logged: a level, or levels by module, as in `info,ingest=debug`.
    pub filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Auto, filter: "info".to_owned() }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter means nothing.
    #[error("`telemetry.filter` is `{filter}`, which is no filter: {source}; write a level, or `info,ingest=debug`")]
    Filter {
        /// As configured.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It was set up before.
    #[error("the log was set up twice")]
    Twice,
}

/// Sets up the log of this process, on stderr: stdout belongs to what a command answers.
///
/// # Errors
/// The filter cannot be read, or the log was set up before.
pub fn init(config: &Config) -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let terminal = stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let text = match config.format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let set = if text {
        builder.with_ansi(terminal).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    set.map_err(|_| Error::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_named_with_its_setting() {
        let config = Config { filter: "info,ingest=loud".to_owned(), ..Config::default() };
        let error = init(&config).expect_err("no filter").to_string();
        assert!(error.contains("`telemetry.filter` is `info,ingest=loud`"), "{error}");
    }
}
