//! The encoding of a batch: all records of one partition that one commit carried, as one row of the store.
//!
//! `version, count, time of publication (µs)`, then for each record its offset beyond the first, which of key and value
//! it has, these, and its headers; numbers are LEB128 varints. Names of headers that Herald knows are one byte (see
//! [`contracts::headers::KNOWN`]).

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use contracts::headers::{Headers, KNOWN};
use jiff::Timestamp;

use crate::record::{Offset, Outgoing, Partition, Record, Topic};

const VERSION: u8 = 1;
const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;

/// A batch that is being written.
#[derive(Debug)]
pub(crate) struct Builder {
    base: Offset,
    next: Offset,
    count: u64,
    body: Vec<u8>,
}

/// A batch as it is stored: its records have offsets from `base` up to below `next`.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) base: Offset,
    pub(crate) next: Offset,
    pub(crate) body: Bytes,
}

/// A stored batch is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("a stored batch is damaged: {0}")]
pub(crate) struct Damaged(&'static str);

impl Builder {
    pub(crate) fn new(base: Offset) -> Self {
        Self { base, next: base, count: 0, body: Vec::with_capacity(4096) }
    }

    /// Appends a record at that offset, which is at or beyond the end of the batch.
    pub(crate) fn push(&mut self, offset: Offset, record: &Outgoing) {
        let out = &mut self.body;
        put(out, offset.0 - self.base.0);
        let flags = if record.key.is_some() { HAS_KEY } else { 0 } | if record.value.is_some() { HAS_VALUE } else { 0 };
        out.push(flags);
        for part in [&record.key, &record.value].into_iter().flatten() {
            put_bytes(out, part);
        }
        put(out, record.headers.len() as u64);
        for (name, value) in record.headers.iter() {
            match KNOWN.iter().position(|known| *known == name) {
                Some(index) => put(out, index as u64 + 1),
                None => {
                    put(out, 0);
                    put_bytes(out, name.as_bytes());
                }
            }
            put_bytes(out, value);
        }
        self.count += 1;
        self.next = offset.next();
    }

    /// The finished batch; `next` is where the partition goes on, which may lie beyond the last record.
    pub(crate) fn finish(self, published: Timestamp, next: Offset) -> Stored {
        let mut body = Vec::with_capacity(self.body.len() + 16);
        body.push(VERSION);
        put(&mut body, self.count);
        put(&mut body, published.as_microsecond().max(0) as u64);
        body.extend_from_slice(&self.body);
        Stored { base: self.base, next: next.max(self.next), body: body.into() }
    }
}

impl Stored {
    /// Appends the batch's records at or after `from` to `out`.
    pub(crate) fn decode(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        out: &mut Vec<Record>,
    ) -> Result<(), Damaged> {
        let mut input = Input { body: &self.body, at: 0 };
        if input.byte()? != VERSION {
            return Err(Damaged("unknown version"));
        }
        let count = input.number()?;
        let published = i64::try_from(input.number()?).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
        let published = published.ok_or(Damaged("time"))?;
        out.reserve(count.min(4096) as usize);
        for _ in 0..count {
            let offset = Offset(self.base.0 + input.number()?);
            let flags = input.byte()?;
            let key = (flags & HAS_KEY != 0).then(|| input.bytes()).transpose()?;
            let value = (flags & HAS_VALUE != 0).then(|| input.bytes()).transpose()?;
            let count = input.number()? as usize;
            if offset < from {
                (0..count).try_for_each(|_| input.skip_header())?;
                continue;
            }
            let mut headers = Vec::with_capacity(count.min(64));
            for _ in 0..count {
                headers.push((input.header_name()?, input.part()?));
            }
            let headers = Headers::of_parts(self.body.clone(), headers);
            out.push(Record { topic: topic.clone(), partition, offset, published, key, value, headers });
        }
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

struct Input<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = *self.body.get(self.at).ok_or(Damaged("too short"))?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damaged("number"))
    }

    fn bytes(&mut self) -> Result<Bytes, Damaged> {
        self.part().map(|part| self.body.slice(part))
    }

    fn part(&mut self) -> Result<Range<usize>, Damaged> {
        let length = self.number()? as usize;
        let end = self.at.checked_add(length).filter(|end| *end <= self.body.len()).ok_or(Damaged("too short"))?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    fn header_name(&mut self) -> Result<Cow<'static, str>, Damaged> {
        match self.number()? as usize {
            0 => {
                let name = self.part()?;
                String::from_utf8(self.body[name].to_vec()).map(Cow::Owned).map_err(|_| Damaged("header name"))
            }
            known => KNOWN.get(known - 1).map(|name| Cow::Borrowed(*name)).ok_or(Damaged("header number")),
        }
    }

    fn skip_header(&mut self) -> Result<(), Damaged> {
        self.header_name()?;
        self.part().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers() -> impl Strategy<Value = Headers> {
        let name = prop_oneof![(0..KNOWN.len()).prop_map(|i| KNOWN[i].to_owned()), "[a-z-]{1,12}"];
        prop::collection::vec((name, prop::collection::vec(any::<u8>(), 0..20)), 0..5)
            .prop_map(|pairs| pairs.into_iter().collect())
    }

    fn outgoing() -> impl Strategy<Value = (u64, Outgoing)> {
        let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from));
        (1..5u64, bytes(), bytes(), headers()).prop_map(|(step, key, value, headers)| {
            (step, Outgoing { topic: "t".into(), partition: None, key, value, headers })
        })
    }

    proptest! {
        #[test]
        fn a_batch_reads_as_it_was_written(base in 0..u64::MAX / 2, records in prop::collection::vec(outgoing(), 1..20), skip in 0..100u64) {
            let mut builder = Builder::new(Offset(base));
            let mut at = base;
            let mut expected = Vec::new();
            for (step, record) in &records {
                builder.push(Offset(at), record);
                expected.push((at, record.clone()));
                at += step;
            }
            let published = Timestamp::from_microsecond(1_700_000_000_000_001).expect("a time");
            let stored = builder.finish(published, Offset(at));
            let mut read = Vec::new();
            stored.decode(&"t".into(), Partition(3), Offset(base + skip), &mut read).expect("whole");
            expected.retain(|(offset, _)| *offset >= base + skip);
            prop_assert_eq!(read.len(), expected.len());
            for (read, (offset, record)) in read.iter().zip(&expected) {
                prop_assert_eq!(read.offset, Offset(*offset));
                prop_assert_eq!(read.published, published);
                prop_assert_eq!((&read.key, &read.value, &read.headers), (&record.key, &record.value, &record.headers));
            }
        }

        #[test]
        fn a_damaged_batch_is_an_error_and_no_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let stored = Stored { base: Offset(0), next: Offset(9), body: body.into() };
            let _ = stored.decode(&"t".into(), Partition(0), Offset(0), &mut Vec::new());
        }
    }
}
