//! What was refused, with the reason and where it came from: the value of the topic `rejected`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{CorrelationId, InvocationId},
    names::EventRef,
    raw::Place,
};

/// Why a change, or a publication, is not run that came under the id of another.
pub const ID_REUSED: &str = "id-reused";

/// The version of the records written here.
pub const VERSION: u32 = 1;

/// One refusal. The body itself is not copied: an accepted one is at `raw`, one refused at the door is known by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// [`VERSION`].
    pub v: u32,
    /// `ingest`, `detector` or `job-runner`.
    pub stage: String,
    /// A label of few values: `action`, `incomplete`, `unknown-body`, `too-large`, `data-failed`, `refused-by-schema`, `refused-by-bus`, `unknown-event`, `depth` …
    pub reason: String,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// When.
    pub at: Timestamp,
    /// The source's name.
    pub source: String,
    /// The announced or actual size of the body, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256, in hex, of what was read of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The raw record, where the body had been accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Place>,
    /// The invocation, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<InvocationId>,
    /// The correlation, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationId>,
    /// The event, where one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
}

impl Rejected {
    /// The record's value as it travels.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a rejection is plain data with string keys")
    }
}
