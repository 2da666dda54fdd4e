//! Applies the catalog at the start, and again whenever one of its files changes.

use std::{collections::HashSet, time::Duration};

use catalog::Report;
use tokio_util::sync::CancellationToken;

use super::{banner::Banner, files::Files};
use catalog_log::{Applied, Publisher, Standing};
use client::exit;

/// How long until files are applied again that could not be, for the bus or the folder.
const AGAIN: Duration = Duration::from_secs(5);

/// Watches until the shutdown.
pub(super) async fn run(publisher: Publisher, banner: Banner, shutdown: CancellationToken) -> anyhow::Result<()> {
    let watching = async {
        let mut files = Files::watch(&publisher.folder).await;
        let mut state = State { welcomed: false, usable: true, failed: None, warned: HashSet::new() };
        loop {
            match publisher.apply().await {
                Ok(applied) => state.tell(applied, &banner).await,
                Err(error) => state.fail(exit::told(&error), &banner),
            }
            // What failed may be mended without an edit.
            files.changed(if state.failed.is_some() { AGAIN } else { Duration::MAX }).await;
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
    /// Why they were neither used nor refused.
    failed: Option<String>,
    warned: HashSet<String>,
}

impl State {
    fn fail(&mut self, error: String, banner: &Banner) {
        if self.failed.as_ref() != Some(&error) {
            tracing::error!(error, "the catalog could not be applied; trying again every 5 s");
        }
        if !self.welcomed {
            banner.check.not_ready(format!("the catalog could not be applied: {error}"));
        }
        (self.usable, self.failed) = (false, Some(error));
    }

    async fn tell(&mut self, applied: Applied, banner: &Banner) {
        self.failed = None;
        let (number, mut report, changes) = match applied {
            Applied::Unchanged(..) if self.welcomed && self.usable => return,
            Applied::Published(draft) => (draft.number(), draft.report.clone(), Some(draft.changes())),
            Applied::Unchanged(number, report, _) => (number, report, None),
            Applied::Invalid(standing, report) => {
                banner.invalid(&report, &standing);
                self.usable = false;
                // A catalog of before goes on counting, so there is something to listen for.
                if let Standing::Counts(number) = standing
                    && !std::mem::replace(&mut self.welcomed, true)
                {
                    banner.applied(number, &Report::default(), None, true).await;
                }
                return;
            }
        };
        // What was said once is not said at each save.
        report.problems.retain(|problem| self.warned.insert(problem.to_string()));
        banner.applied(number, &report, changes, !self.welcomed).await;
        (self.welcomed, self.usable) = (true, true);
    }
}
