//! The memory of recent ids: which invocations a partition has seen, where, and when.
//!
//! Six million ids in the standard maps would take 272 MB. Here an id takes 36 bytes in the order of its arrival, in
//! chunks that never move, and 5 to 11 in a table of numbers into them: at most 48.
//!
//! An id names its record: a record is no duplicate of itself or of a later one, so that a replay decides the same.

mod entry;

use std::collections::VecDeque;

use contracts::topics;
use hashbrown::HashTable;
use jiff::Timestamp;

use crate::memory::{Memory, SideError};
pub(crate) use entry::Entry;
use entry::{decode, encode, seconds};

/// How many ids a record of the side topic lists at most, so that it fits the bus.
const MAX_IDS: usize = 50_000;
/// How many ids a chunk holds.
const CHUNK: usize = 4096;

/// Where an invocation was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// The offset of its record.
    pub offset: u64,
    /// Whether it came under another correlation.
    pub elsewhere: bool,
    /// Whether it said something else: the id was used again.
    pub reused: bool,
}

/// A part of the memory.
struct Chunk {
    entries: Vec<Entry>,
    /// The earliest second at which one of them was, or may be, written to the side topic.
    since: u32,
}

/// The recent ids of one partition.
pub struct Seen {
    window: u32,
    limit: usize,
    table: HashTable<u32>,
    chunks: VecDeque<Chunk>,
    /// The number of the oldest id that is remembered; numbers wrap.
    oldest: u32,
    /// How many are remembered.
    count: usize,
    /// How many of the first chunk are forgotten already.
    skipped: usize,
    /// The age, in seconds, at which the last id had to go before its time.
    cut: Option<u32>,
    /// When what is remembered next is, or was, written to the side topic.
    written: u32,
}

impl Seen {
    /// Remembers ids for `window`, at most `limit` of them.
    pub fn new(window: std::time::Duration, limit: usize) -> Self {
        Self {
            window: u32::try_from(window.as_secs()).unwrap_or(u32::MAX),
            limit: limit.clamp(1, u32::MAX as usize / 2),
            table: HashTable::new(),
            chunks: VecDeque::new(),
            oldest: 0,
            count: 0,
            skipped: 0,
            cut: None,
            written: 0,
        }
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The age at which the last id was forgotten before the window was over, if the count ever cut it.
    pub fn cut(&self) -> Option<std::time::Duration> {
        self.cut.map(|seconds| std::time::Duration::from_secs(seconds.into()))
    }

    /// Where the invocation of this record was first seen, if it is a duplicate; else it is remembered, and returned to
    /// be written to the side topic.
    pub(crate) fn first(&mut self, entry: Entry) -> Result<Entry, First> {
        if let Some(first) = self.find(entry.id)
            && first.offset < entry.offset
            && entry.received.saturating_sub(first.received) <= self.window
        {
            return Err(First {
                offset: first.offset,
                elsewhere: first.correlation != entry.correlation,
                reused: first.body != entry.body && first.body != 0 && entry.body != 0,
            });
        }
        self.remember(entry);
        Ok(entry)
    }

    fn find(&self, id: u128) -> Option<Entry> {
        let number = *self.table.find(id as u64, |number| self.at(*number).is_some_and(|entry| entry.id == id))?;
        self.at(number)
    }

    fn at(&self, number: u32) -> Option<Entry> {
        let index = number.wrapping_sub(self.oldest) as usize + self.skipped;
        self.chunks.get(index / CHUNK)?.entries.get(index % CHUNK).copied()
    }

    pub(crate) fn remember(&mut self, entry: Entry) {
        while self.count >= self.limit {
            self.forget_oldest(entry.received);
        }
        // What is beyond the window goes too, two at a time, so that a quiet hour frees what a busy one took.
        for _ in 0..2 {
            if self.at(self.oldest).is_some_and(|oldest| entry.received.saturating_sub(oldest.received) > self.window) {
                self.forget_oldest(entry.received);
            }
        }
        if self.chunks.back().is_none_or(|chunk| chunk.entries.len() == CHUNK) {
            self.chunks.push_back(Chunk { entries: Vec::with_capacity(CHUNK), since: self.written });
        }
        let number = self.oldest.wrapping_add(self.count as u32);
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.entries.push(entry);
            chunk.since = chunk.since.min(self.written);
        }
        self.count += 1;
        let Self { table, chunks, oldest, skipped, .. } = self;
        let id_at = |number: u32| {
            let index = number.wrapping_sub(*oldest) as usize + *skipped;
            chunks.get(index / CHUNK).and_then(|chunk| chunk.entries.get(index % CHUNK)).map_or(0, |entry| entry.id)
        };
        match table.find_mut(entry.id as u64, |number| id_at(*number) == entry.id) {
            Some(known) => *known = number,
            None => {
                table.insert_unique(entry.id as u64, number, |number| id_at(*number) as u64);
            }
        }
    }

    fn forget_oldest(&mut self, now: u32) {
        let Some(entry) = self.at(self.oldest) else { return };
        let age = now.saturating_sub(entry.received);
        if self.count >= self.limit && age < self.window {
            self.cut = Some(age);
        }
        let number = self.oldest;
        if let Ok(known) = self.table.find_entry(entry.id as u64, |known| *known == number) {
            known.remove();
        }
        self.oldest = self.oldest.wrapping_add(1);
        self.count -= 1;
        self.skipped += 1;
        if self.skipped == CHUNK {
            self.chunks.pop_front();
            self.skipped = 0;
        }
    }
}

impl Memory for Seen {
    type Entry = Entry;
    const SIDE: &'static str = topics::SEEN;

    fn written(&mut self, at: Timestamp) {
        self.written = seconds(at);
    }

    fn since(&self) -> Option<u32> {
        self.chunks.iter().map(|chunk| chunk.since).min()
    }

    fn encode(entries: &[Entry]) -> Vec<Vec<u8>> {
        entries.chunks(MAX_IDS).map(encode).collect()
    }

    fn fold(&mut self, value: &[u8]) -> Result<(), SideError> {
        decode(value)?.for_each(|entry| self.remember(entry));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use contracts::ids::InvocationId;
    use proptest::prelude::*;

    use super::{entry::tests::entry, *};

    #[test]
    fn a_later_record_of_the_same_id_is_a_duplicate_within_the_window() {
        let mut seen = Seen::new(Duration::from_secs(60), 10);
        assert!(seen.first(entry(1, 5, 0)).is_ok());
        assert_eq!(seen.first(entry(1, 9, 60)), Err(First { offset: 5, elsewhere: false, reused: false }));
        // The record itself, read again, and an earlier one are none.
        assert!(seen.first(entry(1, 5, 0)).is_ok());
        assert!(seen.first(entry(1, 4, 0)).is_ok());
        assert!(seen.first(entry(1, 9, 61)).is_ok());
        assert_eq!(seen.first(entry(1, 10, 62)).map_err(|first| first.offset), Err(9));
    }

    #[test]
    fn another_correlation_is_told() {
        let mut seen = Seen::new(Duration::from_secs(60), 10);
        assert!(seen.first(entry(1, 5, 0)).is_ok());
        let other = "other".parse().expect("an id");
        let again = Entry::new(
            InvocationId::derived("s", "1"),
            6,
            Timestamp::from_second(1_700_000_001).expect("a time"),
            &other,
        );
        assert_eq!(seen.first(again), Err(First { offset: 5, elsewhere: true, reused: false }));
    }

    #[test]
    fn another_body_under_the_same_id_is_told_where_both_are_known() {
        for (first, again, reused) in [(7, 8, true), (7, 7, false), (0, 8, false), (7, 0, false)] {
            let mut seen = Seen::new(Duration::from_secs(60), 10);
            assert!(seen.first(entry(1, 5, 0).with_body(first)).is_ok());
            let found = seen.first(entry(1, 6, 0).with_body(again)).map_err(|first| first.reused);
            assert_eq!(found, Err(reused), "{first} {again}");
        }
    }

    #[test]
    fn what_the_count_cuts_is_said() {
        let mut seen = Seen::new(Duration::from_secs(60), 3);
        for id in 0..4 {
            assert!(seen.first(entry(id, id, id as i64)).is_ok());
        }
        assert_eq!((seen.len(), seen.cut()), (3, Some(Duration::from_secs(3))));
        assert!(seen.first(entry(0, 9, 4)).is_ok());
    }

    #[test]
    fn it_knows_since_when_what_it_remembers_was_written() {
        let mut seen = Seen::new(Duration::from_secs(3600), 2 * CHUNK);
        assert_eq!(seen.since(), None);
        for id in 0..3 * CHUNK as u64 {
            // A clock that steps back, as that of another machine may.
            let second = if id == CHUNK as u64 + 7 { 50 } else { 100 + id / CHUNK as u64 };
            seen.written(Timestamp::from_second(second as i64).expect("a time"));
            seen.remember(entry(id, id, 0));
        }
        assert_eq!((seen.len(), seen.since()), (2 * CHUNK, Some(50)));
        (0..CHUNK as u64).for_each(|id| seen.remember(entry(id + 1_000_000, id, 0)));
        assert_eq!(seen.since(), Some(102));
    }

    #[test]
    fn an_id_takes_at_most_48_bytes() {
        let count = 1_000_000;
        let mut seen = Seen::new(Duration::from_secs(3600), count);
        for id in 0..count as u64 + CHUNK as u64 {
            let received = Timestamp::from_second(1_700_000_000).expect("a time");
            let correlation = "c".parse().expect("an id");
            seen.remember(Entry::new(InvocationId(uuid_of(id)), id, received, &correlation));
        }
        let bytes = seen.table.allocation_size() + seen.chunks.len() * CHUNK * size_of::<Entry>();
        assert!(bytes <= 48 * count, "{} bytes each", bytes as f64 / count as f64);
    }

    fn uuid_of(id: u64) -> uuid::Uuid {
        // Spread as a hash would.
        uuid::Uuid::from_u128(
            u128::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64
                | u128::from(id.wrapping_mul(0xbf58_476d_1ce4_e5b9)),
        )
    }

    proptest! {
        #[test]
        fn it_decides_as_a_plain_map_would(ids in prop::collection::vec((0..40u64, 0..5i64), 1..400), limit in 1..60usize) {
            let mut seen = Seen::new(Duration::from_secs(30), limit);
            let mut order: Vec<(u64, u64, i64)> = Vec::new();
            let mut time = 0;
            for (offset, (id, step)) in ids.into_iter().enumerate() {
                time += step;
                let offset = offset as u64;
                let newest: HashMap<u64, (u64, i64)> = order.iter().map(|(id, offset, at)| (*id, (*offset, *at))).collect();
                let expected = newest.get(&id).filter(|(_, at)| time - at <= 30).map(|(offset, _)| *offset);
                let found = seen.first(entry(id, offset, time)).err().map(|first| first.offset);
                prop_assert_eq!(found, expected);
                if expected.is_none() {
                    while order.len() >= limit { order.remove(0); }
                    for _ in 0..2 {
                        if order.first().is_some_and(|(_, _, at)| time - at > 30) { order.remove(0); }
                    }
                    order.push((id, offset, time));
                }
                prop_assert_eq!(seen.len(), order.len());
            }
        }
    }
}
