//! The data folder: the process is ready while it is there, and ends when it is gone.

use std::sync::Arc;

use bus::embedded::Embedded;
use runtime::health::Check;
use tokio_util::sync::CancellationToken;

/// The bus has stopped under its stages, for this reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Gone(String);

/// Watches until the shutdown.
///
/// # Errors
/// The bus has stopped: its files are no longer where they were.
pub(super) async fn run(bus: Arc<Embedded>, check: Check, shutdown: CancellationToken) -> Result<(), Gone> {
    check.ready();
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        reason = bus.ended() => {
            check.not_ready(reason.clone());
            Err(Gone(reason))
        }
    }
}
