//! What the hostile bus does to its stages: all that the contract allows, decided by a seeded generator.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    local::log::{Chunk, lock},
    record::{Outgoing, Topic},
    refusal::{Refusal, RefusalCode},
};

/// How likely each unpleasantness is, in thousandths per occasion.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// A hole before a record, as a transaction marker or compaction leaves it.
    pub holes: u32,
    /// A delivery is cut short.
    pub short: u32,
    /// After a commit a partition is revoked, and given to whoever is next.
    pub revoke: u32,
    /// After a commit a partition is lost at once: what was delivered and not committed comes again.
    pub lose: u32,
    /// A share is left out of a commit, because its partition was lost a moment ago.
    pub leave_out: u32,
    /// A share's end is unknown: written or not, it is reported lost.
    pub unknown: u32,
    /// A publication is refused as unavailable; half of these are in the log all the same.
    pub refuse: u32,
}

impl Manners {
    /// Everything, often.
    pub const HOSTILE: Self =
        Self { holes: 150, short: 300, revoke: 40, lose: 40, leave_out: 40, unknown: 40, refuse: 30 };
    /// Nothing but holes and short deliveries.
    pub const ROUGH: Self = Self { holes: 150, short: 300, revoke: 0, lose: 0, leave_out: 0, unknown: 0, refuse: 0 };
    /// Nothing at all.
    pub const MILD: Self = Self { holes: 0, short: 0, revoke: 0, lose: 0, leave_out: 0, unknown: 0, refuse: 0 };
}

pub(crate) struct Chaos {
    pub(crate) manners: Manners,
    calm: AtomicBool,
    state: Mutex<u64>,
    /// The largest record that a topic takes, in bytes; none where nothing may be written.
    limits: Mutex<HashMap<Topic, Option<usize>>>,
}

impl Chaos {
    pub(crate) fn new(seed: u64, manners: Manners) -> Self {
        let state = Mutex::new(seed.wrapping_mul(2).wrapping_add(1));
        Self { manners, calm: AtomicBool::new(false), state, limits: Mutex::default() }
    }

    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Release);
    }

    /// Sets what a topic takes from now on: records of at most so many bytes, or none.
    pub(crate) fn limit(&self, topic: Topic, bytes: Option<usize>) {
        lock(&self.limits).insert(topic, bytes);
    }

    /// Takes back every [`Chaos::limit`].
    pub(crate) fn unlimit(&self) {
        lock(&self.limits).clear();
    }

    /// Why the topic of a record does not take it.
    pub(crate) fn refusal(&self, at: usize, record: &Outgoing) -> Option<Refusal> {
        let limits = lock(&self.limits);
        let (code, reason) = match limits.get(&record.topic)? {
            None => (RefusalCode::Forbidden, "nothing may be written there".to_owned()),
            Some(limit) if record.size() > *limit => {
                (RefusalCode::TooLarge, format!("the record has {} bytes, and {limit} are possible", record.size()))
            }
            Some(_) => return None,
        };
        Some(Refusal { record: Some(at), topic: record.topic.clone(), code, reason })
    }

    /// A number below `limit` (SplitMix64).
    pub(crate) fn below(&self, limit: u64) -> u64 {
        let mut state = lock(&self.state);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }

    pub(crate) fn strikes(&self, thousandths: u32) -> bool {
        thousandths > 0 && !self.calm.load(Ordering::Acquire) && self.below(1000) < u64::from(thousandths)
    }

    /// Cuts a delivery short, at least one record staying.
    pub(crate) fn shorten(&self, chunk: &mut Chunk) {
        if chunk.records.len() > 1 && self.strikes(self.manners.short) {
            let keep = 1 + self.below(chunk.records.len() as u64 - 1) as usize;
            chunk.records.truncate(keep);
            if let Some(last) = chunk.records.last() {
                chunk.next = last.offset.next();
            }
        }
    }
}
