//! An event in CloudEvents' structured JSON form, from its binary form: any record with `ce_*` headers will do.

use bus::Record;
use contracts::headers::CONTENT_TYPE;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// A record of an event topic, as JSON.
pub(super) struct Structured<'a>(pub(super) &'a Record);

impl Serialize for Structured<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(record) = self;
        let mut map = to.serialize_map(None)?;
        for (name, value) in record.headers.iter() {
            let Ok(text) = std::str::from_utf8(value) else { continue };
            if let Some(attribute) = attribute(name) {
                map.serialize_entry(&attribute, text)?;
            }
        }
        match serde_json::from_slice::<&RawValue>(record.value()) {
            Ok(data) => map.serialize_entry("data", data)?,
            Err(_) => map.serialize_entry("data", &String::from_utf8_lossy(record.value()))?,
        }
        map.end()
    }
}

/// The attribute of a header; names of attributes are lower-case letters and digits.
fn attribute(header: &str) -> Option<String> {
    match header {
        CONTENT_TYPE => Some("datacontenttype".to_owned()),
        "traceparent" => Some(header.to_owned()),
        _ => match header.strip_prefix("ce_") {
            Some(name) => Some(name.to_owned()),
            None => header.strip_prefix("herald-").map(|mark| format!("herald{}", mark.replace('-', ""))),
        },
    }
}
