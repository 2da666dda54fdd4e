//! What a group remembers of one partition, of one attempt, and of the commit under way.

use std::collections::VecDeque;

use bus::{Generation, Outgoing, Record, TopicPartition};
use jiff::Timestamp;

use super::RunKey;
use crate::{ledger::Ledger, queue::Item};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not known yet where it begins.
    Finding,
    /// Its start is to be committed before it is read.
    Starting,
    Open,
    /// It takes nothing more, and goes when what runs has ended.
    Leaving,
}

pub(super) struct Part {
    pub(super) generation: Generation,
    pub(super) phase: Phase,
    pub(super) ledger: Ledger,
    /// Delivered, and not taken yet.
    pub(super) backlog: VecDeque<Record>,
    pub(super) paused: bool,
    /// Attempts under way, or about to be.
    pub(super) running: usize,
    pub(super) outputs: Vec<Outgoing>,
    pub(super) dirty: bool,
    /// A share of it is in the commit under way.
    pub(super) flies: bool,
}

impl Part {
    /// A new assignment; not opened yet.
    pub(super) fn new(generation: Generation, phase: Phase, ledger: Ledger) -> Self {
        Self {
            generation,
            phase,
            ledger,
            backlog: VecDeque::new(),
            paused: false,
            running: 0,
            outputs: Vec::new(),
            dirty: false,
            flies: false,
        }
    }

    /// It has something to commit.
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
    pub(super) started: Timestamp,
}

/// A commit under way.
#[derive(Default)]
pub(super) struct Flight {
    /// The assignments whose shares it carries.
    pub(super) shares: Vec<(TopicPartition, Generation)>,
    pub(super) starting: Vec<RunKey>,
}
