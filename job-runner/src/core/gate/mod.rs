//! What holds attempts back that could begin: the job's rate. Pure.
//!
//! Without a `by` everything waits where it is, in the log or ready to be started. With one, those of one value hold back nobody
//! else, so that they wait in the lane, and are called when there is room for them.

pub(super) mod pace;
pub(super) mod turnstile;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use bus::{Topic, TopicPartition};
use catalog::Rate;
use pace::{Nanos, Pace, Share, Slot};
pub(crate) use turnstile::Value;
use turnstile::{Turnstile, Waiter};

use super::Now;
use crate::plan::Plan;

/// How many slots there may be of values that nothing is to be remembered of, before they are forgotten.
const FORGOTTEN: usize = 1000;

/// How many of one value are called at once, at most.
const CALLED: usize = 256;

/// How long nothing begins after the events of a job have got other partitions, while others may not know it yet.
const SETTLES: Duration = Duration::from_secs(40);

/// The topics of a job's events, and how many partitions each has.
pub(crate) type Layout = Vec<(Topic, u32)>;

/// What runs of a job are told apart by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) rate: Option<Value>,
}

/// What an attempt has taken to begin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass {
    slot: Option<(Value, Slot)>,
}

/// The gate of a job.
#[derive(Debug)]
pub(super) struct Gate {
    anchor: Now,
    rate: Option<Rated>,
}

#[derive(Debug)]
struct Rated {
    rate: Rate,
    pace: Pace,
    layout: Option<Layout>,
    share: Share,
    /// Slots that began before are others'.
    since: Nanos,
    /// The last slot that was used, by value.
    used: HashMap<Value, Slot>,
    /// When there are so many, those that matter no more are forgotten.
    forget_at: usize,
    line: Turnstile,
    /// When the next of a value is called, once for each.
    timers: BTreeSet<(Instant, Value)>,
    armed: HashSet<Value>,
}

/// The value of a rate that tells nothing apart.
const ALL: Value = Value(0);

impl Gate {
    pub(super) fn new(plan: &Plan, now: Now) -> Self {
        let mut gate = Self { anchor: now, rate: None };
        gate.replan(plan, now);
        gate
    }

    /// The job is another now. Answers who waited by another `by` than there is now.
    pub(super) fn replan(&mut self, plan: &Plan, now: Now) -> Vec<Waiter> {
        let Some(rate) = plan.flow.rate.clone() else {
            return self.rate.take().map(|mut rated| rated.line.dissolve()).unwrap_or_default();
        };
        let at = pace::nanos(self.anchor, now);
        let Some(rated) = &mut self.rate else {
            self.rate = Some(Rated::new(rate, at));
            return Vec::new();
        };
        let pace = Pace::of(&rate);
        let mut left = Vec::new();
        if !rated.rate.is_by_the_same(&rate) {
            rated.since = at;
            rated.used.clear();
            left = rated.line.dissolve();
        }
        for (value, slot) in &mut rated.used {
            let began = rated.pace.begins(*slot) - phase(*value, &rated.pace);
            *slot = pace.slot(began + phase(*value, &pace));
        }
        (rated.rate, rated.pace) = (rate, pace);
        // Whoever waits may be let through sooner.
        rated.wake(now);
        left
    }

    /// Whether runs are told apart, so that it is to be found out by what.
    pub(super) fn tells_apart(&self) -> bool {
        self.rate.as_ref().is_some_and(|rated| rated.rate.by.is_some())
    }

    /// Whether whatever comes next may begin, as far as that does not depend on what it is.
    pub(super) fn is_open(&self, now: Now) -> bool {
        let at = pace::nanos(self.anchor, now);
        self.rate.as_ref().is_none_or(|rated| rated.rate.by.is_some() || rated.free(ALL, at, 1) > 0)
    }

    /// Lets an attempt begin, if it may.
    pub(super) fn pass(&mut self, values: Values, who: &Waiter, now: Now) -> Option<Pass> {
        let Some(rated) = &mut self.rate else { return Some(Pass::default()) };
        let value = values.rate.unwrap_or(ALL);
        let at = pace::nanos(self.anchor, now);
        if !rated.line.may_pass(value, who) {
            return None;
        }
        let slot = rated.next(value, at).filter(|slot| rated.begins(value, *slot) <= at)?;
        rated.used.insert(value, slot);
        rated.line.came(value, who);
        rated.forget_used(at);
        Some(Pass { slot: Some((value, slot)) })
    }

    /// A run waits until its value is let through.
    pub(super) fn wait(&mut self, values: Values, who: Waiter, now: Now) {
        let (Some(rated), Some(value)) = (&mut self.rate, values.rate) else { return };
        rated.line.wait(value, who);
        rated.arm(self.anchor, value, now);
    }

    /// Who is called now. Of those that were called before, those count that still come.
    pub(super) fn call(&mut self, now: Now, comes: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let Some(rated) = &mut self.rate else { return Vec::new() };
        let (at, mut called) = (pace::nanos(self.anchor, now), Vec::new());
        while let Some((_, value)) = rated.timers.first().copied().filter(|(due, _)| *due <= now.steady) {
            rated.timers.pop_first();
            rated.armed.remove(&value);
            let room = rated.free(value, at, CALLED);
            called.extend(rated.line.call(value, room, &comes));
            rated.arm(self.anchor, value, now);
        }
        called
    }

    /// When something may begin, or somebody is to be called; `has_ready` where something is ready to be started.
    pub(super) fn wakes(&self, has_ready: bool, now: Now) -> Option<Instant> {
        let rated = self.rate.as_ref()?;
        let first = rated.timers.first().map(|(due, _)| *due);
        if !has_ready || rated.rate.by.is_some() {
            return first;
        }
        let at = pace::nanos(self.anchor, now);
        let opens = rated.next(ALL, at).map(|slot| now.steady + pace::until(at, rated.begins(ALL, slot)));
        first.into_iter().chain(opens).min()
    }

    /// An attempt that was let through begins only now: where its slot is lost by now, it has the next one instead.
    pub(super) fn launched(&mut self, pass: Pass, now: Now) {
        let (Some(rated), Some((value, slot))) = (&mut self.rate, pass.slot) else { return };
        let at = pace::nanos(self.anchor, now);
        if rated.pace.is_lost(slot, at + phase(value, &rated.pace))
            && let Some(slot) = rated.next(value, at)
        {
            rated.used.insert(value, slot);
        }
    }

    /// Whether it depends on how many partitions there are.
    pub(super) fn wants_layout(&self) -> bool {
        self.rate.as_ref().is_some_and(|rated| !rated.rate.is_by_key)
    }

    /// How many partitions there are is known, or known anew.
    pub(super) fn lay_out(&mut self, layout: Layout, now: Now) {
        let Some(rated) = &mut self.rate else { return };
        if rated.layout.as_ref() == Some(&layout) {
            return;
        }
        // Others may count by the old one for a while, unless there are none.
        if rated.layout.is_some() && !rated.share.is_whole() {
            let settles = i128::try_from(SETTLES.as_nanos()).unwrap_or(i128::MAX);
            rated.since = rated.since.max(pace::nanos(self.anchor, now) + settles);
        }
        rated.layout = Some(layout);
    }

    /// These partitions are ours; whether there are new ones among them, of which earlier slots may have been used.
    pub(super) fn own<'p>(&mut self, ours: impl Iterator<Item = &'p TopicPartition>, gained: bool, now: Now) {
        let Some(rated) = &mut self.rate else { return };
        if gained {
            rated.since = rated.since.max(pace::nanos(self.anchor, now));
        }
        rated.share = if rated.rate.is_by_key { Share::Whole } else { rated.share_of(ours) };
        rated.wake(now);
    }

    /// Nobody of a partition waits any more.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        if let Some(rated) = &mut self.rate {
            rated.line.forget(partition);
        }
    }

    /// How many wait for the rate, where so many are ready to be started.
    pub(super) fn limited(&self, ready: usize, now: Now) -> usize {
        let Some(rated) = &self.rate else { return 0 };
        rated.line.len() + if self.is_open(now) { 0 } else { ready }
    }
}

impl Rated {
    fn new(rate: Rate, since: Nanos) -> Self {
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
    fn arm(&mut self, anchor: Now, value: Value, now: Now) {
        if !self.line.has_waiting(value) || self.armed.contains(&value) {
            return;
        }
        let at = pace::nanos(anchor, now);
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
