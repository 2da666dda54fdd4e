//! Orders of an operator: each is carried out once in every input partition, by whoever owns it, and that it was is noted in the
//! lane in the hop that does it.
//!
//! A letter that is redriven moves from the dead letters to the lane, with further attempts whose numbers go on; one that is discarded
//! is deleted. Many are done hop by hop: what is done is no dead letter any more, so that it can be begun anew after a crash.

use std::{collections::HashSet, sync::Arc};

use bus::{Generation, Offset, Record, TopicPartition};
use bytes::Bytes;
use catalog::Order as InOrder;
use contracts::{
    control::{Given, Order},
    dead::DeadLetter,
    envelope::EventHeaders,
    headers,
    ids::OrderId,
};

use super::{Core, Now, Phase};
use crate::{
    ledger::Begun,
    orders::{Found, Task},
    queue::{Item, OrderKey},
    records,
};

impl Core {
    /// These are all the orders that may be begun. Which of them are done, each partition knows.
    pub(crate) fn orders(&mut self, orders: Vec<Arc<Given>>) {
        self.orders = orders;
        let open = self.parts.iter().filter(|(_, part)| part.is_rebuilt);
        let open: Vec<TopicPartition> = open.map(|(partition, _)| partition.clone()).collect();
        open.iter().for_each(|partition| self.take_orders(partition));
    }

    /// What is noted as done in a partition, which is ours now.
    pub(super) fn done_orders(&mut self, partition: &TopicPartition, done: HashSet<OrderId>) {
        if let Some(part) = self.parts.get_mut(partition) {
            part.ordered = done;
        }
        self.take_orders(partition);
    }

    fn take_orders(&mut self, partition: &TopicPartition) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        for given in &self.orders {
            if part.ordered.insert(given.id) {
                let (partition, generation) = (partition.clone(), part.generation);
                self.tasks.push_back(Task { partition, generation, given: given.clone() });
            }
        }
    }

    /// The next order of which is to be read what it is about, unless what was done of it before is yet to be committed.
    pub(crate) fn next_task(&mut self) -> Option<Task> {
        while let Some(task) = self.tasks.pop_front() {
            let part = self.parts.get(&task.partition);
            let Some(part) = part.filter(|part| part.generation == task.generation && part.phase == Phase::Open) else {
                continue;
            };
            if part.dirty || part.committing {
                self.tasks.push_back(task);
                return None;
            }
            return Some(task);
        }
        None
    }

    /// Carries out an order in a partition.
    pub(crate) fn carry_out(&mut self, found: Found, now: Now) {
        self.now = now;
        let Found { task, records, more } = found;
        let Task { partition, generation, given } = task.clone();
        let is_open = |part: &&mut super::Part| part.phase == Phase::Open;
        if self.part(&partition, generation).filter(is_open).is_none() {
            return;
        }
        let count = records.len();
        for (letter, record) in records {
            let origin = letter.as_ref().map_or(record.offset.0, |letter| letter.origin.offset);
            if let Some(item) = self.item_of(&partition, generation, Offset(origin), record, letter.as_ref(), &given) {
                self.do_one(&item, letter.as_ref(), &given);
            }
        }
        if count > 0 {
            let (job, by) = (self.plan.group.full_name(), &given.said.by);
            tracing::info!(
                job.name = job, order.id = %given.id, order.kind = given.order.kind(), order.by = by, runs = count,
                partition = %partition, "an order is carried out"
            );
        }
        // Whoever orders runs means that the target works by now.
        if count > 0 && matches!(given.order, Order::Redrive(_) | Order::Rerun(_)) {
            self.gate.probe_now(now);
        }
        if more {
            return self.tasks.push_back(task);
        }
        let noted = records::ordered(&self.plan, &partition, given.id);
        if let Some(mut desk) = self.desk(&partition, generation) {
            desk.output(noted);
        }
    }

    fn do_one(&mut self, item: &Item, letter: Option<&DeadLetter>, given: &Given) {
        let is_known = |core: &Self| {
            let part = core.parts.get(&item.partition);
            part.is_none_or(|part| part.lane.get(item.offset).is_some() || !part.ledger.is_finished(item.offset))
        };
        // It waits or runs as it is.
        if is_known(self) {
            return;
        }
        let Some(mut desk) = self.desk(&item.partition, item.generation) else { return };
        match (&given.order, letter) {
            (Order::Discard(_), Some(letter)) => desk.discard(item, letter, &given.said.by),
            (Order::Redrive(_) | Order::Rerun(_), _) => {
                desk.grant(item, letter.is_some(), &given.said.by);
                self.schedule(&item.partition, item.offset);
            }
            (Order::Discard(_), None) => {}
        }
    }

    fn item_of(
        &self,
        partition: &TopicPartition,
        generation: Generation,
        offset: Offset,
        record: Record,
        letter: Option<&DeadLetter>,
        given: &Given,
    ) -> Option<Item> {
        let event = match EventHeaders::decode(partition.topic.as_str(), &record.headers) {
            Ok(event) => Arc::new(event),
            Err(error) => {
                let job = self.plan.group.full_name();
                tracing::error!(job.name = job, record.partition = %record.at(), record.offset = record.offset.0, %error,
                    "an event that an order is about cannot be read; it stays where it is");
                return None;
            }
        };
        let own_key = match letter {
            Some(_) => record.headers.get(headers::KEY).map(Bytes::copy_from_slice),
            None => record.key.clone(),
        };
        let key = own_key.clone().filter(|_| self.plan.order == InOrder::Key);
        let attempts = match (&given.order, letter) {
            (_, Some(letter)) => letter.attempts,
            (Order::Rerun(rerun), None) => rerun.attempts,
            _ => 0,
        };
        Some(Item {
            partition: partition.clone(),
            generation,
            offset,
            key: key.map(|key| OrderKey { at: partition.clone(), key }),
            event,
            size: record.size(),
            own_key,
            headers: Arc::new(record.headers.clone()),
            data: record.value.unwrap_or_default(),
            begun: Begun { attempts, told: true },
        })
    }
}
