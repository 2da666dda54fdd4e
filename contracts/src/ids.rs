//! Ids are derived, not drawn: whatever is processed again gets the same ids and can be recognised.
//!
//! Every id is a UUIDv5 under one fixed namespace over its parts, each preceded by its length, so that `("ab", "c")` and
//! `("a", "bc")` differ. Only what arrives without any id of its own gets a fresh UUIDv7.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::names::{EventRef, GroupName, JobName};

/// Herald's namespace of derived ids. Changing it changes every id ever handed out, so it never changes.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x6f1b_2a0e_54c7_5d0b_9a35_2b7c_61d4_8e90);

/// The longest correlation id, in characters.
pub const MAX_CORRELATION_ID: usize = 128;

fn derive(what: &str, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::with_capacity(128);
    for part in std::iter::once(what.as_bytes()).chain(parts.iter().copied()) {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One thing that came in (a change, a publication, a cascade), however often it was delivered.
    InvocationId
);
uuid_id!(
    /// One named event that was detected in an invocation.
    EventId
);
uuid_id!(
    /// One job's run for one event, over all its attempts.
    JobRunId
);
uuid_id!(
    /// What the events of a window have in common.
    WindowId
);
uuid_id!(
    /// One order of an operator.
    OrderId
);

impl InvocationId {
    /// The invocation of a source's event id.
    pub fn derived(source: &str, source_id: &str) -> Self {
        Self(derive("invocation", &[source.as_bytes(), source_id.as_bytes()]))
    }

    /// The invocation of what was published by name, from the publisher's own id. Publishers name themselves as they like,
    /// so that none of theirs is one of [`InvocationId::derived`].
    pub fn published(publisher: &str, source_id: &str) -> Self {
        Self(derive("publication", &[publisher.as_bytes(), source_id.as_bytes()]))
    }

    /// The invocation of a body without any id of its own; it cannot be recognised when it comes again.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl EventId {
    /// The event of that name and version in an invocation.
    pub fn derived(invocation: InvocationId, event: &EventRef) -> Self {
        let version = event.version.to_be_bytes();
        Self(derive("event", &[invocation.0.as_bytes(), event.name.as_str().as_bytes(), &version]))
    }
}

impl JobRunId {
    /// The run of that job for an event. It is also the idempotency key that every attempt hands to the job.
    pub fn derived(event: EventId, job: &JobName) -> Self {
        Self(derive("job-run", &[event.0.as_bytes(), job.as_str().as_bytes()]))
    }
}

impl WindowId {
    /// Of events of which that expression has that value.
    pub fn derived(by: &str, value: &str) -> Self {
        Self(derive("window", &[by.as_bytes(), value.as_bytes()]))
    }

    /// Of events of that key.
    pub fn of_key(key: &[u8]) -> Self {
        Self(derive("window-of-key", &[key]))
    }
}

impl OrderId {
    /// The order that a caller gave a key: the same request again is the same order.
    pub fn derived(job: &GroupName, key: &str) -> Self {
        Self(derive("order", &[job.as_str().as_bytes(), key.as_bytes()]))
    }

    /// An order that nobody gave a key.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

/// What ties together everything that one change caused: 1 to 128 printable ASCII characters without space, kept as
/// they were given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct CorrelationId(Arc<str>);

/// Why a text is no correlation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id has 1 to 128 printable ASCII characters without space")]
pub struct NoCorrelationId;

impl CorrelationId {
    /// The correlation of an invocation whose caller named none, from the source event's id.
    pub fn derived(source: &str, source_id: &str) -> Self {
        Self(derive("correlation", &[source.as_bytes(), source_id.as_bytes()]).to_string().into())
    }

    /// The correlation of a publication whose publisher named none.
    pub fn published(publisher: &str, source_id: &str) -> Self {
        Self(derive("correlation-of-publication", &[publisher.as_bytes(), source_id.as_bytes()]).to_string().into())
    }

    /// The correlation of an invocation that has no id of its own either.
    pub fn of_fresh(invocation: InvocationId) -> Self {
        Self(derive("correlation", &[invocation.0.as_bytes()]).to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = NoCorrelationId;
    fn from_str(text: &str) -> Result<Self, NoCorrelationId> {
        let fits = (1..=MAX_CORRELATION_ID).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if fits { Ok(Self(text.into())) } else { Err(NoCorrelationId) }
    }
}

impl TryFrom<String> for CorrelationId {
    type Error = NoCorrelationId;
    fn try_from(text: String) -> Result<Self, NoCorrelationId> {
        text.parse()
    }
}

impl Serialize for CorrelationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Borrow<str> for CorrelationId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_never_change() {
        // Golden values: a change here breaks deduplication and idempotency keys across an upgrade.
        let invocation = InvocationId::derived("default", "afcd8c6c-d13d-4ca0-acab-8dd13260b6d5");
        let event = EventId::derived(invocation, &"move.new".parse().expect("a name"));
        let run = JobRunId::derived(event, &"job-1".parse().expect("a name"));
        let correlation = CorrelationId::derived("default", "afcd8c6c-d13d-4ca0-acab-8dd13260b6d5");
        insta::assert_snapshot!(format!("{invocation}\n{event}\n{run}\n{correlation}"));
        let publication = InvocationId::published("/shop", "7");
        insta::assert_snapshot!("published", format!("{publication}\n{}", CorrelationId::published("/shop", "7")));
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        assert_ne!(InvocationId::derived("ab", "c"), InvocationId::derived("a", "bc"));
        assert_ne!(InvocationId::derived("default", "1"), InvocationId::derived("other", "1"));
        assert_ne!(InvocationId::derived("default", "1"), InvocationId::published("default", "1"));
    }

    #[test]
    fn a_correlation_id_is_printable_ascii() {
        assert!("a b".parse::<CorrelationId>().is_err());
        assert!("".parse::<CorrelationId>().is_err());
        assert!("é".parse::<CorrelationId>().is_err());
        assert!("x".repeat(129).parse::<CorrelationId>().is_err());
        assert_eq!("Order-7/é".parse::<CorrelationId>(), Err(NoCorrelationId));
        assert_eq!("Order-7/~!".parse::<CorrelationId>().map(|id| id.to_string()), Ok("Order-7/~!".to_owned()));
    }
}
