//! A batch's body as a row holds it: packed with LZ4, because records of one batch are much alike, and what a commit costs
//! beyond its row is the bytes that SQLite writes twice. A first byte says whether it is packed.

use bytes::Bytes;

use crate::local::storage::StorageError;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;
/// Below this many bytes packing saves no page.
const WORTH_IT: usize = 512;

pub(super) fn pack(body: &[u8]) -> Vec<u8> {
    let mut out = vec![PLAIN; 1];
    if body.len() < WORTH_IT {
        out.extend_from_slice(body);
        return out;
    }
    out.resize(5 + lz4_flex::block::get_maximum_output_size(body.len()), 0);
    out[0] = LZ4;
    out[1..5].copy_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    match lz4_flex::block::compress_into(body, &mut out[5..]) {
        Ok(length) if length + 5 < body.len() => out.truncate(5 + length),
        _ => {
            out.truncate(1);
            out[0] = PLAIN;
            out.extend_from_slice(body);
        }
    }
    out
}

pub(super) fn unpack(stored: &[u8]) -> Result<Bytes, StorageError> {
    let damaged = || StorageError("a stored batch cannot be unpacked".into());
    match stored.split_first() {
        Some((&PLAIN, body)) => Ok(Bytes::copy_from_slice(body)),
        Some((&LZ4, rest)) => {
            let (length, packed) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
            let length = u32::from_le_bytes(*length) as usize;
            // LZ4 packs at most 255 to 1: a length beyond that is damage, and no reason to reserve memory.
            if length / 255 > packed.len() {
                return Err(damaged());
            }
            lz4_flex::block::decompress(packed, length).map(Bytes::from).map_err(|_| damaged())
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_body_is_unpacked_as_it_was(pattern in prop::collection::vec(any::<u8>(), 1..40), times in 0..200usize, noise in prop::collection::vec(any::<u8>(), 0..2000)) {
            let body: Vec<u8> = pattern.repeat(times).into_iter().chain(noise).collect();
            prop_assert_eq!(unpack(&pack(&body)).expect("whole"), body);
        }

        #[test]
        fn a_damaged_body_is_an_error_and_no_panic(stored in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&stored);
        }
    }
}
