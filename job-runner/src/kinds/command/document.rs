//! The event as one JSON document: CloudEvents 1.0.2, *JSON Event Format*, section 3 (structured mode).

use contracts::envelope::EventHeaders;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::kind::Failure;

#[derive(Serialize)]
struct Document<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<&'a str>,
    correlationid: &'a str,
    causationid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    userid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organisationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The document, with the data exactly as it was published, and a line's end behind it.
pub(super) fn structured(event: &EventHeaders, data: &[u8]) -> Result<Vec<u8>, Failure> {
    let wrong = |error: serde_json::Error| Failure::new(format!("the event's data is not JSON: {error}"));
    let data: Option<&RawValue> =
        if data.is_empty() { None } else { Some(serde_json::from_slice(data).map_err(wrong)?) };
    let document = Document {
        specversion: "1.0",
        id: event.id.to_string(),
        source: format!("/hasura/{}", event.source),
        r#type: event.event.name.as_str(),
        subject: event.subject.as_deref(),
        time: event.time.to_string(),
        dataschema: event.dataschema.as_deref(),
        correlationid: event.correlation.as_str(),
        causationid: event.causation.to_string(),
        userid: event.user.as_deref(),
        organisationid: event.organisation.as_deref(),
        traceparent: event.traceparent.as_deref(),
        datacontenttype: data.map(|_| "application/json"),
        data,
    };
    let mut out = serde_json::to_vec(&document).map_err(wrong)?;
    out.push(b'\n');
    Ok(out)
}
