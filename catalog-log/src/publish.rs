//! Puts the catalog's files on the bus, whenever they say something else than the record that counts.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bus::{Bus, Offset, Outage, Outgoing, Start, Topic, TopicInfo, TopicPartition, TopicSpec, has_any};
use bytes::Bytes;
use catalog::{
    Catalog, Changes, Kinds, Outcome, ReadError, Report, Rule, Sources,
    wire::{CatalogRecord, KEEP_RETIRED, Plan, plan_next},
};
use contracts::{names::GroupName, outcomes::BoxFuture, topics};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    aside::aside,
    log::{Entry, Live, Log, Newest},
    standing::{Standing, emptied, home},
};

/// Who looks into lanes, while the bus is away.
static OUTAGE: Outage = Outage::of("the catalog's plan");
/// How many questions are put to the bus at once.
const QUESTIONS: usize = 64;
/// How many topics are created at once: each time the bus waits, for so long and no longer, until they can be used.
const TOPICS: usize = 200;
/// How long the files may take to be read and compiled.
const READ: Duration = Duration::from_secs(60);
/// How many earlier catalogs are kept at most, however old the oldest change is.
const KEPT: usize = 100;
/// How long after a catalog was written the one before it may still decide, in a process that has not heard of it.
const FOLLOWED: SignedDuration = SignedDuration::from_mins(10);
/// How long a record that was written may take to be read back.
const READ_BACK: Duration = Duration::from_secs(15);

/// Who may write to the topic beside us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Nobody: the bus is ours alone.
    Us,
    /// Others: what we wrote is read back, and counts only if nobody was before us.
    Others,
}

/// Reads the files and writes the record.
pub struct Publisher {
    /// Where the record goes.
    pub bus: Arc<dyn Bus>,
    /// The kinds of jobs that there are.
    pub kinds: Arc<dyn Kinds + Send + Sync>,
    /// The files.
    pub folder: PathBuf,
    /// Who else may write.
    pub writers: Writers,
    /// Whether topics that events need are created.
    pub create_topics: bool,
    /// Whether a folder without any file of an event may take away all events.
    pub may_empty: bool,
}

/// The topics of a catalog: one for each event, and two for each job, where it keeps what waits and its dead letters.
pub fn topics_of(catalog: &Catalog) -> Vec<TopicSpec> {
    let mut specs: Vec<TopicSpec> = catalog.events().iter().map(|event| TopicSpec::new(event.name().topic())).collect();
    for job in catalog.jobs().chain(catalog.retired()) {
        let inputs = || job.events().iter().map(|event| Topic::from(event.topic()));
        specs.push(TopicSpec::beside(topics::lane(job.group()), inputs()));
        specs.push(TopicSpec::beside(topics::dead(job.group()), inputs()));
    }
    specs
}

/// What became of the files.
pub enum Applied {
    /// They are on the bus now.
    Published(Box<Draft>),
    /// The record of that number says the same. These of its topics were not there: deleted, or never created.
    Unchanged(u64, Report, Vec<TopicSpec>),
    /// They cannot be used.
    Invalid(Standing, Report),
}

/// Files that can be used, and what is on the bus.
pub struct Draft {
    /// What was found in them.
    pub report: Report,
    /// The files.
    pub sources: Sources,
    /// What they compile to.
    pub catalog: Catalog,
    /// What counts until then.
    pub previous: Option<CatalogRecord>,
    /// The topics of events and jobs that are not there yet.
    pub missing: Vec<TopicSpec>,
    /// Those that are.
    topics: HashMap<String, TopicInfo>,
}

impl Draft {
    /// The number that it gets.
    pub fn number(&self) -> u64 {
        self.previous.as_ref().map_or(1, |previous| previous.number + 1)
    }

    /// What it says differently from what counts until then.
    pub fn changes(&self) -> Changes {
        let nothing = Sources::default();
        let before = self.previous.as_ref().map_or(&nothing, |previous| &previous.sources);
        Changes::between(before, &self.sources)
    }
}

impl Publisher {
    /// All or nothing: a folder with an error changes nothing.
    ///
    /// # Errors
    /// The folder cannot be read, the bus refuses, or somebody else wrote a catalog meanwhile.
    pub async fn apply(&self) -> anyhow::Result<Applied> {
        let mut log = Log::new(&*self.bus);
        let draft = match self.draft(&mut log).await? {
            Ok(draft) => draft,
            Err(applied) => {
                if let Applied::Unchanged(_, _, missing) = &applied {
                    self.create(missing).await?;
                }
                return Ok(applied);
            }
        };
        self.create(&draft.missing).await?;
        let (draft, record) = self.record(Box::new(draft)).await?;
        self.write(&record, &mut log).await?;
        Ok(Applied::Published(draft))
    }

    /// Creates topics, where that is wanted.
    async fn create(&self, missing: &[TopicSpec]) -> anyhow::Result<()> {
        if self.create_topics {
            for specs in missing.chunks(TOPICS) {
                self.bus.create(specs.to_vec()).await.context("cannot create the topics of events and jobs")?;
            }
        }
        Ok(())
    }

    /// What [`Publisher::apply`] would write; nothing is changed.
    ///
    /// # Errors
    /// The folder or the bus cannot be read.
    pub async fn look(&self) -> anyhow::Result<Result<Draft, Applied>> {
        self.draft(&mut Log::new(&*self.bus)).await
    }

    async fn draft(&self, log: &mut Log<'_>) -> anyhow::Result<Result<Draft, Applied>> {
        let (sources, outcome) = self.read().await?;
        let previous = previous(log).await?;
        let Some(catalog) = outcome.catalog else {
            return Ok(Err(Applied::Invalid(Standing::of(previous.as_ref(), &self.folder), outcome.report)));
        };
        if !self.may_empty
            && let Some(gone) = emptied(&sources, previous.as_ref(), self.home().as_deref())
        {
            let mut report = outcome.report;
            report.problems.retain(|problem| problem.rule != Rule::Empty);
            report.push(gone);
            return Ok(Err(Applied::Invalid(Standing::of(previous.as_ref(), &self.folder), report)));
        }
        let topics: HashMap<_, _> =
            self.bus.topics().await?.into_iter().map(|info| (info.topic.as_str().to_owned(), info)).collect();
        let mut missing = topics_of(&catalog);
        missing.retain(|spec| !topics.contains_key(spec.topic.as_str()));
        let folder = self.home();
        let is_same = |previous: &&CatalogRecord| {
            previous.sources.say_the_same(&sources)
                && (previous.folder.is_none() || folder.is_none() || previous.folder == folder)
        };
        if let Some(previous) = previous.as_ref().filter(is_same) {
            return Ok(Err(Applied::Unchanged(previous.number, outcome.report, missing)));
        }
        Ok(Ok(Draft { report: outcome.report, sources, catalog, previous, missing, topics }))
    }

    /// What the record says of where its files are from.
    fn home(&self) -> Option<String> {
        if self.writers == Writers::Us { home(&self.folder) } else { None }
    }

    /// The files, and what they compile to. A disk that hangs is waited for, so long and no longer.
    async fn read(&self) -> anyhow::Result<(Sources, Outcome)> {
        let (folder, kinds) = (self.folder.clone(), self.kinds.clone());
        let work = move || -> Result<_, ReadError> {
            let sources = Sources::read(&folder)?;
            let outcome = Catalog::compile(&sources, &*kinds);
            Ok((sources, outcome))
        };
        let read = tokio::time::timeout(READ, aside("catalog", work)).await;
        Ok(read.with_context(|| format!("{} cannot be read and compiled within {READ:?}", self.folder.display()))???)
    }

    /// The record that makes a draft count.
    async fn record(&self, draft: Box<Draft>) -> anyhow::Result<(Box<Draft>, CatalogRecord)> {
        let ends = self.ends(&draft).await?;
        let undrained = self.undrained(draft.previous.as_ref()).await?;
        let folder = self.home();
        // The catalog before is compiled for it again.
        let plan = move || {
            let record = plan_next(Plan {
                previous: draft.previous.as_ref(),
                sources: draft.sources.clone(),
                folder,
                catalog: &draft.catalog,
                ends: &|topic| ends.get(topic).cloned().unwrap_or_default(),
                now: Timestamp::now(),
                keep_retired: KEEP_RETIRED,
                drained: &|group| !undrained.contains(group),
            });
            (draft, record)
        };
        Ok(aside("plan", plan).await?)
    }

    /// The groups that left something and have not done all of it: it is unread, or waits for another attempt.
    async fn undrained(&self, previous: Option<&CatalogRecord>) -> anyhow::Result<HashSet<GroupName>> {
        let starts = previous.iter().flat_map(|previous| &previous.starts).filter(|start| start.left.is_some());
        let mut groups: HashSet<GroupName> = starts.map(|start| start.group.clone()).collect();
        let names: Vec<String> = groups.iter().map(GroupName::to_string).collect();
        let lags = self.bus.lags(&names).await?;
        let is_behind =
            |group: &GroupName| lags.get(group.as_str()).is_some_and(|all| all.iter().any(|lag| lag.records > 0));
        let drained: Vec<GroupName> = groups.extract_if(|group| !is_behind(group)).collect();
        let topics = if drained.is_empty() { Vec::new() } else { self.bus.topics().await? };
        for group in drained {
            let lane = topics::lane(&group);
            if let Some(lane) = topics.iter().find(|info| info.topic.as_str() == lane)
                && has_any(&*self.bus, &OUTAGE, lane, contracts::lane::STATES).await?
            {
                groups.insert(group);
            }
        }
        Ok(groups)
    }

    /// Where the topics of events with a new job end now: nothing before names that job. A topic that was not there had
    /// nothing in it.
    async fn ends(&self, draft: &Draft) -> anyhow::Result<HashMap<String, Vec<(u32, u64)>>> {
        let started: HashSet<_> =
            draft.previous.iter().flat_map(|it| &it.starts).map(|start| (&start.group, &start.event)).collect();
        let jobs = draft.catalog.jobs().flat_map(|job| job.events().iter().map(move |event| (job.group(), event)));
        let asked: BTreeSet<String> =
            jobs.filter(|job| !started.contains(job)).map(|(_, event)| event.topic()).collect();
        let partitions: Vec<TopicPartition> =
            asked.iter().filter_map(|topic| draft.topics.get(topic)).flat_map(TopicInfo::each).collect();
        let found = self.bus.offsets(&partitions, Start::End).await?;
        let mut ends: HashMap<String, Vec<(u32, u64)>> = HashMap::new();
        for at in partitions {
            let end = found.get(&at).with_context(|| format!("the end of {at} cannot be told now; apply it again"))?;
            ends.entry(at.topic.as_str().to_owned()).or_default().push((at.partition.0, end.0));
        }
        Ok(ends)
    }

    /// Writes the record, and makes sure that it counts.
    async fn write(&self, record: &CatalogRecord, log: &mut Log<'_>) -> anyhow::Result<()> {
        let key = Bytes::from(format!("{}/{}", record.number, Uuid::now_v7()));
        let written = Outgoing::new(topics::CATALOG, key.clone(), record.encode());
        let spots = self.bus.publish(vec![written]).await.context("cannot write the catalog")?;
        let before: Vec<(Bytes, Option<Live>)> = log.live().map(|(key, live)| (key.clone(), live)).collect();
        let Some(spot) = spots.first().filter(|_| self.writers == Writers::Others) else {
            self.forget(before, record.written).await;
            return Ok(());
        };
        let lost = tokio::time::timeout(READ_BACK, was_forestalled(log, record.number, spot.offset))
            .await
            .context("the catalog was written, but cannot be read back to see whether it counts; apply it again")??;
        if lost {
            self.delete([key]).await;
            anyhow::bail!(
                "somebody else wrote version {} of the catalog at the same time, and was first: yours does not count; \
                 look at what changed, and apply it again",
                record.number
            );
        }
        self.forget(before, record.written).await;
        Ok(())
    }

    /// Deletes the catalogs that decided nothing of what is still in `raw`: the others are asked why events did not happen.
    async fn forget(&self, before: Vec<(Bytes, Option<Live>)>, now: Timestamp) {
        let oldest = match self.oldest_raw().await {
            Ok(oldest) => oldest.unwrap_or(now),
            Err(error) => {
                tracing::debug!(%error, "records of earlier catalogs stay on the bus for now");
                return;
            }
        };
        self.delete(expendable(before, oldest, now)).await;
    }

    /// When the oldest change that is still in `raw` came; none if it is empty, or not there.
    async fn oldest_raw(&self) -> Result<Option<Timestamp>, bus::Error> {
        let topics = self.bus.topics().await?;
        let raw = topics.iter().filter(|info| info.topic.as_str() == topics::RAW).flat_map(TopicInfo::each);
        let first = ask_all(&self.bus, raw.collect::<Vec<_>>(), |bus, at| {
            Box::pin(async move { Ok(bus.read(at, Offset::ZERO, 1).await?.first().map(|record| record.published)) })
        });
        Ok(first.await?.into_iter().filter_map(|(_, published)| published).min())
    }

    /// Deletes records that no longer count. They would only be read for nothing, so a failure is no more than said.
    async fn delete(&self, keys: impl IntoIterator<Item = Bytes>) {
        let nulls =
            keys.into_iter().map(|key| Outgoing { value: None, ..Outgoing::new(topics::CATALOG, key, Bytes::new()) });
        let nulls: Vec<Outgoing> = nulls.collect();
        if nulls.is_empty() {
            return;
        }
        if let Err(error) = self.bus.publish(nulls).await {
            tracing::warn!(%error, "records of earlier catalogs stay on the bus for now");
        }
    }
}

/// Of earlier catalogs those that a later one had followed a while before `oldest`, those beyond the newest [`KEPT`], and
/// those that cannot be read. The one written `now` follows all of them.
fn expendable(before: Vec<(Bytes, Option<Live>)>, oldest: Timestamp, now: Timestamp) -> Vec<Bytes> {
    let (readable, mut gone): (Vec<_>, Vec<_>) = before.into_iter().partition(|(_, live)| live.is_some());
    let mut readable: Vec<(Bytes, Live)> = readable.into_iter().filter_map(|(key, live)| Some((key, live?))).collect();
    readable.sort_unstable_by_key(|(_, live)| std::cmp::Reverse(live.number));
    let mut next = now;
    for (place, (key, live)) in readable.into_iter().enumerate() {
        let followed = next.checked_add(FOLLOWED).unwrap_or(next);
        if place >= KEPT || followed <= oldest {
            gone.push((key, None));
        }
        next = live.written;
    }
    gone.into_iter().map(|(key, _)| key).collect()
}

/// Asks the same of each, several at once.
async fn ask_all<Q: Send + Sync, A: Send>(
    bus: &Arc<dyn Bus>,
    of: impl IntoIterator<Item = Q>,
    ask: for<'a> fn(&'a dyn Bus, &'a Q) -> BoxFuture<'a, Result<A, bus::Error>>,
) -> Result<Vec<(Q, A)>, bus::Error> {
    let asked = of.into_iter().map(|about| {
        let bus = bus.clone();
        async move {
            let answer = ask(&*bus, &about).await?;
            Ok((about, answer))
        }
    });
    stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(QUESTIONS).try_collect().await
}

/// The catalog that counts on a bus, if there is one.
///
/// # Errors
/// The bus cannot be read, or what is there cannot.
pub async fn on_the_bus(bus: &dyn Bus) -> anyhow::Result<Option<CatalogRecord>> {
    previous(&mut Log::new(bus)).await
}

async fn previous(log: &mut Log<'_>) -> anyhow::Result<Option<CatalogRecord>> {
    let mut newest = Newest::default();
    match newest.catch_up(log).await {
        // Whoever writes creates it.
        Err(bus::Error::UnknownTopic(_)) => return Ok(None),
        caught_up => caught_up?,
    };
    match newest.unreadable {
        Some(error) => Err(error).context("cannot read the catalog on the bus"),
        None => Ok(newest.record),
    }
}

/// Reads on to our own record; whether one of the same number, or a later one, stands before it.
async fn was_forestalled(log: &mut Log<'_>, number: u64, ours: Offset) -> Result<bool, bus::Error> {
    let mut forestalled = false;
    loop {
        match log.next().await? {
            Some((offset, _)) if offset >= ours => return Ok(forestalled),
            Some((_, Entry::Catalog(other))) => forestalled |= other.number >= number,
            Some(_) => {}
            None => log.changed().await?,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
