//! At most so many runs of one value go on at a time in this process. Pure.

use std::collections::HashMap;

use bus::TopicPartition;
use catalog::Each;

use super::turnstile::{Turnstile, Value, Waiter};

#[derive(Debug)]
pub(super) struct Crowd {
    each: Each,
    running: HashMap<Value, usize>,
    pub(super) line: Turnstile,
    /// Values of which another may have room by now.
    stirred: Vec<Value>,
}

impl Crowd {
    pub(super) fn new(each: Each) -> Self {
        Self { each, running: HashMap::new(), line: Turnstile::default(), stirred: Vec::new() }
    }

    /// It is another now. Answers who waited by another `by`; what runs by that counts no more.
    pub(super) fn replan(&mut self, each: Each) -> Vec<Waiter> {
        let is_the_same = self.each.by.source().trim() == each.by.source().trim();
        self.each = each;
        if is_the_same {
            self.stir_all();
            return Vec::new();
        }
        self.running.clear();
        self.line.dissolve()
    }

    pub(super) fn has_room(&self, value: Value, who: &Waiter) -> bool {
        self.line.may_pass(value, who) && self.room(value) > 0
    }

    fn room(&self, value: Value) -> usize {
        self.each.limit.saturating_sub(self.running.get(&value).copied().unwrap_or(0))
    }

    pub(super) fn begin(&mut self, value: Value, who: &Waiter) {
        self.line.came(value, who);
        *self.running.entry(value).or_default() += 1;
    }

    pub(super) fn end(&mut self, value: Value) {
        if let Some(running) = self.running.get_mut(&value) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&value);
            }
        }
        self.stirred.push(value);
    }

    pub(super) fn wait(&mut self, value: Value, who: Waiter) {
        self.line.wait(value, who);
        self.stirred.push(value);
    }

    /// Who was called here waits elsewhere, so that another may come.
    pub(super) fn leave(&mut self, value: Value, who: &Waiter) {
        if self.line.came(value, who) {
            self.stirred.push(value);
        }
    }

    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.line.forget(partition);
        self.stir_all();
    }

    fn stir_all(&mut self) {
        self.stirred = self.line.values().collect();
    }

    pub(super) fn call(&mut self, comes: &dyn Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let mut called = Vec::new();
        for value in std::mem::take(&mut self.stirred) {
            called.extend(self.line.call(value, self.room(value), comes));
        }
        called
    }
}
