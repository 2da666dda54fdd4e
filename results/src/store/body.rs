//! How a row's body is written: one byte that names the encoding, then JSON.

use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// JSON behind the byte.
const JSON: u8 = 1;

/// The body of a value; `room` is about its size in bytes.
pub(super) fn encode<T: Serialize>(value: &T, room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(room);
    out.push(JSON);
    serde_json::to_writer(&mut out, value).expect("invariant: the state is plain data with string keys");
    out
}

/// The value of a body; `row` names it in the error.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8], row: i64) -> Result<T, StoreError> {
    match body.split_first() {
        Some((&JSON, json)) => {
            serde_json::from_slice(json).map_err(|error| StoreError::Damaged { row, why: error.to_string() })
        }
        Some((other, _)) => Err(StoreError::Damaged { row, why: format!("its encoding is {other}") }),
        None => Err(StoreError::Damaged { row, why: "its body is empty".into() }),
    }
}
