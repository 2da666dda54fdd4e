//! What an id that somebody typed, or the beginning of one, may mean, as the API answers it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Label,
    ids::{CorrelationId, InvocationId},
    names::EventRef,
    progress::Origin,
    summary::{Outcome, State},
};

/// Everything that a text may mean, and whether there is more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Correlations first, each by its id.
    pub ids: Vec<Candidate>,
    /// Whether there are more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// What an id is the id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum IdKind {
    /// A correlation.
    Correlation,
    /// An invocation.
    Invocation,
    /// An event of the source: Hasura's own id of a delivery.
    SourceEvent,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

/// One thing that a text may mean.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Whose id the text is, or begins.
    pub kind: IdKind,
    /// The correlation, or the one that the invocation is in.
    pub correlation: CorrelationId,
    /// The invocation, unless the correlation as a whole is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<InvocationId>,
    /// When it, or the first of the correlation, was received.
    pub received: Timestamp,
    /// How far that has come.
    pub state: State,
    /// How it ended, once complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What came in; unknown until the detector has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Events that were detected in it; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRef>,
    /// How many invocations the correlation has.
    pub invocations: u64,
}
