//! What Herald needs on the bus: its own topics and those of the catalog's events, and who reads them.

use std::path::Path;

use anyhow::Context as _;
use bus::{Topic, TopicSpec};
use catalog::{Catalog, Report, Sources};
use contracts::topics;
use job_runner::Registry;

use catalog_log::{on_the_bus, topics_of};
use client::exit::Usage;
use settings::{Config, kafka_topics};

/// Topics and groups.
pub(crate) struct Needs {
    pub(crate) specs: Vec<TopicSpec>,
    /// The groups, and which topics each reads.
    pub(crate) groups: Vec<(String, Vec<Topic>)>,
    /// Where the events are from, in words.
    pub(crate) from: String,
}

/// A catalog with errors.
#[derive(Debug, thiserror::Error)]
#[error("the catalog has errors, so what it needs is not known:\n{}", .0.to_string().trim_end())]
pub(crate) struct Invalid(Report);

impl Needs {
    /// Of the stages alone.
    pub(crate) fn of_stages(from: impl Into<String>) -> Self {
        let groups = [(detector::GROUP, topics::RAW), (results::GROUP, topics::PROGRESS)];
        let groups = groups.map(|(group, topic)| (group.to_owned(), vec![Topic::from(topic)])).to_vec();
        Self { specs: kafka_topics(), groups, from: from.into() }
    }

    fn of(catalog: &Catalog, from: String) -> Self {
        let mut needs = Self::of_stages(from);
        needs.specs.extend(topics_of(catalog));
        let jobs = catalog.jobs().chain(catalog.retired());
        needs.groups.extend(jobs.map(|job| {
            let topics = job.events().iter().map(|event| Topic::from(event.topic())).collect();
            (job.group().to_string(), topics)
        }));
        needs
    }

    /// Of a folder, or else of the catalog on the bus, which is opened for the tool that is called so.
    ///
    /// # Errors
    /// The folder cannot be used, or the bus cannot be read.
    pub(crate) async fn find(config: &Config, tool: &str, folder: Option<&Path>) -> anyhow::Result<Self> {
        let registry = Registry::standard(&config.job_runner);
        if let Some(folder) = folder {
            Usage::catalog(folder)?;
            let outcome = Catalog::compile(&Sources::read(folder)?, &registry);
            let catalog = outcome.catalog.ok_or(Invalid(outcome.report))?;
            return Ok(Self::of(&catalog, format!("the catalog in {}", folder.display())));
        }
        let bus = super::open(config, tool)?;
        let Some(record) = on_the_bus(&*bus).await? else {
            return Ok(Self::of_stages("no catalog: there is none on the bus yet, so name its folder"));
        };
        let catalog = record.compile(&registry).catalog.with_context(|| {
            format!("version {} of the catalog on the bus cannot be used by this version of Herald", record.number)
        })?;
        Ok(Self::of(&catalog, format!("version {} of the catalog on the bus", record.number)))
    }
}
