//! Who is compared: which topics each needs, and how it is started.

use std::{fmt, path::Path, process::Command};

use clap::ValueEnum;

use crate::Stage;

/// The one event that is detected in every record.
const DETECTED: &str = "move.pickup.successful";

/// A program that makes an output of every raw record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// A plain idempotent copy loop: the yardstick of what librdkafka and the broker can do
    Copy,
    /// Herald's detector, as it is deployed
    Herald,
    /// Kafka Streams, doing what Herald's detector does
    Streams,
    /// Kafka Streams, writing nothing but the data of events
    StreamsBare,
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By its width, so that tables stand straight.
        f.pad(match self {
            Self::Copy => "copy",
            Self::Herald => "herald",
            Self::Streams => "streams",
            Self::StreamsBare => "streams-bare",
        })
    }
}

/// A contestant's turn: what it reads and writes.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) contestant: Contestant,
    /// What stands before its topics and groups.
    pub(crate) prefix: String,
}

impl Contestant {
    /// Whether it needs Java.
    pub(crate) fn is_java(self) -> bool {
        matches!(self, Self::Streams | Self::StreamsBare)
    }

    /// Whether it detects, so that its outputs are the same as those of others that do.
    pub(crate) fn detects(self) -> bool {
        self != Self::Copy
    }
}

impl Turn {
    /// The topic of raw records.
    pub(crate) fn input(&self) -> String {
        format!("{}raw", self.prefix)
    }

    /// The topic of outputs: one for each raw record.
    pub(crate) fn output(&self) -> String {
        format!("{}event.{DETECTED}", self.prefix)
    }

    /// The topic that tells what was decided about each raw record.
    pub(crate) fn progress(&self) -> Option<String> {
        let told = matches!(self.contestant, Contestant::Herald | Contestant::Streams);
        told.then(|| format!("{}progress", self.prefix))
    }

    /// Makes the topics: as Herald does for itself, and alike for the others.
    ///
    /// # Errors
    /// They cannot be made.
    pub(crate) fn prepare(&self, stage: &Stage) -> anyhow::Result<()> {
        if self.contestant != Contestant::Herald {
            let topics: Vec<_> = [self.input(), self.output()].into_iter().chain(self.progress()).collect();
            return stage.probe.create(&topics);
        }
        for what in ["topics", "catalog"] {
            let output = self.herald(stage, &[what, "apply"]).arg(&stage.programs.catalog).output()?;
            anyhow::ensure!(
                output.status.success(),
                "`herald {what} apply` failed:\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// The process, to be started.
    pub(crate) fn command(&self, stage: &Stage, state: &Path) -> Command {
        match self.contestant {
            Contestant::Copy => self.copy(stage),
            Contestant::Herald => self.herald(stage, &["detector"]),
            Contestant::Streams | Contestant::StreamsBare => self.streams(stage, state),
        }
    }

    fn copy(&self, stage: &Stage) -> Command {
        let mut command = Command::new(&stage.programs.copy);
        command.args([
            format!("brokers={}", stage.brokers),
            format!("from={}", self.input()),
            format!("to={}", self.output()),
            format!("compression={}", stage.options.compression),
            format!("headers={}", if stage.options.copy_bare { "no" } else { "yes" }),
            // Where latency is measured, nothing waits to be sent along with others.
            format!("linger={}", if stage.options.latency { 0 } else { 5 }),
        ]);
        command
    }

    fn herald(&self, stage: &Stage, role: &[&str]) -> Command {
        let mut command = Command::new(&stage.programs.herald);
        command.args(role).args(["--bus", "kafka", "--brokers", &stage.brokers, "--prefix", &self.prefix]);
        let properties = format!("{{ compression.type = \"{}\" }}", stage.options.compression);
        command.env("HERALD__BUS__KAFKA__PROPERTIES", properties).env_remove("HERALD_CONFIG");
        if std::env::var_os("HERALD__TELEMETRY__FILTER").is_none() {
            command.env("HERALD__TELEMETRY__FILTER", "warn");
        }
        command
    }

    fn streams(&self, stage: &Stage, state: &Path) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx1g", "-cp", &stage.programs.streams, "herald.streams.Main"]);
        command.args([
            format!("brokers={}", stage.brokers),
            format!("id={}streams", self.prefix),
            format!("from={}", self.input()),
            format!("to={}", self.output()),
            format!("state={}", state.display()),
            format!("threads={}", stage.options.streams_threads),
            format!("compression={}", stage.options.compression),
            format!("tuned={}", if stage.options.streams_tuned { "yes" } else { "no" }),
        ]);
        command.args(self.progress().map(|topic| format!("progress={topic}")));
        command
    }
}
