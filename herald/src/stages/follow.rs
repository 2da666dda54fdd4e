//! Follows the topic `catalog`: each record that counts is compiled once, for all stages of the process.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bus::Bus;
use catalog::{Catalog, wire::CatalogRecord};
use contracts::names::GroupName;
use detector::CatalogView;
use job_runner::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{gate::Gate, revive::Revived};
use catalog_log::{Follower, News, aside, home, owner};

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
    /// Jobs that have left and are run once more.
    revived: Arc<Mutex<Vec<Revived>>>,
    /// Open once the bus was looked at and had none.
    pub(crate) none: Gate,
    /// The folder of the catalog that counts here, where there is one: a data folder may have had another before.
    home: Option<String>,
}

impl Catalogs {
    pub(crate) fn new() -> Self {
        Self {
            all: watch::Sender::new(None),
            detector: watch::Sender::new(None),
            runner: watch::Sender::new(None),
            revived: Arc::default(),
            none: Gate::closed(),
            home: None,
        }
    }

    /// Those of one folder: what another wrote counts for nothing.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { home: home(folder), ..Self::new() }
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

    /// Ends with the catalog that counts, once there is one.
    pub(crate) async fn some(&self) -> Followed {
        let mut all = self.follow();
        let found = all.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        match found {
            Some(followed) => followed,
            None => std::future::pending().await,
        }
    }

    /// Jobs that have left and are run once more, from now on.
    pub(super) fn revive(&self, jobs: Vec<Revived>) {
        let groups = |jobs: &[Revived]| -> BTreeSet<(GroupName, u64)> {
            jobs.iter().map(|job| (job.spec.group.clone(), job.version)).collect()
        };
        let before = std::mem::replace(&mut *self.revived(), jobs.clone());
        let followed = self.all.borrow().clone();
        if let Some(followed) = followed.filter(|_| groups(&before) != groups(&jobs)) {
            self.runner.send_replace(Some(with(&followed.runner, &jobs)));
        }
    }

    fn revived(&self) -> MutexGuard<'_, Vec<Revived>> {
        self.revived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runner first: it must know a job before an event can name it.
    fn tell(&self, followed: Followed) {
        self.runner.send_replace(Some(with(&followed.runner, &self.revived())));
        let (number, catalog) = (followed.number, followed.catalog.clone());
        self.detector.send_replace(Some(CatalogView { number, catalog }));
        self.all.send_replace(Some(followed));
    }
}

impl ingest::Catalogs for Catalogs {
    fn current(&self) -> Option<Arc<Catalog>> {
        self.all.borrow().as_ref().map(|followed| followed.catalog.clone())
    }
}

/// What the runner follows, and beside it the jobs that are run once more.
fn with(view: &Arc<job_runner::CatalogView>, revived: &[Revived]) -> Arc<job_runner::CatalogView> {
    let is_listed = |job: &&Revived| !view.jobs.iter().any(|listed| listed.group == job.spec.group);
    let mut out = view.clone();
    for Revived { spec, begins, .. } in revived.iter().filter(is_listed) {
        let out = Arc::make_mut(&mut out);
        out.retired.retain(|retired| retired.group != spec.group);
        out.unusable.retain(|group| *group != spec.group);
        out.retired.push(spec.clone());
        out.starts.entry(spec.group.clone()).or_insert_with(|| begins.clone());
    }
    out
}

/// Follows until the shutdown.
///
/// # Errors
/// The topic does not exist, or the bus has stopped.
pub(super) async fn run(
    bus: Arc<dyn Bus>,
    registry: Registry,
    catalogs: Catalogs,
    shutdown: CancellationToken,
) -> Result<(), bus::Error> {
    // Whoever wrote it checked it, so this is a record of another Herald.
    let unusable =
        |problem: String| tracing::error!(problem, "a catalog on the bus cannot be used; the one before it stays");
    let follow = async {
        let mut follower = Follower::new(&*bus);
        loop {
            match follower.next().await? {
                News::None => catalogs.none.pass(),
                News::Counts(record) if owner(record, catalogs.home.as_deref()).is_some() => catalogs.none.pass(),
                News::Unreadable(error) => unusable(error.to_string()),
                News::Counts(record) => match compile_aside(record, &registry).await {
                    Ok(followed) => catalogs.tell(followed),
                    Err(problem) => unusable(problem),
                },
            }
        }
    };
    shutdown.run_until_cancelled(follow).await.unwrap_or(Ok(()))
}

/// Thousands of rules take seconds.
async fn compile_aside(record: &CatalogRecord, registry: &Registry) -> Result<Followed, String> {
    let (record, registry) = (record.clone(), registry.clone());
    aside("compile", move || compile(&record, &registry)).await.unwrap_or_else(|error| Err(error.to_string()))
}

fn compile(record: &CatalogRecord, registry: &Registry) -> Result<Followed, String> {
    let outcome = record.compile(registry);
    let catalog = outcome.catalog.ok_or_else(|| outcome.report.to_string())?;
    let runner = Arc::new(job_runner::CatalogView::new(record, &catalog));
    Ok(Followed { number: record.number, catalog: Arc::new(catalog), runner })
}
