//! The records of a job's side topics: what waits, and what failed for good. See [`contracts::lane`] and [`contracts::dead`].

use bus::{Offset, Outgoing, Topic, TopicPartition};
use bytes::Bytes;
use contracts::{
    dead::{self, DeadLetter, Reason},
    headers::{self, Headers},
    ids::OrderId,
    lane::{self, Key, State},
    origin::Origin,
};
use jiff::Timestamp;

use crate::{kind::head, plan::Plan, queue::Item, steps::Attempt};

/// How many bytes of an error a dead letter has; `progress` has more of it.
const ERROR: usize = 1024;

/// A record of an input, by its place.
pub(crate) fn origin(at: &TopicPartition, offset: Offset) -> Origin {
    Origin { topic: at.topic.as_str().to_owned(), partition: at.partition.0, offset: offset.0 }
}

fn beside(at: &TopicPartition, topic: &Topic, key: String, value: Option<Bytes>, headers: Headers) -> Outgoing {
    Outgoing { topic: topic.clone(), partition: Some(at.partition), key: Some(key.into()), value, headers }
}

/// The whole event, as it is kept while it waits.
pub(crate) fn event(plan: &Plan, item: &Item) -> Outgoing {
    let headers = lane::moved(&item.headers, item.own_key.as_deref(), None);
    beside(
        &item.partition,
        &plan.lane,
        Key::Event(origin(&item.partition, item.offset)).to_string(),
        Some(item.data.clone()),
        headers,
    )
}

/// How far its run has come.
pub(crate) fn state(plan: &Plan, item: &Item, state: &State) -> Outgoing {
    let value = Some(state.encode().into());
    beside(
        &item.partition,
        &plan.lane,
        Key::State(origin(&item.partition, item.offset)).to_string(),
        value,
        Headers::default(),
    )
}

/// It waits no longer.
pub(crate) fn gone(plan: &Plan, partition: &TopicPartition, offset: Offset) -> [Outgoing; 2] {
    let origin = origin(partition, offset);
    [Key::Event(origin.clone()), Key::State(origin)]
        .map(|key| beside(partition, &plan.lane, key.to_string(), None, Headers::default()))
}

/// It is no dead letter any more.
pub(crate) fn put_away(plan: &Plan, item: &Item) -> Outgoing {
    let key = origin(&item.partition, item.offset).to_string();
    beside(&item.partition, &plan.dead, key, None, Headers::default())
}

/// An order was carried out in an input.
pub(crate) fn ordered(plan: &Plan, partition: &TopicPartition, id: OrderId) -> Outgoing {
    let key = Key::Order(id, partition.to_string()).to_string();
    beside(partition, &plan.lane, key, Some(Bytes::from_static(b"{}")), Headers::default())
}

/// What is told of a run that has failed for good.
pub(crate) struct Dead<'a> {
    pub(crate) attempt: Attempt<'a>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) reason: Reason,
    pub(crate) error: &'a str,
}

/// The whole event as a dead letter.
pub(crate) fn dead(plan: &Plan, item: &Item, dead: &Dead<'_>) -> Outgoing {
    let letter = DeadLetter {
        v: dead::VERSION,
        job: plan.name.clone(),
        run: dead.attempt.run,
        reason: dead.reason,
        error: head(dead.error, ERROR).to_owned(),
        attempts: dead.attempt.number,
        first: dead.first,
        last: dead.last,
        origin: origin(&item.partition, item.offset),
        catalog: plan.number,
    };
    let letter = letter.encode();
    let headers = lane::moved(&item.headers, item.own_key.as_deref(), Some((headers::DEAD, &letter)));
    beside(
        &item.partition,
        &plan.dead,
        origin(&item.partition, item.offset).to_string(),
        Some(item.data.clone()),
        headers,
    )
}
