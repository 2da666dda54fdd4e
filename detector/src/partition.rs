//! One assigned partition: its memory, and what waits for the next commit.

use std::collections::VecDeque;

use bus::{Assignment, Generation, Offset, Outgoing, Position, Record, Share, TopicPartition};
use contracts::{headers, progress::FailedEvent};
use jiff::Timestamp;

use crate::{FAILED, decide::Decider, handle::Counts, memory::Memory, note::Memo, seen::Seen};

/// Of how many changes that are decided together it is said that they failed or were refused; the rest is counted.
const SAID: u64 = 20;

pub(crate) struct Partition<M: Memory> {
    at: TopicPartition,
    generation: Generation,
    memory: M,
    outputs: Vec<Outgoing>,
    /// How many there were last time: room for so many is made at once.
    before: usize,
    /// What the memory was given since the last commit.
    entries: Vec<M::Entry>,
    next: Option<Offset>,
    /// The newest catalog that has decided here.
    catalog: u64,
    bytes: usize,
    /// What was delivered and is not decided yet.
    waiting: VecDeque<Record>,
    cut_said: bool,
}

impl<M: Memory> Partition<M> {
    /// An assigned partition with its memory.
    pub(crate) fn new(assignment: &Assignment, memory: M, memo: Memo) -> Self {
        let (at, generation, catalog) = (assignment.partition.clone(), assignment.generation, memo.catalog);
        Self {
            at,
            generation,
            memory,
            outputs: vec![],
            before: 0,
            entries: vec![],
            next: None,
            catalog,
            bytes: 0,
            waiting: VecDeque::new(),
            cut_said: false,
        }
    }

    /// The oldest catalog that may decide: that which decided last, perhaps in another process.
    pub(crate) fn needs(&self) -> u64 {
        self.catalog
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Takes records to be decided.
    pub(crate) fn take(&mut self, records: impl IntoIterator<Item = Record>) {
        self.waiting.extend(records);
    }

    /// Whether there are records to be decided.
    pub(crate) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Drops what is not decided yet: whoever owns the partition next decides it.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// How many bytes wait for the next commit.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits for the next commit.
    pub(crate) fn is_idle(&self) -> bool {
        self.next.is_none()
    }

    /// What waits, as a share; none if nothing does.
    pub(crate) fn share(&mut self) -> Option<Share> {
        let next = self.next.take()?;
        let mut outputs = std::mem::take(&mut self.outputs);
        self.before = outputs.len() + 1;
        for value in M::encode(&self.entries) {
            let side = Outgoing::new(M::SIDE, "", value).to_partition(self.at.partition);
            outputs.push(Outgoing { key: None, ..side });
        }
        self.entries.clear();
        self.bytes = 0;
        let note = Memo { catalog: self.catalog, since: self.memory.since() }.write();
        let position = Position { next, note };
        Some(Share { partition: self.at.clone(), generation: self.generation, outputs, position })
    }

    /// Takes back a share that was not committed, in front of what waits.
    pub(crate) fn put_back(&mut self, share: Share) {
        let mut outputs = share.outputs;
        self.bytes += outputs.iter().map(Outgoing::size).sum::<usize>();
        outputs.append(&mut self.outputs);
        self.outputs = outputs;
        self.next.get_or_insert(share.position.next);
    }
}

impl Partition<Seen> {
    /// Decides about what waits, in order, for the next commit, until that has so many bytes or more. The clock says when,
    /// which decides nothing.
    pub(crate) fn decide(&mut self, decider: &Decider<'_>, room: usize, now: Timestamp) -> Counts {
        let (mut counts, mut troubles) = (Counts::default(), 0);
        self.memory.written(now);
        self.catalog = self.catalog.max(decider.number);
        if self.outputs.is_empty() {
            self.outputs.reserve(self.before);
        }
        while self.bytes < room {
            let Some(record) = self.waiting.pop_front() else { break };
            let decision = decider.decide(&record, &mut self.memory);
            self.bytes += decision.outputs.iter().map(Outgoing::size).sum::<usize>();
            self.outputs.extend(decision.outputs);
            self.entries.extend(decision.seen);
            self.next = Some(record.offset.next());
            counts.records += decision.counts.records;
            counts.events += decision.counts.events;
            counts.duplicates += decision.counts.duplicates;
            counts.refused += decision.counts.refused;
            counts.failed += decision.counts.failed;
            counts.reused += decision.counts.reused;
            if let Some(failed) = decision.failed {
                troubles += 1;
                if troubles <= SAID {
                    self.say_failed(&record, &failed, decision.counts.failed - 1);
                }
            }
            // What came under the id of another is told by itself.
            if let Some((reason, detail)) = decision.refused.filter(|_| decision.counts.reused == 0) {
                troubles += 1;
                if troubles <= SAID {
                    self.say_refused(&record, reason, &detail);
                }
            }
            if decision.counts.reused > 0 && counts.reused == 1 {
                self.say_reused(&record);
            }
        }
        if let Some(changes) = troubles.checked_sub(SAID).filter(|more| *more > 0) {
            tracing::warn!(target: FAILED, partition = %self.at, changes, "more changes have failed events or are refused");
        }
        self.say_cut();
        counts
    }

    fn say_failed(&self, record: &Record, failed: &FailedEvent, others: u64) {
        tracing::warn!(
            target: FAILED,
            raw = %format_args!("{}/{}", self.at.partition.0, record.offset),
            correlation.id = record.headers.text(headers::CORRELATION).unwrap_or_default(),
            event.name = %failed.event,
            stage = failed.stage,
            error = &failed.error[..failed.error.floor_char_boundary(500)],
            others,
            "an event failed: what its file says cannot be done for this change, or its schema refuses what came of it"
        );
    }

    fn say_refused(&self, record: &Record, reason: &str, detail: &str) {
        tracing::warn!(
            target: FAILED,
            raw = %format_args!("{}/{}", self.at.partition.0, record.offset),
            correlation.id = record.headers.text(headers::CORRELATION).unwrap_or_default(),
            reason,
            error = &detail[..detail.floor_char_boundary(500)],
            "a change was refused after it had been accepted"
        );
    }

    /// The first of those that are decided together: whoever sends one sends many.
    fn say_reused(&self, record: &Record) {
        let source = record.headers.text(headers::SOURCE).unwrap_or_default();
        let id = record.headers.text(headers::SOURCE_ID).unwrap_or_default();
        tracing::warn!(
            raw = %format_args!("{}/{}", self.at.partition.0, record.offset),
            source,
            id = &id[..id.floor_char_boundary(200)],
            "id-reused: a change came under the id of another one and is not run; each change needs an id of its own"
        );
    }

    fn say_cut(&mut self) {
        if let Some(age) = self.memory.cut()
            && !self.cut_said
        {
            self.cut_said = true;
            tracing::warn!(
                partition = %self.at,
                window.seconds = age.as_secs(),
                ids = self.memory.len(),
                "more ids arrive than are remembered, so that duplicates are recognised for a shorter time; raise `detector.ids`"
            );
        }
    }
}
