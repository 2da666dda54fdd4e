//! Which correlations are shown when, and how many are only counted. Pure: the time is an argument.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use contracts::ids::{CorrelationId, InvocationId};
use results::Change;
use tokio::time::Instant;

/// How many blocks are shown in a second; more are counted.
const A_SECOND: u32 = 20;
/// How long something is under way before it is said what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many correlations under way are remembered.
const OPEN: usize = 1000;
/// How many blocks that were shown are remembered.
const SHOWN: usize = 4000;

/// How many lines of what jobs write are shown in a second; more are counted.
const LINES_A_SECOND: u32 = 200;

/// How many lines of what jobs write were shown in this second, and how many were not.
#[derive(Default)]
pub(super) struct Lines {
    second: Option<Instant>,
    in_second: u32,
    more: u64,
}

impl Lines {
    /// Whether a line may be shown now.
    pub(super) fn may_show(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now - second >= Duration::from_secs(1)) {
            (self.second, self.in_second) = (Some(now), 0);
        }
        let may = self.in_second < LINES_A_SECOND;
        self.in_second += u32::from(may);
        self.more += u64::from(!may);
        may
    }

    /// What is said of those that were not shown, once their second is over.
    pub(super) fn counted(&mut self, now: Instant) -> Option<String> {
        let is_over = self.second.is_some_and(|second| now - second >= Duration::from_secs(1));
        if self.more == 0 || !is_over {
            return None;
        }
        let more = std::mem::take(&mut self.more);
        Some(format!("… and jobs wrote {more} more lines: no more than {LINES_A_SECOND} are shown in a second"))
    }
}

/// What was shown, what is under way, and what may still be shown in this second.
pub(super) struct Pace {
    second: Instant,
    in_second: u32,
    /// Counted instead of shown, and since when: all, and those of which something failed.
    since: Option<Instant>,
    more: u64,
    failed: u64,
    /// Changes that came too fast to be looked at.
    missed: u64,
    /// Since when something is under way; none once that was said.
    open: HashMap<CorrelationId, Option<Instant>>,
    /// Of those of which it was said: what has changed since.
    moved: HashSet<CorrelationId>,
    shown: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            second: now,
            in_second: 0,
            since: None,
            more: 0,
            failed: 0,
            missed: 0,
            open: HashMap::new(),
            moved: HashSet::new(),
            shown: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Takes in a change; true if the correlation is to be shown now, since it is complete.
    pub(super) fn change(&mut self, change: &Change, now: Instant) -> bool {
        if !change.complete {
            match self.open.get(&change.correlation) {
                Some(Some(_)) => {}
                Some(None) => {
                    self.moved.insert(change.correlation.clone());
                }
                None if self.open.len() < OPEN => {
                    self.open.insert(change.correlation.clone(), Some(now));
                }
                None => {}
            }
            return false;
        }
        self.open.remove(&change.correlation);
        self.moved.remove(&change.correlation);
        let shows = self.may_show(now);
        if !shows {
            self.since.get_or_insert(now);
            self.more += 1;
            self.failed += u64::from(change.failed);
        }
        shows
    }

    /// So many changes were missed.
    pub(super) fn missed(&mut self, changes: u64, now: Instant) {
        self.since.get_or_insert(now);
        self.missed += changes;
        // Some of them may have been the end of what is thought to be under way.
        self.open.clear();
        self.moved.clear();
    }

    /// The correlations under way of which there is news since it was said what they wait for.
    pub(super) fn moved(&mut self, now: Instant) -> Vec<CorrelationId> {
        self.turn(now);
        let room = A_SECOND.saturating_sub(self.in_second) as usize;
        let moved: Vec<_> = self.moved.iter().take(room).cloned().collect();
        self.moved.retain(|correlation| !moved.contains(correlation));
        self.in_second += moved.len() as u32;
        moved
    }

    /// The correlations that have been under way for so long that it is said what they wait for; each is told once.
    pub(super) fn slow(&mut self, now: Instant) -> Vec<CorrelationId> {
        self.turn(now);
        let mut slow = Vec::new();
        let is_slow = |since: &Option<Instant>| since.is_some_and(|since| now - since >= PATIENCE);
        let mut room = A_SECOND.saturating_sub(self.in_second);
        for (correlation, since) in self.open.iter_mut().filter(|(_, since)| is_slow(since)) {
            let Some(left) = room.checked_sub(1) else { break };
            room = left;
            *since = None;
            slow.push(correlation.clone());
        }
        self.in_second += slow.len() as u32;
        slow
    }

    /// What is said of those that were only counted, once a second.
    pub(super) fn counted(&mut self, now: Instant) -> Option<String> {
        self.since.take_if(|since| now - *since >= Duration::from_secs(1))?;
        let [more, failed, missed] = [&mut self.more, &mut self.failed, &mut self.missed].map(std::mem::take);
        let webhooks = if more == 1 { "webhook" } else { "webhooks" };
        let failed = if failed > 0 { format!(", {failed} of them with a failure") } else { String::new() };
        let missed = if missed > 0 { format!(" (and {missed} changes of others, not counted)") } else { String::new() };
        Some(format!("… and {more} more {webhooks}{failed}{missed}: no more than {A_SECOND} are shown in a second"))
    }

    /// Whether a block has not been shown yet; from now on it has.
    pub(super) fn is_new(&mut self, invocation: InvocationId, block: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (invocation, block).hash(&mut hasher);
        let hash = hasher.finish();
        if !self.shown.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > SHOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.shown.remove(&oldest);
        }
        true
    }

    fn may_show(&mut self, now: Instant) -> bool {
        self.turn(now);
        let may = self.in_second < A_SECOND;
        self.in_second += u32::from(may);
        may
    }

    fn turn(&mut self, now: Instant) {
        if now - self.second >= Duration::from_secs(1) {
            (self.second, self.in_second) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, complete: bool, failed: bool) -> Change {
        Change { correlation: id.parse().expect("an id"), revision: 1, complete, failed }
    }

    fn after(begin: Instant, millis: u64) -> Instant {
        begin + Duration::from_millis(millis)
    }

    #[test]
    fn what_is_complete_is_shown_and_what_is_beyond_the_pace_is_counted() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let shown = (0..50).filter(|n| pace.change(&change(&format!("c-{n}"), true, *n == 49), begin)).count();
        assert_eq!(shown, 20);
        assert_eq!(pace.counted(after(begin, 500)), None, "its second is not over");
        let said = pace.counted(after(begin, 1000)).expect("a line");
        assert!(said.starts_with("… and 30 more webhooks, 1 of them with a failure:"), "{said}");
        assert_eq!(pace.counted(after(begin, 2000)), None, "it is said once");
        assert!(pace.change(&change("c-50", true, false), after(begin, 2000)));
        let mut pace = Pace::new(begin);
        let mut said = 0;
        for millis in 0..10_000 {
            pace.change(&change("c", true, false), after(begin, millis));
            said += u64::from(pace.counted(after(begin, millis)).is_some());
        }
        assert!(said >= 9, "it is said while they come: {said}");
    }

    #[test]
    fn what_is_under_way_for_a_second_is_told_once_and_what_has_ended_is_not() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        for id in ["slow", "fast"] {
            assert!(!pace.change(&change(id, false, false), begin));
        }
        assert!(pace.change(&change("fast", true, false), after(begin, 100)));
        assert!(pace.slow(after(begin, 900)).is_empty());
        let slow = pace.slow(after(begin, 1000));
        assert_eq!(slow.iter().map(CorrelationId::as_str).collect::<Vec<_>>(), ["slow"]);
        assert!(pace.moved(after(begin, 1050)).is_empty());
        pace.change(&change("slow", false, false), after(begin, 1100));
        assert!(pace.slow(after(begin, 5000)).is_empty(), "it was told");
        assert_eq!(pace.moved(after(begin, 5000)).len(), 1, "there is news of it");
        assert!(pace.moved(after(begin, 5000)).is_empty());
        assert!(pace.change(&change("slow", true, true), after(begin, 6000)));
    }

    #[test]
    fn a_flood_of_lines_is_counted_and_the_next_second_begins_anew() {
        let begin = Instant::now();
        let mut lines = Lines::default();
        assert_eq!((0..500).filter(|_| lines.may_show(begin)).count(), 200);
        assert_eq!(lines.counted(after(begin, 999)), None);
        let said = lines.counted(after(begin, 1000)).expect("a line");
        assert!(said.contains("300 more lines"), "{said}");
        assert!(lines.may_show(after(begin, 1000)));
        assert_eq!(lines.counted(after(begin, 3000)), None);
    }

    #[test]
    fn the_same_block_is_not_shown_again_and_memory_is_bounded() {
        let mut pace = Pace::new(Instant::now());
        let id = InvocationId::derived("default", "1");
        assert!(pace.is_new(id, "a block"));
        assert!(!pace.is_new(id, "a block"));
        assert!(pace.is_new(id, "a block that says that it came again"));
        for n in 0..2 * SHOWN {
            pace.is_new(id, &n.to_string());
        }
        assert_eq!((pace.shown.len(), pace.order.len()), (SHOWN, SHOWN));
    }
}
