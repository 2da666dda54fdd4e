//! Puts the catalog's files on the bus, whenever they say something else than the last record does.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use bus::{Bus, Last, Outgoing, Start, TopicSpec};
use catalog::{
    Catalog, Report, Sources,
    wire::{CatalogRecord, KEEP_RETIRED, Plan, plan_next},
};
use contracts::{names::GroupName, topics};
use job_runner::Registry;

/// Reads the files and writes the record.
pub(super) struct Publisher {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) registry: Registry,
    pub(super) folder: PathBuf,
}

/// What became of the files.
pub(super) enum Applied {
    /// They are on the bus now, under that number.
    Published(u64, Report),
    /// The last record says the same.
    Unchanged(u64, Report),
    /// They cannot be used: what is on the bus, the record of that number, goes on counting.
    Invalid(Option<u64>, Report),
}

impl Publisher {
    /// All or nothing: a folder with an error changes nothing.
    ///
    /// # Errors
    /// The folder cannot be read, or the bus refuses.
    pub(super) async fn apply(&self) -> anyhow::Result<Applied> {
        let sources = Sources::read(&self.folder)?;
        let outcome = Catalog::compile(&sources, &self.registry);
        let previous = self.previous().await?;
        let Some(catalog) = outcome.catalog else {
            return Ok(Applied::Invalid(previous.map(|previous| previous.number), outcome.report));
        };
        if let Some(previous) = previous.as_ref().filter(|previous| previous.sources == sources) {
            return Ok(Applied::Unchanged(previous.number, outcome.report));
        }
        self.create_topics(&catalog).await?;
        let ends = self.ends(&catalog).await?;
        let undrained = self.undrained(previous.as_ref()).await?;
        let record = plan_next(Plan {
            previous: previous.as_ref(),
            sources,
            catalog: &catalog,
            ends: &|topic| ends.get(topic).cloned().unwrap_or_default(),
            now: jiff::Timestamp::now(),
            keep_retired: KEEP_RETIRED,
            drained: &|group| !undrained.contains(group),
        });
        let value = record.encode();
        self.bus.publish(vec![Outgoing::new(topics::CATALOG, topics::CATALOG, value)]).await?;
        Ok(Applied::Published(record.number, outcome.report))
    }

    async fn previous(&self) -> anyhow::Result<Option<CatalogRecord>> {
        let last = Last::of(&*self.bus, topics::CATALOG).current().await?;
        last.map(|record| CatalogRecord::decode(record.value()))
            .transpose()
            .context("cannot read the catalog on the bus")
    }

    /// The groups that left something and have not read all of it.
    async fn undrained(&self, previous: Option<&CatalogRecord>) -> anyhow::Result<HashSet<GroupName>> {
        let mut undrained = HashSet::new();
        for start in previous.iter().flat_map(|previous| &previous.starts).filter(|start| start.left.is_some()) {
            if self.bus.lag(start.group.as_str()).await?.iter().any(|lag| lag.records > 0) {
                undrained.insert(start.group.clone());
            }
        }
        Ok(undrained)
    }

    async fn create_topics(&self, catalog: &Catalog) -> anyhow::Result<()> {
        let specs = catalog.events().iter().map(|event| TopicSpec::new(event.name().topic())).collect();
        self.bus.create(specs).await.context("cannot create the events' topics")
    }

    /// Where every event's topic ends now: nothing before names a job that is new.
    async fn ends(&self, catalog: &Catalog) -> anyhow::Result<HashMap<String, Vec<(u32, u64)>>> {
        let infos: HashMap<_, _> =
            self.bus.topics().await?.into_iter().map(|info| (info.topic.as_str().to_owned(), info)).collect();
        let mut ends = HashMap::with_capacity(catalog.events().len());
        for event in catalog.events() {
            let topic = event.name().topic();
            let Some(info) = infos.get(&topic) else { continue };
            let mut offsets = Vec::new();
            for at in info.each() {
                offsets.push((at.partition.0, self.bus.offset(&at, Start::End).await?.0));
            }
            ends.insert(topic, offsets);
        }
        Ok(ends)
    }
}
