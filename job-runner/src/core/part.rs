//! What a group remembers of one partition, of one attempt, and of the commit under way.

use std::collections::{HashSet, VecDeque};

use bus::{Generation, Offset, Outgoing, Record, TopicPartition};

use super::{Now, gate::Pass, lane::Lane};
use contracts::ids::OrderId;

use crate::{
    ledger::Ledger,
    queue::{Item, OrderKey},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// It takes nothing more, and goes when what runs has ended.
    Leaving,
}

/// What keeps a single partition from being taken, although there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// The next record was stamped by this catalog, which is newer than ours.
    Catalog(u64),
    /// Its note could grow too long.
    Note,
    /// Too many records wait behind their keys.
    Parked,
}

pub(super) struct Part {
    pub(super) generation: Generation,
    pub(super) phase: Phase,
    pub(super) ledger: Ledger,
    /// What waits of it, once it is known.
    pub(super) lane: Lane,
    pub(super) is_rebuilt: bool,
    /// Orders that are done here, or about to be.
    pub(super) ordered: HashSet<OrderId>,
    /// How many shares of it were gathered, and which is the last that is committed.
    pub(super) shares: u64,
    pub(super) committed: u64,
    /// What of its lane is due, and can be read once its share is committed.
    pub(super) unwritten: Vec<Offset>,
    /// Delivered, and not taken yet.
    pub(super) backlog: VecDeque<Record>,
    /// What was delivered behind the backlog and not kept, from the first to the last: it is to be read again.
    pub(super) unread: Option<(Offset, Offset)>,
    /// Why nothing is taken, as long as it lasts.
    pub(super) halt: Option<Halt>,
    /// Keys whose next record is parked here, and has to wait for room in the note.
    pub(super) stuck: Vec<OrderKey>,
    pub(super) paused: bool,
    /// Attempts under way, or about to be.
    pub(super) running: usize,
    pub(super) outputs: Vec<Outgoing>,
    pub(super) dirty: bool,
    /// A share of it is in the commit under way.
    pub(super) committing: bool,
}

impl Part {
    /// A new assignment.
    pub(super) fn new(generation: Generation, ledger: Ledger) -> Self {
        Self {
            generation,
            phase: Phase::Open,
            ledger,
            lane: Lane::default(),
            is_rebuilt: false,
            ordered: HashSet::new(),
            shares: 0,
            committed: 0,
            unwritten: Vec::new(),
            backlog: VecDeque::new(),
            unread: None,
            halt: None,
            stuck: Vec::new(),
            paused: false,
            running: 0,
            outputs: Vec::new(),
            dirty: false,
            committing: false,
        }
    }

    /// The number of the share that will have the outputs that are made now.
    pub(super) fn next_share(&self) -> u64 {
        self.shares + 1
    }

    /// Leaves everything that was delivered and not taken in the log; returns how many bytes were dropped.
    pub(super) fn leave_backlog(&mut self) -> usize {
        let bytes = self.backlog.iter().map(Record::size).sum();
        if let (Some(first), Some(last)) = (self.backlog.front(), self.backlog.back()) {
            let last = self.unread.map_or(last.offset, |(_, last)| last);
            self.unread = Some((first.offset, last));
        }
        self.backlog.clear();
        bytes
    }

    /// Whether it may be read further: nothing waits to be taken, and nothing keeps it.
    pub(super) fn is_clear(&self) -> bool {
        self.backlog.is_empty() && self.unread.is_none() && self.halt.is_none() && self.phase == Phase::Open
    }

    /// The catalog that its next record waits for.
    pub(super) fn awaited_catalog(&self) -> Option<u64> {
        match self.halt {
            Some(Halt::Catalog(number)) => Some(number),
            _ => None,
        }
    }

    /// Notes that there is something to commit.
    pub(super) fn touch(&mut self, partition: &TopicPartition, dirty: &mut Vec<TopicPartition>) {
        if !self.dirty {
            self.dirty = true;
            dirty.push(partition.clone());
        }
    }
}

pub(super) struct Running {
    pub(super) item: Item,
    pub(super) attempt: u32,
    pub(super) started: Now,
    pub(super) pass: Pass,
}
