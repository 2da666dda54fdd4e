//! What a job publishes by name: one event, whose raw record is written in the commit that ends the run, or not at all.
//!
//! The record's source id is the run, so that one which is made again is recognised by the detector, whatever it says then.

use bus::{MAX_RECORD, Outgoing, Topic};
use bytes::Bytes;
use contracts::{
    envelope::EventHeaders,
    ids::{InvocationId, JobRunId},
    json,
    names::{EventRef, GroupName},
    progress::{Awaited, Fact, Occurrence, Progress, Published},
    raw::{JOBS, Kind, Named, RawHeaders},
    topics,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::kind::{Failure, Run};

/// The longest key, in bytes.
const MAX_KEY: usize = catalog::MAX_KEY;

/// An event that a run publishes by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    event: EventRef,
    /// What its publisher calls itself.
    publisher: String,
    key: String,
    data: Bytes,
}

impl Publication {
    /// That run publishes that event. Without a key it has that of the run's event.
    ///
    /// # Errors
    /// The key or the whole is larger than any event may be.
    pub fn new(run: &Run, event: EventRef, data: &Value, key: Option<String>) -> Result<Self, Failure> {
        let key = key.or_else(|| run.event.subject.clone()).unwrap_or_else(|| run.id.to_string());
        if key.len() > MAX_KEY {
            let has = key.len();
            return Err(Failure::last(format!(
                "the key of {event} has {has} bytes, and at most {MAX_KEY} are possible"
            )));
        }
        let bytes = serde_json::to_vec(data).expect("invariant: a JSON value is JSON");
        let made = Self { event, publisher: publisher(&run.group), key, data: bytes.into() };
        let has = made.record(&run.event, run.id, Timestamp::MAX).size();
        if has > MAX_RECORD {
            let largest = data.as_object().into_iter().flatten().map(|(name, value)| (json::size(value), name)).max();
            let largest =
                largest.map(|(bytes, name)| format!("; the largest member of its data is `{name}` with {bytes} bytes"));
            let most = format!("{} has {has} bytes, and at most {MAX_RECORD} are possible", made.event);
            return Err(Failure::last(format!("{most}{}", largest.unwrap_or_default())));
        }
        Ok(made)
    }

    /// What is told of it in the step that ends the run.
    pub(crate) fn told(&self, run: JobRunId) -> Published {
        Published { event: self.event.clone(), invocation: self.invocation(run) }
    }

    /// Its raw record, and the fact that its invocation is awaited: a cascade, one deeper than the run's event.
    pub(crate) fn outputs(&self, by: &EventHeaders, run: JobRunId, at: Timestamp) -> [Outgoing; 2] {
        let occurrence = Occurrence {
            invocation: self.invocation(run),
            correlation: by.correlation.clone(),
            raw: by.raw,
            received: micros(at),
        };
        let fact = Fact::Awaited(Awaited { event: self.event.clone(), cause: run });
        let key = Bytes::copy_from_slice(by.correlation.as_str().as_bytes());
        let awaited = Outgoing::new(Topic::progress(), key, Progress { occurrence, fact }.encode());
        [awaited, self.record(by, run, at)]
    }

    fn record(&self, by: &EventHeaders, run: JobRunId, at: Timestamp) -> Outgoing {
        let headers = RawHeaders {
            kind: Kind::Named,
            source: self.publisher.clone(),
            source_id: Some(run.to_string()),
            received: micros(at),
            invocation: self.invocation(run),
            correlation: by.correlation.clone(),
            depth: by.depth.saturating_add(1),
            related_to: None,
            traceparent: by.traceparent.clone(),
            named: Some(Box::new(Named {
                event: self.event.clone(),
                cause: Some(run),
                user: by.user.clone(),
                organisation: by.organisation.clone(),
            })),
        };
        Outgoing::new(topics::RAW, self.key.clone(), self.data.clone()).with_headers(headers.encode())
    }

    fn invocation(&self, run: JobRunId) -> InvocationId {
        InvocationId::published(&self.publisher, &run.to_string())
    }
}

fn publisher(group: &GroupName) -> String {
    format!("{JOBS}{}", group.full_name())
}

/// The time in microseconds, as in every raw record.
fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
