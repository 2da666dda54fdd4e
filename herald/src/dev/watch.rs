//! Applies the catalog at the start, and again whenever one of its files changes.

use catalog::Report;
use tokio_util::sync::CancellationToken;

use super::{banner::Banner, files::Files};
use crate::{
    exit,
    stages::{Applied, Publisher},
};

/// Watches until the shutdown.
pub(super) async fn run(publisher: Publisher, banner: Banner, shutdown: CancellationToken) -> anyhow::Result<()> {
    let watching = async {
        let mut files = Files::watch(&publisher.folder).await;
        let mut state = State { welcomed: false, usable: true };
        loop {
            match publisher.apply().await {
                Ok(applied) => state.tell(applied, &banner).await,
                Err(error) => {
                    tracing::error!(error = exit::told(&error), "the catalog could not be applied");
                }
            }
            files.changed().await;
        }
    };
    // Nothing in it must end: a catalog is on the bus or is not.
    let _: Option<()> = shutdown.run_until_cancelled(watching).await;
    Ok(())
}

/// What was told.
struct State {
    /// Whether the addresses were.
    welcomed: bool,
    /// Whether the last files could be used.
    usable: bool,
}

impl State {
    async fn tell(&mut self, applied: Applied, banner: &Banner) {
        match applied {
            Applied::Unchanged(..) if self.welcomed && self.usable => {}
            Applied::Published(draft) => {
                banner.applied(draft.number(), &draft.report, !self.welcomed).await;
                (self.welcomed, self.usable) = (true, true);
            }
            Applied::Unchanged(number, report, _) => {
                banner.applied(number, &report, !self.welcomed).await;
                (self.welcomed, self.usable) = (true, true);
            }
            Applied::Invalid(counting, report) => {
                banner.invalid(&report, counting);
                self.usable = false;
                // A catalog of before goes on counting, so there is something to listen for.
                if let Some(number) = counting.filter(|_| !self.welcomed) {
                    banner.applied(number, &Report::default(), true).await;
                    self.welcomed = true;
                }
            }
        }
    }
}
