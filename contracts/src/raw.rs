//! The raw record: a body exactly as it was received, and what is known about it in its headers. Of an event that is
//! published by name it is the event's data as its publisher wrote them; the attributes are headers.

use std::{convert::Infallible, fmt, str::FromStr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Label,
    hasura::Occasion,
    headers::{self, HeaderError, Headers, Writer, ce, optional, required},
    ids::{CorrelationId, InvocationId, JobRunId},
    names::EventRef,
};

/// What kind of body a raw record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Hasura event trigger's body: a change in which events are detected.
    Hasura,
    /// A Hasura cron or one-off trigger's body, in which events are detected by its name.
    Scheduled,
    /// A call of a Hasura action, in which events are detected by its name.
    Action,
    /// An event that is already named: published by name, by a schedule, or by a job.
    Named,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

impl Kind {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hasura => "hasura",
            Self::Scheduled => "scheduled",
            Self::Action => "action",
            Self::Named => "named",
            Self::Unknown(label) => label.as_str(),
        }
    }

    /// What events are detected in where a record is of this kind; none where it is named already, or not known.
    pub fn occasion(self) -> Option<Occasion> {
        match self {
            Self::Hasura => Some(Occasion::Change),
            Self::Scheduled => Some(Occasion::Scheduled),
            Self::Action => Some(Occasion::Action),
            Self::Named | Self::Unknown(_) => None,
        }
    }
}

impl FromStr for Kind {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "hasura" => Self::Hasura,
            "scheduled" => Self::Scheduled,
            "action" => Self::Action,
            "named" => Self::Named,
            other => Self::Unknown(Label::new(other)),
        })
    }
}

/// What a publisher is called that does not say.
pub const PUBLISHER: &str = "/events";
/// What stands before a job's full name where it publishes.
pub const JOBS: &str = "/jobs/";

/// Where a raw record stands in the log: its partition and offset, written `partition/offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Place {
    /// The partition of `raw`.
    pub partition: u32,
    /// The offset in it.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

/// The text is not `partition/offset`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a place is written partition/offset")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (partition, offset) = text.split_once('/').ok_or(NoPlace)?;
        Ok(Self { partition: partition.parse().map_err(|_| NoPlace)?, offset: offset.parse().map_err(|_| NoPlace)? })
    }
}

impl TryFrom<String> for Place {
    type Error = NoPlace;
    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the headers of a raw record say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawHeaders {
    /// What the body is.
    pub kind: Kind,
    /// The source's name; of a named record, what its publisher calls itself (`source` in CloudEvents).
    pub source: String,
    /// The source event's own id; without one the record is never a duplicate.
    pub source_id: Option<String>,
    /// When it was received: the time from which every decision is taken.
    pub received: Timestamp,
    /// The invocation.
    pub invocation: InvocationId,
    /// The correlation it belongs to.
    pub correlation: CorrelationId,
    /// How many cascades led here.
    pub depth: u32,
    /// A correlation that is only related: its token was left standing or was on a deleted row.
    pub related_to: Option<CorrelationId>,
    /// W3C Trace Context of the request.
    pub traceparent: Option<String>,
    /// What a record of the kind `named` says of its event.
    pub named: Option<Box<Named>>,
}

/// What a named record says of the event that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Name and version.
    pub event: EventRef,
    /// The job run that published it, in a cascade.
    pub cause: Option<JobRunId>,
    /// On whose behalf.
    pub user: Option<String>,
    /// For which organisation.
    pub organisation: Option<String>,
}

impl RawHeaders {
    /// The headers as they travel.
    pub fn encode(&self) -> Headers {
        let mut out = Writer::with_capacity(9, 320);
        out.push(headers::KIND, self.kind.as_str());
        out.push(headers::SOURCE, &self.source);
        out.push_some(headers::SOURCE_ID, self.source_id.as_ref());
        out.push(headers::RECEIVED, self.received);
        out.push(headers::INVOCATION, self.invocation);
        out.push(headers::CORRELATION, self.correlation.as_str());
        if self.depth > 0 {
            out.push(headers::DEPTH, self.depth);
        }
        out.push_some(headers::RELATED_TO, self.related_to.as_ref().map(CorrelationId::as_str));
        out.push_some(headers::TRACEPARENT, self.traceparent.as_ref());
        if let Some(named) = &self.named {
            out.push(headers::EVENT, &named.event);
            out.push_some(ce::CAUSATION_ID, named.cause);
            out.push_some(ce::USER_ID, named.user.as_ref());
            out.push_some(ce::ORGANISATION_ID, named.organisation.as_ref());
            out.push(headers::CONTENT_TYPE, "application/json");
        }
        out.finish()
    }

    /// Reads the headers of a raw record.
    ///
    /// # Errors
    /// A header that every raw record has is missing, or one is malformed: the record was not written by Herald.
    pub fn decode(from: &Headers) -> Result<Self, HeaderError> {
        let kind = required(from, headers::KIND, "hasura, scheduled, action or named")?;
        Ok(Self {
            kind,
            source: required(from, headers::SOURCE, "a source's name")?,
            source_id: optional(from, headers::SOURCE_ID, "text")?,
            received: required(from, headers::RECEIVED, "an RFC 3339 time")?,
            invocation: required(from, headers::INVOCATION, "a UUID")?,
            correlation: required(from, headers::CORRELATION, "a correlation id")?,
            depth: optional(from, headers::DEPTH, "a number")?.unwrap_or(0),
            related_to: optional(from, headers::RELATED_TO, "a correlation id")?,
            traceparent: optional(from, headers::TRACEPARENT, "text")?,
            named: (kind == Kind::Named).then(|| Named::decode(from).map(Box::new)).transpose()?,
        })
    }
}

impl Named {
    fn decode(from: &Headers) -> Result<Self, HeaderError> {
        Ok(Self {
            event: required(from, headers::EVENT, "an event's name")?,
            cause: optional(from, ce::CAUSATION_ID, "a UUID")?,
            user: optional(from, ce::USER_ID, "text")?,
            organisation: optional(from, ce::ORGANISATION_ID, "text")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_record_says_of_which_event_and_by_which_job_run() {
        let event: EventRef = "move.invoiced.v2".parse().expect("a name");
        let named = Named {
            event: event.clone(),
            cause: Some(JobRunId(uuid::Uuid::from_u128(7))),
            user: Some("me".into()),
            organisation: None,
        };
        let headers = RawHeaders {
            kind: Kind::Named,
            source: "https://shop.example".into(),
            source_id: Some("7".into()),
            received: "2026-01-02T03:04:05.678901Z".parse().expect("a time"),
            invocation: InvocationId::published("https://shop.example", "7"),
            correlation: "order-7".parse().expect("an id"),
            depth: 1,
            related_to: None,
            traceparent: None,
            named: Some(Box::new(named)),
        };
        let encoded = headers.encode();
        insta::assert_snapshot!(
            encoded.iter().map(|(k, v)| format!("{k}: {}\n", String::from_utf8_lossy(v))).collect::<String>()
        );
        assert_eq!(RawHeaders::decode(&encoded), Ok(headers.clone()));
        let nameless = RawHeaders { named: None, ..headers };
        assert_eq!(RawHeaders::decode(&nameless.encode()), Err(HeaderError::Missing(headers::EVENT)));
    }
}
