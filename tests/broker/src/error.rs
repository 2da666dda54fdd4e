use std::{io, process::ExitStatus};

/// Why there is no Kafka.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Java or Maven is not there.
    #[error(
        "`{tool}` cannot be run ({source}), and Apache Kafka for the tests needs it: `./run test` installs it; or \
         install {package}; or name a running Kafka in HERALD_TEST_KAFKA, which is enough for the tests that break none"
    )]
    Tool {
        /// The command.
        tool: String,
        package: &'static str,
        /// Why it cannot be run.
        source: io::Error,
    },
    /// Maven did not bring Kafka.
    #[error("Maven could not fetch Apache Kafka ({status}); it said:\n{said}")]
    Fetch {
        /// How Maven ended.
        status: ExitStatus,
        /// The end of what it printed.
        said: String,
    },
    /// A file, a folder, a socket.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with its path or address.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// No port is free.
    #[error("no port of 127.0.0.1 between {from} and {to} is free")]
    Ports {
        /// The first that was considered.
        from: u16,
        /// The last.
        to: u16,
    },
    /// A node does not do what it was told.
    #[error("Kafka node {node} {what}; the end of its log:\n{log}")]
    Node {
        /// Its id.
        node: i32,
        /// What it does instead.
        what: String,
        /// The log's last lines.
        log: String,
    },
}

/// The error of something tried with a path or an address.
pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}
