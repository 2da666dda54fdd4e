//! Headers of records: the type every bus carries, and the name of every header that Herald writes.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
};

use bytes::{Bytes, BytesMut};

/// `hasura`, `scheduled` or `named`: see [`crate::raw::Kind`].
pub const KIND: &str = "herald-kind";
/// The source's name, as in `/hasura/{source}`.
pub const SOURCE: &str = "herald-source";
/// The source event's own id, where it has one.
pub const SOURCE_ID: &str = "herald-source-id";
/// When Herald received it (RFC 3339): the event's time, from which every decision about time is taken.
pub const RECEIVED: &str = "herald-received";
/// The invocation's id.
pub const INVOCATION: &str = "herald-invocation";
/// The correlation's id, on raw records.
pub const CORRELATION: &str = "herald-correlation";
/// How many cascades led here.
pub const DEPTH: &str = "herald-depth";
/// A correlation whose token an update left standing, or that a deleted row carried.
pub const RELATED_TO: &str = "herald-relatedto";
/// The stamp: the names of the event's jobs, joined by commas.
pub const JOBS: &str = "herald-jobs";
/// The number of the catalog that decided.
pub const CATALOG: &str = "herald-catalog";
/// The raw record that an event was detected in: `partition/offset`.
pub const RAW_PLACE: &str = "herald-raw";
/// W3C Trace Context, from the request to the job.
pub const TRACEPARENT: &str = "traceparent";
/// The media type of the value.
pub const CONTENT_TYPE: &str = "content-type";

/// The attributes of CloudEvents 1.0 in Kafka's binary mode.
pub mod ce {
    /// Always `1.0`.
    pub const SPECVERSION: &str = "ce_specversion";
    /// The event's id.
    pub const ID: &str = "ce_id";
    /// `/hasura/<source>`.
    pub const SOURCE: &str = "ce_source";
    /// The event's name.
    pub const TYPE: &str = "ce_type";
    /// The event's key.
    pub const SUBJECT: &str = "ce_subject";
    /// When Herald received what the event was detected in.
    pub const TIME: &str = "ce_time";
    /// Where the schema of the data is served.
    pub const DATASCHEMA: &str = "ce_dataschema";
    /// Extension: the correlation's id.
    pub const CORRELATION_ID: &str = "ce_correlationid";
    /// Extension: what caused the event (its invocation).
    pub const CAUSATION_ID: &str = "ce_causationid";
    /// Extension: who made the change.
    pub const USER_ID: &str = "ce_userid";
    /// Extension: the organisation the change was made for.
    pub const ORGANISATION_ID: &str = "ce_organisationid";
}

/// Every name above, numbered by its place: stored logs refer to headers by it, so names are only ever appended.
pub const KNOWN: &[&str] = &[
    KIND,
    SOURCE,
    SOURCE_ID,
    RECEIVED,
    INVOCATION,
    CORRELATION,
    DEPTH,
    RELATED_TO,
    JOBS,
    CATALOG,
    RAW_PLACE,
    TRACEPARENT,
    CONTENT_TYPE,
    ce::SPECVERSION,
    ce::ID,
    ce::SOURCE,
    ce::TYPE,
    ce::SUBJECT,
    ce::TIME,
    ce::DATASCHEMA,
    ce::CORRELATION_ID,
    ce::CAUSATION_ID,
    ce::USER_ID,
    ce::ORGANISATION_ID,
];

/// The constant of a name that Herald writes, so that reading it allocates nothing.
pub fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

/// Writes headers whose values share one allocation.
#[derive(Debug)]
pub(crate) struct Writer {
    values: BytesMut,
    /// The names, and where the value of each ends.
    ends: Vec<(&'static str, usize)>,
}

impl Writer {
    /// No headers, with room for so many, of so many bytes.
    pub(crate) fn with_capacity(count: usize, bytes: usize) -> Self {
        Self { values: BytesMut::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Appends a header.
    pub(crate) fn push(&mut self, name: &'static str, value: impl Display) {
        write!(self.values, "{value}").expect("invariant: the buffer grows");
        self.ends.push((name, self.values.len()));
    }

    /// Appends a header if there is a value.
    pub(crate) fn push_some(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The headers.
    pub(crate) fn finish(self) -> Headers {
        let (values, mut start) = (self.values.freeze(), 0);
        let header = |(name, end)| (Cow::Borrowed(name), values.slice(std::mem::replace(&mut start, end)..end));
        Headers(self.ends.into_iter().map(header).collect())
    }
}

/// The headers of one record, in the order they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Bytes)>);

impl Headers {
    /// No headers, with room for some.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the last header of that name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().rev().find(|(have, _)| have == name).map(|(_, value)| value)
    }

    /// The value of the last header of that name, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Cow<'static, str>, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a record's headers cannot be read as what the topic holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A header that every record of the topic has.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header whose text is not what it should be.
    #[error("the header `{name}` is {found:?}, not {expected}")]
    Malformed {
        /// The header.
        name: &'static str,
        /// Its text.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

pub(crate) fn required<T: std::str::FromStr>(
    headers: &Headers,
    name: &'static str,
    expected: &'static str,
) -> Result<T, HeaderError> {
    optional(headers, name, expected)?.ok_or(HeaderError::Missing(name))
}

pub(crate) fn optional<T: std::str::FromStr>(
    headers: &Headers,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, HeaderError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    text.map(Some).ok_or_else(|| HeaderError::Malformed {
        name,
        found: String::from_utf8_lossy(value).into_owned(),
        expected,
    })
}
