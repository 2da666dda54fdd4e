//! Choices that can be repeated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers that look random, the same ones for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    /// Of `HERALD_CRASH_SEED`, else of the clock; told, so that a run can be repeated.
    #[expect(clippy::print_stderr, reason = "shown when a test fails")]
    pub fn of_environment() -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_nanos() as u64;
        let given = std::env::var("HERALD_CRASH_SEED").ok().map(|text| text.parse().expect("a number"));
        let seed = given.unwrap_or(clock) | 1;
        eprintln!("HERALD_CRASH_SEED={seed}");
        Self(seed)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    /// One of some.
    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).expect("an index")].clone()
    }

    /// A time of at least `from` and less than `to` milliseconds. The moment itself is what is random where this is slept: nothing is hoped for.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
