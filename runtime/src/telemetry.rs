//! What a process tells about itself: its log, and the trace context it passes on.

mod escape;
mod sink;
mod trace_context;

use std::{
    io::{self, IsTerminal, stderr},
    panic,
};

use serde::{Deserialize, Serialize};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    field::MakeExt as _,
    filter::Targets,
    fmt::{
        MakeWriter,
        format::{self, Writer},
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
};

pub use sink::{Flush, Sink};
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
        source: tracing_subscriber::filter::ParseError,
    },
    /// It was set up before.
    #[error("the log was set up twice")]
    Twice,
    /// Nothing can write it.
    #[error("the log cannot be written: {0}")]
    Sink(#[from] io::Error),
}

/// Sets up the log of this process, on stderr: stdout belongs to what a command answers. Nobody waits for stderr: see
/// [`Sink`]. The last lines are written when what is returned is dropped.
///
/// # Errors
/// The filter cannot be read, or the log was set up before.
pub fn init(config: &Config) -> Result<Flush, Error> {
    let filter = config.filter.parse().map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let terminal = stderr().is_terminal();
    let text = match config.format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let sink = Sink::new(stderr(), if text { lost_as_text } else { lost_as_json })?;
    let flush = sink.flush();
    let set = tracing::subscriber::set_global_default(subscriber(filter, Lines { sink, text }, text && terminal));
    set.map_err(|_| Error::Twice)?;
    // The standard hook writes to stderr itself, and would wait for it.
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic")));
    Ok(flush)
}

fn subscriber(filter: Targets, lines: Lines, colour: bool) -> Box<dyn Subscriber + Send + Sync> {
    let text = lines.text;
    let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(lines);
    if text {
        let fields = format::debug_fn(escape::field).delimited(" ");
        Box::new(builder.fmt_fields(fields).with_ansi(colour).with_target(false).finish().with(filter))
    } else {
        Box::new(
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish().with(filter),
        )
    }
}

/// Hands each line of the log to a sink.
struct Lines {
    sink: Sink,
    text: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Takes one line, in one piece as the subscriber writes it.
struct Line<'a>(&'a Lines);

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match str::from_utf8(line) {
            Ok(json) if !self.0.text => self.0.sink.line(escape::json(json).as_bytes()),
            _ => self.0.sink.line(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const LOST: &str = "lines of the log were lost: stderr did not take them";

fn lost_as_text(lines: u64) -> String {
    format!("{}  WARN {LOST} lines={lines}\n", now())
}

fn lost_as_json(lines: u64) -> String {
    format!("{}\n", serde_json::json!({"timestamp": now(), "level": "WARN", "message": LOST, "lines": lines}))
}

fn now() -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
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

    #[test]
    fn a_filter_is_a_level_or_levels_by_module() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let sink = Sink::new(writer, |_| String::new()).expect("a thread");
        let flush = sink.flush();
        let filter = "warn,ingest=debug".parse().expect("a filter");
        tracing::subscriber::with_default(subscriber(filter, Lines { sink, text: true }, false), || {
            tracing::info!("of others");
            tracing::warn!("a warning");
            tracing::debug!(target: "ingest::admission", "of ingest");
            tracing::trace!(target: "ingest", "more of ingest");
        });
        drop(flush);
        let mut lines = vec![0; 4096];
        let length = io::Read::read(&mut reader, &mut lines).expect("lines");
        let lines = String::from_utf8_lossy(&lines[..length]);
        assert!(lines.contains("a warning") && lines.contains("of ingest"), "{lines}");
        assert!(!lines.contains("of others") && !lines.contains("more of ingest"), "{lines}");
    }

    #[test]
    fn what_a_row_holds_stays_within_its_line_and_commands_no_terminal() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        for (text, file) in [(true, writer.try_clone().expect("a pipe")), (false, writer)] {
            let sink = Sink::new(file, |_| String::new()).expect("a thread");
            let flush = sink.flush();
            let subscriber = subscriber(Targets::new().with_default(LevelFilter::INFO), Lines { sink, text }, false);
            tracing::subscriber::with_default(subscriber, || {
                let row = "Eve\n2026 ERROR forged \u{1b}[2J\u{9b}2J\u{202e}\u{2028}\r";
                tracing::warn!(text = row, shown = %row, debugged = ?row, "a message of {row}");
            });
            drop(flush);
            let mut line = vec![0; 4096];
            let length = io::Read::read(&mut reader, &mut line).expect("a line");
            let line = String::from_utf8(line[..length].to_vec()).expect("text");
            let body = line.strip_suffix('\n').expect("a whole line");
            assert!(body.matches("forged").count() == 4, "{body}");
            assert!(!body.chars().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)), "{body:?}");
        }
    }

    #[test]
    fn the_line_about_lost_lines_is_one_of_the_log() {
        let line: serde_json::Value = serde_json::from_str(&lost_as_json(7)).expect("JSON");
        assert_eq!((&line["level"], &line["lines"]), (&"WARN".into(), &7.into()));
        assert!(lost_as_text(7).ends_with("lines=7\n"));
    }
}
