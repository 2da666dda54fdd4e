//! Which of the records that were delivered are taken, and what becomes of them at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use bus::{Generation, Offset, Outgoing, Record, TopicPartition};
use catalog::Order;
use contracts::{
    envelope::{EventHeaders, is_stamped},
    headers,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Core, Counts, Effect, Halt, Limits, Part, Phase};
use crate::{
    attempt::{panicked, say_failed},
    kind::{Held, Inline, Outcome, Run},
    ledger::{Begun, Taken},
    options::Given,
    plan::Plan,
    queue::{Item, OrderKey, Queue},
    steps::{self, Attempt},
};

/// How many outputs may wait for a commit before no inline run is made.
const MOST_OUTPUTS: usize = 2_000;
/// How many bytes of them.
const MOST_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// How many times as many records may be parked as may be ready.
const PARKED: usize = 64;

/// Outputs that wait for a commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    count: usize,
    bytes: usize,
}

impl Pending {
    pub(super) fn add(&mut self, output: &Outgoing) {
        self.count += 1;
        self.bytes += output.size();
    }

    pub(super) fn forget(&mut self, outputs: &[Outgoing]) {
        self.count = self.count.saturating_sub(outputs.len());
        self.bytes = self.bytes.saturating_sub(outputs.iter().map(Outgoing::size).sum());
    }

    fn is_full(&self) -> bool {
        self.count >= MOST_OUTPUTS || self.bytes >= MOST_OUTPUT_BYTES
    }
}

/// Why a record is not taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Too many wait to be started, whatever their partition.
    Room,
    /// The outputs wait for a commit: soon over.
    Outputs,
    /// Its partition is not taken.
    Part(Halt),
}

impl Core {
    /// Whether more should be read. Where not, a commit is under way that changes it.
    pub(crate) fn wants_more(&self) -> bool {
        self.commit.is_none() || !self.outputs.is_full()
    }

    /// Records arrived. What there is no room for is left in the log, and read again when there is.
    pub(crate) fn deliver(&mut self, partition: &TopicPartition, generation: Generation, records: Vec<Record>) {
        let is_ours = |part: &&mut Part| part.generation == generation && part.phase == Phase::Open;
        let Some(part) = self.parts.get_mut(partition).filter(is_ours) else { return };
        let Some(last) = records.last().map(|record| record.offset) else { return };
        self.delivered.push(partition.clone());
        if let Some(unread) = &mut part.unread {
            unread.1 = last;
        } else {
            self.keep(partition, records, last, false);
        }
    }

    /// Keeps as many records as there is room for, at least one where that is asked; the rest, up to `last`, is left in the
    /// log.
    pub(super) fn keep(&mut self, partition: &TopicPartition, records: Vec<Record>, last: Offset, one: bool) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        let was_empty = part.backlog.is_empty();
        part.unread = None;
        for record in records {
            let (held, size) = (self.queue.bytes() + self.backlog_bytes, record.size());
            let fits = held == 0 || held + size <= self.limits.queue_bytes || (one && part.backlog.is_empty());
            if !fits || part.halt.is_some() {
                part.unread = Some((record.offset, last));
                break;
            }
            self.backlog_bytes += size;
            part.backlog.push_back(record);
        }
        if was_empty && part.halt.is_none() {
            self.enlist(partition);
        }
    }

    /// Puts a partition that nothing keeps any more where its turn comes.
    pub(super) fn enlist(&mut self, partition: &TopicPartition) {
        let Some(part) = self.parts.get(partition).filter(|part| part.halt.is_none()) else { return };
        if !part.backlog.is_empty() {
            self.backlogged.push_back(partition.clone());
        } else if part.unread.is_some() {
            self.unread.push_back(partition.clone());
        } else if part.paused {
            self.resumable.push(partition.clone());
        }
    }

    /// Takes what may be taken of the backlogs, partition by partition in turn; pauses, resumes, and reads again.
    ///
    /// A group may have tens of thousands of partitions: what is full for all of them ends the walk, and one that is kept
    /// by something of its own is not looked at before that has ended.
    pub(crate) fn admit(&mut self, now: Timestamp) {
        if !self.crowded.is_empty() && self.queue.parked() <= self.limits.parked() / 4 * 3 {
            for partition in std::mem::take(&mut self.crowded) {
                self.end_halt(&partition, |halt| halt == Halt::Parked);
            }
        }
        let mut outputs_are_full = false;
        for _ in 0..self.backlogged.len() {
            let Some(partition) = self.backlogged.pop_front() else { break };
            match self.take_from(&partition, now) {
                None => self.enlist(&partition),
                Some(Block::Part(halt)) => self.halt(&partition, halt),
                Some(block) => {
                    outputs_are_full = block == Block::Outputs;
                    self.backlogged.push_back(partition);
                    break;
                }
            }
        }
        self.pause(outputs_are_full);
        self.resume();
        self.read_next();
    }

    fn take_from(&mut self, partition: &TopicPartition, now: Timestamp) -> Option<Block> {
        let busy = self.running.len();
        let part = self.parts.get_mut(partition).filter(|part| part.phase == Phase::Open && part.halt.is_none())?;
        let mut door = Door {
            plan: &self.plan,
            limits: self.limits,
            busy,
            queue: &mut self.queue,
            outputs: &mut self.outputs,
            counts: &mut self.counts,
            dirty: &mut self.dirty,
            backlog_bytes: &mut self.backlog_bytes,
            part,
            partition,
            now,
        };
        door.take_all()
    }

    /// Keeps a partition from being taken; what was delivered of it is left in the log meanwhile.
    fn halt(&mut self, partition: &TopicPartition, halt: Halt) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        part.halt = Some(halt);
        self.backlog_bytes -= part.leave_backlog();
        self.delivered.push(partition.clone());
        match halt {
            Halt::Catalog(number) => self.awaited_catalog = self.awaited_catalog.max(Some(number)),
            Halt::Parked => self.crowded.push(partition.clone()),
            Halt::Note => {}
        }
    }

    /// What kept partitions has ended, for all of them.
    pub(super) fn end_halts(&mut self, has_ended: impl Fn(Halt) -> bool) {
        self.awaited_catalog = None;
        let kept = self.parts.iter().filter(|(_, part)| part.halt.is_some_and(&has_ended));
        let kept: Vec<TopicPartition> = kept.map(|(partition, _)| partition.clone()).collect();
        kept.iter().for_each(|partition| self.end_halt(partition, &has_ended));
    }

    fn end_halt(&mut self, partition: &TopicPartition, has_ended: impl Fn(Halt) -> bool) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        if part.halt.take_if(|halt| has_ended(*halt)).is_some() {
            self.enlist(partition);
        }
    }

    /// A record of a partition is finished: its note may have room again, or its first record may be parked.
    pub(super) fn note_has_room(&mut self, partition: &TopicPartition) {
        let Some(part) = self.parts.get_mut(partition) else { return };
        part.stuck.drain(..).for_each(|key| self.queue.want(key));
        if !part.ledger.is_full() {
            self.end_halt(partition, |halt| halt == Halt::Note);
        }
    }

    /// Pauses what was delivered to and could not be taken whole.
    fn pause(&mut self, outputs_are_full: bool) {
        for partition in std::mem::take(&mut self.delivered) {
            let Some(part) = self.parts.get_mut(&partition).filter(|part| part.phase == Phase::Open) else { continue };
            let is_behind = part.unread.is_some() || part.halt.is_some();
            if !part.paused && (is_behind || (!part.backlog.is_empty() && !outputs_are_full)) {
                part.paused = true;
                self.effects.push(Effect::Pause(partition));
            }
        }
    }

    /// Resumes paused partitions of which everything is taken, once half of what may wait has gone.
    fn resume(&mut self) {
        let held = self.queue.bytes() + self.backlog_bytes;
        let busy = self.queue.ready() + self.running.len();
        if busy > self.limits.records(&self.plan) / 2 || held > self.limits.queue_bytes / 2 {
            return;
        }
        for partition in self.resumable.drain(..) {
            let Some(part) = self.parts.get_mut(&partition) else { continue };
            if part.paused && part.is_clear() {
                part.paused = false;
                self.effects.push(Effect::Resume(partition));
            }
        }
    }
}

impl Limits {
    /// How many records may be ready or run: at least twice as many as run side by side.
    pub(super) fn records(self, plan: &Plan) -> usize {
        self.queue_records.max(plan.concurrency.saturating_mul(2))
    }

    /// How many records may be parked behind their keys; each takes about 100 bytes.
    pub(super) fn parked(self) -> usize {
        self.queue_records.saturating_mul(PARKED)
    }
}

/// Where records of one partition are taken.
struct Door<'a> {
    plan: &'a Plan,
    limits: Limits,
    busy: usize,
    queue: &'a mut Queue,
    outputs: &'a mut Pending,
    counts: &'a mut Counts,
    dirty: &'a mut Vec<TopicPartition>,
    backlog_bytes: &'a mut usize,
    part: &'a mut Part,
    partition: &'a TopicPartition,
    now: Timestamp,
}

impl Door<'_> {
    fn take_all(&mut self) -> Option<Block> {
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
        if self.outputs.is_full() {
            return Some(Block::Outputs);
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
    fn key(&self, record: &Record) -> Option<OrderKey> {
        let key = record.key.clone().filter(|_| self.plan.order == Order::Key)?;
        Some(OrderKey { topic: record.topic.clone(), key })
    }

    fn take(&mut self, record: Record) {
        let Taken::New(begun) = self.part.ledger.take(record.offset) else { return };
        let event = match EventHeaders::decode(record.topic.as_str(), &record.headers) {
            Ok(event) => Arc::new(event),
            Err(error) => {
                let output = steps::unreadable(&record, &self.plan.name, &error, self.now);
                tracing::error!(
                    job.name = self.plan.group.full_name(), record.partition = %self.partition,
                    record.offset = record.offset.0, %error,
                    "an event that names the job cannot be read; it is recorded in `rejected`"
                );
                self.counts.rejected += 1;
                return self.finish(&record, [output]);
            }
        };
        if begun.attempts >= self.plan.attempts {
            let last = Attempt::new(&event, &self.plan.name, begun.attempts, self.now);
            self.counts.add(false);
            let failure = steps::exhausted(self.plan.attempts, begun.attempts);
            say_failed(self.plan, &event, begun.attempts, &failure);
            return self.finish(&record, last.ended(Err(failure), self.now));
        }
        match self.plan.inline() {
            Some(inline) => self.run_inline(inline, &record, event, begun),
            None => self.wait(record, event, begun),
        }
    }

    fn finish(&mut self, record: &Record, outputs: impl IntoIterator<Item = Outgoing>) {
        self.part.ledger.finish(record.offset);
        outputs.into_iter().for_each(|output| self.output(output));
    }

    fn output(&mut self, output: Outgoing) {
        self.outputs.add(&output);
        self.part.outputs.push(output);
    }

    fn wait(&mut self, record: Record, event: Arc<EventHeaders>, begun: Begun) {
        let item = Item {
            partition: self.partition.clone(),
            generation: self.part.generation,
            offset: record.offset,
            key: self.key(&record),
            event,
            size: record.size(),
            data: record.value.unwrap_or_default(),
            begun,
        };
        if !self.queue.push(item) {
            self.part.ledger.park(record.offset);
        }
    }

    fn run_inline(&mut self, inline: &dyn Inline, record: &Record, event: Arc<EventHeaders>, begun: Begun) {
        let attempt = Attempt::new(&event, &self.plan.name, begun.attempts + 1, self.now);
        if begun.attempts > 0 && !begun.told {
            self.output(Attempt { number: begun.attempts, ..attempt }.interrupted());
        }
        let outcome = run_now(self.plan, inline, record, &attempt, event.clone());
        self.counts.add(outcome.is_ok());
        if let Err(failure) = &outcome {
            say_failed(self.plan, &event, attempt.number, failure);
        }
        self.finish(record, attempt.ended(outcome, self.now));
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
    let Given { options, params, data } = plan.options.fill(&event, data, None)?;
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
