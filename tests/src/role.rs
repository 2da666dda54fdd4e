//! What a process of Herald can be.

use std::net::SocketAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Every stage in one process, on the embedded bus.
    Dev,
    /// The webhook.
    Ingest,
    /// Changes become events.
    Detector,
    JobRunner,
    /// What happened, and the API.
    Results,
}

impl Role {
    /// Every role on Kafka.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Detector, Self::JobRunner, Self::Results];

    /// Its subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Ingest => "ingest",
            Self::Detector => "detector",
            Self::JobRunner => "job-runner",
            Self::Results => "results",
        }
    }

    /// Whether a test's own flag is for it.
    pub(crate) fn takes(self, flag: &str) -> bool {
        match flag {
            "--listen" => matches!(self, Self::Dev | Self::Ingest),
            "--api" => matches!(self, Self::Dev | Self::Results),
            "--jobs" => self == Self::JobRunner,
            _ => true,
        }
    }

    /// Whether it is ready only with a catalog, and tells each version that it follows.
    pub(crate) fn tells_catalog(self) -> bool {
        matches!(self, Self::Detector | Self::JobRunner)
    }

    /// What it prints when it is ready, from there on.
    pub(crate) fn ready(self, stdout: &str) -> Option<&str> {
        let mark = match self {
            Self::Dev => "Herald is listening".to_owned(),
            role => format!("🔔 Herald {} is ready", role.name()),
        };
        Some(&stdout[stdout.find(&mark)?..])
    }
}

/// The address after a label, as in `webhook http://127.0.0.1:8080/hasura`.
pub(crate) fn address(ready: &str, label: &str) -> Option<SocketAddr> {
    let (_, rest) = ready.split_once(&format!("   {label} "))?;
    rest.trim_start().strip_prefix("http://")?.split(['/', ' ', '\n']).next()?.parse().ok()
}
