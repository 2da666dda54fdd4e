//! Applies the catalog at the start, and again whenever one of its files changes.

use std::time::Duration;

use anyhow::Context as _;
use catalog::Report;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::banner::Banner;
use crate::{
    exit,
    stages::{Applied, Publisher},
};

/// How long the files must be left alone: an editor writes one in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// How long until a folder that is gone is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Watches until the shutdown.
///
/// # Errors
/// The folder cannot be watched, or the bus refuses.
pub(super) async fn run(publisher: Publisher, banner: Banner, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One that waits already says the same.
            let _ = changed.try_send(());
        }
    })
    .context("cannot watch the catalog's files")?;
    let folder = &publisher.folder;
    watcher.watch(folder, RecursiveMode::Recursive).with_context(|| format!("cannot watch {}", folder.display()))?;
    // Whether the addresses were told, and whether the last files could be used.
    let (mut welcomed, mut usable) = (false, true);
    loop {
        match publisher.apply().await {
            Ok(Applied::Unchanged(..)) if welcomed && usable => {}
            Ok(Applied::Published(draft)) => {
                banner.applied(draft.number(), &draft.report, !welcomed).await;
                (welcomed, usable) = (true, true);
            }
            Ok(Applied::Unchanged(number, report, _)) => {
                banner.applied(number, &report, !welcomed).await;
                (welcomed, usable) = (true, true);
            }
            Ok(Applied::Invalid(counting, report)) => {
                banner.invalid(&report, counting);
                usable = false;
                // A catalog of before goes on counting, so there is something to listen for.
                if let Some(number) = counting.filter(|_| !welcomed) {
                    banner.applied(number, &Report::default(), true).await;
                    welcomed = true;
                }
            }
            Err(error) => tracing::error!(error = exit::told(&error), "the catalog could not be applied"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Some(()) = changes.recv() => settle(&mut changes).await,
        }
        // The folder may be another one of the same name by now.
        while let Err(error) = watcher.watch(folder, RecursiveMode::Recursive) {
            tracing::error!(folder = %folder.display(), %error, "the catalog's files cannot be watched; trying again every second");
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

/// Waits until the files are left alone.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    while tokio::time::timeout(QUIET, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
}
