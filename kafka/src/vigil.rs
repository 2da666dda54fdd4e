//! Whether a member's consumer can use its brokers. It is asked when it has said that they are away, and when nothing was heard of
//! them for long; but only while other clients of the process are answered, since else it is the brokers that are away, and another
//! consumer would not find them either. Where it alone cannot, another takes its place.

use std::time::{Duration, Instant};

/// After how long without a word a consumer is asked.
const QUIET: Duration = Duration::from_secs(60);
/// How long it may fail while others are answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

/// What is known of one consumer.
#[derive(Debug)]
pub(crate) struct Vigil {
    begun: Instant,
    /// When brokers were last heard of.
    heard: Instant,
    /// Since when it was asked in vain.
    failing: Option<Instant>,
    doubtful: bool,
    asking: bool,
}

/// When a consumer was asked, and whether it answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) answered: bool,
}

impl Vigil {
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, heard: now, failing: None, doubtful: false, asking: false }
    }

    /// Of a consumer that takes the place of one that found no broker: whether it does is asked at once.
    pub(crate) fn of_successor(now: Instant) -> Self {
        Self { doubtful: true, ..Self::new(now) }
    }

    /// That something came from a broker.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.failing = None;
    }

    /// That the consumer says that brokers are away.
    pub(crate) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Whether the consumer is to be asked now; if so, it is. `others` is since when other clients are answered.
    pub(crate) fn ask(&mut self, now: Instant, others: Option<Instant>) -> bool {
        if others.is_none() {
            self.failing = None;
            return false;
        }
        let due = self.doubtful || self.failing.is_some() || now.duration_since(self.heard) > QUIET;
        let ask = due && !self.asking;
        self.asking |= ask;
        ask
    }

    /// Takes an answer; true if the consumer is to be replaced.
    pub(crate) fn told(&mut self, asked: &Asked, now: Instant, others: Option<Instant>) -> bool {
        if asked.at < self.begun {
            return false;
        }
        self.asking = false;
        if asked.answered {
            self.doubtful = false;
            self.heard(now);
            return false;
        }
        if others.is_none_or(|others| others > asked.at) {
            self.failing = None;
            self.doubtful = true;
            return false;
        }
        let since = *self.failing.get_or_insert(asked.at);
        now.duration_since(since) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks as of a second, and takes the answer two seconds later. Others are answered since a second, too, or are not.
    fn ask(vigil: &mut Vigil, begun: Instant, second: u64, answered: bool, others: Option<u64>) -> bool {
        let at = begun + Duration::from_secs(second);
        let others = others.map(|others| begun + Duration::from_secs(others));
        assert!(vigil.ask(at, Some(begun)), "it is due");
        assert!(!vigil.ask(at, Some(begun)), "it is asked once at a time");
        vigil.told(&Asked { at, answered }, at + ANSWER, others)
    }

    #[test]
    fn a_consumer_is_asked_when_it_doubts_or_is_quiet_and_replaced_only_where_others_are_answered() {
        let begun = Instant::now();
        let mut vigil = Vigil::new(begun);
        assert!(!vigil.ask(begun + QUIET, Some(begun)), "nothing is wrong");
        assert!(!ask(&mut vigil, begun, 61, true, Some(0)));
        assert!(!vigil.ask(begun + Duration::from_secs(70), Some(begun)), "it has answered");
        vigil.doubt();
        assert!(!vigil.ask(begun + Duration::from_secs(70), None), "nobody is answered");
        assert!(!ask(&mut vigil, begun, 71, false, None), "nobody is answered any more");
        assert!(!ask(&mut vigil, begun, 73, false, Some(74)), "others were answered later than it was asked");
        assert!(!ask(&mut vigil, begun, 75, false, Some(74)));
        assert!(!ask(&mut vigil, begun, 77, false, Some(74)));
        assert!(ask(&mut vigil, begun, 79, false, Some(74)), "it alone is not");
    }

    #[test]
    fn a_record_ends_what_is_held_against_a_consumer_and_one_that_is_new_is_not_judged_by_the_old_one() {
        let begun = Instant::now();
        let mut vigil = Vigil::new(begun);
        vigil.doubt();
        assert!(!ask(&mut vigil, begun, 1, false, Some(0)));
        vigil.heard(begun + Duration::from_secs(4));
        assert!(!ask(&mut vigil, begun, 5, false, Some(0)));
        assert!(ask(&mut vigil, begun, 9, false, Some(0)));
        let mut new = Vigil::of_successor(begun + Duration::from_secs(30));
        new.heard(begun + Duration::from_secs(30));
        assert!(new.ask(begun + Duration::from_secs(31), Some(begun)), "it has been heard of, and not asked");
        let late = Asked { at: begun + Duration::from_secs(29), answered: false };
        assert!(!new.told(&late, begun + Duration::from_secs(60), Some(begun)));
        assert!(new.failing.is_none());
    }
}
