//! Follows the topic `catalog`: each record is compiled once, for all stages of the process.

use std::sync::Arc;

use bus::{Bus, Last};
use catalog::{Catalog, wire::CatalogRecord};
use contracts::topics;
use detector::CatalogView;
use job_runner::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The catalog that counts, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) number: u64,
    pub(crate) catalog: Arc<Catalog>,
    runner: Arc<job_runner::CatalogView>,
}

/// The catalog that counts, for whoever follows it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Catalogs {
    all: watch::Sender<Option<Followed>>,
    detector: watch::Sender<Option<CatalogView>>,
    runner: watch::Sender<Option<Arc<job_runner::CatalogView>>>,
}

impl Catalogs {
    pub(crate) fn new() -> Self {
        Self { all: watch::Sender::new(None), detector: watch::Sender::new(None), runner: watch::Sender::new(None) }
    }

    pub(crate) fn follow(&self) -> watch::Receiver<Option<Followed>> {
        self.all.subscribe()
    }

    pub(crate) fn for_detector(&self) -> watch::Receiver<Option<CatalogView>> {
        self.detector.subscribe()
    }

    pub(crate) fn for_runner(&self) -> watch::Receiver<Option<Arc<job_runner::CatalogView>>> {
        self.runner.subscribe()
    }

    /// The runner first: it must know a job before an event can name it.
    fn tell(&self, followed: Followed) {
        self.runner.send_replace(Some(followed.runner.clone()));
        let (number, catalog) = (followed.number, followed.catalog.clone());
        self.detector.send_replace(Some(CatalogView { number, catalog }));
        self.all.send_replace(Some(followed));
    }
}

/// Follows until the shutdown.
///
/// # Errors
/// The bus cannot be read.
pub(super) async fn run(
    bus: Arc<dyn Bus>,
    registry: Registry,
    catalogs: Catalogs,
    shutdown: CancellationToken,
) -> Result<(), bus::Error> {
    let mut last = Last::of(&*bus, topics::CATALOG);
    loop {
        let record = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            record = last.changed() => record?,
        };
        match compile(record.value(), &registry) {
            Ok(followed) => catalogs.tell(followed),
            // Whoever wrote it checked it, so this is a record of another Herald; the one before it goes on counting.
            Err(problem) => tracing::error!(problem, "a catalog on the bus cannot be used; the one before it stays"),
        }
    }
}

fn compile(value: &[u8], registry: &Registry) -> Result<Followed, String> {
    let record = CatalogRecord::decode(value).map_err(|error| error.to_string())?;
    let outcome = record.compile(registry);
    let catalog = outcome.catalog.ok_or_else(|| outcome.report.to_string())?;
    let runner = Arc::new(job_runner::CatalogView::new(&record, &catalog));
    Ok(Followed { number: record.number, catalog: Arc::new(catalog), runner })
}
