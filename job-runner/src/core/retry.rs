//! Whether another attempt follows one that failed, and when. Pure, the chance included: it is derived from the run.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use contracts::{dead::Reason, ids::JobRunId};
use jiff::Timestamp;

use crate::{
    kind::{Failure, Then},
    plan::Plan,
    steps::Attempt,
};

/// The part of a delay that is not left to chance, so that none is nothing.
const FLOOR: f64 = 0.1;

/// How many times as long as the longest delay of a back-off a target may ask for.
const ASKED: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt, so long after this one.
    Again(Duration),
    /// None, because.
    Never(Reason),
}

/// What follows an attempt that failed, of a run that has taken so long over all its attempts. Those up to `base` do not count.
pub(super) fn next(plan: &Plan, failure: &Failure, attempt: Attempt<'_>, base: u32, so_far: Duration) -> Next {
    let count = attempt.number.saturating_sub(base).max(1);
    let delay = match failure.then {
        Then::GiveUp => return Next::Never(Reason::Final),
        _ if count >= plan.attempts => return Next::Never(Reason::Attempts),
        Then::RetryAfter(asked) => asked.min(plan.backoff.max.saturating_mul(ASKED)),
        Then::Retry => plan.backoff.after(count).mul_f64(FLOOR + (1.0 - FLOOR) * chance(attempt.run, attempt.number)),
    };
    match plan.give_up_after {
        Some(limit) if so_far.saturating_add(delay) > limit => Next::Never(Reason::Time),
        _ => Next::Again(delay),
    }
}

/// A number from 0 to 1 that is another for each attempt of each run.
fn chance(run: JobRunId, attempt: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (run, attempt).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The time so long after another, or the last there is.
pub(super) fn at(now: Timestamp, delay: Duration) -> Timestamp {
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use contracts::names::JobName;

    use super::*;
    use crate::{core::tests::plan, steps::tests::event};

    fn after(failure: &Failure, number: u32, base: u32, so_far: Duration) -> Next {
        let (event, job): (_, JobName) = (event("a", 1), "job".parse().expect("a name"));
        let mut plan = plan("work");
        plan.attempts = 4;
        plan.give_up_after = Some(Duration::from_secs(3600));
        plan.backoff.max = Duration::from_secs(3);
        next(&plan, failure, Attempt::new(&event, &job, number, Timestamp::UNIX_EPOCH), base, so_far)
    }

    #[test]
    fn delays_grow_to_a_limit_and_have_a_part_left_to_chance() {
        let failure = Failure::new("no");
        for (number, base, limit) in [(1, 0, 1.0), (2, 0, 2.0), (3, 0, 3.0), (5, 4, 1.0), (6, 4, 2.0)] {
            let Next::Again(delay) = after(&failure, number, base, Duration::ZERO) else { panic!("no other") };
            let seconds = delay.as_secs_f64();
            assert!((limit * FLOOR..=limit).contains(&seconds), "{number}: {seconds}");
        }
        let run = |number: u32| JobRunId::derived(event("a", number.into()).id, &"job".parse().expect("a name"));
        let chances: Vec<f64> = (0..1000).map(|number| chance(run(number), 1)).collect();
        let mean = chances.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn what_a_target_asks_for_is_obeyed_within_bounds() {
        let asked = |seconds| Failure { then: Then::RetryAfter(Duration::from_secs(seconds)), ..Failure::new("no") };
        assert_eq!(after(&asked(7), 1, 0, Duration::ZERO), Next::Again(Duration::from_secs(7)));
        assert_eq!(after(&asked(3600), 1, 0, Duration::ZERO), Next::Again(Duration::from_secs(30)));
        assert_eq!(after(&asked(7), 4, 0, Duration::ZERO), Next::Never(Reason::Attempts));
        assert_eq!(after(&asked(7), 1, 0, Duration::from_secs(3594)), Next::Never(Reason::Time));
    }

    #[test]
    fn no_other_follows_what_would_fail_again_or_the_last() {
        assert_eq!(after(&Failure::last("never"), 1, 0, Duration::ZERO), Next::Never(Reason::Final));
        assert_eq!(after(&Failure::new("no"), 4, 0, Duration::ZERO), Next::Never(Reason::Attempts));
        assert!(matches!(after(&Failure::new("no"), 7, 4, Duration::ZERO), Next::Again(_)));
        assert_eq!(after(&Failure::new("no"), 8, 4, Duration::ZERO), Next::Never(Reason::Attempts));
    }
}
