//! Jobs that have left the catalog and are run once more: an order about their dead letters names the version of the catalog by
//! whose definition it is done.
//!
//! Such a job is added to what the runner follows, as a retired one, for as long as the order may be begun. Its group begins
//! where its topics end now: what stands there it has read, or left for good.

use std::{collections::HashMap, sync::Arc};

use bus::{Bus, Offset, Outage, Start, TopicInfo, TopicPartition};
use catalog_log::{aside, version};
use contracts::{control::Standing, names::GroupName};
use jiff::Timestamp;
use job_runner::{CatalogView, JobSpec, Registry};
use tokio_util::sync::CancellationToken;

use super::{control::Controls, follow::Catalogs};

static OUTAGE: Outage = Outage::of("whoever looks for jobs that have left");

/// A job that is run once more.
#[derive(Debug, Clone)]
pub(super) struct Revived {
    /// The version of the catalog that its definition is from.
    pub(super) version: u64,
    pub(super) spec: JobSpec,
    pub(super) begins: HashMap<TopicPartition, Offset>,
}

/// Jobs by the version of the catalog that has them.
type Wanted = Vec<(GroupName, u64)>;

/// Keeps up what is revived until the shutdown.
///
/// # Errors
/// The bus has stopped, or whoever follows the catalog or the orders has ended.
pub(super) async fn run(
    bus: Arc<dyn Bus>,
    registry: Registry,
    catalogs: Catalogs,
    controls: Controls,
    shutdown: CancellationToken,
) -> Result<(), bus::Error> {
    let keep = async {
        let (mut all, mut said) = (catalogs.follow(), controls.follow());
        let mut known: HashMap<(GroupName, u64), Option<Revived>> = HashMap::new();
        loop {
            let listed = all.borrow_and_update().clone();
            let standing = said.borrow_and_update().clone();
            if let (Some(followed), Some(standing)) = (listed, standing) {
                let is_listed = |group: &GroupName| followed.catalog.jobs().any(|job| job.group() == group);
                let wanted = wanted(&standing, is_listed, Timestamp::now());
                known.retain(|one, _| wanted.contains(one));
                for one in &wanted {
                    if !known.contains_key(one) {
                        let found = OUTAGE.patiently(|| find(&*bus, &registry, one)).await?;
                        known.insert(one.clone(), found);
                    }
                }
                catalogs.revive(wanted.iter().filter_map(|one| known.get(one).cloned().flatten()).collect());
            }
            let changed = tokio::select! {
                changed = all.changed() => changed,
                changed = said.changed() => changed,
            };
            if changed.is_err() {
                return Ok(());
            }
        }
    };
    shutdown.run_until_cancelled(keep).await.unwrap_or(Ok(()))
}

/// What orders name, of jobs that are in no event now; of several orders about one job the last counts.
fn wanted(standing: &Standing, is_listed: impl Fn(&GroupName) -> bool, now: Timestamp) -> Wanted {
    let named = standing.orders(now).filter_map(|given| Some((&given.group, given.order.definition()?)));
    let last: HashMap<&GroupName, u64> = named.filter(|(group, _)| !is_listed(group)).collect();
    last.into_iter().map(|(group, version)| (group.clone(), version)).collect()
}

async fn find(bus: &dyn Bus, registry: &Registry, one: &(GroupName, u64)) -> Result<Option<Revived>, bus::Error> {
    let (group, number) = one.clone();
    let Some(record) = version(bus, Some(number)).await? else { return Ok(None) };
    let registry = registry.clone();
    let compiled = aside("revive", move || {
        let catalog = record.compile(&registry).catalog?;
        CatalogView::new(&record, &catalog).jobs.into_iter().find(|job| job.group == group)
    });
    let Some(spec) = compiled.await.ok().flatten() else {
        tracing::error!(
            job.name = one.0.full_name(),
            catalog.number = number,
            "this version of Herald cannot use the definition by which a job that left is to run"
        );
        return Ok(None);
    };
    let topics = bus.topics().await?;
    let reads = |info: &&TopicInfo| spec.events.iter().any(|event| event.topic() == info.topic.as_str());
    let partitions: Vec<TopicPartition> = topics.iter().filter(reads).flat_map(TopicInfo::each).collect();
    let begins = bus.offsets(&partitions, Start::End).await?;
    if begins.len() < partitions.len() {
        return Err(bus::Error::Unavailable("the ends of its topics cannot be told now".to_owned()));
    }
    Ok(Some(Revived { version: number, spec, begins }))
}
