//! One partition's backlog: which records are taken, and what becomes of them at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::Instant,
};

use bus::{Offset, Record, TopicPartition};
use catalog::Order;
use contracts::{
    envelope::{EventHeaders, is_stamped},
    headers::{self, HeaderError},
};
use tokio_util::sync::CancellationToken;

use super::{Counts, Halt, Limits, Now, Part, desk::Desk, lane::KeyId, pending::Pending};
use crate::{
    attempt::panicked,
    kind::{Held, Inline, Outcome, Run},
    ledger::{Begun, Taken},
    options::Given,
    plan::Plan,
    queue::{Item, OrderKey, Queue},
    steps::{self, Attempt},
};

/// Why a record is not taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Too many wait to be started, whatever their partition.
    Room,
    /// The outputs wait for a commit: soon over.
    Outputs,
    /// Its partition is not taken.
    Part(Halt),
}

/// Where records of one partition are taken.
pub(super) struct Door<'a> {
    pub(super) plan: &'a Plan,
    pub(super) limits: Limits,
    /// The job is paused: what would be run stays in the log.
    pub(super) held: bool,
    pub(super) busy: usize,
    pub(super) queue: &'a mut Queue,
    pub(super) outputs: &'a mut Pending,
    pub(super) counts: &'a mut Counts,
    pub(super) dirty: &'a mut Vec<TopicPartition>,
    pub(super) backlog_bytes: &'a mut usize,
    pub(super) part: &'a mut Part,
    pub(super) partition: &'a TopicPartition,
    pub(super) now: Now,
    /// Records that wait in the lane since now.
    pub(super) retried: &'a mut Vec<Offset>,
    /// Those whose place a later one took, and when they would have been due.
    pub(super) superseded: &'a mut Vec<(Option<Instant>, Offset)>,
}

impl Door<'_> {
    pub(super) fn take_all(&mut self) -> Option<Block> {
        while let Some(record) = self.part.backlog.pop_front() {
            let size = record.size();
            if !is_stamped(&record.headers, &self.plan.name) {
                self.part.ledger.pass(record.offset);
            } else if let Some(block) = self.block(&record) {
                self.part.backlog.push_front(record);
                return Some(block);
            } else {
                self.take(record);
            }
            *self.backlog_bytes -= size;
            self.part.touch(self.partition, self.dirty);
        }
        None
    }

    fn block(&self, record: &Record) -> Option<Block> {
        let stamped_by = record.headers.text(headers::CATALOG).and_then(|number| number.parse().ok());
        if let Some(number) = stamped_by.filter(|number| *number > self.plan.number) {
            return Some(Block::Part(Halt::Catalog(number)));
        }
        if self.held {
            return Some(Block::Room);
        }
        if self.outputs.is_full() {
            return Some(Block::Outputs);
        }
        if self.gathers(record) || self.goes_behind(record) {
            return self.part.ledger.is_full().then_some(Block::Part(Halt::Note));
        }
        if self.plan.inline().is_some() {
            return None;
        }
        if self.part.ledger.is_full() {
            return Some(Block::Part(Halt::Note));
        }
        let is_busy = |key: &OrderKey| self.queue.is_busy(key);
        if self.queue.parked() >= self.limits.parked() && self.key(record).as_ref().is_some_and(is_busy) {
            return Some(Block::Part(Halt::Parked));
        }
        let is_full = self.queue.ready() + self.busy >= self.limits.records(self.plan)
            || (self.queue.ready() > 0 && self.queue.bytes() >= self.limits.queue_bytes);
        is_full.then_some(Block::Room)
    }

    /// The key that a record waits for, where the job keeps them in order.
    pub(super) fn key(&self, record: &Record) -> Option<OrderKey> {
        let key = record.key.clone().filter(|_| self.plan.order == Order::Key)?;
        Some(OrderKey { at: self.partition.clone(), key })
    }

    /// Whether it goes to the lane, where one of its key waits. Not while others of its key are yet to be moved there.
    fn goes_behind(&self, record: &Record) -> bool {
        let waits = |key: &OrderKey| self.part.lane.holds(KeyId::of(&key.key)) && !self.queue.has_behind(key);
        self.part.lane.len() > 0 && self.key(record).as_ref().is_some_and(waits)
    }

    fn take(&mut self, record: Record) {
        let Taken::New(begun) = self.part.ledger.take(record.offset) else { return };
        let event = match EventHeaders::decode(record.topic.as_str(), &record.headers) {
            Ok(event) => Arc::new(event),
            Err(error) => return self.refuse(&record, &error),
        };
        if begun.attempts == 0 && self.gathers(&record) {
            self.gather(record, event, begun);
        } else if self.goes_behind(&record) {
            let item = self.item(record, event, begun);
            self.desk().set_behind(&item);
        } else if begun.attempts >= self.plan.attempts {
            let item = self.item(record, event, begun);
            self.desk().spent(&item);
        } else if let Some(inline) = self.plan.inline() {
            self.run_inline(inline, record, event, begun);
        } else {
            let offset = record.offset;
            let item = self.item(record, event, begun);
            if !self.queue.push(item) {
                self.part.ledger.park(offset);
            }
        }
    }

    fn refuse(&mut self, record: &Record, error: &HeaderError) {
        tracing::error!(
            job.name = self.plan.group.full_name(), record.partition = %self.partition,
            record.offset = record.offset.0, %error,
            "an event that names the job cannot be read; it is recorded in `rejected`"
        );
        self.counts.rejected += 1;
        self.part.ledger.finish(record.offset);
        let output = steps::unreadable(record, &self.plan.name, error, self.now.wall);
        self.desk().output(output);
    }

    pub(super) fn desk(&mut self) -> Desk<'_> {
        let Self { plan, part, outputs, counts, now, .. } = self;
        Desk { plan, part, outputs, counts, now: *now }
    }

    pub(super) fn item(&self, record: Record, event: Arc<EventHeaders>, begun: Begun) -> Item {
        Item {
            partition: self.partition.clone(),
            generation: self.part.generation,
            offset: record.offset,
            key: self.key(&record),
            event,
            size: record.size(),
            own_key: record.key,
            headers: Arc::new(record.headers),
            data: record.value.unwrap_or_default(),
            begun,
        }
    }

    fn run_inline(&mut self, inline: &dyn Inline, record: Record, event: Arc<EventHeaders>, begun: Begun) {
        let attempt = Attempt::new(&event, &self.plan.name, begun.attempts + 1, self.now.wall);
        if begun.attempts > 0 && !begun.told {
            self.desk().output(Attempt { number: begun.attempts, ..attempt }.interrupted());
        }
        match run_now(self.plan, inline, &record, &attempt, event.clone()) {
            Ok(answer) => {
                self.counts.succeeded += 1;
                self.part.ledger.finish(record.offset);
                let outputs = attempt.succeeded(answer, self.now.wall);
                outputs.for_each(|output| self.desk().output(output));
            }
            Err(failure) => {
                let (item, now) = (self.item(record, event.clone(), begun), self.now);
                self.desk().failed(&item, attempt, now, failure);
                self.retried.push(item.offset);
            }
        }
    }
}

fn run_now(
    plan: &Plan,
    inline: &dyn Inline,
    record: &Record,
    attempt: &Attempt<'_>,
    event: Arc<EventHeaders>,
) -> Outcome {
    let data = record.value.clone().unwrap_or_default();
    let Given { options, params, data } = plan.options.fill(&*plan.kind, &event, data, None)?;
    let run = Run {
        job: plan.name.clone(),
        group: plan.group.clone(),
        options,
        params,
        event,
        data,
        timeout: plan.timeout,
        id: attempt.run,
        attempt: attempt.number,
        cancelled: never(),
        held: Held::default(),
    };
    catch_unwind(AssertUnwindSafe(|| inline.run_inline(&run))).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// What is never cancelled needs no token of its own.
fn never() -> CancellationToken {
    static NEVER: OnceLock<CancellationToken> = OnceLock::new();
    NEVER.get_or_init(CancellationToken::new).clone()
}
