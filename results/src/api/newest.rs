//! The newest records of a topic, newest first, from a bus that reads only forward.
//!
//! Offsets have holes, so nothing is counted back from the end. Instead, times are: from a moment, ever further back
//! until enough records lie between, and nearer again where too many do.

use std::{cmp::Reverse, collections::VecDeque, time::Duration};

use bus::{Bus, Offset, Record, Start, TopicInfo, TopicPartition};
use jiff::Timestamp;

/// How far back the first look goes.
const FIRST: Duration = Duration::from_millis(50);
/// Beyond it, everything is looked at.
const LAST: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How many bytes one look reads before it tries a shorter one.
const BUDGET: usize = 4 * 1024 * 1024;
/// How many bytes are read at once.
const CHUNK: usize = 256 * 1024;
/// Looks that differ by less are not told apart: such a burst is read whole.
const GRAIN: Duration = Duration::from_millis(1);

/// Where a page ends: each partition before an offset, all of it at or before a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    moment: Timestamp,
    before: Vec<Offset>,
}

impl Cursor {
    /// Reads what [`Cursor::text`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (moment, before) = text.split_once('-')?;
        let moment = Timestamp::from_microsecond(moment.parse().ok()?).ok()?;
        let before = before.split('.').map(|offset| offset.parse().map(Offset)).collect::<Result<_, _>>().ok()?;
        Some(Self { moment, before })
    }

    /// As it travels.
    pub(super) fn text(&self) -> String {
        let before: Vec<String> = self.before.iter().map(Offset::to_string).collect();
        format!("{}-{}", self.moment.as_microsecond(), before.join("."))
    }
}

/// A page of a topic, newest first, and where it ends if there may be more.
pub(super) async fn page(
    bus: &dyn Bus,
    topic: &TopicInfo,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Record>, Option<Cursor>), bus::Error> {
    // A record of this very moment is published before the next one.
    let mut cursor = cursor.unwrap_or(Cursor { moment: Timestamp::now(), before: Vec::new() });
    let mut found = Vec::new();
    let mut more = false;
    for at in topic.each() {
        let before = match cursor.before.get(at.partition.0 as usize) {
            Some(before) => *before,
            None => {
                let end = bus.offset(&at, Start::End).await?;
                cursor.before.push(end);
                end
            }
        };
        let records = tail(bus, &at, before, cursor.moment, limit).await?;
        more |= records.len() == limit;
        found.extend(records);
    }
    found.sort_by_key(|record| Reverse((record.published, record.partition, record.offset)));
    more |= found.len() > limit;
    found.truncate(limit);
    for record in &found {
        cursor.moment = record.published;
        if let Some(before) = cursor.before.get_mut(record.partition.0 as usize) {
            *before = (*before).min(record.offset);
        }
    }
    Ok((found, more.then_some(cursor)))
}

/// The last records of a partition before an offset, oldest first; fewer than wanted only if there are no more.
async fn tail(
    bus: &dyn Bus,
    at: &TopicPartition,
    before: Offset,
    moment: Timestamp,
    want: usize,
) -> Result<VecDeque<Record>, bus::Error> {
    let begin = bus.offset(at, Start::Earliest).await?;
    let (mut short, mut long, mut span) = (Duration::ZERO, None, FIRST);
    loop {
        let from = match moment.checked_sub(span) {
            Ok(time) if span <= LAST => bus.offset(at, Start::Time(time)).await?.max(begin),
            _ => begin,
        };
        let whole = long.is_some_and(|long: Duration| long.saturating_sub(short) < GRAIN);
        match scan(bus, at, from..before, want, if whole { usize::MAX } else { BUDGET }).await? {
            Some(records) if records.len() == want || from <= begin || whole => return Ok(records),
            Some(_) => short = span,
            None => long = Some(span),
        }
        span = match long {
            // As good as equal: the longer one is read whole, however much it is.
            Some(long) if long.saturating_sub(short) < GRAIN => long,
            Some(long) => short + (long - short) / 2,
            None => span * 8,
        };
    }
}

/// The last records of a range, or nothing if it has more bytes than the budget.
async fn scan(
    bus: &dyn Bus,
    at: &TopicPartition,
    range: std::ops::Range<Offset>,
    want: usize,
    budget: usize,
) -> Result<Option<VecDeque<Record>>, bus::Error> {
    let mut out = VecDeque::with_capacity(want.min(1024));
    let (mut from, mut bytes) = (range.start, 0_usize);
    while from < range.end {
        let records = bus.read(at, from, CHUNK).await?;
        let Some(last) = records.last() else { break };
        from = last.offset.next();
        for record in records.into_iter().take_while(|record| record.offset < range.end) {
            bytes += record.value().len();
            if out.len() == want {
                out.pop_front();
            }
            out.push_back(record);
        }
        if bytes > budget {
            return Ok(None);
        }
    }
    Ok(Some(out))
}
