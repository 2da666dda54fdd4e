//! One recent id, and how ids stand in the side topic.

use contracts::ids::{CorrelationId, InvocationId};
use jiff::Timestamp;

use crate::memory::SideError;

const VERSION: u8 = 2;
/// Bytes of an id in the side topic.
const WIRE: usize = 36;
/// The version before, whose ids have no hash of their bodies, and the bytes of one.
const WITHOUT_BODY: (u8, usize) = (1, 32);

/// One id, where it was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Entry {
    pub(super) id: u128,
    pub(super) offset: u64,
    /// Seconds since 1970: enough until 2106.
    pub(super) received: u32,
    /// A hash of the correlation: enough to tell another one.
    pub(super) correlation: u32,
    /// A hash of what the body says ([`contracts::hasura::print`]); 0 where it is not known.
    pub(super) body: u32,
}

impl Entry {
    pub(crate) fn new(id: InvocationId, offset: u64, received: Timestamp, correlation: &CorrelationId) -> Self {
        Self { id: id.0.as_u128(), offset, received: seconds(received), correlation: hash(correlation), body: 0 }
    }

    pub(crate) fn with_body(self, body: u32) -> Self {
        Self { body, ..self }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let Self { id, offset, received, correlation, body } = *self;
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&received.to_le_bytes());
        out.extend_from_slice(&correlation.to_le_bytes());
        out.extend_from_slice(&body.to_le_bytes());
    }

    /// Reads 36 bytes, or 32 of the version before.
    fn get(from: &[u8]) -> Self {
        let part = |range: std::ops::Range<usize>| -> u128 {
            from.get(range).unwrap_or_default().iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))
        };
        Self {
            id: part(0..16),
            offset: part(16..24) as u64,
            received: part(24..28) as u32,
            correlation: part(28..32) as u32,
            body: part(32..36) as u32,
        }
    }
}

/// Seconds since 1970; the nearest there is for a time before, or after 2106.
pub(super) fn seconds(time: Timestamp) -> u32 {
    time.as_second().clamp(0, u32::MAX.into()) as u32
}

/// FNV-1a; stored, so it never changes.
fn hash(correlation: &CorrelationId) -> u32 {
    correlation.as_str().bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The value of a side record: the ids of one commit.
pub(crate) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + entries.len() * WIRE);
    out.push(VERSION);
    entries.iter().for_each(|entry| entry.put(&mut out));
    out
}

/// Reads what [`encode`] wrote, in this version or the one before.
pub(crate) fn decode(value: &[u8]) -> Result<impl Iterator<Item = Entry> + '_, SideError> {
    let (version, rest) = value.split_first().ok_or(SideError::Cut)?;
    let size = match *version {
        VERSION => WIRE,
        version if version == WITHOUT_BODY.0 => WITHOUT_BODY.1,
        other => return Err(SideError::Version(other, VERSION)),
    };
    let entries = rest.chunks_exact(size);
    if !entries.remainder().is_empty() {
        return Err(SideError::Cut);
    }
    Ok(entries.map(Entry::get))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn entry(id: u64, offset: u64, received: i64) -> Entry {
        let correlation = "c".parse().expect("an id");
        let received = Timestamp::from_second(1_700_000_000 + received).expect("a time");
        Entry::new(InvocationId::derived("s", &id.to_string()), offset, received, &correlation)
    }

    #[test]
    fn what_the_version_before_wrote_is_read() {
        let entries = [entry(1, 5, 0), entry(2, 6, 1)];
        let mut old = vec![1];
        encode(&entries)[1..].chunks_exact(WIRE).for_each(|entry| old.extend_from_slice(&entry[..32]));
        assert_eq!(decode(&old).expect("version 1").collect::<Vec<_>>(), entries);
        assert!(decode(&old[..old.len() - 4]).is_err());
        assert!(matches!(decode(&[3]).map(|_| ()), Err(SideError::Version(3, VERSION))));
    }

    proptest! {
        #[test]
        fn the_side_record_reads_as_it_was_written(ids in prop::collection::vec((any::<u64>(), any::<u64>(), 0..1_000_000i64), 0..50)) {
            let entries: Vec<Entry> =
                ids.into_iter().map(|(id, offset, at)| entry(id, offset, at).with_body(id as u32)).collect();
            let encoded = encode(&entries);
            prop_assert_eq!(decode(&encoded).expect("whole").collect::<Vec<_>>(), entries.clone());
            if !entries.is_empty() {
                prop_assert!(decode(&encoded[..encoded.len() - 1]).is_err());
            }
        }
    }
}
