//! What could begin and is held back by a gate: where it waits, and when it goes on.

use std::time::Instant;

use super::{
    Core, Layout, Now, Phase, RunKey,
    gate::{Value, Values, turnstile::Waiter},
    lane::Stage,
};
use crate::{kind::Failure, ledger::Begun, options::Options, queue::Item, steps::Attempt};

impl Core {
    /// How many partitions the events of the job have.
    pub(crate) fn lay_out(&mut self, layout: Layout, now: Now) {
        self.gate.lay_out(layout, now);
        self.moved.get_or_insert(false);
    }

    /// Whether it matters how many partitions there are.
    pub(crate) fn wants_layout(&self) -> bool {
        self.gate.wants_layout()
    }

    /// How many runs wait for the job's rate.
    pub(crate) fn limited(&self) -> usize {
        self.gate.limited(self.queue.ready(), self.now)
    }

    /// Tells the gate what has begun, and which partitions are ours.
    pub(super) fn look_at_gate(&mut self) {
        for pass in std::mem::take(&mut self.launched) {
            self.gate.launched(pass, self.now);
        }
        if let Some(gained) = self.moved.take() {
            let ours = self.parts.iter().filter(|(_, part)| part.phase == Phase::Open && part.is_rebuilt);
            self.gate.own(ours.map(|(partition, _)| partition), gained, self.now);
        }
    }

    /// Whether whatever is ready may begin, as far as that does not depend on what it is.
    pub(super) fn may_begin(&self) -> bool {
        self.has_place() && !self.outputs.is_full() && self.gate.is_open(self.now)
    }

    fn has_place(&self) -> bool {
        !self.held && self.running.len() < self.plan.concurrency
    }

    /// When what is ready may begin, or who waits at the gate is called.
    pub(super) fn gate_opens(&self) -> Option<Instant> {
        let has_ready = self.queue.ready() > 0 && self.has_place() && self.commit.is_none();
        self.gate.wakes(has_ready, self.now)
    }

    /// Begins a run that is ready, unless it has to wait at the gate.
    pub(super) fn begin(&mut self, item: Item) -> Option<RunKey> {
        let values = match self.values(&item) {
            Ok(values) => values,
            Err(failure) => {
                self.fail(&item, failure);
                return None;
            }
        };
        match self.gate.pass(values, &waiter(&item), self.now) {
            Some(pass) => self.start(item, pass),
            None => {
                self.queue_up(&item, values);
                None
            }
        }
    }

    fn values(&self, item: &Item) -> Result<Values, Failure> {
        let by = self.plan.flow.rate.as_ref().and_then(|rate| rate.by.as_ref());
        let of = |by| Options::told_apart(("rate.by", by), &item.event, &item.data);
        Ok(Values { rate: by.map(of).transpose()?.map(|text| Value::of(&text)) })
    }

    /// A run that fails before it begins.
    fn fail(&mut self, item: &Item, failure: Failure) {
        let (plan, now) = (self.plan.clone(), self.now);
        let Begun { attempts, told } = item.begun;
        let Some(mut desk) = self.desk(&item.partition, item.generation) else { return };
        let attempt = Attempt::new(&item.event, &plan.name, attempts.saturating_add(1), now.wall);
        if attempts > 0 && !told {
            desk.output(Attempt { number: attempts, ..attempt }.interrupted());
        }
        desk.failed(item, attempt, now, failure);
        self.note_has_room(&item.partition);
        self.key_is_free(item);
    }

    /// A run waits in the lane until it is called, and holds back those of its key alone.
    fn queue_up(&mut self, item: &Item, values: Values) {
        let Some(mut desk) = self.desk(&item.partition, item.generation) else { return };
        if desk.part.lane.get(item.offset).is_none() {
            desk.set_behind(item);
        }
        desk.part.lane.set(item.offset, Stage::Queued);
        self.gate.wait(values, waiter(item), self.now);
        self.note_has_room(&item.partition);
        self.key_is_free(item);
    }

    /// Calls those for whom there is room now.
    pub(super) fn call_due(&mut self) {
        let parts = &self.parts;
        let comes = |who: &Waiter| {
            let part = parts.get(&who.partition).filter(|part| part.generation == who.generation);
            let entry = part.and_then(|part| part.lane.get(who.offset));
            entry.is_some_and(|entry| matches!(entry.stage, Stage::Due | Stage::Active))
        };
        let called = self.gate.call(self.now, comes);
        called.iter().for_each(|waiter| self.call(waiter));
    }

    pub(super) fn call(&mut self, waiter: &Waiter) {
        let Waiter { partition, generation, offset } = waiter;
        let Some(part) = self.part(partition, *generation) else { return };
        if part.lane.get(*offset).is_some_and(|entry| entry.stage == Stage::Queued) {
            part.lane.set(*offset, Stage::Waiting);
            self.schedule(partition, *offset);
        }
    }
}

fn waiter(item: &Item) -> Waiter {
    Waiter { partition: item.partition.clone(), generation: item.generation, offset: item.offset }
}
