//! When attempts may begin that a rate limits. Pure.
//!
//! Time is cut into *slots*, `limit` of them in each `per`, and each slot is for one attempt: from its beginning until `burst` slots
//! later, when it is lost. So in no time begin more than the slots of that time and `burst`, whoever counts. The partitions of a
//! job's events have the slots in turn, and whoever has a partition has its slots, for whatever it runs: so processes need not speak
//! with each other, and what nobody remembers after a crash cannot be used twice, since whoever takes a partition uses only slots
//! that begin afterwards. Processes must agree about the time; by how much they do not, by so much their slots may come together.

use std::time::Duration;

use catalog::Rate;

/// Nanoseconds since 1970, by a clock that does not jump.
pub(super) type Nanos = i128;

/// The number of a slot.
pub(super) type Slot = i128;

/// How time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    limit: i128,
    per: i128,
    burst: i128,
}

/// Whose slots they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Share {
    /// It is not known.
    Unknown,
    /// All are ours.
    Whole,
    /// Those of these partitions, of as many as there are.
    Of(Vec<bool>),
}

impl Pace {
    pub(super) fn of(rate: &Rate) -> Self {
        let per = i128::try_from(rate.per.span().as_nanos()).unwrap_or(i128::MAX);
        Self { limit: rate.limit.max(1).into(), per, burst: rate.burst.max(1).into() }
    }

    /// The slot that has begun last at a time.
    pub(super) fn slot(&self, at: Nanos) -> Slot {
        (at * self.limit).div_euclid(self.per)
    }

    /// When a slot begins.
    pub(super) fn begins(&self, slot: Slot) -> Nanos {
        -(-slot * self.per).div_euclid(self.limit)
    }

    /// Whether a slot is lost at a time.
    pub(super) fn is_lost(&self, slot: Slot, at: Nanos) -> bool {
        slot + self.burst <= self.slot(at)
    }

    /// The first slot of ours behind one, that is not lost and begins after `since`. It may be yet to begin.
    pub(super) fn next(&self, behind: Option<Slot>, since: Nanos, now: Nanos, share: &Share) -> Option<Slot> {
        // The last that had begun by then may have been used.
        let fresh = self.slot(since) + 1;
        let kept = self.slot(now) - self.burst + 1;
        let first = behind.map_or(kept, |behind| kept.max(behind + 1)).max(fresh);
        share.first(first)
    }
}

impl Share {
    /// The first slot from there that is ours.
    fn first(&self, from: Slot) -> Option<Slot> {
        match self {
            Self::Unknown => None,
            Self::Whole => Some(from),
            Self::Of(ours) => {
                let many = i128::try_from(ours.len()).unwrap_or(i128::MAX);
                (from..from + many).find(|slot| ours[turn(*slot, ours.len())])
            }
        }
    }

    /// Whether all slots are ours.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Whole => true,
            Self::Of(ours) => ours.iter().all(|ours| *ours),
        }
    }
}

/// Whose turn a slot is, of so many. Neighbours are far from each other, as a process often has many neighbours.
fn turn(slot: Slot, many: usize) -> usize {
    let size = many.max(1) as i128;
    let place = slot.rem_euclid(size);
    usize::try_from(place * i128::from(stride(many)) % size).unwrap_or(0)
}

/// A step that meets all of so many in turn: near the golden ratio, where turns that follow each other lie furthest apart.
fn stride(many: usize) -> u32 {
    fn divisor(a: usize, b: usize) -> usize {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    let near = (many * 618 / 1000).max(1);
    let found = (near..=many.max(1)).find(|step| divisor(*step, many) == 1);
    u32::try_from(found.unwrap_or(1)).unwrap_or(1)
}

/// A time on the clock that does not jump.
pub(super) fn nanos(anchor: super::Now, now: super::Now) -> Nanos {
    let passed = i128::try_from(now.steady.saturating_duration_since(anchor.steady).as_nanos()).unwrap_or(i128::MAX);
    anchor.wall.as_nanosecond() + passed
}

/// How long it is until then.
pub(super) fn until(now: Nanos, then: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(then - now).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use catalog::Per;
    use proptest::prelude::*;

    use super::*;

    fn pace(limit: u32, per: Per, burst: u32) -> Pace {
        Pace::of(&Rate { limit, per, burst, by: None, is_by_key: false })
    }

    #[test]
    fn slots_begin_where_they_are_counted_from_whatever_the_rate() {
        for (limit, per) in [(1, Per::Hour), (3, Per::Second), (7, Per::Minute), (100_000, Per::Second)] {
            let pace = pace(limit, per, 1);
            for slot in [-5, -1, 0, 1, 2, 3, 1000, 1_700_000_000] {
                let begins = pace.begins(slot);
                assert_eq!((pace.slot(begins), pace.slot(begins - 1)), (slot, slot - 1), "{limit} {slot}");
            }
        }
    }

    #[test]
    fn every_partition_has_its_turn_and_neighbours_are_apart() {
        for many in 1..200 {
            let mut turns: Vec<usize> = (-7..many as i128 - 7).map(|slot| turn(slot, many)).collect();
            turns.sort_unstable();
            assert_eq!(turns, (0..many).collect::<Vec<_>>(), "{many}");
        }
        // Who has half of twelve, side by side, is never without a slot for long.
        let half = Share::Of((0..12).map(|at| at < 6).collect());
        let gaps: Vec<i128> = (0..24).map(|from| half.first(from).expect("one") - from).collect();
        assert!(gaps.iter().all(|gap| *gap <= 2), "{gaps:?}");
    }

    proptest! {
        /// Processes share the partitions, move them, forget what they used, and take whatever slot they may.
        #[test]
        fn no_window_has_more_than_its_slots_and_the_burst(
            limit in 1..40_u32,
            burst in 1..8_u32,
            partitions in 1..9_usize,
            steps in prop::collection::vec((0..10_u8, 0..400_u64, any::<u16>()), 1..300),
        ) {
            let pace = pace(limit, Per::Second, burst);
            let (mut owners, mut used, mut since) = (vec![0_usize; partitions], [None::<Slot>; 3], [0_i128; 3]);
            let (mut now, mut begun): (Nanos, Vec<Nanos>) = (1_000_000_000_000, Vec::new());
            for (what, wait, pick) in steps {
                now += i128::from(wait) * 1_000_000;
                let who = usize::from(pick) % 3;
                match what {
                    // A partition moves; what is new to its owner begins now.
                    0 => {
                        owners[usize::from(pick) % partitions] = who;
                        since[who] = now;
                    }
                    // A process dies, and its partitions go to others or back to it.
                    1 => {
                        used[who] = None;
                        owners.iter_mut().filter(|owner| **owner == who).for_each(|owner| *owner = usize::from(pick / 3) % 3);
                        since = [now; 3];
                    }
                    _ => {
                        let share = Share::Of(owners.iter().map(|owner| *owner == who).collect());
                        while let Some(slot) = pace.next(used[who], since[who], now, &share).filter(|slot| pace.begins(*slot) <= now) {
                            used[who] = Some(slot);
                            begun.push(now);
                        }
                    }
                }
            }
            for (first, from) in begun.iter().enumerate() {
                let count = begun[first..].iter().take_while(|at| **at < from + 1_000_000_000).count();
                prop_assert!(count <= (limit + burst) as usize, "{count} began within a second of {from}");
            }
        }
    }
}
