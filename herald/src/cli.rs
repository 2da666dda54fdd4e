//! The command line: every subcommand with its flags, and nothing of what they do.

mod roles;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use contracts::ids::CorrelationId;

pub(crate) use self::roles::{
    ApplyOptions, CatalogCommand, CatalogOptions, DetectorOptions, HealthOptions, IngestOptions, JobRunnerOptions,
    ResultsOptions,
};
use crate::{bench, cmd, http::Base};

/// Turns database changes into named business events, and runs jobs for them.
#[derive(Debug, Parser)]
#[command(name = "herald", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the answer is no (a sent event's job failed), 2 usage, 3 unreachable.";

/// One subcommand each; `cmd` has a file of the same name.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every stage in one process, on the embedded bus
    Dev(DevOptions),
    /// Take webhooks, and nothing else: one role, on Kafka
    Ingest(IngestOptions),
    /// Turn changes into events, and nothing else: one role, on Kafka
    Detector(DetectorOptions),
    /// Run jobs, and nothing else: one role, on Kafka
    JobRunner(JobRunnerOptions),
    /// Gather results and serve the API, and nothing else: one role, on Kafka
    Results(ResultsOptions),
    /// Put a catalog on the bus
    Catalog(CatalogOptions),
    /// Show what is to be done about Kafka's topics, do it, or print who may use them
    Topics(cmd::topics::Options),
    /// Show who reads what from where, and say from where a group goes on
    Groups(cmd::groups::Options),
    /// Check the configuration and the bus, and say what to do
    Doctor(cmd::doctor::Options),
    /// Send a webhook as Hasura would, and show what becomes of it
    Send(SendOptions),
    /// Show what happened under a correlation id
    Show(ShowOptions),
    /// Follow events as they are published
    Tail(TailOptions),
    /// Measure throughput and latency of a running pipeline
    Bench(bench::Options),
    /// Print or export the JSON Schemas of everything that travels
    Schemas(SchemasOptions),
    /// Print the default configuration, with comments
    Config,
}

impl Command {
    /// Whether it runs until it is told to stop.
    pub(crate) fn serves(&self) -> bool {
        matches!(self, Self::Dev(_) | Self::Ingest(_) | Self::Detector(_) | Self::JobRunner(_) | Self::Results(_))
    }
}

/// Where the API is, for every tool that asks it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Api {
    /// The API of a running Herald
    #[arg(long, env = "HERALD_API", value_name = "URL", default_value = "http://127.0.0.1:8081", value_parser = api)]
    pub(crate) api: Base,
    /// The API's token, where it wants one
    #[arg(long, env = "HERALD_API_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// Where the webhook is, for every tool that sends to it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Webhook {
    /// The webhook listener of a running Herald, with or without its path /hasura
    #[arg(long, env = "HERALD_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = webhook)]
    pub(crate) url: Base,
    /// The webhook's secret, where it wants one
    #[arg(long, env = "HERALD_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
}

/// What `herald dev` is told; what is absent comes from the configuration file, the environment or the defaults.
#[derive(Debug, Clone, Args)]
pub(crate) struct DevOptions {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`; it is read again whenever a file changes
    #[arg(value_name = "FOLDER")]
    pub(crate) catalog: PathBuf,
    /// Where the webhook listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", value_parser = runtime::config::address)]
    pub(crate) api: Option<SocketAddr>,
    /// The folder of the log and the results [default: .herald]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// A configuration file; `herald config` prints the default one
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which bus, and where it is: for the roles and for the tools that open it. What is absent comes from the configuration
/// file, the environment or the defaults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BusOptions {
    /// The bus: embedded, or kafka [default: embedded]
    #[arg(long, value_name = "KIND")]
    pub(crate) bus: Option<String>,
    /// Kafka's brokers to begin with, as in a:9092,b:9092
    #[arg(long, value_name = "HOST:PORT,…")]
    pub(crate) brokers: Option<String>,
    /// What stands before every topic and group [default: herald.]
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Which process of its role this is: the same after a restart, and unique [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// A configuration file; `herald config` prints the default one
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What `herald send` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct SendOptions {
    /// A Hasura payload; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Wait until everything it caused has ended, telling what happens; at most so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s",
          value_parser = contracts::wait::parse)]
    pub(crate) wait: Option<Duration>,
    /// Send the file as it is, byte for byte, instead of with a fresh `id` and `created_at`
    #[arg(long)]
    pub(crate) same_id: bool,
    /// The source it comes from, as in `/hasura/<source>` [default: default]
    #[arg(long, value_name = "NAME", value_parser = source)]
    pub(crate) source: Option<String>,
    /// The correlation id that everything it causes is gathered under [default: derived from the payload's id]
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<CorrelationId>,
    /// Print JSON: the answer, or with --wait the summary
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) webhook: Webhook,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// What `herald show` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowOptions {
    /// The correlation id
    #[arg(value_name = "CORRELATION ID")]
    pub(crate) correlation: CorrelationId,
    /// Wait until it is complete, telling what happens; at most so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s",
          value_parser = contracts::wait::parse)]
    pub(crate) wait: Option<Duration>,
    /// Show every page of a long list of invocations, not just the first
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON: the summary; with --all one page per line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// What `herald tail` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct TailOptions {
    /// Names of events, where `*` stands for anything, as in `move.*` [default: every event]
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Print JSON: one CloudEvent per line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// What `herald schemas` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct SchemasOptions {
    /// Write one file per schema into this folder instead of printing them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// The address of the webhook listener. A URL that ends in the path of the webhook, as `dev` prints it, is the same.
fn webhook(text: &str) -> Result<Base, String> {
    let base: Base = text.parse()?;
    if let Some((before, source)) = base.prefix().rsplit_once("/hasura/") {
        return Err(format!(
            "it names the source `{source}`; give http://{}{before} and --source {source}",
            base.authority()
        ));
    }
    Ok(base.without("/hasura"))
}

/// The address of the API listener. The path of the API behind it is no part of it.
pub(crate) fn api(text: &str) -> Result<Base, String> {
    Ok(text.parse::<Base>()?.without("/v1"))
}

/// A source's name, as ingest takes it in `/hasura/<source>`.
fn source(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits { Ok(text.to_owned()) } else { Err("a source has 1 to 64 letters, digits, '.', '_' or '-'".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wait_without_a_time_is_thirty_seconds_and_does_not_eat_the_file() {
        let Command::Send(options) = Cli::parse_from(["herald", "send", "--wait", "move.json"]).command else {
            panic!("`send` is parsed as send");
        };
        assert_eq!(options.wait, Some(Duration::from_secs(30)));
        assert_eq!(options.file, PathBuf::from("move.json"));
    }

    #[test]
    fn a_url_with_its_path_is_the_same_as_without() {
        for text in
            ["http://127.0.0.1:8080", "127.0.0.1:8080/", "http://127.0.0.1:8080/hasura", "127.0.0.1:8080/hasura/"]
        {
            assert_eq!(webhook(text).expect(text).to_string(), "http://127.0.0.1:8080", "{text}");
        }
        assert_eq!(webhook("gate/herald/hasura").expect("a URL").prefix(), "/herald");
        assert_eq!(api("http://127.0.0.1:8081/v1/").expect("a URL").to_string(), "http://127.0.0.1:8081");
        let error = webhook("http://gate/hasura/billing").expect_err("a source within the URL");
        assert!(error.contains("http://gate and --source billing"), "{error}");
    }

    #[test]
    fn a_source_that_ingest_would_not_take_is_a_usage_error() {
        assert!(source("orders-eu_1.x").is_ok());
        for wrong in ["", "a/b", "a b", &"x".repeat(65)] {
            assert!(source(wrong).is_err(), "{wrong:?} is taken for a source");
        }
    }
}
