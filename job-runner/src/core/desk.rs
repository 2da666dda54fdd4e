//! Where it is written down what becomes of a run: in the outputs of its partition's share, and in what it remembers.

use bus::{Offset, Outgoing, Refusal, TopicPartition};
use contracts::{
    dead::{DeadLetter, Reason},
    envelope::EventHeaders,
    origin::Origin,
};
use jiff::Timestamp;

use super::{
    Counts, Now,
    lane::{Entry, KeyId, Place, Stage},
    part::Part,
    pending::Pending,
    retry::{self, Next},
};
use crate::{
    attempt::{say_failed, say_retried},
    kind::{Answer, Failure},
    ledger::Begun,
    plan::Plan,
    queue::Item,
    records::{self, Dead},
    steps::{self, Attempt},
};

/// What writing needs: the plan, a partition, and what is counted over all of them.
pub(super) struct Desk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) part: &'a mut Part,
    pub(super) outputs: &'a mut Pending,
    pub(super) counts: &'a mut Counts,
    pub(super) now: Now,
}

impl Desk<'_> {
    pub(super) fn output(&mut self, output: Outgoing) {
        self.outputs.add(&output);
        self.part.outputs.push(output);
    }

    /// An attempt of a record is about to begin.
    pub(super) fn start(&mut self, item: &Item) -> u32 {
        let attempt = if let Some(entry) = self.part.lane.get_mut(item.offset) {
            entry.begun = Begun { attempts: entry.begun.attempts.saturating_add(1), told: false };
            entry.first.get_or_insert(self.now);
            let (attempt, state) = (entry.begun.attempts, entry.state(None, self.now));
            self.output(records::state(self.plan, item, &state));
            attempt
        } else {
            self.part.ledger.start(item.offset)
        };
        let told = Attempt::new(&item.event, &self.plan.name, attempt, self.now.wall);
        if item.begun.attempts > 0 && !item.begun.told {
            self.output(Attempt { number: item.begun.attempts, ..told }.interrupted());
        }
        self.output(told.started());
        attempt
    }

    /// An attempt was cancelled for no fault of its own: as if it had never begun.
    pub(super) fn give_back(&mut self, item: &Item) {
        let Some(entry) = self.part.lane.get_mut(item.offset) else { return self.part.ledger.give_back(item.offset) };
        entry.begun = Begun { attempts: entry.begun.attempts.saturating_sub(1), told: true };
        entry.due = None;
        let state = entry.state(None, self.now);
        self.part.lane.set(item.offset, Stage::Waiting);
        self.output(records::state(self.plan, item, &state));
    }

    /// A run has succeeded.
    pub(super) fn succeeded(&mut self, item: &Item, attempt: Attempt<'_>, answer: Answer) {
        self.counts.succeeded += 1;
        self.forget(item);
        attempt.succeeded(answer, self.now.wall).for_each(|output| self.output(output));
    }

    /// An attempt has failed, which began at that time: another follows, or the run is over.
    pub(super) fn failed(&mut self, item: &Item, attempt: Attempt<'_>, began: Now, mut failure: Failure) {
        failure.judge(&self.plan.final_exit_codes);
        let entry = self.part.lane.get(item.offset);
        let base = entry.map_or(0, |entry| entry.base);
        let first = entry.and_then(|entry| entry.first).unwrap_or(began);
        let so_far = self.now.steady.saturating_duration_since(first.steady);
        match retry::next(self.plan, &failure, attempt, base, so_far) {
            Next::Again(delay) => {
                let again = retry::at(self.now.wall, delay);
                say_retried(self.plan, &item.event, attempt.number, &failure, again);
                self.counts.retried += 1;
                let begun = Begun { attempts: attempt.number, told: true };
                let due = self.now.steady.checked_add(delay);
                let (key, place) = (self.key(item), Place::InShare(self.part.next_share()));
                let waits = Entry { base, first: Some(first), due, ..Entry::behind(place, key, begun) };
                self.set_aside(item, waits, Some(again));
                let of = base.saturating_add(self.plan.attempts);
                self.output(attempt.retrying(failure, of, again, self.now.wall));
            }
            Next::Never(reason) => self.bury(item, attempt, first, reason, failure),
        }
    }

    /// A record waits in the lane from now on, or goes on waiting there. Its input has done with it.
    pub(super) fn set_aside(&mut self, item: &Item, mut waits: Entry, due: Option<Timestamp>) {
        match self.part.lane.remove(item.offset) {
            Some(before) => (waits.place, waits.came) = (before.place, before.came),
            None => {
                self.part.ledger.finish(item.offset);
                *self.counts.of(&waits) += 1;
                self.output(records::event(self.plan, item));
            }
        }
        let state = waits.state(due, self.now);
        self.part.lane.insert(item.offset, waits);
        self.output(records::state(self.plan, item, &state));
    }

    /// A record waits in the lane, behind those of its key.
    pub(super) fn set_behind(&mut self, item: &Item) {
        let place = Place::InShare(self.part.next_share());
        self.set_aside(item, Entry::behind(place, self.key(item), item.begun), None);
    }

    /// The run of a record has failed for good: it is a dead letter.
    pub(super) fn bury(&mut self, item: &Item, attempt: Attempt<'_>, first: Now, reason: Reason, failure: Failure) {
        say_failed(self.plan, &item.event, attempt.number, &failure);
        self.counts.failed += 1;
        let dead = Dead { attempt, first: first.wall, last: self.now.wall, reason, error: &failure.error };
        self.output(records::dead(self.plan, item, &dead));
        let of = self.part.lane.get(item.offset).map_or(0, |entry| entry.base).saturating_add(self.plan.attempts);
        self.forget(item);
        self.output(attempt.failed(failure, of, Some(reason), self.now.wall));
    }

    /// A record is taken up of which all attempts are spent: its process died under the last, or the catalog grants fewer now.
    pub(super) fn spent(&mut self, item: &Item) {
        let number = item.begun.attempts;
        let attempt = Attempt::new(&item.event, &self.plan.name, number, self.now.wall);
        let reason = if item.begun.told { Reason::Attempts } else { Reason::Interrupted };
        let failure = steps::exhausted(self.plan.attempts, number, item.begun.told);
        let first = self.part.lane.get(item.offset).and_then(|entry| entry.first).unwrap_or(self.now);
        self.bury(item, attempt, first, reason, failure);
    }

    /// A run gets further attempts, as many as the job has: it waits in the lane, and is no dead letter any more.
    pub(super) fn grant(&mut self, item: &Item, is_dead: bool, by: &str) {
        let Begun { attempts, .. } = item.begun;
        let place = Place::InShare(self.part.next_share());
        let waits = Entry { base: attempts, ..Entry::behind(place, self.key(item), item.begun) };
        let state = waits.state(None, self.now);
        self.counts.waiting += 1;
        self.output(records::event(self.plan, item));
        self.output(records::state(self.plan, item, &state));
        self.part.lane.insert(item.offset, waits);
        if is_dead {
            self.output(records::put_away(self.plan, item));
        }
        let next = attempts.saturating_add(1);
        self.output(Attempt::new(&item.event, &self.plan.name, next, self.now.wall).granted(by));
    }

    /// A dead letter is put away for good.
    pub(super) fn discard(&mut self, item: &Item, letter: &DeadLetter, by: &str) {
        self.output(records::put_away(self.plan, item));
        let attempt = Attempt::new(&item.event, &self.plan.name, letter.attempts, letter.last);
        self.output(attempt.discarded(letter, by));
    }

    /// Nothing is to be remembered of a record any more.
    fn forget(&mut self, item: &Item) {
        match self.leave(&item.partition, item.offset) {
            Some(_) => {}
            None => self.part.ledger.finish(item.offset),
        }
    }

    /// Nothing waits any more of a record in the lane.
    pub(super) fn leave(&mut self, partition: &TopicPartition, offset: Offset) -> Option<Entry> {
        let entry = self.part.lane.remove(offset)?;
        *self.counts.of(&entry) -= 1;
        records::gone(self.plan, partition, offset).into_iter().for_each(|gone| self.output(gone));
        Some(entry)
    }

    /// What waits and cannot be read waits no longer.
    pub(super) fn refuse(&mut self, partition: &TopicPartition, offset: Offset, output: Outgoing) {
        self.leave(partition, offset);
        self.counts.rejected += 1;
        self.output(output);
    }

    /// An event is too large to be kept while it waits: its run has failed for good. Answers what waited.
    pub(super) fn cannot_wait(&mut self, origin: &Origin, event: &Outgoing, refusal: &Refusal) -> Option<Entry> {
        let entry = self.part.lane.remove(Offset(origin.offset))?;
        *self.counts.of(&entry) -= 1;
        self.counts.failed += 1;
        if let Ok(event) = EventHeaders::decode(&origin.topic, &event.headers) {
            let number = entry.begun.attempts.max(1);
            let failure = Failure::last(format!("it cannot wait in the lane: {refusal}"));
            say_failed(self.plan, &event, number, &failure);
            let attempt = Attempt::new(&event, &self.plan.name, number, self.now.wall);
            self.output(attempt.failed(failure, self.plan.attempts, None, self.now.wall));
        }
        Some(entry)
    }

    pub(super) fn key(&self, item: &Item) -> Option<KeyId> {
        item.key.as_ref().map(|key| KeyId::of(&key.key))
    }
}
