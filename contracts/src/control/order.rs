//! What can be ordered, and which dead letters an order is about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    ids::{CorrelationId, EventId, JobRunId},
    names::EventRef,
    origin::Origin,
};

/// Something to be done once in each partition that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Dead letters get further attempts.
    Redrive(Redrive),
    /// Dead letters are put away for good.
    Discard(Selected),
    /// A paused job goes on from elsewhere.
    StartAt(StartAt),
    /// One run that has ended is run again.
    Rerun(Rerun),
}

/// Dead letters get further attempts: as many as the job has, under numbers that go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redrive {
    /// Which.
    pub letters: Selected,
    /// The version of the catalog by which they run, for a job that has left it since; else by the one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<u64>,
}

/// Dead letters: those that were there when it was ordered, and of them those that a filter takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selected {
    /// Where each partition of `dead.<group>` ended: letters from there on, and those of partitions that are not named, are not
    /// meant.
    pub until: BTreeMap<u32, u64>,
    /// Which of them.
    #[serde(default)]
    pub filter: Filter,
}

/// Which dead letters: those to which everything applies that it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Of one of these runs; none is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<JobRunId>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
    /// Of this correlation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationId>,
    /// With this reason's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whose error has this text in it, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// That died at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// That died before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
}

/// What of a dead letter a [`Filter`] looks at.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Its run.
    pub run: JobRunId,
    /// Its event.
    pub event: &'a EventRef,
    /// Its correlation.
    pub correlation: &'a CorrelationId,
    /// Its reason's label.
    pub reason: &'a str,
    /// What went wrong last.
    pub error: &'a str,
    /// When it died.
    pub died: Timestamp,
}

/// Where a paused job goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartAt {
    /// As it was asked for.
    pub place: Start,
    /// Which offset that was in each partition of the job's event topics when it was ordered. Partitions that are not named stay
    /// where they are.
    pub offsets: BTreeMap<String, BTreeMap<u32, u64>>,
}

/// A place that an operator can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Start {
    /// The oldest record that was kept.
    Begin,
    /// Behind the newest.
    End,
    /// The first record that was published at that time or later.
    Time(Timestamp),
}

/// One run that has ended is run again, and no sibling of it: under the same id, with attempts whose numbers go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rerun {
    /// The run.
    pub run: JobRunId,
    /// The event.
    pub event_id: EventId,
    /// Where the event stands.
    pub origin: Origin,
    /// How many attempts of it had begun when it was ordered.
    pub attempts: u32,
}

impl Order {
    /// Every kind, as it is written.
    pub const KINDS: [&str; 4] = ["redrive", "discard", "startAt", "rerun"];

    /// Its kind, as it is written.
    pub fn kind(&self) -> &'static str {
        let [redrive, discard, start_at, rerun] = Self::KINDS;
        match self {
            Self::Redrive(_) => redrive,
            Self::Discard(_) => discard,
            Self::StartAt(_) => start_at,
            Self::Rerun(_) => rerun,
        }
    }

    pub(super) fn body(&self) -> Box<RawValue> {
        let written = match self {
            Self::Redrive(order) => serde_json::value::to_raw_value(order),
            Self::Discard(order) => serde_json::value::to_raw_value(order),
            Self::StartAt(order) => serde_json::value::to_raw_value(order),
            Self::Rerun(order) => serde_json::value::to_raw_value(order),
        };
        written.expect("invariant: an order is plain data with string keys")
    }

    /// Reads the body of a known kind.
    pub(super) fn read(kind: &str, body: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            "redrive" => Self::Redrive(serde_json::from_str(body)?),
            "discard" => Self::Discard(serde_json::from_str(body)?),
            "startAt" => Self::StartAt(serde_json::from_str(body)?),
            _ => Self::Rerun(serde_json::from_str(body)?),
        })
    }
}

impl Selected {
    /// Whether a dead letter at that place of `dead.<group>` is meant.
    pub fn takes(&self, partition: u32, offset: u64, letter: &Letter<'_>) -> bool {
        self.until.get(&partition).is_some_and(|until| offset < *until) && self.filter.takes(letter)
    }
}

impl Filter {
    /// Whether everything that it says applies to a dead letter.
    pub fn takes(&self, letter: &Letter<'_>) -> bool {
        let Self { runs, event, correlation, reason, error, since, before } = self;
        (runs.is_empty() || runs.contains(&letter.run))
            && event.as_ref().is_none_or(|event| event == letter.event)
            && correlation.as_ref().is_none_or(|correlation| correlation == letter.correlation)
            && reason.as_ref().is_none_or(|reason| reason == letter.reason)
            && error.as_ref().is_none_or(|error| letter.error.to_lowercase().contains(&error.to_lowercase()))
            && since.is_none_or(|since| letter.died >= since)
            && before.is_none_or(|before| letter.died < before)
    }

    /// Whether it says nothing, so that every dead letter is meant.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }
}
