//! How much may be under way at once, so that a slow bus costs 503s and not memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Requests and bytes under way, with their limits.
#[derive(Debug)]
pub(crate) struct Budget {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    max_requests: usize,
    max_bytes: usize,
}

/// One request under way; gives back what it took when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(max_requests: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0), max_requests, max_bytes })
    }

    /// Takes one request; none if there are too many.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Taken> {
        grow(&self.requests, 1, self.max_requests)?;
        Some(Taken { budget: Arc::clone(self), bytes: 0 })
    }
}

impl Taken {
    /// Makes sure that at least so many bytes are taken; none if there are too many under way.
    pub(crate) fn reach(&mut self, bytes: usize) -> Option<()> {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            grow(&self.budget.bytes, more, self.budget.max_bytes)?;
            self.bytes = bytes;
        }
        Some(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

fn grow(counter: &AtomicUsize, by: usize, limit: usize) -> Option<()> {
    if counter.fetch_add(by, Ordering::Relaxed).saturating_add(by) <= limit {
        return Some(());
    }
    counter.fetch_sub(by, Ordering::Relaxed);
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_beyond_the_limit_is_not_taken() {
        let budget = Budget::new(2, 10);
        let (mut first, mut second) = (budget.take().expect("one"), budget.take().expect("two"));
        assert!(budget.take().is_none());
        assert!(first.reach(6).is_some() && first.reach(3).is_some() && first.reach(7).is_some());
        assert!(second.reach(4).is_none() && second.reach(3).is_some());
        drop(first);
        assert!(second.reach(10).is_some() && budget.take().is_some());
    }

    proptest! {
        #[test]
        fn everything_taken_is_given_back(steps in proptest::collection::vec((0..4_usize, 0..20_usize), 0..100)) {
            let budget = Budget::new(3, 30);
            let mut taken: Vec<Taken> = Vec::new();
            for (step, bytes) in steps {
                match (step, taken.last_mut()) {
                    (0, _) => taken.extend(budget.take()),
                    (1, Some(last)) => drop(last.reach(bytes)),
                    (2, Some(_)) => drop(taken.swap_remove(0)),
                    _ => {}
                }
                prop_assert!(taken.len() <= 3);
                prop_assert_eq!(budget.bytes.load(Ordering::Relaxed), taken.iter().map(|t| t.bytes).sum::<usize>());
                prop_assert!(budget.bytes.load(Ordering::Relaxed) <= 30);
            }
            drop(taken);
            prop_assert_eq!((budget.requests.load(Ordering::Relaxed), budget.bytes.load(Ordering::Relaxed)), (0, 0));
        }
    }
}
