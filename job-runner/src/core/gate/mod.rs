//! What holds attempts back that could begin: the job's rate, how many of one value go on at a time, and a target that fails
//! throughout. Pure.
//!
//! What holds back everything leaves it where it is: in the log, or ready to be started. What is told apart by a `by` holds back
//! those of one value alone, so that they wait in the lane, and are called when there is room for them.

mod circuit;
mod each;
mod pace;
mod rate;
mod turnstile;

use std::time::Instant;

use bus::{Topic, TopicPartition};
use circuit::Circuit;
pub(crate) use circuit::Open;
pub(super) use circuit::{Change, Verdict};
use each::Crowd;
use pace::{Nanos, Slot};
use rate::{ALL, Rated};
pub(crate) use turnstile::Value;
pub(super) use turnstile::Waiter;

use super::{Now, RunKey};
use crate::plan::Plan;

/// The topics of a job's events, and how many partitions each has.
pub(crate) type Layout = Vec<(Topic, u32)>;

/// What a run is told apart by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) rate: Option<Value>,
    pub(super) each: Option<Value>,
}

/// What an attempt has taken to begin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pass {
    slot: Option<(Value, Slot)>,
    each: Option<Value>,
}

/// What one has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Rate,
    Each,
}

/// The gate of a job.
#[derive(Debug)]
pub(super) struct Gate {
    anchor: Now,
    rate: Option<Rated>,
    each: Option<Crowd>,
    circuit: Option<Circuit>,
}

impl Gate {
    pub(super) fn new(plan: &Plan, now: Now) -> Self {
        let mut gate = Self { anchor: now, rate: None, each: None, circuit: None };
        gate.replan(plan, now);
        gate
    }

    fn at(&self, now: Now) -> Nanos {
        pace::nanos(self.anchor, now)
    }

    /// The job is another now. Answers who waited for what there is no more.
    pub(super) fn replan(&mut self, plan: &Plan, now: Now) -> Vec<Waiter> {
        let at = self.at(now);
        let mut left = Vec::new();
        match (&mut self.rate, plan.flow.rate.clone()) {
            (Some(rated), Some(rate)) => left.extend(rated.replan(rate, at, now)),
            (None, Some(rate)) => self.rate = Some(Rated::new(rate, at)),
            (gone, None) => left.extend(gone.take().into_iter().flat_map(|mut rated| rated.line.dissolve())),
        }
        match (&mut self.each, plan.flow.each.clone()) {
            (Some(crowd), Some(each)) => left.extend(crowd.replan(each)),
            (None, Some(each)) => self.each = Some(Crowd::new(each)),
            (gone, None) => left.extend(gone.take().into_iter().flat_map(|mut crowd| crowd.line.dissolve())),
        }
        match (&mut self.circuit, plan.breaker) {
            (Some(circuit), Some(breaker)) => circuit.replan(breaker),
            (circuit, breaker) => *circuit = breaker.map(Circuit::new),
        }
        left
    }

    /// Whether an attempt may begin, as far as the target is concerned.
    pub(super) fn is_closed_circuit(&self, now: Now) -> bool {
        self.circuit.as_ref().is_none_or(|circuit| circuit.lets_through(now))
    }

    /// Whether whatever comes next may begin, as far as that does not depend on what it is.
    pub(super) fn is_open(&self, now: Now) -> bool {
        self.is_closed_circuit(now) && self.rate.as_ref().is_none_or(|rated| rated.is_open(self.at(now)))
    }

    /// Lets an attempt begin, or says what it has to wait for.
    pub(super) fn pass(&mut self, values: Values, who: &Waiter, now: Now) -> Result<Pass, Stop> {
        let at = self.at(now);
        let mut pass = Pass { slot: None, each: values.each };
        if let Some(rated) = &self.rate {
            let value = values.rate.unwrap_or(ALL);
            pass.slot = Some((value, rated.slot(value, who, at).ok_or(Stop::Rate)?));
        }
        if let (Some(crowd), Some(value)) = (&mut self.each, values.each) {
            if !crowd.has_room(value, who) {
                return Err(Stop::Each);
            }
            crowd.begin(value, who);
        }
        if let (Some(rated), Some((value, slot))) = (&mut self.rate, pass.slot) {
            rated.take(value, slot, who, at);
        }
        Ok(pass)
    }

    /// A run waits until it is called.
    pub(super) fn wait(&mut self, stop: Stop, values: Values, who: Waiter, now: Now) {
        let at = self.at(now);
        match (stop, &mut self.rate, &mut self.each) {
            (Stop::Rate, Some(rated), crowd) => {
                if let (Some(crowd), Some(value)) = (crowd, values.each) {
                    crowd.leave(value, &who);
                }
                rated.wait(values.rate.unwrap_or(ALL), who, at, now);
            }
            (Stop::Each, rated, Some(crowd)) => {
                if let (Some(rated), Some(value)) = (rated, values.rate) {
                    rated.line.came(value, &who);
                }
                crowd.wait(values.each.unwrap_or(ALL), who);
            }
            _ => {}
        }
    }

    /// Who is called now. Of those that were called before, those count that still come.
    pub(super) fn call(&mut self, now: Now, comes: &dyn Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let at = self.at(now);
        let mut called = self.each.as_mut().map(|crowd| crowd.call(comes)).unwrap_or_default();
        called.extend(self.rate.iter_mut().flat_map(|rated| rated.call(at, now, comes)));
        called
    }

    /// When something may begin that is ready or due, or somebody is to be called.
    pub(super) fn wakes(&self, has_ready: bool, has_due: bool, now: Now) -> Option<Instant> {
        let calls = self.rate.as_ref().and_then(Rated::calls);
        let tries = self.circuit.as_ref().filter(|circuit| circuit.open.is_some() && (has_ready || has_due));
        let tried = tries.map(|circuit| circuit.opens(now));
        let rated = self.rate.as_ref().filter(|_| has_ready).and_then(|rated| rated.opens(self.at(now), now));
        let opens = match (tried, rated) {
            (Some(None), _) => None,
            (Some(tried), rated) => tried.into_iter().chain(rated).max(),
            (None, rated) => rated,
        };
        calls.into_iter().chain(opens).min()
    }

    /// An attempt is about to begin.
    pub(super) fn begun(&mut self, key: RunKey) {
        if let Some(circuit) = &mut self.circuit {
            circuit.begun(key);
        }
    }

    /// An attempt that was let through begins only now.
    pub(super) fn launched(&mut self, pass: Pass, now: Now) {
        let at = self.at(now);
        if let (Some(rated), Some((value, slot))) = (&mut self.rate, pass.slot) {
            rated.launched(value, slot, at);
        }
    }

    /// Whether an attempt tries the target.
    pub(super) fn is_probe(&self, key: RunKey) -> bool {
        self.circuit.as_ref().is_some_and(|circuit| circuit.is_probe(key))
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, key: RunKey, pass: Pass, verdict: Verdict, now: Now) -> Option<Change> {
        if let (Some(crowd), Some(value)) = (&mut self.each, pass.each) {
            crowd.end(value);
        }
        self.circuit.as_mut().and_then(|circuit| circuit.ended(key, verdict, now))
    }

    /// The target is tried as soon as there is anything to try it with.
    pub(super) fn probe_now(&mut self, now: Now) {
        if let Some(circuit) = &mut self.circuit {
            circuit.probe_now(now);
        }
    }

    /// How the circuit is open, if it is.
    pub(super) fn open(&self) -> Option<&Open> {
        self.circuit.as_ref()?.open.as_ref()
    }

    /// Whether it depends on how many partitions there are.
    pub(super) fn wants_layout(&self) -> bool {
        self.rate.as_ref().is_some_and(|rated| !rated.rate.is_by_key)
    }

    pub(super) fn lay_out(&mut self, layout: Layout, now: Now) {
        let at = self.at(now);
        if let Some(rated) = &mut self.rate {
            rated.lay_out(layout, at);
        }
    }

    pub(super) fn own<'p>(&mut self, ours: impl Iterator<Item = &'p TopicPartition>, gained: bool, now: Now) {
        let at = self.at(now);
        if let Some(rated) = &mut self.rate {
            rated.own(ours, gained, at, now);
        }
    }

    /// Nobody of a partition waits any more.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.rate.iter_mut().for_each(|rated| rated.line.forget(partition));
        self.each.iter_mut().for_each(|crowd| crowd.forget(partition));
    }

    /// How many wait in the lane for the rate, and for others of theirs to end.
    pub(super) fn lines(&self) -> (usize, usize) {
        let of = |line: Option<&turnstile::Turnstile>| line.map_or(0, turnstile::Turnstile::len);
        (of(self.rate.as_ref().map(|rated| &rated.line)), of(self.each.as_ref().map(|crowd| &crowd.line)))
    }

    /// Whether the rate holds back everything just now.
    pub(super) fn is_limited(&self, now: Now) -> bool {
        self.rate.as_ref().is_some_and(|rated| !rated.is_open(self.at(now)))
    }
}
