//! Runs that wait at a gate, by the value that they are told apart by. Each stands in the lane; here is only its place, and nobody is
//! woken before there is room for him. Pure.

use std::collections::{HashMap, VecDeque};

use bus::{Generation, Offset, TopicPartition};

/// What runs are told apart by, hashed. Two of one hash would only wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Value(pub(super) u64);

impl Value {
    /// Of a text: the same in every process, as all of a group cut time alike (FNV-1a).
    pub(crate) fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }
}

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) offset: Offset,
}

/// Those of one value: who waits, and who was called and has not come yet.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiter>,
    called: Vec<Waiter>,
}

#[derive(Debug, Default)]
pub(super) struct Turnstile {
    lines: HashMap<Value, Line>,
    waiting: usize,
}

impl Turnstile {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Whether it is nobody else's turn.
    pub(super) fn may_pass(&self, value: Value, who: &Waiter) -> bool {
        self.lines
            .get(&value)
            .is_none_or(|line| line.called.contains(who) || line.called.is_empty() && line.waiting.is_empty())
    }

    /// Who was called and was not let through goes to the front, anybody else to the end.
    pub(super) fn wait(&mut self, value: Value, who: Waiter) {
        let was_called = self.came(value, &who);
        let line = self.lines.entry(value).or_default();
        if was_called {
            line.waiting.push_front(who)
        } else {
            line.waiting.push_back(who)
        }
        self.waiting += 1;
    }

    /// Who was called has come.
    pub(super) fn came(&mut self, value: Value, who: &Waiter) -> bool {
        let Some(line) = self.lines.get_mut(&value) else { return false };
        let before = line.called.len();
        line.called.retain(|called| called != who);
        let was_called = line.called.len() < before;
        if line.called.is_empty() && line.waiting.is_empty() {
            self.lines.remove(&value);
        }
        was_called
    }

    /// Calls as many as there is room for, beside those that were called and are still on their way.
    pub(super) fn call(&mut self, value: Value, room: usize, comes: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let Some(line) = self.lines.get_mut(&value) else { return Vec::new() };
        line.called.retain(&comes);
        let count = room.saturating_sub(line.called.len()).min(line.waiting.len());
        let called: Vec<Waiter> = line.waiting.drain(..count).collect();
        self.waiting -= count;
        line.called.extend(called.iter().cloned());
        if line.called.is_empty() && line.waiting.is_empty() {
            self.lines.remove(&value);
        }
        called
    }

    /// Whether anybody of that value waits.
    pub(super) fn has_waiting(&self, value: Value) -> bool {
        self.lines.get(&value).is_some_and(|line| !line.waiting.is_empty())
    }

    /// The values of which somebody waits.
    pub(super) fn values(&self) -> impl Iterator<Item = Value> + '_ {
        self.lines.iter().filter(|(_, line)| !line.waiting.is_empty()).map(|(value, _)| *value)
    }

    /// Nobody of a partition waits any more.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        for line in self.lines.values_mut() {
            line.waiting.retain(|who| who.partition != *partition);
            line.called.retain(|who| who.partition != *partition);
        }
        self.lines.retain(|_, line| !line.waiting.is_empty() || !line.called.is_empty());
        self.waiting = self.lines.values().map(|line| line.waiting.len()).sum();
    }

    /// Everybody goes.
    pub(super) fn dissolve(&mut self) -> Vec<Waiter> {
        self.waiting = 0;
        self.lines.drain().flat_map(|(_, line)| line.waiting).collect()
    }
}
