//! What could begin and is held back by a gate: where it waits, and when it goes on.

use std::time::Instant;

use super::{
    Core, Layout, Now, Phase, RunKey,
    gate::{Change, Open, Stop, Value, Values, Waiter},
    lane::Stage,
};
use crate::{kind::Failure, ledger::Begun, line, options::Options, queue::Item, steps::Attempt};

/// What waits for what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// For another attempt, or behind such a one of their key.
    pub(crate) retry: usize,
    /// For the job's rate.
    pub(crate) rate: usize,
    /// For others of theirs to end.
    pub(crate) crowded: usize,
}

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

    /// What waits for what, of all that waits.
    pub(crate) fn waiting(&self) -> Waiting {
        let (rated, crowded) = self.gate.lines();
        let ready = if self.gate.is_limited(self.now) { self.queue.ready() } else { 0 };
        Waiting { retry: self.counts.waiting.saturating_sub(rated + crowded), rate: rated + ready, crowded }
    }

    /// How the circuit is open, if it is.
    pub(crate) fn circuit(&self) -> Option<&Open> {
        self.gate.open()
    }

    /// The target is tried at once, for whoever orders something.
    pub(crate) fn probe_now(&mut self, now: Now) {
        self.gate.probe_now(now);
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
        let can_begin = self.has_place() && self.commit.is_none();
        let has_due = can_begin && self.reading.is_none() && !self.due.is_empty();
        self.gate.wakes(can_begin && self.queue.ready() > 0, has_due, self.now)
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
            Ok(pass) => self.start(item, pass),
            Err(stop) => {
                self.queue_up(&item, stop, values);
                None
            }
        }
    }

    fn values(&self, item: &Item) -> Result<Values, Failure> {
        let flow = &self.plan.flow;
        let of = |option, by| Options::told_apart((option, by), &item.event, &item.data).map(|text| Value::of(&text));
        let rate = flow.rate.as_ref().and_then(|rate| rate.by.as_ref());
        let each = flow.each.as_ref().map(|each| &each.by);
        Ok(Values {
            rate: rate.map(|by| of("rate.by", by)).transpose()?,
            each: each.map(|by| of("concurrency.by", by)).transpose()?,
        })
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
    fn queue_up(&mut self, item: &Item, stop: Stop, values: Values) {
        let Some(mut desk) = self.desk(&item.partition, item.generation) else { return };
        if desk.part.lane.get(item.offset).is_none() {
            desk.set_behind(item);
        }
        desk.part.lane.set(item.offset, Stage::Queued);
        self.gate.wait(stop, values, waiter(item), self.now);
        self.note_has_room(&item.partition);
        self.key_is_free(item);
    }

    /// Says that the circuit has opened or closed.
    pub(super) fn say(&self, change: Change) {
        let job = self.plan.group.full_name();
        match (change, self.gate.open()) {
            (Change::Opened, Some(open)) => {
                let error = line::cut(&open.error);
                tracing::warn!(
                    job.name = job, error = &*error, job.again = %open.probe,
                    "the circuit opens: the target fails throughout, runs wait, and it is tried again"
                );
            }
            (Change::StaysOpen, Some(open)) => {
                let error = line::cut(&open.error);
                tracing::info!(job.name = job, error = &*error, job.again = %open.probe, "the target still fails");
            }
            (Change::Closed, _) => tracing::info!(job.name = job, "the circuit closes: the target works again"),
            _ => {}
        }
    }

    /// Calls those for whom there is room now.
    pub(super) fn call_due(&mut self) {
        let parts = &self.parts;
        let comes = |who: &Waiter| {
            let part = parts.get(&who.partition).filter(|part| part.generation == who.generation);
            let entry = part.and_then(|part| part.lane.get(who.offset));
            entry.is_some_and(|entry| matches!(entry.stage, Stage::Due | Stage::Active))
        };
        let called = self.gate.call(self.now, &comes);
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
