//! What waits of partitions that are newly ours, read from the lane before they are opened.
//!
//! Everything that was written of them before the assignment lies before the lane's end, which is asked for afterwards. One
//! reading of a partition of the lane serves all inputs of that number.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bus::{Bus, Error as BusError, Generation, Offset, Partition, Record, Replay, Start, TopicPartition, TopicSpec};
use bytes::Bytes;
use contracts::{
    headers,
    ids::{EventId, OrderId},
    lane::{Key, State, StateError},
};

use crate::{OUTAGE, core::Layout, error::GroupError, plan::Plan};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Rebuilt {
    pub(crate) inputs: Vec<(TopicPartition, Generation)>,
    /// What waits, by its offset in its input.
    pub(crate) found: HashMap<TopicPartition, BTreeMap<u64, Kept>>,
    /// The orders that are done in each input.
    pub(crate) orders: HashMap<TopicPartition, HashSet<OrderId>>,
    /// How far each partition of the lane was read.
    pub(crate) ends: HashMap<Partition, Offset>,
    /// How many partitions the job's events have, where that matters.
    pub(crate) layout: Option<Layout>,
}

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where the event stands in the lane.
    pub(crate) place: Offset,
    pub(crate) key: Option<Bytes>,
    /// The event, of one that came into a window.
    pub(crate) event: Option<EventId>,
    pub(crate) state: State,
}

/// Reads what waits of these partitions, of a job that is planned so.
///
/// # Errors
/// The lane cannot be read, or has too few partitions.
pub(crate) async fn rebuild(
    bus: &dyn Bus,
    plan: &Plan,
    inputs: Vec<(TopicPartition, Generation)>,
) -> Result<Rebuilt, GroupError> {
    let numbers: BTreeSet<Partition> = inputs.iter().map(|(input, _)| input.partition).collect();
    let lanes: Vec<TopicPartition> = of(&plan.lane, &numbers);
    let mut ends = ends(bus, plan, &numbers, &lanes).await?;
    let begins = OUTAGE.patiently(|| bus.offsets(&lanes, Start::Earliest)).await?;
    let mut fold = Fold::of(inputs.iter().map(|(input, _)| input.clone()));
    for lane in &lanes {
        // Most have nothing in them.
        if begins.get(lane).zip(ends.get(lane)).is_some_and(|(begin, end)| begin >= end) {
            continue;
        }
        let mut replay = Replay::of(bus, &OUTAGE, lane, Start::Earliest).await?;
        while let Some(records) = replay.next().await? {
            for record in records {
                fold.take(&record).map_err(|source| GroupError::Lane {
                    partition: lane.clone(),
                    offset: record.offset,
                    source,
                })?;
            }
        }
    }
    let ends = lanes.iter().filter_map(|lane| Some((lane.partition, ends.remove(lane)?))).collect();
    let orders = std::mem::take(&mut fold.orders);
    let layout = if wants_layout(plan) { Some(layout(bus, plan).await?) } else { None };
    Ok(Rebuilt { found: fold.finish(), orders, inputs, ends, layout })
}

/// Whether it matters how many partitions the job's events have.
fn wants_layout(plan: &Plan) -> bool {
    plan.flow.rate.as_ref().is_some_and(|rate| !rate.is_by_key)
}

/// How many partitions the job's events have.
pub(crate) async fn layout(bus: &dyn Bus, plan: &Plan) -> Result<Layout, BusError> {
    let topics = OUTAGE.patiently(|| bus.topics()).await?;
    let ours = topics.into_iter().filter(|info| plan.reads.topics.contains(&info.topic));
    let mut layout: Layout = ours.map(|info| (info.topic, info.partitions)).collect();
    layout.sort();
    Ok(layout)
}

fn of(topic: &bus::Topic, numbers: &BTreeSet<Partition>) -> Vec<TopicPartition> {
    numbers.iter().map(|partition| TopicPartition { topic: topic.clone(), partition: *partition }).collect()
}

/// Where the partitions of the lane end. Where it or the topic of the dead letters is not there, it is created.
async fn ends(
    bus: &dyn Bus,
    plan: &Plan,
    numbers: &BTreeSet<Partition>,
    lanes: &[TopicPartition],
) -> Result<HashMap<TopicPartition, Offset>, GroupError> {
    let asked: Vec<TopicPartition> = lanes.iter().cloned().chain(of(&plan.dead, numbers)).collect();
    let mut created = false;
    loop {
        let found = OUTAGE.patiently(|| bus.offsets(&asked, Start::End)).await?;
        let Some(missing) = asked.iter().find(|at| !found.contains_key(*at)) else { return Ok(found) };
        // It may only not be told now.
        match OUTAGE.patiently(|| bus.offset(missing, Start::End)).await {
            Err(BusError::UnknownTopic(_)) if !created => {
                let inputs = || plan.reads.topics.iter().cloned();
                let specs = [&plan.lane, &plan.dead].map(|topic| TopicSpec::beside(topic.clone(), inputs()));
                bus.create(specs.to_vec()).await?;
                created = true;
            }
            Err(BusError::UnknownTopic(_)) => return Err(too_few(bus, missing, numbers).await?),
            other => drop(other?),
        }
    }
}

/// Why a partition has no place for what waits.
async fn too_few(
    bus: &dyn Bus,
    missing: &TopicPartition,
    numbers: &BTreeSet<Partition>,
) -> Result<GroupError, BusError> {
    let topics = OUTAGE.patiently(|| bus.topics()).await?;
    let have = topics.iter().find(|info| info.topic == missing.topic).map_or(0, |info| info.partitions);
    let need = numbers.last().map_or(0, |last| last.0 + 1);
    Ok(GroupError::NoLane { topic: missing.topic.clone(), have, need })
}

/// Where an event stands in the lane, its key, and which it is.
type Stands = (Offset, Option<Bytes>, Option<EventId>);

/// What the records of the lane come to.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    wanted: HashSet<TopicPartition>,
    events: HashMap<TopicPartition, BTreeMap<u64, Stands>>,
    states: HashMap<TopicPartition, BTreeMap<u64, State>>,
    pub(crate) orders: HashMap<TopicPartition, HashSet<OrderId>>,
}

impl Fold {
    /// Of what waits of these inputs.
    pub(crate) fn of(inputs: impl Iterator<Item = TopicPartition>) -> Self {
        Self { wanted: inputs.collect(), ..Self::default() }
    }

    pub(crate) fn take(&mut self, record: &Record) -> Result<(), StateError> {
        let (origin, is_state) = match record.key.as_deref().and_then(Key::parse) {
            Some(Key::Event(origin)) => (origin, false),
            Some(Key::State(origin)) => (origin, true),
            Some(Key::Order(id, input)) => {
                if let Some(input) = self.wanted.iter().find(|wanted| wanted.to_string() == input) {
                    self.orders.entry(input.clone()).or_default().insert(id);
                }
                return Ok(());
            }
            None => return Ok(()),
        };
        let input = TopicPartition::new(origin.topic.as_str(), origin.partition);
        if !self.wanted.contains(&input) {
            return Ok(());
        }
        let (offset, key) = (origin.offset, || record.headers.get(headers::KEY).map(Bytes::copy_from_slice));
        match (is_state, &record.value) {
            (true, Some(value)) => {
                self.states.entry(input).or_default().insert(offset, State::decode(value)?);
            }
            (false, Some(_)) => {
                let event = record.headers.text(headers::ce::ID).and_then(|id| id.parse().ok());
                self.events.entry(input).or_default().insert(offset, (record.offset, key(), event));
            }
            (true, None) => drop(self.states.entry(input).or_default().remove(&offset)),
            (false, None) => drop(self.events.entry(input).or_default().remove(&offset)),
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> HashMap<TopicPartition, BTreeMap<u64, Kept>> {
        let mut out = HashMap::new();
        for (input, events) in self.events {
            let mut states = self.states.remove(&input).unwrap_or_default();
            let kept = events.into_iter().filter_map(|(offset, (place, key, event))| {
                let state = states.remove(&offset)?;
                let event = event.filter(|_| state.window.is_some());
                Some((offset, Kept { place, key, event, state }))
            });
            out.insert(input, kept.collect());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use contracts::lane::VERSION;

    use super::*;

    #[test]
    fn what_was_deleted_or_belongs_to_others_is_not_found() {
        let input = TopicPartition::new("event.a", 0);
        let mut fold = Fold::of([input.clone()].into_iter());
        let state =
            State { v: VERSION, attempts: 1, told: true, base: 0, first: None, since: None, due: None, window: None };
        let mut at = 0;
        let mut take = |key: &str, value: Option<Vec<u8>>| {
            at += 1;
            let record = Record {
                topic: "lane.job.x".into(),
                partition: Partition(0),
                offset: Offset(at),
                published: jiff::Timestamp::UNIX_EPOCH,
                key: Some(key.to_owned().into()),
                value: value.map(Into::into),
                headers: [(headers::KEY, "k")].into_iter().collect(),
            };
            fold.take(&record)
        };
        for (offset, input) in [(1, "event.a/0"), (2, "event.a/0"), (1, "event.b/0"), (3, "event.a/0")] {
            take(&format!("event/{input}/{offset}"), Some(b"{}".to_vec())).expect("an event");
            take(&format!("state/{input}/{offset}"), Some(state.encode())).expect("a state");
        }
        take("event/event.a/0/2", None).expect("a deletion");
        take("state/event.a/0/2", None).expect("a deletion");
        take("state/event.a/0/1", Some(State { attempts: 2, ..state.clone() }.encode())).expect("a state");
        take("something", Some(b"{}".to_vec())).expect("of a newer Herald");
        take("state/event.a/0/1", Some(b"{\"v\":9}".to_vec())).expect_err("of a newer Herald");
        let found = fold.finish().remove(&input).expect("the input");
        let kept: Vec<(u64, u64, u32)> =
            found.iter().map(|(n, kept)| (*n, kept.place.0, kept.state.attempts)).collect();
        assert_eq!(kept, [(1, 1, 2), (3, 7, 1)]);
    }
}
