//! Headers of records: the type every bus carries, and the name of every header that Herald writes.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write as _},
    ops::Range,
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
/// The key of an event that moved to a lane or to the dead letters, which have keys of their own.
pub const KEY: &str = "herald-key";
/// What became of an event that is a dead letter: see [`crate::dead`].
pub const DEAD: &str = "herald-dead";
/// W3C Trace Context, from the request to the job.
pub const TRACEPARENT: &str = "traceparent";
/// The media type of the value.
pub const CONTENT_TYPE: &str = "content-type";
/// The name and version of an event that is published by name, on its raw record.
pub const EVENT: &str = "herald-event";

/// The attributes of CloudEvents 1.0 in Kafka's binary mode.
pub mod ce {
    /// Always `1.0`.
    pub const SPECVERSION: &str = "ce_specversion";
    /// The event's id.
    pub const ID: &str = "ce_id";
    /// `/hasura/<source>`, or what the publisher of a named event calls itself.
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
    /// Extension: what caused the event: its invocation, or the job run that published it.
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
    EVENT,
    KEY,
    DEAD,
];

/// The constant of a name that Herald writes, so that reading it allocates nothing.
pub fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

/// The headers of one record, in the order they were written. Their values share one allocation.
#[derive(Clone, Default)]
pub struct Headers {
    values: Bytes,
    entries: Vec<Entry>,
}

/// A header, with the place of its value.
#[derive(Clone)]
struct Entry {
    name: Cow<'static, str>,
    start: u32,
    end: u32,
}

impl Headers {
    /// Headers whose values are parts of something larger.
    ///
    /// # Panics
    /// A part lies outside, or beyond 4 GiB.
    pub fn of_parts(values: Bytes, parts: impl IntoIterator<Item = (Cow<'static, str>, Range<usize>)>) -> Self {
        let entry = |(name, part): (_, Range<usize>)| {
            assert!(part.start <= part.end && part.end <= values.len(), "invariant: a part lies inside");
            Entry { name, start: place(part.start), end: place(part.end) }
        };
        let entries = parts.into_iter().map(entry).collect();
        Self { values, entries }
    }

    /// The value of the last header of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.entries.iter().rev().find(|entry| entry.name == name).map(|entry| self.value(entry))
    }

    /// The value of the last header of that name, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|entry| (&*entry.name, self.value(entry)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes their names and values have.
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        &self.values[entry.start as usize..entry.end as usize]
    }
}

/// No bus carries a record of 4 GiB.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("invariant: headers are smaller than 4 GiB")
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

impl<N: Into<Cow<'static, str>>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut out = Writer::default();
        headers.into_iter().for_each(|(name, value)| out.push_bytes(name, value.as_ref()));
        out.finish()
    }
}

/// Writes headers one after another.
#[derive(Default)]
pub struct Writer {
    values: BytesMut,
    entries: Vec<Entry>,
}

impl Writer {
    /// No headers, with room for so many, of so many bytes.
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Self::in_buffer(count, BytesMut::with_capacity(bytes))
    }

    /// No headers, with room for so many in what a buffer has left.
    pub fn in_buffer(count: usize, values: BytesMut) -> Self {
        Self { values, entries: Vec::with_capacity(count) }
    }

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Display) {
        let start = self.values.len();
        write!(self.values, "{value}").expect("invariant: the buffer grows");
        self.entry(name.into(), start);
    }

    /// Appends a header of any bytes.
    pub fn push_bytes(&mut self, name: impl Into<Cow<'static, str>>, value: &[u8]) {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        self.entry(name.into(), start);
    }

    /// Appends a header if there is a value.
    pub fn push_some(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The headers.
    pub fn finish(self) -> Headers {
        Headers { values: self.values.freeze(), entries: self.entries }
    }

    fn entry(&mut self, name: Cow<'static, str>, start: usize) {
        self.entries.push(Entry { name, start: place(start), end: place(self.values.len()) });
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
    let text = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    text.map(Some).ok_or_else(|| HeaderError::Malformed {
        name,
        found: String::from_utf8_lossy(value).into_owned(),
        expected,
    })
}
