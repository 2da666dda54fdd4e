//! What this process knows of jobs, for the API: the catalog that counts, the versions before it, and what was said.

use std::sync::Arc;

use bus::Bus;
use catalog_log::with_job;
use contracts::{
    control::Standing,
    names::{EventRef, GroupName, JobName},
    outcomes::BoxFuture,
};
use results::{Job, Jobs};
use tokio::sync::{Mutex, watch};

use super::{control::Controls, follow::Catalogs};

/// Asks whoever follows. Cheap to share.
pub(crate) struct Known {
    catalogs: Catalogs,
    controls: Controls,
    /// Whoever holds it may read the catalogs of before, which are large when they are unpacked.
    bus: Mutex<Arc<dyn Bus>>,
}

impl Known {
    pub(crate) fn new(bus: Arc<dyn Bus>, catalogs: Catalogs, controls: Controls) -> Self {
        Self { catalogs, controls, bus: Mutex::new(bus) }
    }
}

impl Jobs for Known {
    fn catalog(&self) -> Option<u64> {
        self.catalogs.follow().borrow().as_ref().map(|followed| followed.number)
    }

    fn all(&self) -> Vec<Job> {
        let followed = self.catalogs.follow();
        let Some(catalog) = followed.borrow().as_ref().map(|followed| followed.catalog.clone()) else {
            return Vec::new();
        };
        let of = |job: &catalog::Job, retired| Job {
            group: job.group().clone(),
            name: job.name().clone(),
            events: job.events().to_vec(),
            retired,
        };
        catalog.jobs().map(|job| of(job, false)).chain(catalog.retired().map(|job| of(job, true))).collect()
    }

    fn group(&self, event: &EventRef, job: &JobName) -> GroupName {
        let inline = GroupName::of_inline(event, job);
        let followed = self.catalogs.follow();
        let shared = GroupName::of_definition(job);
        // An event whose job is written in it has no other of that name.
        let is_shared = followed
            .borrow()
            .as_ref()
            .is_some_and(|followed| followed.catalog.job(&inline).is_none() && followed.catalog.job(&shared).is_some());
        if is_shared { shared } else { inline }
    }

    fn rate(&self, group: &GroupName) -> Option<String> {
        let followed = self.catalogs.follow();
        let followed = followed.borrow();
        let catalog = &followed.as_ref()?.catalog;
        let job = catalog.job(group).or_else(|| catalog.retired().find(|job| job.group() == group))?;
        job.flow().rate.as_ref().map(ToString::to_string)
    }

    fn said(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.controls.follow()
    }

    fn versions_with<'a>(&'a self, group: &'a GroupName) -> BoxFuture<'a, Result<Vec<u64>, bus::Error>> {
        Box::pin(async move {
            let bus = self.bus.lock().await;
            with_job(&**bus, group).await
        })
    }
}
