//! The event envelope: CloudEvents 1.0 in Kafka's binary mode. The value is the event's data as JSON; the attributes are
//! `ce_*` headers; marks that are only Herald's are `herald-*` headers.
//!
//! Source: CloudEvents 1.0.2, *Kafka Protocol Binding*, section 3.2 (binary content mode).

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    headers::{self, HeaderError, Headers, Writer, ce, optional, required},
    ids::{CorrelationId, EventId, InvocationId, JobRunId},
    names::{EventName, EventRef, JobName},
    raw::Place,
};

/// What the headers of an event say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHeaders {
    /// The event's id, derived from its invocation, name and version.
    pub id: EventId,
    /// Name and version; the version travels in the topic and in `dataschema`.
    pub event: EventRef,
    /// Where it comes from: `/hasura/<source>`, or what its publisher calls itself.
    pub source: String,
    /// The event's key.
    pub subject: Option<String>,
    /// When Herald received what the event was detected in.
    pub time: Timestamp,
    /// Where the schema of the data is served.
    pub dataschema: Option<String>,
    /// The correlation.
    pub correlation: CorrelationId,
    /// The invocation that it happened in.
    pub invocation: InvocationId,
    /// The job run that published it; without one, its invocation is its cause.
    pub cause: Option<JobRunId>,
    /// Who made the change.
    pub user: Option<String>,
    /// The organisation it was made for.
    pub organisation: Option<String>,
    /// W3C Trace Context.
    pub traceparent: Option<String>,
    /// The stamp: the jobs that will run for this event, whatever is edited meanwhile.
    pub jobs: Vec<JobName>,
    /// The number of the catalog that decided.
    pub catalog: u64,
    /// How many cascades led here.
    pub depth: u32,
    /// The raw record it was detected in.
    pub raw: Place,
}

/// What stands before a source's name in `ce_source`.
const SOURCE_PREFIX: &str = "/hasura/";

/// `ce_source` of what is detected in a body that the source of that name sent.
pub fn source_of(name: &str) -> String {
    format!("{SOURCE_PREFIX}{name}")
}

impl EventHeaders {
    /// The name of the source, or what the publisher calls itself.
    pub fn source_name(&self) -> &str {
        self.source.strip_prefix(SOURCE_PREFIX).unwrap_or(&self.source)
    }

    /// What caused it: the job run that published it, else its invocation.
    pub fn causation(&self) -> Uuid {
        self.cause.map_or(self.invocation.0, |run| run.0)
    }

    /// The headers as they travel.
    pub fn encode(&self) -> Headers {
        let mut out = Writer::with_capacity(18, 512);
        out.push(ce::SPECVERSION, "1.0");
        out.push(ce::ID, self.id);
        out.push(ce::SOURCE, &self.source);
        out.push(ce::TYPE, self.event.name.as_str());
        out.push_some(ce::SUBJECT, self.subject.as_deref().and_then(attribute));
        out.push(ce::TIME, self.time);
        out.push_some(ce::DATASCHEMA, self.dataschema.as_ref());
        out.push(ce::CORRELATION_ID, self.correlation.as_str());
        out.push(ce::CAUSATION_ID, self.causation());
        out.push_some(ce::USER_ID, self.user.as_deref().and_then(attribute));
        out.push_some(ce::ORGANISATION_ID, self.organisation.as_deref().and_then(attribute));
        out.push_some(headers::TRACEPARENT, self.traceparent.as_ref());
        out.push(headers::CONTENT_TYPE, "application/json");
        out.push(headers::JOBS, Joined(&self.jobs));
        out.push(headers::CATALOG, self.catalog);
        if self.depth > 0 {
            out.push(headers::DEPTH, self.depth);
        }
        out.push(headers::RAW_PLACE, self.raw);
        out.push_some(headers::INVOCATION, self.cause.map(|_| self.invocation));
        out.finish()
    }

    /// Reads the headers of a record of an event topic.
    ///
    /// `topic` is the topic without prefix; it tells the version.
    ///
    /// # Errors
    /// The topic is no event's, a header that every event has is missing, or one is malformed.
    pub fn decode(topic: &str, from: &Headers) -> Result<Self, HeaderError> {
        let name: EventName = required(from, ce::TYPE, "an event's name")?;
        let event = EventRef::from_topic(topic).filter(|event| event.name == name).ok_or_else(|| {
            HeaderError::Malformed { name: ce::TYPE, found: name.to_string(), expected: "the event of its topic" }
        })?;
        let causation: Uuid = required(from, ce::CAUSATION_ID, "a UUID")?;
        let invocation = optional(from, headers::INVOCATION, "a UUID")?;
        Ok(Self {
            id: required(from, ce::ID, "a UUID")?,
            event,
            source: required(from, ce::SOURCE, "a source")?,
            subject: optional(from, ce::SUBJECT, "text")?,
            time: required(from, ce::TIME, "an RFC 3339 time")?,
            dataschema: optional(from, ce::DATASCHEMA, "text")?,
            correlation: required(from, ce::CORRELATION_ID, "a correlation id")?,
            invocation: invocation.unwrap_or(InvocationId(causation)),
            cause: invocation.map(|_| JobRunId(causation)),
            user: optional(from, ce::USER_ID, "text")?,
            organisation: optional(from, ce::ORGANISATION_ID, "text")?,
            traceparent: optional(from, headers::TRACEPARENT, "text")?,
            jobs: stamp(from)?,
            catalog: required(from, headers::CATALOG, "a number")?,
            depth: optional(from, headers::DEPTH, "a number")?.unwrap_or(0),
            raw: required(from, headers::RAW_PLACE, "partition/offset")?,
        })
    }
}

/// A text as an attribute of CloudEvents may be: none if it is empty, and with what no attribute may have (control characters
/// and those that are no characters: section 3.1 of the specification, *String*) as `%` and two hexadecimal digits for each
/// byte of its UTF-8.
pub(crate) fn attribute(text: &str) -> Option<Cow<'_, str>> {
    let is_refused = |c: char| c.is_control() || matches!(c as u32, 0xfdd0..=0xfdef) || c as u32 & 0xfffe == 0xfffe;
    if text.is_empty() {
        return None;
    }
    if !text.chars().any(is_refused) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_refused(c) {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    Some(Cow::Owned(out))
}

/// Whether the stamp of an event names the job: the one check that a runner makes for every record that is not its own.
pub fn is_stamped(from: &Headers, job: &JobName) -> bool {
    from.text(headers::JOBS).is_some_and(|jobs| jobs.split(',').any(|name| name == job.as_str()))
}

/// Names with commas between them.
struct Joined<'a>(&'a [JobName]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, job) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            f.write_str(job.as_str())?;
        }
        Ok(())
    }
}

fn stamp(from: &Headers) -> Result<Vec<JobName>, HeaderError> {
    let text: String = required(from, headers::JOBS, "names of jobs")?;
    text.split(',').filter(|name| !name.is_empty()).map(str::parse).collect::<Result<_, _>>().map_err(|_| {
        HeaderError::Malformed { name: headers::JOBS, found: text.clone(), expected: "names of jobs joined by commas" }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_neither_empty_nor_has_control_characters() {
        for (text, expected) in [
            ("", None),
            ("plain ü 😀 100%", Some("plain ü 😀 100%")),
            ("a\nb\u{0}\u{7f}", Some("a%0Ab%00%7F")),
            ("\u{85}\u{fffe}\u{fdd0}\u{1ffff}", Some("%C2%85%EF%BF%BE%EF%B7%90%F0%9F%BF%BF")),
        ] {
            assert_eq!(attribute(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_envelope_reads_as_it_was_written() {
        let invocation = InvocationId::derived("default", "1");
        let event: EventRef = "move.new.v2".parse().expect("a name");
        let headers = EventHeaders {
            id: EventId::derived(invocation, &event),
            event: event.clone(),
            source: source_of("default"),
            subject: Some("7".into()),
            time: "2026-01-02T03:04:05.678901Z".parse().expect("a time"),
            dataschema: Some("https://herald.example/v1/schemas/move.new/2".into()),
            correlation: "order-7".parse().expect("an id"),
            invocation,
            cause: None,
            user: Some("me".into()),
            organisation: None,
            traceparent: None,
            jobs: vec!["job-1".parse().expect("a name"), "log".parse().expect("a name")],
            catalog: 3,
            depth: 1,
            raw: Place { partition: 2, offset: 77 },
        };
        let encoded = headers.encode();
        insta::assert_snapshot!(
            encoded.iter().map(|(k, v)| format!("{k}: {}\n", String::from_utf8_lossy(v))).collect::<String>()
        );
        assert_eq!(EventHeaders::decode(&event.topic(), &encoded), Ok(headers.clone()));
        let run = JobRunId(Uuid::from_u128(7));
        let published = EventHeaders { source: "/jobs/announce".into(), cause: Some(run), ..headers };
        let again = published.encode();
        assert_eq!(again.text(ce::CAUSATION_ID), Some(run.to_string().as_str()));
        assert_eq!(EventHeaders::decode(&event.topic(), &again), Ok(published));
        assert!(EventHeaders::decode("event.other", &encoded).is_err());
        assert!(is_stamped(&encoded, &"log".parse().expect("a name")));
        assert!(!is_stamped(&encoded, &"lo".parse().expect("a name")));
    }
}
