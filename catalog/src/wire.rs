//! The catalog as it travels on the bus: one numbered, compressed record with all sources, from which any process compiles
//! the same catalog; and the plan for the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
};

use contracts::names::{EventRef, GroupName, JobName};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    catalog::{Catalog, Kinds, Outcome},
    files,
    job::Job,
    sources::Sources,
};

/// The format that this version writes, and the newest it reads.
pub const FORMAT: u32 = 1;
/// How large a record may become when it is unpacked, in bytes.
pub const MAX_UNPACKED: u64 = 64 * 1024 * 1024;
/// How long a job that left the catalog is kept, unless someone says otherwise.
pub const KEEP_RETIRED: SignedDuration = SignedDuration::from_hours(24);

/// One record of the topic `catalog`. The last one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogRecord {
    /// See [`FORMAT`].
    pub format: u32,
    /// The version of the catalog, from 1; events and results name it.
    pub number: u64,
    /// When it was planned.
    pub written: Timestamp,
    /// The folder that the files are from, as an absolute path without links, where the bus is one process's own; none on a
    /// bus of many, and in the records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The files.
    pub sources: Sources,
    /// Where each group starts on each topic.
    pub starts: Vec<Start>,
    /// The jobs that left, with their definitions.
    #[serde(default)]
    pub retired: Vec<Retired>,
    /// The jobs that events list, with their definitions: what is retired when they leave, though a later version of Herald
    /// may not compile these sources. Empty in the records of older versions.
    #[serde(default)]
    pub jobs: Vec<Listed>,
}

/// From where a group reads a topic: nothing before could name its job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The job's consumer group.
    pub group: GroupName,
    /// The event whose topic it reads.
    pub event: EventRef,
    /// The next offset to read, by partition, as the topic ended just before the job was first listed. A partition that is
    /// not named was added later, and is read from its beginning.
    pub offsets: BTreeMap<u32, u64>,
    /// Since when the event no longer lists the job. The group goes on reading the topic, for stamps may still name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Timestamp>,
    /// What the event gives to the job's parameters, or gave last, as it was written: stamps may still name the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
}

/// A job that an event lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its group.
    pub group: GroupName,
    /// Its name in stamps.
    pub name: JobName,
    /// Its definition, as it is written.
    pub definition: Value,
}

/// A job that no event lists any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    /// Its group.
    pub group: GroupName,
    /// Its name in stamps.
    pub name: JobName,
    /// Its definition, as it was last written.
    pub definition: Value,
    /// When it left.
    pub since: Timestamp,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not compressed, cut, or damaged.
    #[error("unpack the catalog record: {0}")]
    Unpack(#[from] io::Error),
    /// Larger than [`MAX_UNPACKED`].
    #[error("the catalog record is larger than {MAX_UNPACKED} bytes when unpacked")]
    TooLarge,
    /// Not what a record looks like.
    #[error("read the catalog record: {0}")]
    Shape(#[from] serde_json::Error),
    /// Written by a newer Herald.
    #[error("the catalog record has format {0}, and this version of Herald reads up to {FORMAT}")]
    Format(u32),
}

impl CatalogRecord {
    /// The record's value: JSON, compressed with gzip.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let json = serde_json::to_vec(self).expect("a record of texts, numbers and JSON is always JSON");
        encoder.write_all(&json).expect("writing to memory cannot fail");
        encoder.finish().expect("writing to memory cannot fail")
    }

    /// Reads what [`CatalogRecord::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let mut json = Vec::new();
        GzDecoder::new(bytes).take(MAX_UNPACKED + 1).read_to_end(&mut json)?;
        if json.len() as u64 > MAX_UNPACKED {
            return Err(DecodeError::TooLarge);
        }
        match serde_json::from_slice::<Head>(&json)?.format {
            FORMAT => Ok(serde_json::from_slice(&json)?),
            other => Err(DecodeError::Format(other)),
        }
    }

    /// Compiles the sources, and beside them the retired jobs ([`Catalog::retired`]). A job that left and cannot be run any
    /// more is a warning, and so is what a version before let pass and can be used.
    pub fn compile(&self, kinds: &dyn Kinds) -> Outcome {
        let mut outcome = files::compile(&self.sources, kinds);
        let Some(catalog) = &mut outcome.catalog else { return outcome };
        let mut events: BTreeMap<&GroupName, Vec<EventRef>> = BTreeMap::new();
        for start in &self.starts {
            events.entry(&start.group).or_default().push(start.event.clone());
        }
        for retired in &self.retired {
            let events = events.get(&retired.group).cloned().unwrap_or_default();
            if let Some(job) = files::retired(retired, events, kinds) {
                catalog.retire(job);
            }
        }
        for start in &self.starts {
            if let Some(with) = &start.with {
                catalog.keep_with(&start.group, &start.event, with);
            }
        }
        for (group, events) in events {
            if catalog.job(group).is_none() {
                outcome.report.push(files::left_behind(group, &events));
            }
        }
        outcome
    }

    /// Where a group starts, by topic, those included whose event no longer lists the job.
    pub fn starts_of(&self, group: &GroupName) -> impl Iterator<Item = &Start> {
        self.starts.iter().filter(move |start| start.group == *group)
    }
}

/// What the next record is planned from.
pub struct Plan<'a> {
    /// The record that counts now, if there is one.
    pub previous: Option<&'a CatalogRecord>,
    /// The new files.
    pub sources: Sources,
    /// See [`CatalogRecord::folder`].
    pub folder: Option<String>,
    /// What they compile to.
    pub catalog: &'a Catalog,
    /// Where a topic (without prefix, `event.<name>`) ends: the next offset of each partition; empty if there is no topic
    /// yet.
    pub ends: &'a dyn Fn(&str) -> Vec<(u32, u64)>,
    /// The time.
    pub now: Timestamp,
    /// How long what left is kept at least; [`KEEP_RETIRED`] by default.
    pub keep_retired: SignedDuration,
    /// Whether a group has nothing left to read: what left and is not drained is kept longer.
    pub drained: &'a dyn Fn(&GroupName) -> bool,
}

/// The next record: marks are carried on, new jobs start where their topics end now, jobs that left are kept for a while.
pub fn plan_next(plan: Plan<'_>) -> CatalogRecord {
    let starts = next_starts(&plan);
    let retired = next_retired(&plan, &starts);
    let jobs = plan.catalog.jobs().map(Listed::of).collect();
    CatalogRecord {
        format: FORMAT,
        number: plan.previous.map_or(1, |previous| previous.number + 1),
        written: plan.now,
        folder: plan.folder,
        sources: plan.sources,
        starts,
        retired,
        jobs,
    }
}

fn next_starts(plan: &Plan<'_>) -> Vec<Start> {
    let listed: BTreeSet<(&GroupName, &EventRef)> =
        plan.catalog.jobs().flat_map(|job| job.events().iter().map(move |event| (job.group(), event))).collect();
    let given = |group: &GroupName, event: &EventRef| plan.catalog.job(group)?.filling().with(event).cloned();
    let mut starts = BTreeMap::new();
    for start in plan.previous.iter().flat_map(|previous| &previous.starts) {
        let is_listed = listed.contains(&(&start.group, &start.event));
        let left = if is_listed { None } else { Some(start.left.unwrap_or(plan.now)) };
        let kept = |left| plan.now.duration_since(left) <= plan.keep_retired || !(plan.drained)(&start.group);
        if left.is_none_or(kept) {
            let with = if is_listed { given(&start.group, &start.event) } else { start.with.clone() };
            starts.insert((start.group.clone(), start.event.clone()), Start { left, with, ..start.clone() });
        }
    }
    for (group, event) in listed {
        starts.entry((group.clone(), event.clone())).or_insert_with(|| Start {
            group: group.clone(),
            event: event.clone(),
            offsets: (plan.ends)(&event.topic()).into_iter().collect(),
            left: None,
            with: given(group, event),
        });
    }
    starts.into_values().collect()
}

/// A job is retired while it is in no event and a topic may still name it.
fn next_retired(plan: &Plan<'_>, starts: &[Start]) -> Vec<Retired> {
    let Some(previous) = plan.previous else { return Vec::new() };
    let listed: BTreeSet<&GroupName> = plan.catalog.jobs().map(Job::group).collect();
    let started: BTreeSet<&GroupName> = starts.iter().map(|start| &start.group).collect();
    let mut retired: BTreeMap<GroupName, Retired> =
        previous.retired.iter().map(|retired| (retired.group.clone(), retired.clone())).collect();
    let left = match previous.jobs.is_empty() {
        true => files::jobs_of(&previous.sources).iter().map(Listed::of).collect(),
        false => previous.jobs.clone(),
    };
    for Listed { group, name, definition } in left {
        retired.insert(group.clone(), Retired { group, name, definition, since: plan.now });
    }
    retired.retain(|group, _| !listed.contains(group) && started.contains(group));
    retired.into_values().collect()
}

impl Listed {
    fn of(job: &Job) -> Self {
        Self { group: job.group().clone(), name: job.name().clone(), definition: job.definition().clone() }
    }
}
