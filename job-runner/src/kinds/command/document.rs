//! What a command reads from stdin.

use std::borrow::Cow;

use contracts::{cloud_event::CloudEvent, envelope::EventHeaders};
use serde::Serialize;

use super::output::on_one_line;
use crate::kind::Failure;

/// The event as one JSON document on one line, with the data's values exactly as they were published.
pub(super) fn structured(event: &EventHeaders, data: &[u8]) -> Result<Vec<u8>, Failure> {
    let data = in_one_line(data);
    line(&CloudEvent::new(event, &data).map_err(wrong)?)
}

/// A document with a line's end behind it.
pub(super) fn line(document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut out = serde_json::to_vec(document).map_err(wrong)?;
    out.push(b'\n');
    Ok(out)
}

/// JSON without ends of lines, which stand between its parts alone.
pub(super) fn in_one_line(json: &[u8]) -> Cow<'_, [u8]> {
    match str::from_utf8(json) {
        Ok(text) if text.contains('\n') => on_one_line(text).into_bytes().into(),
        _ => json.into(),
    }
}

/// What to say of data that are no JSON.
pub(super) fn wrong(error: serde_json::Error) -> Failure {
    Failure::last(format!("the event's data is not JSON: {error}"))
}
