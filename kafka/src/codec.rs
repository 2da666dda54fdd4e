//! Records as librdkafka has them, and as we have them.

use std::borrow::Cow;

use bytes::BytesMut;
use contracts::headers::{Writer, known};
use jiff::Timestamp;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::BaseRecord,
    util::IntoOpaque,
};

use bus::{Offset, Outgoing, Partition, Record, Topic};

/// What topics are called on the cluster.
#[derive(Debug, Clone)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Names with this prefix.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The name on the cluster of a topic or a group.
    pub fn outer(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Our name of a topic; none if it is not ours.
    pub fn inner(&self, name: &str) -> Option<Topic> {
        name.strip_prefix(&self.prefix).filter(|rest| !rest.is_empty()).map(Topic::from)
    }
}

/// A record for a producer. Its partition is always explicit: keys choose it, by our own hash.
pub(crate) fn outgoing<'a, D: IntoOpaque>(
    topic: &'a str,
    partition: Partition,
    record: &'a Outgoing,
    opaque: D,
) -> BaseRecord<'a, [u8], [u8], D> {
    let mut out = BaseRecord::with_opaque_to(topic, opaque).partition(partition.0.cast_signed());
    out.key = record.key.as_deref();
    out.payload = record.value.as_deref();
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in record.headers.iter() {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        out.headers = Some(headers);
    }
    out
}

/// A record as it was read: one copy of all its bytes. A header without a value counts as an empty one.
pub(crate) fn incoming(topic: &Topic, message: &BorrowedMessage<'_>) -> Record {
    let theirs = message.headers();
    let values = || theirs.iter().flat_map(|headers| headers.iter()).map(|header| header.value.unwrap_or_default());
    let (key, payload) = (message.key(), message.payload());
    let size = values().map(<[u8]>::len).sum::<usize>() + key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
    let mut bytes = BytesMut::with_capacity(size);
    let mut copy = |part: &[u8]| {
        bytes.extend_from_slice(part);
        bytes.split().freeze()
    };
    let (key, value) = (key.map(&mut copy), payload.map(&mut copy));
    let mut headers = Writer::in_buffer(theirs.map_or(0, |headers| headers.count()), bytes);
    for header in theirs.iter().flat_map(|headers| headers.iter()) {
        let name = known(header.key).map_or_else(|| Cow::Owned(header.key.to_owned()), Cow::Borrowed);
        headers.push_bytes(name, header.value.unwrap_or_default());
    }
    let millis = message.timestamp().to_millis().unwrap_or_default();
    Record {
        topic: topic.clone(),
        partition: Partition(message.partition().cast_unsigned()),
        offset: offset(message.offset()),
        published: Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH),
        key,
        value,
        headers: headers.finish(),
    }
}

/// The number that Kafka has for an offset.
pub(crate) fn raw(offset: Offset) -> i64 {
    i64::try_from(offset.0).unwrap_or(i64::MAX)
}

/// The offset of a number that Kafka has.
pub(crate) fn offset(raw: i64) -> Offset {
    Offset(raw.max(0).cast_unsigned())
}
