//! How a decision becomes records.

use bus::{Outgoing, Topic};
use bytes::Bytes;
use contracts::{
    envelope::EventHeaders,
    headers::Headers,
    progress::{Fact, Occurrence, Progress},
    rejected::{self, Rejected},
    topics,
};

use crate::measure;

/// A progress record, keyed by its correlation.
pub(crate) fn progress(occurrence: Occurrence, fact: Fact) -> Outgoing {
    let key = occurrence.correlation.as_str().to_owned();
    Outgoing::new(Topic::progress(), key, Progress { occurrence, fact }.encode())
}

/// An event: its data as the value, its attributes as headers, keyed by its subject.
pub(crate) fn event(topic: Topic, headers: &EventHeaders, key: Option<Bytes>, data: Vec<u8>) -> Outgoing {
    let record = Outgoing::new(topic, Bytes::new(), data).with_headers(headers.encode());
    Outgoing { key, ..record }
}

/// Why something was refused.
pub(crate) struct Refusal<'a> {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    pub(crate) source: &'a str,
    pub(crate) at: jiff::Timestamp,
    pub(crate) occurrence: Option<&'a Occurrence>,
    pub(crate) raw: contracts::raw::Place,
    pub(crate) event: Option<contracts::names::EventRef>,
}

/// A record of the topic `rejected`, keyed by its source.
pub(crate) fn rejected(refusal: Refusal<'_>) -> Outgoing {
    let value = Rejected {
        v: rejected::VERSION,
        stage: "detector".into(),
        reason: refusal.reason.into(),
        detail: refusal.detail,
        at: refusal.at,
        source: measure::name_of(refusal.source),
        size: None,
        sha256: None,
        raw: Some(refusal.raw),
        invocation: refusal.occurrence.map(|occurrence| occurrence.invocation),
        correlation: refusal.occurrence.map(|occurrence| occurrence.correlation.clone()),
        event: refusal.event,
    };
    Outgoing::new(topics::REJECTED, value.source.clone(), value.encode()).with_headers(Headers::default())
}
