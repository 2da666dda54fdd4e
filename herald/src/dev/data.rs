//! The data folder: the process is ready while the bus can write there, and ends when it is gone.

use std::sync::Arc;

use bus::embedded::{Embedded, Standing};
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
    let mut standing = bus.standing();
    loop {
        match standing.borrow_and_update().clone() {
            Standing::Writes => check.ready(),
            Standing::Fails(reason) => check.not_ready(format!("the bus cannot write, and tries again: {reason}")),
            Standing::Ended(reason) => {
                check.not_ready(reason.clone());
                return Err(Gone(reason));
            }
        }
        // The bus tells of its end before it goes.
        if shutdown.run_until_cancelled(standing.changed()).await.is_none_or(|changed| changed.is_err()) {
            return Ok(());
        }
    }
}
