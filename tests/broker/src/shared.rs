//! The one broker of a test process.

use std::sync::OnceLock;

use crate::Cluster;

/// The variable that names a running Kafka, `host:port[,…]`.
pub const VARIABLE: &str = "HERALD_TEST_KAFKA";

/// The bootstrap servers for this test process: those of `HERALD_TEST_KAFKA`, else a single node, started by whoever
/// asks first; it ends with the process. Topics and groups of a test need names of their own.
///
/// # Panics
/// If the node does not start; with the reason.
pub fn shared() -> &'static str {
    static SERVERS: OnceLock<Result<Shared, String>> = OnceLock::new();
    let shared = SERVERS.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(given) if !given.trim().is_empty() => Ok(Shared { bootstrap: given.trim().to_owned(), _cluster: None }),
        _ => match Cluster::single().start() {
            Ok(cluster) => Ok(Shared { bootstrap: cluster.bootstrap(), _cluster: Some(cluster) }),
            Err(error) => Err(error.to_string()),
        },
    });
    match shared {
        Ok(shared) => &shared.bootstrap,
        Err(error) => panic!("there is no Kafka for the tests: {error}"),
    }
}

struct Shared {
    bootstrap: String,
    /// Never dropped: its keeper ends it when this process is gone.
    _cluster: Option<Cluster>,
}
