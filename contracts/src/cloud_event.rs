//! An event as one JSON document: CloudEvents 1.0.2, *JSON Event Format*, section 3 (structured mode). What the API and
//! live streams show, and what a command reads from stdin. On the bus an event travels in binary mode: see
//! [`crate::envelope`].

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::envelope::{EventHeaders, attribute};

/// The document. `herald…` are Herald's own extensions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<&'a str>,
    correlationid: &'a str,
    causationid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    userid: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organisationid: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    heraldcatalog: String,
    heraldjobs: String,
    heraldraw: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    heralddepth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    data: Option<&'a RawValue>,
}

impl<'a> CloudEvent<'a> {
    /// The event of these headers, with its data exactly as it was published; empty data is none.
    ///
    /// # Errors
    /// The data is not JSON.
    pub fn new(event: &'a EventHeaders, data: &'a [u8]) -> Result<Self, serde_json::Error> {
        let data: Option<&RawValue> = if data.is_empty() { None } else { Some(serde_json::from_slice(data)?) };
        let jobs: Vec<&str> = event.jobs.iter().map(|job| job.as_str()).collect();
        Ok(Self {
            specversion: "1.0",
            id: event.id.to_string(),
            source: &event.source,
            r#type: event.event.name.as_str(),
            subject: event.subject.as_deref().and_then(attribute),
            time: event.time.to_string(),
            dataschema: event.dataschema.as_deref(),
            correlationid: event.correlation.as_str(),
            causationid: event.causation().to_string(),
            userid: event.user.as_deref().and_then(attribute),
            organisationid: event.organisation.as_deref().and_then(attribute),
            traceparent: event.traceparent.as_deref(),
            heraldcatalog: event.catalog.to_string(),
            heraldjobs: jobs.join(","),
            heraldraw: event.raw.to_string(),
            heralddepth: (event.depth > 0).then(|| event.depth.to_string()),
            datacontenttype: data.map(|_| "application/json"),
            data,
        })
    }
}
