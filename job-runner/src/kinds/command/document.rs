//! What a command reads from stdin.

use contracts::{cloud_event::CloudEvent, envelope::EventHeaders};

use crate::kind::Failure;

/// The event as one JSON document, with the data exactly as it was published, and a line's end behind it.
pub(super) fn structured(event: &EventHeaders, data: &[u8]) -> Result<Vec<u8>, Failure> {
    let wrong = |error: serde_json::Error| Failure::last(format!("the event's data is not JSON: {error}"));
    let mut out = serde_json::to_vec(&CloudEvent::new(event, data).map_err(wrong)?).map_err(wrong)?;
    out.push(b'\n');
    Ok(out)
}
