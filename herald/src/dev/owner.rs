//! Whose data folder it is: one that another catalog was used with is taken over only when nothing of that one is under way.

use std::path::{Path, PathBuf};

use bus::Bus;
use catalog_log::{Standing, on_the_bus};
use client::exit::Usage;
use results::Handle;

/// The folder of the catalog that the data folder has had until now, if that is another one.
///
/// # Errors
/// Something of it is not finished: its jobs would run in the wrong folder, and `/v1` would show them as this catalog's.
pub(super) async fn former(
    bus: &dyn Bus,
    results: &Handle,
    catalog: &Path,
    data: &Path,
) -> anyhow::Result<Option<PathBuf>> {
    // What cannot be read is told of by whoever follows it.
    let record = on_the_bus(bus).await.ok().flatten();
    let Standing::Another(other) = Standing::of(record.as_ref(), catalog) else { return Ok(None) };
    let unfinished = match results.ask(|reader| reader.totals()).await?.open {
        0 => return Ok(Some(other)),
        1 => "1 invocation that is not finished".to_owned(),
        more => format!("{more} invocations that are not finished"),
    };
    let (other, data) = (other.display(), data.display());
    let told = format!(
        "{data} is the data folder of the catalog in {other}, and has {unfinished}; let them end with `herald dev {other}`, give \
         this catalog a folder of its own with --data, or delete them with --fresh"
    );
    Err(Usage(told).into())
}
