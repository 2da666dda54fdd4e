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
use contracts::{
    ids::{EventId, WindowId},
    lane::{State, VERSION, Window},
};
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
    /// A later one of its window took its place: it is to be read, and told to have ended.
    Superseded,
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
    /// The window that it came into; none of one that is for itself.
    pub(super) came: Option<Box<Came>>,
}

/// How an event came into a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    pub(super) window: Window,
    /// When the window ends at the latest.
    pub(super) latest: Instant,
    /// Whether it waits there.
    pub(super) gathers: bool,
}

impl Entry {
    /// One that nothing has begun of, and that is due when its turn comes.
    pub(super) fn behind(place: Place, key: Option<KeyId>, begun: Begun) -> Self {
        Self { place, key, begun, base: 0, first: None, due: None, stage: Stage::Waiting, came: None }
    }

    /// Whether it waits for the end of its window.
    pub(super) fn gathers(&self) -> bool {
        self.came.as_ref().is_some_and(|came| came.gathers)
    }

    /// Whether the event can be read in the lane, of which so many shares are committed.
    pub(super) fn is_written(&self, committed: u64) -> bool {
        !matches!(self.place, Place::InShare(share) if share > committed)
    }

    /// As the lane has it. Its clock may have been another's, so that nothing is due later than was said when it was scheduled.
    pub(super) fn restored(place: Offset, key: Option<KeyId>, state: &State, now: Now) -> Self {
        let Now { wall, steady } = now;
        let between = |from: Timestamp, to: Timestamp| to.duration_since(from).unsigned_abs();
        let gathers = state.attempts == 0 && state.window.is_some();
        let due = match (state.told || gathers, state.since, state.due) {
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
        let came = state.window.map(|window| Box::new(Came { window, latest: due.unwrap_or(steady), gathers }));
        Self { place: Place::At(place), key, begun, base: state.base, first, due, stage: Stage::Waiting, came }
    }

    /// As the lane is to have it; due so long after now, if that was just said.
    pub(super) fn state(&self, due: Option<Timestamp>, now: Now) -> State {
        let Begun { attempts, told } = self.begun;
        let first = self.first.map(|first| first.wall);
        let window = self.came.as_ref().map(|came| came.window);
        State { v: VERSION, attempts, told, base: self.base, first, since: due.map(|_| now.wall), due, window }
    }
}

/// Those of one key. Most often there is one, which takes no room of its own.
#[derive(Debug)]
struct Chain {
    first: u64,
    rest: BTreeSet<u64>,
    /// The one that is due or runs, or waits at a gate.
    busy: Option<u64>,
}

impl Chain {
    fn of(first: u64) -> Self {
        Self { first, rest: BTreeSet::new(), busy: None }
    }

    fn insert(&mut self, at: u64) {
        if at < self.first {
            self.rest.insert(std::mem::replace(&mut self.first, at));
        } else if at > self.first {
            self.rest.insert(at);
        }
    }

    /// Whether nothing is left.
    fn remove(&mut self, at: u64) -> bool {
        self.busy.take_if(|busy| *busy == at);
        if at != self.first {
            self.rest.remove(&at);
            return false;
        }
        match self.rest.pop_first() {
            Some(next) => self.first = next,
            None => return true,
        }
        false
    }
}

/// What waits of one partition, by its offset there.
#[derive(Debug, Default)]
pub(super) struct Lane {
    entries: BTreeMap<u64, Entry>,
    chains: HashMap<KeyId, Chain>,
    /// The last event of each open window.
    windows: HashMap<WindowId, u64>,
    /// Of what was superseded and has not ended yet: by which event, which stands there.
    successors: HashMap<u64, (u64, EventId)>,
    /// The other way round.
    predecessors: HashMap<u64, u64>,
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
            self.chains.entry(key).or_insert_with(|| Chain::of(offset.0)).insert(offset.0);
        }
        if let Some(came) = entry.came.as_ref().filter(|came| came.gathers && entry.due.is_some()) {
            self.windows.insert(came.window.by, offset.0);
        }
        self.entries.insert(offset.0, entry);
    }

    pub(super) fn remove(&mut self, offset: Offset) -> Option<Entry> {
        let entry = self.entries.remove(&offset.0)?;
        if let Some(came) = &entry.came {
            self.close(came.window.by, offset);
        }
        if let Some(key) = entry.key
            && let Some(chain) = self.chains.get_mut(&key)
            && chain.remove(offset.0)
        {
            self.chains.remove(&key);
        }
        Some(entry)
    }

    pub(super) fn set(&mut self, offset: Offset, stage: Stage) {
        let Some(entry) = self.entries.get_mut(&offset.0) else { return };
        entry.stage = stage;
        if let Some(chain) = entry.key.and_then(|key| self.chains.get_mut(&key)) {
            match stage {
                Stage::Waiting | Stage::Superseded => drop(chain.busy.take_if(|busy| *busy == offset.0)),
                Stage::Queued | Stage::Due | Stage::Active => chain.busy = Some(offset.0),
            }
        }
    }

    /// Whether nothing of its key is before it, and nothing that it superseded is left.
    pub(super) fn is_its_turn(&self, offset: Offset) -> bool {
        let Some(entry) = self.entries.get(&offset.0).filter(|_| !self.predecessors.contains_key(&offset.0)) else {
            return false;
        };
        let Some(chain) = entry.key.and_then(|key| self.chains.get(&key)) else { return true };
        chain.busy.is_none_or(|busy| busy == offset.0) && chain.first == offset.0
    }

    /// The one of a key whose turn is next; none while one is due or runs.
    pub(super) fn next_of(&self, key: KeyId) -> Option<Offset> {
        let chain = self.chains.get(&key).filter(|chain| chain.busy.is_none())?;
        Some(Offset(chain.first))
    }

    /// Those whose turn it is.
    pub(super) fn turns(&self) -> Vec<Offset> {
        self.entries.keys().copied().map(Offset).filter(|offset| self.is_its_turn(*offset)).collect()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Offset, &Entry)> {
        self.entries.iter().map(|(offset, entry)| (Offset(*offset), entry))
    }

    /// Those that are to be told to have ended now, as far as all of them are in the log.
    pub(super) fn superseded(&self) -> Vec<Offset> {
        let first = self.successors.keys().filter(|offset| !self.predecessors.contains_key(offset));
        first.copied().map(Offset).collect()
    }

    /// How many wait for the end of their window.
    pub(super) fn gathering(&self) -> usize {
        self.entries.values().filter(|entry| entry.gathers()).count()
    }

    /// The last event of the open window of that value, into which another may come now.
    pub(super) fn open_window(&self, by: WindowId, now: Instant) -> Option<(Offset, Came)> {
        let last = *self.windows.get(&by)?;
        let entry = self.entries.get(&last).filter(|entry| entry.due.is_some_and(|due| due > now))?;
        Some((Offset(last), *entry.came.as_deref()?))
    }

    /// One waits no longer for the end of its window; true if it did.
    pub(super) fn end_window(&mut self, offset: Offset) -> bool {
        let came = self.entries.get_mut(&offset.0).and_then(|entry| entry.came.as_deref_mut());
        let Some(came) = came.filter(|came| came.gathers) else { return false };
        came.gathers = false;
        let by = came.window.by;
        self.close(by, offset);
        true
    }

    fn close(&mut self, by: WindowId, last: Offset) {
        if self.windows.get(&by) == Some(&last.0) {
            self.windows.remove(&by);
        }
    }

    /// A later one takes the place of another.
    pub(super) fn supersede(&mut self, offset: Offset, by: Offset, event: EventId) {
        let Some(entry) = self.entries.get_mut(&offset.0) else { return };
        entry.stage = Stage::Superseded;
        let window = entry.came.as_ref().map(|came| came.window.by);
        window.into_iter().for_each(|window| self.close(window, offset));
        self.successors.insert(offset.0, (by.0, event));
        self.predecessors.insert(by.0, offset.0);
    }

    /// The one that took the place of another, and its event.
    pub(super) fn successor(&self, offset: Offset) -> Option<(Offset, EventId)> {
        self.successors.get(&offset.0).map(|(at, event)| (Offset(*at), *event))
    }

    /// Whether one that was superseded can be told to have ended: its turn has come, and what took its place is in the log.
    pub(super) fn may_end(&self, offset: Offset, committed: u64) -> bool {
        let is_written = |at: &u64| self.entries.get(at).is_none_or(|entry| entry.is_written(committed));
        !self.predecessors.contains_key(&offset.0)
            && self.successors.get(&offset.0).is_some_and(|(at, _)| is_written(at))
    }

    /// One that was superseded has ended; answers what took its place.
    pub(super) fn unlink(&mut self, offset: Offset) -> Option<Offset> {
        let (next, _) = self.successors.remove(&offset.0)?;
        self.predecessors.remove(&next);
        Some(Offset(next))
    }

    /// What took the place of another is gone before it was in the log. What it had superseded is superseded by what follows, or
    /// waits again for the end of the window; then it is answered.
    pub(super) fn restore(&mut self, gone: Offset, entry: &Entry) -> Option<Offset> {
        let (before, next) = (self.predecessors.remove(&gone.0), self.successors.remove(&gone.0));
        if let Some((next, _)) = next {
            self.predecessors.remove(&next);
        }
        let before = before?;
        self.successors.remove(&before);
        let (offset, waits) = (Offset(before), self.entries.get_mut(&before)?);
        if let Some((next, event)) = next {
            self.supersede(offset, Offset(next), event);
            return None;
        }
        (waits.stage, waits.due) = (Stage::Waiting, entry.due);
        if let Some(came) = waits.came.as_ref() {
            self.windows.insert(came.window.by, before);
        }
        Some(offset)
    }
}
