//! The newest records of a topic, newest first, from a bus that reads only forward.
//!
//! Offsets have holes, so nothing is counted back from the end: windows of offsets are read, each twice as wide as the one
//! behind it, until enough records are found or the partition begins.

use std::{cmp::Reverse, collections::VecDeque, fmt, ops::Range};

use bus::{Bus, Offset, Record, Start, TopicInfo, TopicPartition};
use jiff::Timestamp;

/// How many offsets the first window has.
const WINDOW: u64 = 8;
/// How many bytes a page has, over all partitions; one record of each it has in any case.
const PAGE: usize = 4 * 1024 * 1024;
/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;

/// Where a page ends: in each partition before an offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor(Vec<Offset>);

impl Cursor {
    /// Reads what it is written as.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split('.').map(|offset| offset.parse().map(Offset)).collect::<Result<_, _>>().ok().map(Self)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Offset::to_string).collect::<Vec<_>>().join("."))
    }
}

/// A page of a topic, newest first, and where it ends if there are more.
pub(super) async fn page(
    bus: &dyn Bus,
    topic: &TopicInfo,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Record>, Option<Cursor>), bus::Error> {
    let mut cursor = cursor.unwrap_or_default();
    let budget = PAGE / topic.partitions.max(1) as usize;
    let partitions: Vec<TopicPartition> = topic.each().collect();
    let begins = places(bus, &partitions, Start::Earliest).await?;
    let ends = places(bus, &partitions, Start::End).await?;
    // Those that are new since the cursor was made end where they end, and so does one that was tampered with.
    cursor.0.resize(partitions.len(), Offset(u64::MAX));
    for (before, end) in cursor.0.iter_mut().zip(ends) {
        *before = (*before).min(end);
    }
    let mut tails = Vec::with_capacity(partitions.len());
    for ((at, begin), before) in partitions.iter().zip(begins).zip(&cursor.0) {
        tails.push(Tail::read(bus, at, begin..*before, limit, budget).await?);
    }
    let (found, more) = merge(tails, limit);
    for record in &found {
        if let Some(before) = cursor.0.get_mut(record.partition.0 as usize) {
            *before = (*before).min(record.offset);
        }
    }
    Ok((found, more.then_some(cursor)))
}

async fn places(bus: &dyn Bus, of: &[TopicPartition], place: Start) -> Result<Vec<Offset>, bus::Error> {
    let found = bus.offsets(of, place).await?;
    let each = |at| found.get(at).copied().ok_or_else(|| bus::Error::Unavailable(format!("{at} cannot be asked")));
    of.iter().map(each).collect()
}

/// The newest of all partitions, and whether there are more.
fn merge(tails: Vec<Tail>, limit: usize) -> (Vec<Record>, bool) {
    let (mut found, mut horizon, mut more) = (Vec::new(), None, false);
    for Tail { records, is_all } in tails {
        // Sorted by publication, but within a partition always by offset, though a clock went back: the cursor is an
        // offset, and a page that took a later record before an earlier one would pass over the other.
        let mut time = Timestamp::MAX;
        found.extend(records.into_iter().map(|record| {
            time = time.min(record.published);
            (time, record)
        }));
        if !is_all {
            more = true;
            // What is older may be newer than what another partition has.
            horizon = horizon.max(Some(time));
        }
    }
    found.sort_by_key(|(time, record)| Reverse((*time, record.partition, record.offset)));
    let fitting = found.iter().take(limit).take_while(|(time, _)| Some(*time) >= horizon).count();
    more |= found.len() > fitting;
    (found.into_iter().take(fitting).map(|(_, record)| record).collect(), more)
}

/// The last records of a partition before an offset.
struct Tail {
    /// Newest first.
    records: Vec<Record>,
    /// Whether there are none before them.
    is_all: bool,
}

impl Tail {
    /// At most so many records and about so many bytes of a range, but one at least.
    async fn read(
        bus: &dyn Bus,
        at: &TopicPartition,
        from: Range<Offset>,
        want: usize,
        budget: usize,
    ) -> Result<Self, bus::Error> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let (begin, mut to, mut window) = (from.start, from.end, WINDOW.min(want as u64));
        while to > begin && records.len() < want && bytes < budget {
            let from = Offset(to.0.saturating_sub(window)).max(begin);
            let (part, is_all) = range(bus, at, from..to, want - records.len(), budget - bytes).await?;
            bytes += part.iter().map(size).sum::<usize>();
            records.extend(part.into_iter().rev());
            if !is_all {
                return Ok(Self { records, is_all });
            }
            (to, window) = (from, window.saturating_mul(2));
        }
        Ok(Self { records, is_all: to <= begin })
    }
}

/// The last records of a range, oldest first, and whether these are all of it.
async fn range(
    bus: &dyn Bus,
    at: &TopicPartition,
    range: Range<Offset>,
    want: usize,
    budget: usize,
) -> Result<(VecDeque<Record>, bool), bus::Error> {
    let mut last = VecDeque::new();
    let (mut from, mut bytes, mut is_all) = (range.start, 0_usize, true);
    while from < range.end {
        let records = bus.read(at, from, CHUNK).await?;
        let Some(end) = records.last() else { break };
        from = end.offset.next();
        for record in records.into_iter().take_while(|record| record.offset < range.end) {
            bytes += size(&record);
            last.push_back(record);
            while last.len() > want || (bytes > budget && last.len() > 1) {
                bytes -= last.pop_front().map_or(0, |record| size(&record));
                is_all = false;
            }
        }
    }
    Ok((last, is_all))
}

fn size(record: &Record) -> usize {
    record.value().len()
}

#[cfg(test)]
mod tests {
    use bus::Partition;
    use contracts::headers::Headers;

    use super::*;

    fn tail(partition: u32, published: &[i64], is_all: bool) -> Tail {
        let record = |(offset, second): (usize, &i64)| Record {
            topic: "event.a".into(),
            partition: Partition(partition),
            offset: Offset(offset as u64),
            published: Timestamp::from_second(*second).expect("a time"),
            key: None,
            value: None,
            headers: Headers::default(),
        };
        let mut records: Vec<Record> = published.iter().enumerate().map(record).collect();
        records.reverse();
        Tail { records, is_all }
    }

    fn merged(tails: Vec<Tail>, limit: usize) -> (Vec<(u32, u64)>, bool) {
        let (records, more) = merge(tails, limit);
        (records.iter().map(|record| (record.partition.0, record.offset.0)).collect(), more)
    }

    #[test]
    fn a_clock_that_went_back_lets_no_record_be_passed_over() {
        let both = || vec![tail(0, &[10, 20, 5], true), tail(1, &[7, 8], true)];
        for limit in 1..=5 {
            let (found, more) = merged(both(), limit);
            assert_eq!((found.len(), more), (limit, limit < 5));
            for partition in [0, 1] {
                let offsets: Vec<u64> = found.iter().filter(|one| one.0 == partition).map(|one| one.1).collect();
                let newest = if partition == 0 { 3 } else { 2 };
                assert_eq!(offsets, (0..newest).rev().take(offsets.len()).collect::<Vec<_>>(), "{found:?}");
            }
        }
    }

    #[test]
    fn what_may_be_older_than_something_unread_waits_for_the_next_page() {
        let found = merged(vec![tail(0, &[30, 40], false), tail(1, &[10, 35], true)], 10);
        assert_eq!(found, (vec![(0, 1), (1, 1), (0, 0)], true));
    }
}
