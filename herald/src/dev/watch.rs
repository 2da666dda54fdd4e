//! Applies the catalog at the start, and again whenever one of its files changes.

use std::time::Duration;

use anyhow::Context as _;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    banner::Banner,
    publish::{Applied, Publisher},
};
use crate::print;

/// How long the files must be left alone: an editor writes one in several steps.
const QUIET: Duration = Duration::from_millis(150);

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
    let mut first = true;
    loop {
        match publisher.apply().await {
            Ok(Applied::Published(number, report)) => banner.applied(number, &report, first).await?,
            Ok(Applied::Unchanged(number, report)) if first => banner.applied(number, &report, true).await?,
            Ok(Applied::Unchanged(..)) => {}
            Ok(Applied::Invalid(report)) => banner.invalid(&report, first)?,
            Err(error) => print::error(&format!("the catalog could not be applied: {error:#}")),
        }
        first = false;
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Some(()) = changes.recv() => settle(&mut changes).await,
        }
    }
}

/// Waits until the files are left alone.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    while tokio::time::timeout(QUIET, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
}
