//! At most so many attempts begin in a time: which slots are used, and who waits for the next. Pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use bus::TopicPartition;
use catalog::Rate;

use super::{
    Layout,
    pace::{self, Nanos, Pace, Share, Slot},
    turnstile::{Turnstile, Value, Waiter},
};
use crate::core::Now;

/// How many values there may be before those are forgotten of which nothing is to be remembered.
const FORGOTTEN: usize = 1000;

/// How many of one value are called at once, at most.
const CALLED: usize = 256;

/// How long nothing begins after the events of a job have got other partitions, while others may not know it yet.
const SETTLES: Duration = Duration::from_secs(40);

/// The value of a rate that tells nothing apart.
pub(super) const ALL: Value = Value(0);

#[derive(Debug)]
pub(super) struct Rated {
    pub(super) rate: Rate,
    pace: Pace,
    layout: Option<Layout>,
    share: Share,
    /// Slots that began before are others'.
    since: Nanos,
    /// The last slot that was used, by value.
    used: HashMap<Value, Slot>,
    /// When there are so many, those that matter no more are forgotten.
    forget_at: usize,
    pub(super) line: Turnstile,
    /// When the next of a value is called, once for each.
    timers: BTreeSet<(Instant, Value)>,
    armed: HashSet<Value>,
}

impl Rated {
    pub(super) fn new(rate: Rate, since: Nanos) -> Self {
        Self {
            pace: Pace::of(&rate),
            share: if rate.is_by_key { Share::Whole } else { Share::Unknown },
            rate,
            layout: None,
            since,
            used: HashMap::new(),
            forget_at: FORGOTTEN,
            line: Turnstile::default(),
            timers: BTreeSet::new(),
            armed: HashSet::new(),
        }
    }

    /// The rate is another now. Answers who waited by another `by` than there is now.
    pub(super) fn replan(&mut self, rate: Rate, at: Nanos, now: Now) -> Vec<Waiter> {
        let pace = Pace::of(&rate);
        let mut left = Vec::new();
        if !self.rate.is_by_the_same(&rate) {
            self.since = self.since.max(at);
            self.used.clear();
            left = self.line.dissolve();
        }
        if self.rate.is_by_key != rate.is_by_key {
            // Others may count as before for a while.
            self.since = self.since.max(at + settles());
        }
        for (value, slot) in &mut self.used {
            let began = self.pace.begins(*slot) - phase(*value, &self.pace);
            *slot = pace.slot(began + phase(*value, &pace));
        }
        (self.rate, self.pace) = (rate, pace);
        // Whoever waits may be let through sooner.
        self.wake(now);
        left
    }

    /// Whether it lets through whatever comes next.
    pub(super) fn is_open(&self, at: Nanos) -> bool {
        self.rate.by.is_some() || self.free(ALL, at, 1) > 0
    }

    /// When it lets through what is ready; none if that depends on what it is.
    pub(super) fn opens(&self, at: Nanos, now: Now) -> Option<Instant> {
        let slot = self.next(ALL, at).filter(|_| self.rate.by.is_none())?;
        Some(now.steady + pace::until(at, self.begins(ALL, slot)))
    }

    /// The slot that one may have now.
    pub(super) fn slot(&self, value: Value, who: &Waiter, at: Nanos) -> Option<Slot> {
        if !self.line.may_pass(value, who) {
            return None;
        }
        self.next(value, at).filter(|slot| self.begins(value, *slot) <= at)
    }

    /// A slot is used.
    pub(super) fn take(&mut self, value: Value, slot: Slot, who: &Waiter, at: Nanos) {
        self.used.insert(value, slot);
        self.line.came(value, who);
        self.forget_used(at);
    }

    /// An attempt begins only now: where its slot is lost by now, it has the next one instead.
    pub(super) fn launched(&mut self, value: Value, slot: Slot, at: Nanos) {
        if self.pace.is_lost(slot, at + phase(value, &self.pace))
            && let Some(slot) = self.next(value, at)
        {
            self.used.insert(value, slot);
        }
    }

    pub(super) fn wait(&mut self, value: Value, who: Waiter, at: Nanos, now: Now) {
        self.line.wait(value, who);
        self.arm(value, at, now);
    }

    /// Who is called now. Of those that were called before, those count that still come.
    pub(super) fn call(&mut self, at: Nanos, now: Now, comes: &dyn Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let mut called = Vec::new();
        while let Some((_, value)) = self.timers.first().copied().filter(|(due, _)| *due <= now.steady) {
            self.timers.pop_first();
            self.armed.remove(&value);
            let room = self.free(value, at, CALLED);
            called.extend(self.line.call(value, room, comes));
            self.arm(value, at, now);
        }
        called
    }

    /// When the next is called.
    pub(super) fn calls(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// How many partitions there are is known, or known anew.
    pub(super) fn lay_out(&mut self, layout: Layout, at: Nanos) {
        if self.layout.as_ref() == Some(&layout) {
            return;
        }
        // Others may count by the old one for a while, unless there are none.
        if self.layout.is_some() && !self.share.is_whole() {
            self.since = self.since.max(at + settles());
        }
        self.layout = Some(layout);
    }

    /// These partitions are ours; whether there are new ones among them, of which earlier slots may have been used.
    pub(super) fn own<'p>(
        &mut self,
        ours: impl Iterator<Item = &'p TopicPartition>,
        gained: bool,
        at: Nanos,
        now: Now,
    ) {
        if gained {
            self.since = self.since.max(at);
        }
        self.share = if self.rate.is_by_key { Share::Whole } else { self.share_of(ours) };
        self.wake(now);
    }

    fn next_behind(&self, value: Value, behind: Option<Slot>, at: Nanos) -> Option<Slot> {
        let phase = phase(value, &self.pace);
        self.pace.next(behind, self.since + phase, at + phase, &self.share)
    }

    /// Whoever waits is looked at anew.
    fn wake(&mut self, now: Now) {
        self.armed = self.line.values().collect();
        self.timers = self.armed.iter().map(|value| (now.steady, *value)).collect();
    }

    /// The next slot of a value.
    fn next(&self, value: Value, at: Nanos) -> Option<Slot> {
        self.next_behind(value, self.used.get(&value).copied(), at)
    }

    fn begins(&self, value: Value, slot: Slot) -> Nanos {
        self.pace.begins(slot) - phase(value, &self.pace)
    }

    /// How many slots of a value are free now, up to so many.
    fn free(&self, value: Value, at: Nanos, most: usize) -> usize {
        let (mut free, mut behind) = (0, self.used.get(&value).copied());
        while let Some(slot) = self.next_behind(value, behind, at).filter(|slot| self.begins(value, *slot) <= at) {
            (free, behind) = (free + 1, Some(slot));
            if free == most {
                break;
            }
        }
        free
    }

    /// Sees to it that whoever waits is called when the next slot begins.
    fn arm(&mut self, value: Value, at: Nanos, now: Now) {
        if !self.line.has_waiting(value) || self.armed.contains(&value) {
            return;
        }
        let begun = self.pace.slot(at + phase(value, &self.pace));
        if let Some(slot) = self.next_behind(value, Some(begun), at) {
            self.timers.insert((now.steady + pace::until(at, self.begins(value, slot)), value));
            self.armed.insert(value);
        }
    }

    fn share_of<'p>(&self, ours: impl Iterator<Item = &'p TopicPartition>) -> Share {
        let Some(layout) = &self.layout else { return Share::Unknown };
        let mut have = vec![false; layout.iter().map(|(_, count)| *count as usize).sum()];
        for at in ours {
            let mut first = 0;
            for (topic, count) in layout {
                if *topic == at.topic && at.partition.0 < *count {
                    have[first + at.partition.0 as usize] = true;
                }
                first += *count as usize;
            }
        }
        Share::Of(have)
    }

    /// What was used so long ago that it matters no more is forgotten, from time to time.
    fn forget_used(&mut self, at: Nanos) {
        if self.used.len() < self.forget_at {
            return;
        }
        let pace = self.pace;
        self.used.retain(|value, slot| !pace.is_lost(*slot, at + phase(*value, &pace)));
        self.forget_at = FORGOTTEN.max(self.used.len() * 2);
    }
}

/// By how much the slots of a value come earlier, so that those of many values do not come together.
fn phase(value: Value, pace: &Pace) -> Nanos {
    i128::from(value.0) % pace.begins(1).max(1)
}

fn settles() -> Nanos {
    i128::try_from(SETTLES.as_nanos()).unwrap_or(i128::MAX)
}
