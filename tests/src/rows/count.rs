//! The count: the log, the effects and the results, against what was accepted.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use super::load::Sent;
use crate::{Herald, Log};
use contracts::{
    envelope::EventHeaders,
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    names::EventRef,
    progress::{AttemptState, Fact, JobStep, Progress},
    raw::{Place, RawHeaders},
    summary::{Counters, Outcome, State, Summary},
};

/// The events of a row, and the jobs of each.
fn expected(n: u64) -> BTreeMap<String, Vec<&'static str>> {
    let mut events = BTreeMap::from([("row.logged".to_owned(), vec!["note"])]);
    if n.is_multiple_of(5) {
        events.insert("row.simulated".to_owned(), vec!["moment", "unordered"]);
    }
    if n.is_multiple_of(40) {
        events.insert("row.commanded".to_owned(), vec!["effect"]);
    }
    events
}

/// Every run that there must be, with its job's name.
fn runs(sent: &Sent) -> Vec<(JobRunId, &'static str)> {
    let mut runs = Vec::new();
    for (event, jobs) in expected(sent.n) {
        let id = EventId::derived(sent.invocation, &event.parse::<EventRef>().unwrap());
        runs.extend(jobs.into_iter().map(|job| (JobRunId::derived(id, &job.parse().unwrap()), job)));
    }
    runs
}

/// What the log says, after it was held against what was accepted.
#[derive(Debug)]
pub struct OfLog {
    /// How often a run was found finished: once.
    ends: HashMap<JobRunId, (String, u32)>,
    /// The events in order, by the topic and the key.
    order: HashMap<(String, String), Vec<EventId>>,
    /// The ends in the order in which they were told: the job, and the event.
    told: Vec<(String, EventId)>,
    duplicates: HashMap<CorrelationId, u64>,
    events: usize,
    raw: usize,
    interrupted: usize,
}

impl fmt::Display for OfLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duplicates: u64 = self.duplicates.values().sum();
        let (raw, events, runs, interrupted) = (self.raw, self.events, self.ends.len(), self.interrupted);
        write!(
            f,
            "{raw} raw records of which {duplicates} duplicates, {events} events, {runs} runs, {interrupted} interruptions"
        )
    }
}

/// Waits until everything has ended, and reads each correlation.
///
/// # Panics
/// If it does not end for long.
pub async fn settled(herald: &Herald, accepted: &[Sent]) -> BTreeMap<CorrelationId, Summary> {
    let mut counts: BTreeMap<CorrelationId, u64> = BTreeMap::new();
    for sent in accepted {
        *counts.entry(sent.correlation.clone()).or_default() += 1;
    }
    let mut summaries = BTreeMap::new();
    for (correlation, count) in counts {
        let summary = herald.complete(&correlation, count).await;
        summaries.insert(correlation, summary);
    }
    // Duplicates come after what they repeat.
    caught_up(herald).await;
    for (correlation, summary) in &mut summaries {
        *summary = herald.summary(correlation).await.unwrap();
    }
    summaries
}

/// Waits until no group is behind: everything has been read that was written until now, and what came of it.
///
/// # Panics
/// If that takes long.
pub async fn caught_up(herald: &Herald) {
    // What one group wrote while another was looked at is seen the next time, and a chain of groups has three links.
    let mut at_the_end = 0;
    herald
        .wait_for("every group to be at the end", async || {
            let answer = herald.get("/v1/status?limit=1000").await;
            let status: serde_json::Value = if answer.status == 200 { answer.json() } else { return None };
            assert!(status.get("next").is_none(), "more groups than a page has");
            let all = status["groups"].as_object().unwrap().values().all(|group| group["lag"] == 0);
            at_the_end = if all { at_the_end + 1 } else { 0 };
            (at_the_end == 3).then_some(())
        })
        .await;
}

/// What progress says, record by record.
#[derive(Default)]
struct Told {
    /// How often something was decided about a raw record.
    records: HashMap<Place, u32>,
    detections: HashMap<InvocationId, u32>,
    duplicates: HashMap<CorrelationId, u64>,
    ends: HashMap<JobRunId, (String, u32)>,
    order: Vec<(String, EventId)>,
    interrupted: usize,
}

impl Told {
    fn of(records: Vec<Progress>) -> Self {
        let mut told = Self::default();
        for Progress { occurrence, fact } in records {
            match fact {
                Fact::Detected(_) => {
                    *told.records.entry(occurrence.raw).or_default() += 1;
                    *told.detections.entry(occurrence.invocation).or_default() += 1;
                }
                Fact::Duplicate(_) => {
                    *told.records.entry(occurrence.raw).or_default() += 1;
                    *told.duplicates.entry(occurrence.correlation).or_default() += 1;
                }
                Fact::Job(step) => told.step(&step),
                other => panic!("nothing else can have happened: {other:?}"),
            }
        }
        told
    }

    fn step(&mut self, step: &JobStep) {
        match step.state {
            AttemptState::Succeeded => {
                self.order.push((step.job.to_string(), step.event_id));
                self.ends.entry(step.run).or_insert((step.job.to_string(), 0)).1 += 1;
            }
            AttemptState::Started | AttemptState::Interrupted => {
                assert!(!self.ends.contains_key(&step.run), "{} goes on after its end: {step:?}", step.job);
                self.interrupted += usize::from(step.state == AttemptState::Interrupted);
            }
            other => panic!("{other:?} of {}: {:?}", step.job, step.error),
        }
    }
}

/// Reads the log of a Herald that has ended, and holds it against what was accepted.
///
/// # Panics
/// If anything is lost, doubled, or there without a cause.
pub async fn of_log(log: &Log, accepted: &[Sent]) -> OfLog {
    let raw = log.raw().await;
    let told = Told::of(log.progress().await);
    of_ingest(&raw, accepted);
    of_detector(&raw, &told, accepted);
    let events = log.events().await;
    of_events(&events, accepted);
    of_runner(&told, accepted);
    let mut order: HashMap<(String, String), Vec<EventId>> = HashMap::new();
    for event in &events {
        let key = (event.event.to_string(), event.subject.clone().unwrap_or_default());
        order.entry(key).or_default().push(event.id);
    }
    let Told { ends, order: told, duplicates, interrupted, .. } = told;
    OfLog { ends, order, told, duplicates, events: events.len(), raw: raw.len(), interrupted }
}

/// Each that was accepted is there; what is there beside it was sent again after an answer that never came.
fn of_ingest(raw: &[(Place, RawHeaders)], accepted: &[Sent]) {
    let sent: HashSet<InvocationId> = accepted.iter().map(|sent| sent.invocation).collect();
    assert_eq!(sent.len(), accepted.len(), "every number was posted once");
    let known: HashSet<InvocationId> = raw.iter().map(|(_, headers)| headers.invocation).collect();
    for sent in accepted {
        assert!(known.contains(&sent.invocation), "row {} was accepted and is not in the log", sent.n);
    }
    assert_eq!(known.len(), sent.len(), "every client went on until it was accepted");
}

/// Exactly one word about each raw record, and one detection for each invocation.
fn of_detector(raw: &[(Place, RawHeaders)], told: &Told, accepted: &[Sent]) {
    for (place, headers) in raw {
        assert_eq!(told.records.get(place), Some(&1), "raw record {place} of {}", headers.invocation);
    }
    assert_eq!(told.records.len(), raw.len(), "nothing is told of records that are not there");
    for sent in accepted {
        assert_eq!(told.detections.get(&sent.invocation), Some(&1), "detections of row {}", sent.n);
    }
}

/// Each event that must be is there once, stamped with its jobs, and no other.
fn of_events(all: &[EventHeaders], accepted: &[Sent]) {
    let mut events: HashMap<InvocationId, BTreeMap<String, Vec<String>>> = HashMap::new();
    for event in all {
        let jobs = event.jobs.iter().map(ToString::to_string).collect();
        let before = events.entry(event.invocation).or_default().insert(event.event.to_string(), jobs);
        assert!(before.is_none(), "{} of {} is there twice", event.event, event.invocation);
    }
    for sent in accepted {
        let texts = |jobs: Vec<&str>| jobs.into_iter().map(str::to_owned).collect();
        let wanted: BTreeMap<String, Vec<String>> =
            expected(sent.n).into_iter().map(|(name, jobs)| (name, texts(jobs))).collect();
        assert_eq!(events.remove(&sent.invocation).unwrap_or_default(), wanted, "events of row {}", sent.n);
    }
    assert!(events.is_empty(), "events of nothing: {events:?}");
}

/// Each run that must be ended once, and no other.
fn of_runner(told: &Told, accepted: &[Sent]) {
    let mut wanted = 0;
    for sent in accepted {
        for (run, job) in runs(sent) {
            wanted += 1;
            assert_eq!(told.ends.get(&run).map(|(_, times)| *times), Some(1), "ends of {job} of row {}", sent.n);
        }
    }
    assert_eq!(told.ends.len(), wanted, "no other run ended");
}

/// Effects are there at least once each, and always under their run's id.
///
/// # Panics
/// If that is not so.
pub fn of_effects(effects: &[String], log: &OfLog) {
    let effects: HashSet<JobRunId> = effects.iter().map(|line| line.parse().unwrap()).collect();
    let wanted: HashSet<JobRunId> =
        log.ends.iter().filter(|(_, (job, _))| job == "effect").map(|(run, _)| *run).collect();
    assert_eq!(effects, wanted);
}

/// Runs of one key of one event ended in the order of their events, for a job that keeps it. Only where progress has one
/// partition does its order say so.
///
/// # Panics
/// If they did not, or if there was no order to keep.
pub fn of_order(log: &OfLog) {
    let mut several = 0;
    for ((event, key), events) in log.order.iter().filter(|((event, _), _)| event == "row.commanded") {
        let own: HashSet<EventId> = events.iter().copied().collect();
        let ended = log.told.iter().filter(|(job, id)| job == "effect" && own.contains(id)).map(|(_, id)| *id);
        assert_eq!(&ended.collect::<Vec<_>>(), events, "the order of {event} of key {key}");
        several += usize::from(events.len() > 1);
    }
    assert!(several > 0, "there was no order to keep");
}

/// The API agrees, correlation by correlation.
///
/// # Panics
/// If it does not.
pub fn of_results(summaries: &BTreeMap<CorrelationId, Summary>, log: &OfLog, accepted: &[Sent]) {
    for (correlation, summary) in summaries {
        let own = || accepted.iter().filter(|sent| sent.correlation == *correlation);
        let jobs = own().map(|sent| runs(sent).len() as u64).sum();
        let wanted = Counters {
            invocations: own().count() as u64,
            events: own().map(|sent| expected(sent.n).len() as u64).sum(),
            jobs,
            succeeded: jobs,
            repeated: log.duplicates.get(correlation).copied().unwrap_or(0),
            ..Counters::default()
        };
        assert_eq!(summary.counters, wanted, "{correlation}");
        assert_eq!((summary.state, summary.outcome), (State::Complete, Some(Outcome::Success)), "{correlation}");
    }
}
