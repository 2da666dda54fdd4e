//! Exponential back-off with jitter: how long is waited before something is tried again is doubled each time, and never the same
//! for all at one moment.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The waits of one who tries again.
#[derive(Debug, Clone)]
pub struct BackOff {
    initial: Duration,
    longest: Duration,
    next: Duration,
    random: RandomState,
    asked: u64,
}

impl BackOff {
    /// Waits of `initial`, doubled up to `longest`.
    pub fn new(initial: Duration, longest: Duration) -> Self {
        Self { initial, longest, next: initial, random: RandomState::new(), asked: 0 }
    }

    /// The next wait: from half of what it could be to all of it.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> Duration {
        let wait = self.next.min(self.longest);
        self.next = (wait * 2).min(self.longest);
        self.spread(wait)
    }

    /// The longest wait, spread in the same way.
    pub fn longest(&mut self) -> Duration {
        self.spread(self.longest)
    }

    /// What was tried worked: the next wait is a short one.
    pub fn renew(&mut self) {
        self.next = self.initial;
    }

    fn spread(&mut self, wait: Duration) -> Duration {
        self.asked += 1;
        let part = self.random.hash_one(self.asked) as f64 / u64::MAX as f64;
        wait.mul_f64(0.5 + part / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_many_do_not_wait_alike() {
        let (initial, longest) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut firsts = HashSet::new();
        for _ in 0..200 {
            let mut back_off = BackOff::new(initial, longest);
            firsts.insert(back_off.next());
            for wait in [2, 4, 8, 16, 32, 60, 60] {
                let (least, most) = (Duration::from_millis(wait * 500), Duration::from_secs(wait));
                let next = back_off.next();
                assert!(least <= next && next <= most, "{next:?}");
            }
            back_off.renew();
            assert!(back_off.next() <= initial);
        }
        assert!(firsts.len() > 190, "{} waits of 200 differ", firsts.len());
    }
}
