//! Which of a process's members of one group is which: static membership needs a name for each that is the same after a
//! restart.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use crate::threads::lock;

/// The numbers in use, by group.
#[derive(Debug, Default)]
pub(crate) struct Slots(Mutex<HashMap<String, BTreeSet<u32>>>);

/// A number in use; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    pub(crate) group: String,
    pub(crate) number: u32,
    /// How many members the process had when this one came.
    pub(crate) crowd: usize,
}

impl Slots {
    /// The lowest number that no member of the group has.
    pub(crate) fn take(self: &Arc<Self>, group: &str) -> Slot {
        let mut groups = lock(&self.0);
        let crowd = groups.values().map(BTreeSet::len).sum();
        let used = groups.entry(group.to_owned()).or_default();
        let number = (1..).find(|number| !used.contains(number)).unwrap_or(u32::MAX);
        used.insert(number);
        Slot { slots: self.clone(), group: group.to_owned(), number, crowd }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut used = lock(&self.slots.0);
        if let Some(numbers) = used.get_mut(&self.group) {
            numbers.remove(&self.number);
            if numbers.is_empty() {
                used.remove(&self.group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_free_again_when_its_member_is_gone() {
        let slots = Arc::new(Slots::default());
        let (first, second, other) = (slots.take("a"), slots.take("a"), slots.take("b"));
        assert_eq!((first.number, second.number, other.number), (1, 2, 1));
        assert_eq!((first.crowd, second.crowd, other.crowd), (0, 1, 2));
        drop(first);
        assert_eq!(slots.take("a").number, 1);
    }
}
