//! Counting different things, remembering which ones were counted.

use serde::{Deserialize, Serialize};

/// How many are remembered one by one. Beyond it they are only counted, so that one told twice counts twice.
const REMEMBERED: usize = 4096;

/// A set that is exact up to a bound and counts beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct<T> {
    #[serde(rename = "k")]
    known: Vec<T>,
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    beyond: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { known: Vec::new(), beyond: 0 }
    }
}

impl<T: Ord + Copy> Distinct<T> {
    /// Counts one, unless it is remembered; answers whether it counted.
    pub fn add(&mut self, one: T) -> bool {
        let Err(place) = self.known.binary_search(&one) else { return false };
        if self.known.len() < REMEMBERED {
            self.known.insert(place, one);
        } else {
            self.beyond += 1;
        }
        true
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.known.len() as u64 + self.beyond
    }

    /// The greatest that are remembered, at most so many, in order.
    pub fn last(&self, count: usize) -> &[T] {
        &self.known[self.known.len().saturating_sub(count)..]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether it is remembered, or was counted beyond the bound and so may be any.
    pub fn may_have(&self, one: &T) -> bool {
        self.beyond > 0 || self.known.binary_search(one).is_ok()
    }

    /// Whether the bound was reached, so that the count may be too high.
    pub fn is_cut(&self) -> bool {
        self.beyond > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_it_counts_and_says_so() {
        let mut set = Distinct::default();
        for number in 0..4900_u64 {
            assert_eq!(set.add(number % 4500), number < 4500);
        }
        assert!(set.is_cut());
        assert_eq!(set.count(), 4500);
    }
}
