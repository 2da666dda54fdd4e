//! `cargo run --release -p compare`: Herald's detector, a plain copy loop and Kafka Streams, side by side on one broker.
//!
//! Every contestant has its turn in every round, on topics of its own that were filled alike. What is measured is seen
//! from outside, by the same program for all (`kafka/examples/probe`): here is only who does what, and in which order. See
//! `docs/benchmarks.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]

mod contestant;
mod latency;
mod probe;
mod process;
mod programs;
mod report;
mod throughput;

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use broker::Cluster;
use clap::Parser;
use tempfile::TempDir;

use crate::{contestant::Contestant, probe::Probe, programs::Programs};

/// Compares Herald's detector with a plain copy loop and with Kafka Streams, on one broker.
#[derive(Debug, Clone, Parser)]
#[command(name = "compare", max_term_width = 100)]
pub(crate) struct Options {
    /// Measure latency at a steady rate instead of throughput
    #[arg(long)]
    latency: bool,
    /// Who takes part
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "copy,herald,streams,streams-bare")]
    only: Vec<Contestant>,
    /// How often each has its turn, after one for throughput that does not count [default: 3, with --latency 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Records of a turn
    #[arg(long, value_name = "N", default_value_t = 600_000, value_parser = clap::value_parser!(u64).range(1000..))]
    records: u64,
    /// Size of a raw record's value in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1536, value_parser = clap::value_parser!(u32).range(1200..=4_000_000))]
    size: u32,
    /// With --latency: records a second
    #[arg(long, value_name = "RATE", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// With --latency: seconds of a turn, after ten that do not count
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How every contestant compresses what it writes
    #[arg(long, value_name = "KIND", default_value = "none")]
    compression: String,
    /// Threads of Kafka Streams
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    streams_threads: u32,
    /// Give Kafka Streams larger polls and batches than its defaults
    #[arg(long)]
    streams_tuned: bool,
    /// Take the programs as they are built, even if the code has changed since
    #[arg(long)]
    no_build: bool,
    /// Have the copy loop leave out the headers of records
    #[arg(long)]
    copy_bare: bool,
}

impl Options {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.latency { 1 } else { 3 })
    }
}

/// What every turn needs.
pub(crate) struct Stage {
    pub(crate) options: Options,
    pub(crate) programs: Programs,
    pub(crate) brokers: String,
    pub(crate) probe: Probe,
    /// Where logs and state are, for as long as it is measured.
    pub(crate) scratch: TempDir,
    /// A number of this run alone.
    pub(crate) run: u64,
}

impl Stage {
    /// What stands before every topic and group of a turn.
    pub(crate) fn prefix(&self, round: u32, contestant: Contestant) -> String {
        format!("compare-{:x}-{round}-{contestant}.", self.run)
    }
}

fn main() -> ExitCode {
    match measure(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: Options) -> anyhow::Result<()> {
    let programs = Programs::get(&options)?;
    let scratch = tempfile::Builder::new().prefix("herald-compare-").tempdir().context("cannot create a folder")?;
    let (brokers, _cluster) = kafka()?;
    let probe = Probe::new(&programs, &brokers);
    let run = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
    let stage = Stage { options, programs, brokers, probe, scratch, run };
    if stage.options.latency { latency::measure(&stage) } else { throughput::measure(&stage) }
}

/// The broker that was given, else one of our own: with the memory and the compiler of a broker that is to be quick, which
/// those of the tests are not.
fn kafka() -> anyhow::Result<(String, Option<Cluster>)> {
    if let Some(given) = std::env::var(broker::VARIABLE).ok().filter(|given| !given.trim().is_empty()) {
        return Ok((given.trim().to_owned(), None));
    }
    eprintln!("starting Kafka …");
    let quick = Cluster::single().java_option("-Xmx1g").java_option("-XX:TieredStopAtLevel=4");
    let cluster = quick.start()?;
    Ok((cluster.bootstrap(), Some(cluster)))
}
