//! What the writer remembers of unfinished invocations, so that a fact about one of them costs no read.
//!
//! It is written through: between two transactions it holds nothing that the file does not. An error in a transaction
//! empties it.

use std::collections::VecDeque;

use contracts::ids::{CorrelationId, InvocationId};
use hashbrown::{HashMap, HashSet};

use super::marks::Marks;
use crate::fold::{Invocation, Part, Tally};

/// What finds a row.
pub(super) type Key = (CorrelationId, InvocationId);

/// What a remembered row takes beside its body, in bytes, roughly.
const OVERHEAD: usize = 512;

/// A correlation with remembered rows.
#[derive(Debug)]
pub(super) struct Group {
    /// The id of its row.
    pub(super) id: i64,
    pub(super) tally: Tally,
    /// Whether its row has counters; otherwise its only invocation is remembered.
    pub(super) many: bool,
    /// How many of its rows are remembered.
    rows: usize,
    /// The revision and completeness before this transaction, once it was touched.
    pub(super) before: Option<(u64, bool)>,
}

#[derive(Debug)]
pub(super) struct Row {
    /// Its id; none before it was written.
    pub(super) id: Option<i64>,
    pub(super) state: Invocation,
    /// What it contributes to the tally as it stands there; none before it was added.
    pub(super) part: Option<Part>,
    /// By what it is found, as it stands in the file.
    pub(super) marks: Marks,
    /// The time it was stored under, in microseconds.
    pub(super) received: i64,
    pub(super) dirty: bool,
    /// Its size in bytes as it was stored last.
    pub(super) size: usize,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) groups: HashMap<CorrelationId, Group>,
    pub(super) rows: HashMap<Key, Row>,
    /// The rows in the order they were first kept; may name rows that are gone.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Memory {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Remembers a correlation.
    pub(super) fn group(&mut self, name: CorrelationId, id: i64, tally: Tally, many: bool) {
        self.groups.insert(name, Group { id, tally, many, rows: 0, before: None });
    }

    /// Remembers a row of a remembered correlation.
    pub(super) fn insert(&mut self, key: Key, row: Row) {
        if let Some(group) = self.groups.get_mut(&key.0) {
            group.rows += 1;
        }
        self.bytes += row.size + OVERHEAD;
        self.rows.insert(key, row);
    }

    /// Notes the size of a row that was just stored.
    pub(super) fn resize(&mut self, key: &Key, size: usize) {
        if let Some(row) = self.rows.get_mut(key) {
            self.bytes = self.bytes - row.size + size;
            row.size = size;
        }
    }

    /// Forgets a row, and its correlation with the last of them.
    pub(super) fn remove(&mut self, key: &Key) {
        let Some(row) = self.rows.remove(key) else { return };
        self.bytes -= row.size + OVERHEAD;
        if let Some(group) = self.groups.get_mut(&key.0) {
            group.rows -= 1;
            if group.rows == 0 {
                self.groups.remove(&key.0);
            }
        }
    }

    /// After a transaction: keeps the unfinished of the rows it touched, the newest within a limit of bytes.
    pub(super) fn settle(&mut self, touched: Vec<Key>, limit: usize) {
        for key in touched {
            match self.rows.get(&key) {
                Some(row) if row.part.as_ref().is_some_and(Part::is_open) => self.order.push_back(key),
                _ => self.remove(&key),
            }
        }
        while self.bytes > limit {
            let Some(key) = self.order.pop_front() else { break };
            self.remove(&key);
        }
        if self.order.len() > 2 * self.rows.len() + 1024 {
            self.compact();
        }
    }

    /// Drops from the order what is gone, and all but the latest mention of a row.
    fn compact(&mut self) {
        let mut seen = HashSet::with_capacity(self.rows.len());
        let mut order = VecDeque::with_capacity(self.rows.len());
        while let Some(key) = self.order.pop_back() {
            if self.rows.contains_key(&key) && seen.insert(key.clone()) {
                order.push_front(key);
            }
        }
        self.order = order;
    }
}
