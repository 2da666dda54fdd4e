//! What of one partition waits in the lane, of which only this is kept in memory: about a hundred bytes each, whatever the
//! events are like. Pure.
//!
//! Those of one key are a *chain*: one of them at a time is due or runs, the others stand behind it in the order of their
//! offsets, which is that of their key in the log. One without a key is for itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Instant,
};

use bus::Offset;
use contracts::lane::{State, VERSION};
use jiff::Timestamp;

use super::Now;
use crate::ledger::Begun;

/// A key within one partition. Two of one hash would only wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyId(u64);

impl KeyId {
    pub(super) fn of(key: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Where the event stands in the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not before the share of that number is committed, and then somewhere behind what has been read of the lane.
    InShare(u64),
    At(Offset),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// For its time, or for its turn.
    Waiting,
    /// To be let through a gate.
    Queued,
    /// It is to be read, and then to be started.
    Due,
    /// It is ready, or runs.
    Active,
}

/// One that waits.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: Option<KeyId>,
    pub(super) begun: Begun,
    /// How many attempts had begun when further ones were ordered.
    pub(super) base: u32,
    /// When the first attempt began, by both clocks; none while nothing has begun.
    pub(super) first: Option<Now>,
    /// When the next is due; none if as soon as it is its turn.
    pub(super) due: Option<Instant>,
    pub(super) stage: Stage,
}

impl Entry {
    /// One that nothing has begun of, and that is due when its turn comes.
    pub(super) fn behind(place: Place, key: Option<KeyId>, begun: Begun) -> Self {
        Self { place, key, begun, base: 0, first: None, due: None, stage: Stage::Waiting }
    }

    /// As the lane has it. Its clock may have been another's, so that nothing is due later than was said when it was scheduled.
    pub(super) fn restored(place: Offset, key: Option<KeyId>, state: &State, now: Now) -> Self {
        let Now { wall, steady } = now;
        let between = |from: Timestamp, to: Timestamp| to.duration_since(from).unsigned_abs();
        let due = match (state.told, state.since, state.due) {
            (true, Some(since), Some(due)) if due > wall => {
                steady.checked_add(between(wall, due).min(between(since, due.max(since))))
            }
            _ => None,
        };
        let first = state.first.map(|first| {
            let ago = if first < wall { between(first, wall) } else { std::time::Duration::ZERO };
            Now { wall: first, steady: steady.checked_sub(ago).unwrap_or(steady) }
        });
        let begun = Begun { attempts: state.attempts, told: state.told };
        Self { place: Place::At(place), key, begun, base: state.base, first, due, stage: Stage::Waiting }
    }

    /// As the lane is to have it; due so long after now, if that was just said.
    pub(super) fn state(&self, due: Option<Timestamp>, now: Now) -> State {
        let Begun { attempts, told } = self.begun;
        let first = self.first.map(|first| first.wall);
        State { v: VERSION, attempts, told, base: self.base, first, since: due.map(|_| now.wall), due }
    }
}

/// Those of one key.
#[derive(Debug, Default)]
struct Chain {
    all: BTreeSet<u64>,
    /// The one that is due or runs, or waits at a gate.
    busy: Option<u64>,
}

/// What waits of one partition, by its offset there.
#[derive(Debug, Default)]
pub(super) struct Lane {
    entries: BTreeMap<u64, Entry>,
    chains: HashMap<KeyId, Chain>,
}

impl Lane {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, offset: Offset) -> Option<&Entry> {
        self.entries.get(&offset.0)
    }

    pub(super) fn get_mut(&mut self, offset: Offset) -> Option<&mut Entry> {
        self.entries.get_mut(&offset.0)
    }

    /// Whether anything of a key waits.
    pub(super) fn holds(&self, key: KeyId) -> bool {
        self.chains.contains_key(&key)
    }

    pub(super) fn insert(&mut self, offset: Offset, entry: Entry) {
        if let Some(key) = entry.key {
            self.chains.entry(key).or_default().all.insert(offset.0);
        }
        self.entries.insert(offset.0, entry);
    }

    pub(super) fn remove(&mut self, offset: Offset) -> Option<Entry> {
        let entry = self.entries.remove(&offset.0)?;
        if let Some(key) = entry.key
            && let Some(chain) = self.chains.get_mut(&key)
        {
            chain.all.remove(&offset.0);
            chain.busy.take_if(|busy| *busy == offset.0);
            if chain.all.is_empty() {
                self.chains.remove(&key);
            }
        }
        Some(entry)
    }

    pub(super) fn set(&mut self, offset: Offset, stage: Stage) {
        let Some(entry) = self.entries.get_mut(&offset.0) else { return };
        entry.stage = stage;
        if let Some(chain) = entry.key.and_then(|key| self.chains.get_mut(&key)) {
            match stage {
                Stage::Waiting => drop(chain.busy.take_if(|busy| *busy == offset.0)),
                Stage::Queued | Stage::Due | Stage::Active => chain.busy = Some(offset.0),
            }
        }
    }

    /// Whether nothing of its key is before it.
    pub(super) fn is_its_turn(&self, offset: Offset) -> bool {
        let Some(entry) = self.entries.get(&offset.0) else { return false };
        let Some(chain) = entry.key.and_then(|key| self.chains.get(&key)) else { return true };
        chain.busy.is_none_or(|busy| busy == offset.0) && chain.all.first() == Some(&offset.0)
    }

    /// The one of a key whose turn is next; none while one is due or runs.
    pub(super) fn next_of(&self, key: KeyId) -> Option<Offset> {
        let chain = self.chains.get(&key).filter(|chain| chain.busy.is_none())?;
        chain.all.first().copied().map(Offset)
    }

    /// Those whose turn it is.
    pub(super) fn turns(&self) -> Vec<Offset> {
        self.entries.keys().copied().map(Offset).filter(|offset| self.is_its_turn(*offset)).collect()
    }
}
