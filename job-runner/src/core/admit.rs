//! Which of the records that were delivered are taken, and what becomes of them at once.

use bus::{Generation, Offset, Record, TopicPartition};

use super::{
    Core, Effect, Halt, Limits, Now, Part, Phase,
    door::{Block, Door},
};
use crate::plan::Plan;

/// How many times as many records may be parked as may be ready.
const PARKED: usize = 64;

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
    pub(crate) fn admit(&mut self, now: Now) {
        self.now = now;
        self.look_at_gate();
        self.fire();
        if !self.crowded.is_empty() && self.queue.parked() <= self.limits.parked() / 4 * 3 {
            for partition in std::mem::take(&mut self.crowded) {
                self.end_halt(&partition, |halt| halt == Halt::Parked);
            }
        }
        let mut outputs_are_full = false;
        for _ in 0..self.backlogged.len() {
            let Some(partition) = self.backlogged.pop_front() else { break };
            match self.take_from(&partition) {
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

    fn take_from(&mut self, partition: &TopicPartition) -> Option<Block> {
        let busy = self.running.len();
        let part = self.parts.get_mut(partition).filter(|part| part.phase == Phase::Open && part.halt.is_none())?;
        let (mut retried, mut superseded) = (Vec::new(), Vec::new());
        let mut door = Door {
            plan: &self.plan,
            limits: self.limits,
            held: self.held,
            busy,
            queue: &mut self.queue,
            outputs: &mut self.outputs,
            counts: &mut self.counts,
            dirty: &mut self.dirty,
            backlog_bytes: &mut self.backlog_bytes,
            part,
            partition,
            now: self.now,
            retried: &mut retried,
            superseded: &mut superseded,
        };
        let block = door.take_all();
        for (due, offset) in superseded {
            due.into_iter().for_each(|due| self.untimed(partition, due, offset));
        }
        retried.into_iter().for_each(|offset| self.schedule(partition, offset));
        block
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
