//! A target that fails throughout is left alone for a while, and then tried by one attempt at a time. Pure.
//!
//! It is known here alone, and not in the log: a process that begins finds out anew, with as many attempts as it takes to open the circuit and
//! those that began beside them.

use std::time::{Duration, Instant};

use catalog::Breaker;
use jiff::Timestamp;

use crate::{
    attempt::Ended,
    core::{Now, RunKey, retry},
    kind::{Blame, head},
};

/// How much of an error is kept.
const ERROR: usize = 512;

/// What the end of an attempt says of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core) enum Verdict {
    /// It works.
    Works,
    /// It fails, because.
    Fails(String),
    /// Nothing.
    Nothing,
}

impl Verdict {
    pub(in crate::core) fn of(ended: &Ended, is_probe: bool) -> Self {
        match ended {
            Ended::GivenBack => Self::Nothing,
            Ended::Done(Ok(_)) => Self::Works,
            Ended::Done(Err(failure)) => match failure.whose() {
                Some(Blame::Target) => Self::Fails(head(&failure.error, ERROR).to_owned()),
                // That it answers is enough for who asks whether it does.
                Some(Blame::Run) if is_probe => Self::Works,
                Some(Blame::Run | Blame::Own) | None => Self::Nothing,
            },
        }
    }
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Change {
    Opened,
    StaysOpen,
    Closed,
}

/// A circuit that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    /// Why.
    pub(crate) error: String,
    pub(crate) since: Timestamp,
    /// When the target is tried next, by the clock on the wall.
    pub(crate) probe: Timestamp,
    until: Instant,
    pause: Duration,
    /// The attempt that tries it.
    probing: Option<RunKey>,
}

#[derive(Debug)]
pub(super) struct Circuit {
    breaker: Breaker,
    /// How often the target has failed in a row.
    failures: u32,
    pub(super) open: Option<Open>,
}

impl Circuit {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self { breaker, failures: 0, open: None }
    }

    pub(super) fn replan(&mut self, breaker: Breaker) {
        self.breaker = breaker;
    }

    /// Whether an attempt may begin.
    pub(super) fn lets_through(&self, now: Now) -> bool {
        self.open.as_ref().is_none_or(|open| open.probing.is_none() && open.until <= now.steady)
    }

    /// When one may begin that could not; none while the target is being tried.
    pub(super) fn opens(&self, now: Now) -> Option<Instant> {
        match &self.open {
            None => Some(now.steady),
            Some(open) => open.probing.is_none().then_some(open.until),
        }
    }

    pub(super) fn begun(&mut self, key: RunKey) {
        if let Some(open) = &mut self.open {
            open.probing = Some(key);
        }
    }

    pub(super) fn is_probe(&self, key: RunKey) -> bool {
        self.open.as_ref().is_some_and(|open| open.probing == Some(key))
    }

    /// The target is tried as soon as there is anything to try it with.
    pub(super) fn probe_now(&mut self, now: Now) {
        if let Some(open) = &mut self.open {
            open.until = open.until.min(now.steady);
            open.probe = open.probe.min(now.wall);
        }
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, key: RunKey, verdict: Verdict, now: Now) -> Option<Change> {
        let is_probe = self.is_probe(key);
        let Some(open) = &mut self.open else {
            match verdict {
                Verdict::Works => self.failures = 0,
                Verdict::Nothing => {}
                Verdict::Fails(error) => {
                    self.failures = self.failures.saturating_add(1);
                    if self.failures >= self.breaker.failures {
                        self.open = Some(Open::new(error, now.wall, self.breaker.pause, now));
                        return Some(Change::Opened);
                    }
                }
            }
            return None;
        };
        match verdict {
            Verdict::Works => {
                (self.open, self.failures) = (None, 0);
                Some(Change::Closed)
            }
            Verdict::Fails(error) if is_probe => {
                let pause = open.pause.saturating_mul(2).min(self.breaker.most);
                *open = Open::new(error, open.since, pause, now);
                Some(Change::StaysOpen)
            }
            Verdict::Fails(_) => None,
            // Another tries it.
            Verdict::Nothing => {
                open.probing.take_if(|probing| *probing == key);
                None
            }
        }
    }
}

impl Open {
    fn new(error: String, since: Timestamp, pause: Duration, now: Now) -> Self {
        let until = now.steady.checked_add(pause).unwrap_or(now.steady);
        Self { error, since, probe: retry::at(now.wall, pause), until, pause, probing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Failure, core::tests::now};

    const BREAKER: Breaker = Breaker { failures: 3, pause: Duration::from_secs(10), most: Duration::from_secs(15) };

    fn after(seconds: u64) -> Now {
        let Now { wall, steady } = now();
        Now { wall: retry::at(wall, Duration::from_secs(seconds)), steady: steady + Duration::from_secs(seconds) }
    }

    fn fails() -> Verdict {
        Verdict::Fails("503 from billing".into())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_tries_again_ever_later_and_closes() {
        let mut circuit = Circuit::new(BREAKER);
        let one = RunKey(1);
        for verdict in [fails(), fails(), Verdict::Works, fails(), Verdict::Nothing, fails()] {
            assert_eq!(circuit.ended(one, verdict, now()), None);
        }
        assert!(circuit.lets_through(now()));
        assert_eq!(circuit.ended(one, fails(), now()), Some(Change::Opened));
        assert!(!circuit.lets_through(after(9)) && circuit.lets_through(after(10)));
        // What ran beside it says nothing new.
        assert_eq!(circuit.ended(one, fails(), after(1)), None);
        for (begins, pause) in [(10, 15), (25, 15)] {
            circuit.begun(RunKey(2));
            assert!(!circuit.lets_through(after(begins)), "one at a time");
            assert_eq!(circuit.ended(RunKey(2), fails(), after(begins)), Some(Change::StaysOpen));
            assert!(!circuit.lets_through(after(begins + pause - 1)) && circuit.lets_through(after(begins + pause)));
        }
        circuit.begun(RunKey(3));
        assert_eq!(circuit.ended(RunKey(3), Verdict::Nothing, after(40)), None);
        assert!(circuit.lets_through(after(40)), "nobody learnt anything");
        circuit.begun(RunKey(4));
        assert_eq!(circuit.ended(RunKey(4), Verdict::Works, after(41)), Some(Change::Closed));
        assert!(circuit.lets_through(after(41)) && circuit.open.is_none());
    }

    #[test]
    fn whoever_orders_it_has_the_target_tried_at_once() {
        let mut circuit = Circuit::new(Breaker { failures: 1, ..BREAKER });
        circuit.ended(RunKey(1), fails(), now());
        assert!(!circuit.lets_through(after(1)));
        circuit.probe_now(after(1));
        assert!(circuit.lets_through(after(1)));
    }

    #[test]
    fn what_an_end_says_of_the_target_depends_on_whose_failure_it_is() {
        let of = |failure: Failure, is_probe| Verdict::of(&Ended::Done(Err(failure)), is_probe);
        assert_eq!(of(Failure::new("no"), false), Verdict::Fails("no".into()));
        assert_eq!(of(Failure::last("a template"), true), Verdict::Nothing);
        assert_eq!(of(Failure::new("no secret").blamed(Blame::Own), true), Verdict::Nothing);
        assert_eq!(of(Failure::last("404").blamed(Blame::Run), false), Verdict::Nothing);
        assert_eq!(of(Failure::last("404").blamed(Blame::Run), true), Verdict::Works);
        assert_eq!(Verdict::of(&Ended::Done(Ok(Answer::nothing())), false), Verdict::Works);
        assert_eq!(Verdict::of(&Ended::GivenBack, true), Verdict::Nothing);
    }
}
