//! A record of an event topic as one JSON document.

use bus::Record;
use contracts::{cloud_event::CloudEvent, envelope::EventHeaders};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The event as CloudEvents' structured form; what is no event of Herald says why.
pub(super) struct Structured<'a>(pub(super) &'a Record);

impl Serialize for Structured<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(record) = self;
        let unreadable = |to: S, reason: String| {
            let mut map = to.serialize_map(Some(1))?;
            map.serialize_entry("unreadable", &reason)?;
            map.end()
        };
        let headers = match EventHeaders::decode(record.topic.as_str(), &record.headers) {
            Ok(headers) => headers,
            Err(error) => return unreadable(to, error.to_string()),
        };
        match CloudEvent::new(&headers, record.value()) {
            Ok(event) => event.serialize(to),
            Err(error) => unreadable(to, format!("the data is not JSON: {error}")),
        }
    }
}
