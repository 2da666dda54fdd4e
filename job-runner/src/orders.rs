//! What an order is about in one input partition, read before it is carried out: dead letters, or the event of a run.

use std::{collections::BTreeMap, sync::Arc};

use bus::{Bus, Generation, Offset, Record, Replay, Start, TopicPartition};
use bytes::Bytes;
use contracts::{
    control::{Given, Letter, Letters, Order},
    dead::DeadLetter,
    headers::ce,
    names::EventRef,
};

use crate::{OUTAGE, error::GroupError, plan::Plan};

/// How many letters are carried out in one hop, and how many bytes of them, but one at least.
const MOST: usize = 500;
const BYTES: usize = 4 * 1024 * 1024;

/// An order that is to be carried out in an input partition.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) given: Arc<Given>,
}

/// What it is about there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) task: Task,
    /// Whole events: of dead letters with what they say of themselves.
    pub(crate) records: Vec<(Option<DeadLetter>, Record)>,
    /// Whether there are more, to be read again once these are done.
    pub(crate) more: bool,
}

/// Reads it, however long the bus is away.
///
/// # Errors
/// The bus has stopped, or a topic is gone.
pub(crate) async fn find(bus: &dyn Bus, plan: &Plan, task: Task) -> Result<Found, GroupError> {
    let (mut records, mut more) = (Vec::new(), false);
    match &task.given.order {
        Order::Redrive(letters) | Order::Discard(letters) => {
            let at = TopicPartition { topic: plan.dead.clone(), partition: task.partition.partition };
            (records, more) = dead(bus, &at, &task.partition, letters).await?;
        }
        Order::Rerun(rerun)
            if rerun.origin.topic == task.partition.topic.as_str()
                && rerun.origin.partition == task.partition.partition.0 =>
        {
            let from = Offset(rerun.origin.offset);
            let read = OUTAGE.patiently(|| bus.read(&task.partition, from, 1)).await?;
            let id = rerun.event_id.to_string();
            let is_it = |record: &Record| record.offset == from && record.headers.text(ce::ID) == Some(&id);
            records = read.into_iter().filter(is_it).map(|record| (None, record)).collect();
        }
        // It is about another partition.
        Order::Rerun(_) => {}
    }
    Ok(Found { task, records, more })
}

/// The dead letters of an input that are meant, oldest first, as many as one hop takes; and whether there are more.
async fn dead(
    bus: &dyn Bus,
    at: &TopicPartition,
    input: &TopicPartition,
    letters: &Letters,
) -> Result<(Vec<(Option<DeadLetter>, Record)>, bool), GroupError> {
    // By key: what was put away since, or died again, is not meant any more.
    let mut live: BTreeMap<Bytes, (DeadLetter, Record)> = BTreeMap::new();
    let mut replay = Replay::of(bus, &OUTAGE, at, Start::Earliest).await?;
    while let Some(records) = replay.next().await? {
        for record in records {
            let Some(key) = record.key.clone() else { continue };
            match meant(&record, input, letters) {
                Some(letter) => drop(live.insert(key, (letter, record))),
                None => drop(live.remove(&key)),
            }
        }
    }
    let mut found: Vec<(DeadLetter, Record)> = live.into_values().collect();
    found.sort_by_key(|(_, record)| record.offset);
    let (mut bytes, all) = (0, found.len());
    let fits = |(at, (_, record)): &(usize, (DeadLetter, Record))| {
        bytes += record.size();
        *at == 0 || (*at < MOST && bytes <= BYTES)
    };
    let records: Vec<_> =
        found.into_iter().enumerate().take_while(fits).map(|(_, (letter, record))| (Some(letter), record)).collect();
    let more = records.len() < all;
    Ok((records, more))
}

fn meant(record: &Record, input: &TopicPartition, letters: &Letters) -> Option<DeadLetter> {
    record.value.as_ref()?;
    let letter = DeadLetter::of(&record.headers).ok()?;
    let is_its = letter.origin.topic == input.topic.as_str() && letter.origin.partition == input.partition.0;
    let event = EventRef::from_topic(&letter.origin.topic).filter(|_| is_its)?;
    let correlation = record.headers.text(ce::CORRELATION_ID)?.parse().ok()?;
    let view = Letter {
        run: letter.run,
        event: &event,
        correlation: &correlation,
        reason: letter.reason.as_str(),
        died: letter.last,
    };
    letters.takes(record.partition.0, record.offset.0, &view).then_some(letter)
}
