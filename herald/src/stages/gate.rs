//! What stages wait for before they begin.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Opened once, when what stages wait for is there. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    /// One that [`Gate::pass`] opens.
    pub(crate) fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Opens it.
    pub(crate) fn pass(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends once it is open.
    pub(crate) async fn opened(&self) {
        let mut changes = self.0.subscribe();
        while !self.is_open() {
            // The sender lives as long as this value.
            let _ = changes.changed().await;
        }
    }

    /// Runs a stage once it is open; one that is told to end before has ended.
    pub(crate) async fn behind<E, F>(
        self,
        shutdown: CancellationToken,
        stage: impl FnOnce(CancellationToken) -> F,
    ) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
    {
        match shutdown.run_until_cancelled(self.opened()).await {
            Some(()) => stage(shutdown).await,
            None => Ok(()),
        }
    }
}
