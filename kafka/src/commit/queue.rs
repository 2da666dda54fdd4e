//! The requests that wait for a transaction, and which of them the next one carries.

use std::time::Instant;

use super::request::Request;
use bus::Outgoing;

/// About how many bytes of outputs one transaction carries at most.
const TRANSACTION_BYTES: usize = 32 * 1024 * 1024;

/// What decides whether something is in the next transaction.
pub(super) trait Waiting {
    /// When it may be tried.
    fn due(&self) -> Instant;
    /// How often it has failed by itself.
    fn failures(&self) -> u32;
    /// How many bytes of outputs it has.
    fn bytes(&self) -> usize;
}

impl Waiting for Request {
    fn due(&self) -> Instant {
        self.due
    }

    fn failures(&self) -> u32 {
        self.failures
    }

    fn bytes(&self) -> usize {
        self.shares.iter().flat_map(|share| &share.outputs).map(Outgoing::size).sum()
    }
}

/// The requests of one transaction, at most so many, of those that are due. Those that failed by themselves are tried without the
/// others, so that they abort nobody else's.
pub(super) fn next_batch<W: Waiting>(waiting: &mut Vec<W>, most: usize, now: Instant) -> Vec<W> {
    let first = waiting.iter().filter(|request| request.due() <= now).min_by_key(|request| request.due());
    let Some(troubled) = first.map(|request| request.failures() > 0) else { return Vec::new() };
    let (mut bytes, mut count) = (0, 0);
    let taken = waiting.extract_if(.., |request| {
        let fits = count < most && (count == 0 || bytes < TRANSACTION_BYTES);
        let takes = fits && request.due() <= now && (request.failures() > 0) == troubled;
        if takes {
            count += 1;
            bytes += request.bytes();
        }
        takes
    });
    taken.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct One {
        number: usize,
        due: Instant,
        failures: u32,
        bytes: usize,
    }

    impl Waiting for One {
        fn due(&self) -> Instant {
            self.due
        }

        fn failures(&self) -> u32 {
            self.failures
        }

        fn bytes(&self) -> usize {
            self.bytes
        }
    }

    fn numbers(batch: &[One]) -> Vec<usize> {
        batch.iter().map(|one| one.number).collect()
    }

    #[test]
    fn many_that_wait_are_carried_by_several_transactions_in_the_order_of_their_coming() {
        let now = Instant::now();
        let one = |number| One { number, due: now, failures: 0, bytes: 10 };
        let mut waiting: Vec<_> = (0..300).map(one).collect();
        let sizes: Vec<usize> = std::iter::from_fn(|| {
            let batch = next_batch(&mut waiting, 32, now);
            (!batch.is_empty()).then_some(batch.len())
        })
        .collect();
        assert_eq!((sizes.len(), sizes.iter().sum::<usize>(), sizes[0]), (10, 300, 32));
        let mut large: Vec<_> = (0..9).map(|number| One { bytes: TRANSACTION_BYTES / 2, ..one(number) }).collect();
        assert_eq!(numbers(&next_batch(&mut large, 32, now)), [0, 1]);
        // A single one is carried whatever its size.
        let mut single = vec![One { bytes: 2 * TRANSACTION_BYTES, ..one(0) }, one(1)];
        assert_eq!(numbers(&next_batch(&mut single, 32, now)), [0]);
    }

    #[test]
    fn who_has_failed_waits_and_is_not_tried_together_with_the_others() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let one = |number, failures, due| One { number, due, failures, bytes: 1 };
        let mut waiting = vec![one(0, 1, later), one(1, 0, now), one(2, 3, now), one(3, 0, now)];
        assert_eq!(numbers(&next_batch(&mut waiting, 32, now)), [1, 3]);
        assert_eq!(numbers(&next_batch(&mut waiting, 32, now)), [2]);
        assert!(next_batch(&mut waiting, 32, now).is_empty());
        assert_eq!(numbers(&next_batch(&mut waiting, 32, later)), [0]);
    }
}
