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
    /// Dead letters get further attempts: as many as the job has, under numbers that go on.
    Redrive(Letters),
    /// Dead letters are put away for good.
    Discard(Letters),
    /// One run that has ended is run again.
    Rerun(Rerun),
}

/// Dead letters: those that were there when it was ordered, and of them those that a filter takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Letters {
    /// Where each partition of `dead.<group>` ended: letters from there on, and those of partitions that are not named, are not
    /// meant.
    pub until: BTreeMap<u32, u64>,
    /// Which of them.
    #[serde(default)]
    pub filter: Filter,
    /// The version of the catalog by whose definition a job runs that has left it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<u64>,
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
    /// When it died.
    pub died: Timestamp,
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
    /// The version of the catalog by whose definition a job runs that has left it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<u64>,
}

impl Order {
    /// The version of the catalog by whose definition it is done, where the job has left it.
    pub fn definition(&self) -> Option<u64> {
        match self {
            Self::Redrive(letters) | Self::Discard(letters) => letters.definition,
            Self::Rerun(rerun) => rerun.definition,
        }
    }

    /// Every kind, as it is written.
    pub const KINDS: [&str; 3] = ["redrive", "discard", "rerun"];

    /// Its kind, as it is written.
    pub fn kind(&self) -> &'static str {
        let [redrive, discard, rerun] = Self::KINDS;
        match self {
            Self::Redrive(_) => redrive,
            Self::Discard(_) => discard,
            Self::Rerun(_) => rerun,
        }
    }

    pub(super) fn body(&self) -> Box<RawValue> {
        let written = match self {
            Self::Redrive(order) => serde_json::value::to_raw_value(order),
            Self::Discard(order) => serde_json::value::to_raw_value(order),
            Self::Rerun(order) => serde_json::value::to_raw_value(order),
        };
        written.expect("invariant: an order is plain data with string keys")
    }

    /// Reads the body of a known kind.
    pub(super) fn read(kind: &str, body: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            "redrive" => Self::Redrive(serde_json::from_str(body)?),
            "discard" => Self::Discard(serde_json::from_str(body)?),
            _ => Self::Rerun(serde_json::from_str(body)?),
        })
    }
}

impl Letters {
    /// Whether a dead letter at that place of `dead.<group>` is meant.
    pub fn takes(&self, partition: u32, offset: u64, letter: &Letter<'_>) -> bool {
        self.until.get(&partition).is_some_and(|until| offset < *until) && self.filter.takes(letter)
    }
}

impl Filter {
    /// Whether everything that it says applies to a dead letter.
    pub fn takes(&self, letter: &Letter<'_>) -> bool {
        let Self { runs, event, correlation, reason, since, before } = self;
        (runs.is_empty() || runs.contains(&letter.run))
            && event.as_ref().is_none_or(|event| event == letter.event)
            && correlation.as_ref().is_none_or(|correlation| correlation == letter.correlation)
            && reason.as_ref().is_none_or(|reason| reason == letter.reason)
            && since.is_none_or(|since| letter.died >= since)
            && before.is_none_or(|before| letter.died < before)
    }

    /// Whether it says nothing, so that every dead letter is meant.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }
}
