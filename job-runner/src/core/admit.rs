//! Which of the records that were delivered are taken, and what becomes of them at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use bus::{Outgoing, Record, TopicPartition};
use catalog::Order;
use contracts::{
    envelope::{EventHeaders, is_stamped},
    headers,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Core, Counts, Effect, Limits, Part, Phase};
use crate::{
    attempt::panicked,
    kind::{Inline, Outcome, Run},
    ledger::{Begun, Taken},
    plan::Plan,
    queue::{Item, OrderKey, Queue},
    steps::{self, Attempt},
};

/// How many outputs may wait for a commit before no inline run is made.
const MOST_OUTPUTS: usize = 2_000;
/// How many bytes of them.
const MOST_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// Outputs that wait for a commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    count: usize,
    bytes: usize,
}

impl Pending {
    fn add(&mut self, output: &Outgoing) {
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
    /// Too many wait to be started, or the note could grow too long.
    Room,
    /// The outputs wait for a commit: soon over.
    Outputs,
    /// It was stamped by this catalog, which is newer than ours.
    Catalog(u64),
}

impl Core {
    /// Whether more should be read. Where not, a commit is under way that changes it.
    pub(crate) fn wants_more(&self) -> bool {
        self.flight.is_none() || !self.outputs.is_full()
    }

    /// Takes what may be taken of the backlogs, partition by partition in turn; pauses and resumes.
    pub(crate) fn admit(&mut self, now: Timestamp) {
        self.awaited_catalog = None;
        for _ in 0..self.backlogged.len() {
            let Some(partition) = self.backlogged.pop_front() else { break };
            let busy = self.running.len();
            let Some(part) = self.parts.get_mut(&partition).filter(|part| part.phase == Phase::Open) else { continue };
            let mut door = Door {
                plan: &self.plan,
                limits: self.limits,
                busy,
                queue: &mut self.queue,
                outputs: &mut self.outputs,
                counts: &mut self.counts,
                dirty: &mut self.dirty,
                part,
                partition: &partition,
                now,
            };
            let Some(block) = door.take_all() else { continue };
            if let Block::Catalog(number) = block {
                self.awaited_catalog = self.awaited_catalog.max(Some(number));
            }
            if block != Block::Outputs && !part.paused {
                part.paused = true;
                self.paused.push(partition.clone());
                self.effects.push(Effect::Pause(partition.clone()));
            }
            self.backlogged.push_back(partition);
        }
        self.resume();
    }

    /// Resumes paused partitions whose backlog is taken, once half of what may wait has gone.
    fn resume(&mut self) {
        let half = self.limits.records(&self.plan) / 2;
        if self.paused.is_empty() || self.queue.len() + self.running.len() > half {
            return;
        }
        let (parts, effects) = (&mut self.parts, &mut self.effects);
        self.paused.retain(|partition| {
            let Some(part) = parts.get_mut(partition) else { return false };
            let stays = !part.backlog.is_empty() || part.ledger.is_full() || part.phase != Phase::Open;
            if !stays {
                part.paused = false;
                effects.push(Effect::Resume(partition.clone()));
            }
            stays
        });
    }
}

impl Limits {
    /// How many records may wait or run: at least twice as many as run side by side.
    fn records(self, plan: &Plan) -> usize {
        self.queue_records.max(plan.concurrency.saturating_mul(2))
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
    part: &'a mut Part,
    partition: &'a TopicPartition,
    now: Timestamp,
}

impl Door<'_> {
    fn take_all(&mut self) -> Option<Block> {
        while let Some(record) = self.part.backlog.pop_front() {
            if !is_stamped(&record.headers, &self.plan.name) {
                self.part.ledger.pass(record.offset);
            } else if let Some(block) = self.block(&record) {
                self.part.backlog.push_front(record);
                return Some(block);
            } else {
                self.take(record);
            }
            self.part.touch(self.partition, self.dirty);
        }
        None
    }

    fn block(&self, record: &Record) -> Option<Block> {
        let stamped_by = record.headers.text(headers::CATALOG).and_then(|number| number.parse().ok());
        if let Some(number) = stamped_by.filter(|number| *number > self.plan.number) {
            return Some(Block::Catalog(number));
        }
        if self.outputs.is_full() {
            return Some(Block::Outputs);
        }
        if self.plan.kind.inline().is_some() {
            return None;
        }
        let waiting = self.queue.len() + self.busy;
        let is_full = waiting >= self.limits.records(self.plan)
            || (self.queue.len() > 0 && self.queue.bytes() >= self.limits.queue_bytes)
            || self.part.ledger.is_full();
        is_full.then_some(Block::Room)
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
                return self.finish(&record, output);
            }
        };
        if begun.attempts >= self.plan.attempts {
            let last = Attempt::new(&event, &self.plan.name, begun.attempts, self.now);
            self.counts.add(false);
            return self.finish(&record, last.exhausted(self.plan.attempts));
        }
        match self.plan.kind.inline() {
            Some(inline) => self.run_inline(inline, &record, event, begun),
            None => self.wait(record, event, begun),
        }
    }

    fn finish(&mut self, record: &Record, output: Outgoing) {
        self.part.ledger.finish(record.offset);
        self.output(output);
    }

    fn output(&mut self, output: Outgoing) {
        self.outputs.add(&output);
        self.part.outputs.push(output);
    }

    fn wait(&mut self, record: Record, event: Arc<EventHeaders>, begun: Begun) {
        let key = match self.plan.order {
            Order::Key => record.key.map(|key| OrderKey { topic: record.topic, key }),
            Order::None => None,
        };
        self.queue.push(Item {
            partition: self.partition.clone(),
            generation: self.part.generation,
            offset: record.offset,
            key,
            event,
            data: record.value.unwrap_or_default(),
            begun,
        });
    }

    fn run_inline(&mut self, inline: &dyn Inline, record: &Record, event: Arc<EventHeaders>, begun: Begun) {
        let attempt = Attempt::new(&event, &self.plan.name, begun.attempts + 1, self.now);
        if begun.attempts > 0 && !begun.told {
            self.output(Attempt { number: begun.attempts, ..attempt }.interrupted());
        }
        let outcome = run_now(self.plan, inline, record, &attempt, event.clone());
        self.counts.add(outcome.is_ok());
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
    let run = Run {
        job: plan.name.clone(),
        group: plan.group.clone(),
        options: plan.options.fill(&event, &data)?,
        event,
        data,
        id: attempt.run,
        attempt: attempt.number,
        cancelled: never(),
    };
    catch_unwind(AssertUnwindSafe(|| inline.run_inline(&run))).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// What is never cancelled needs no token of its own.
fn never() -> CancellationToken {
    static NEVER: OnceLock<CancellationToken> = OnceLock::new();
    NEVER.get_or_init(CancellationToken::new).clone()
}
