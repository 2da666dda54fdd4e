//! What the runner needs of a catalog: whoever follows the topic `catalog` makes one of each record.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bus::{Offset, TopicPartition};
use catalog::{Backoff, Catalog, Event, Filling, Flow, Gathering, Job, Order, wire::CatalogRecord};
use contracts::names::{EventRef, GroupName, JobName};

/// One numbered catalog, as far as jobs are concerned.
#[derive(Debug, Clone, Default)]
pub struct CatalogView {
    /// Its number. Records stamped by a higher one wait for it.
    pub number: u64,
    /// Its jobs.
    pub jobs: Vec<JobSpec>,
    /// Jobs that left it and may have records to run yet, by their last definitions. They run like any other until a
    /// catalog names them no more, and then until they are drained.
    pub retired: Vec<JobSpec>,
    /// Groups of jobs that left it and whose definitions this version cannot use.
    pub unusable: Vec<GroupName>,
    /// Where a group without a position begins: where the topic ended when the job was first listed on the event.
    /// Without a mark, at the earliest record.
    pub starts: HashMap<GroupName, HashMap<TopicPartition, Offset>>,
}

impl CatalogView {
    /// The view of a record and of what it compiles to.
    pub fn new(record: &CatalogRecord, catalog: &Catalog) -> Self {
        let mut view = Self { number: record.number, ..Self::default() };
        view.jobs = catalog.jobs().map(|job| JobSpec::of(job, record, catalog)).collect();
        view.retired = catalog.retired().map(|job| JobSpec::of(job, record, catalog)).collect();
        let known: HashSet<&GroupName> = view.each().map(|(job, _)| &job.group).collect();
        let retired = record.retired.iter().map(|retired| &retired.group);
        view.unusable = retired.filter(|group| !known.contains(group)).cloned().collect();
        for start in &record.starts {
            let marks = view.starts.entry(start.group.clone()).or_default();
            let topic = start.event.topic();
            marks.extend(
                start
                    .offsets
                    .iter()
                    .map(|(partition, offset)| (TopicPartition::new(topic.as_str(), *partition), Offset(*offset))),
            );
        }
        view
    }

    /// Every job, and whether it is retired.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&JobSpec, bool)> {
        let retired = self.retired.iter().map(|job| (job, true));
        self.jobs.iter().map(|job| (job, false)).chain(retired)
    }
}

/// How one job is to be run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Its name in stamps.
    pub name: JobName,
    /// Its consumer group.
    pub group: GroupName,
    /// What kind of job it is.
    pub kind: String,
    /// How its parameters, its input and the kind's options are filled in.
    pub filling: Arc<Filling>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many attempts there are.
    pub attempts: u32,
    /// How long to wait between them.
    pub backoff: Backoff,
    /// How long a run may take over all its attempts; none for as long as these last.
    pub give_up_after: Option<Duration>,
    /// Exit codes after which another attempt makes no sense.
    pub final_exit_codes: Vec<i32>,
    /// How many runs go on side by side in one process.
    pub concurrency: usize,
    /// Whether records of one key wait for each other.
    pub order: Order,
    /// How its events gather before it runs, if they do.
    pub gathering: Option<Gathering>,
    /// How its attempts are held back.
    pub flow: Flow,
    /// The events that list it.
    pub events: Vec<EventRef>,
}

impl JobSpec {
    /// The job, with the events that list it and those that no longer do while stamps may still name it.
    fn of(job: &Job, record: &CatalogRecord, catalog: &Catalog) -> Self {
        let mut events = job.events().to_vec();
        events.extend(record.starts_of(job.group()).map(|start| start.event.clone()));
        events.sort();
        events.dedup();
        let known: Vec<Option<&Event>> = events.iter().map(|event| catalog.event(event)).collect();
        let rate = job.flow().rate.clone().map(|rate| rate.of(&known));
        let flow = Flow { rate, ..job.flow().clone() };
        Self {
            name: job.name().clone(),
            group: job.group().clone(),
            kind: job.kind().to_owned(),
            filling: Arc::new(job.filling().clone()),
            timeout: job.timeout(),
            attempts: job.attempts(),
            backoff: job.backoff(),
            give_up_after: job.give_up_after(),
            final_exit_codes: job.final_exit_codes().to_vec(),
            concurrency: job.concurrency(),
            order: job.order(),
            gathering: job.gathering().cloned(),
            flow,
            events,
        }
    }
}
