//! Applies the catalog at the start, and again whenever one of its files changes.

use std::{collections::HashSet, time::Duration};

use catalog::{Report, Severity};
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
        let mut state = State { welcomed: false, awaiting: false, usable: true, failed: None, warned: HashSet::new() };
        loop {
            match publisher.apply().await {
                Ok(applied) => state.tell(applied, &banner).await,
                Err(error) => state.fail(exit::told(&error), &banner),
            }
            // What failed may be mended without an edit.
            if files.changed(if state.failed.is_some() { AGAIN } else { Duration::MAX }).await {
                banner.is_back();
            }
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
    /// Whether they were while no catalog counted.
    awaiting: bool,
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
            self.await_catalog(banner);
        }
        (self.usable, self.failed) = (false, Some(error));
    }

    async fn tell(&mut self, applied: Applied, banner: &Banner) {
        self.failed = None;
        let (number, mut report, changes) = match applied {
            Applied::Unchanged(_, mut report, _) if self.welcomed && self.usable => {
                self.leave_new(&mut report);
                return banner.warnings(&report);
            }
            Applied::Published(draft) => (draft.number(), draft.report.clone(), Some(draft.changes())),
            Applied::Unchanged(number, report, _) => (number, report, None),
            Applied::Invalid(standing, mut report) => {
                let warnings = report.count(Severity::Warning);
                self.leave_new(&mut report);
                banner.invalid(&report, warnings, &standing);
                self.usable = false;
                // A catalog of before goes on counting, so there is something to listen for.
                if let Standing::Counts(number) = standing
                    && !std::mem::replace(&mut self.welcomed, true)
                {
                    banner.applied(number, &Report::default(), None, true).await;
                }
                if !self.welcomed {
                    self.await_catalog(banner);
                }
                return;
            }
        };
        self.leave_new(&mut report);
        banner.applied(number, &report, changes, !self.welcomed).await;
        (self.welcomed, self.usable) = (true, true);
    }

    fn await_catalog(&mut self, banner: &Banner) {
        if !std::mem::replace(&mut self.awaiting, true) {
            banner.awaiting();
        }
    }

    /// A warning that was told once is not told at each save.
    fn leave_new(&mut self, report: &mut Report) {
        report.problems.retain(|it| it.severity == Severity::Error || self.warned.insert(it.to_string()));
    }
}
