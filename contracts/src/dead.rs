//! Dead letters: the records of `dead.<group>`, which is compacted. Each is a whole event whose run has failed for good, keyed
//! by its [`Origin`], with what became of it in the header [`headers::DEAD`]. Whoever redrives or discards one deletes it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Label,
    headers::{self, Headers},
    ids::JobRunId,
    names::JobName,
    origin::Origin,
};

/// The version of the letters written here.
pub const VERSION: u32 = 1;

/// Why no further attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// All of its attempts are spent.
    Attempts,
    /// All of its attempts are spent, and its process ended under the last of them.
    Interrupted,
    /// Another attempt would fail in the same way.
    Final,
    /// The time that the job may take over all attempts is over.
    Time,
    /// One that this version does not know, as a newer Herald wrote it.
    #[serde(untagged)]
    Unknown(Label),
}

impl Reason {
    /// Those that this version knows, as they are written.
    pub const KNOWN: [&str; 4] = ["attempts", "interrupted", "final", "time"];

    /// As it is written.
    pub fn as_str(&self) -> &str {
        let [attempts, interrupted, is_final, time] = Self::KNOWN;
        match self {
            Self::Attempts => attempts,
            Self::Interrupted => interrupted,
            Self::Final => is_final,
            Self::Time => time,
            Self::Unknown(label) => label.as_str(),
        }
    }
}

/// What a dead letter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// [`VERSION`].
    pub v: u32,
    /// The job's name in the event's stamp.
    pub job: JobName,
    /// The run, which is the idempotency key of every attempt, those that are ordered later included.
    pub run: JobRunId,
    /// Why no further attempt follows.
    pub reason: Reason,
    /// What went wrong the last time.
    pub error: String,
    /// How many attempts began.
    pub attempts: u32,
    /// When the first of them began, as far as that is known.
    pub first: Timestamp,
    /// When the last of them ended.
    pub last: Timestamp,
    /// The record of the event.
    pub origin: Origin,
    /// The number of the catalog whose definition it failed by.
    pub catalog: u64,
}

/// A record of `dead.<group>` cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeadError {
    /// It has no letter.
    #[error("the header `{name}` is missing", name = headers::DEAD)]
    Missing,
    /// It is not what a letter looks like.
    #[error("the header `{name}` is no dead letter of Herald's: {0}", name = headers::DEAD)]
    Shape(String),
}

impl DeadLetter {
    /// The header's value.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a dead letter is plain data with string keys")
    }

    /// Reads the letter of a record.
    ///
    /// # Errors
    /// There is none, or it is not Herald's.
    pub fn of(headers: &Headers) -> Result<Self, DeadError> {
        let value = headers.get(headers::DEAD).ok_or(DeadError::Missing)?;
        serde_json::from_slice(value).map_err(|error| DeadError::Shape(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EventId, InvocationId};

    #[test]
    fn a_letter_reads_as_it_was_written_and_a_newer_reason_is_kept() {
        let event = EventId::derived(InvocationId::derived("default", "1"), &"move.new".parse().expect("a name"));
        let job: JobName = "charge".parse().expect("a name");
        let time: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let letter = DeadLetter {
            v: VERSION,
            run: JobRunId::derived(event, &job),
            job,
            reason: Reason::Attempts,
            error: "503 from billing".into(),
            attempts: 5,
            first: time,
            last: time,
            origin: "event.move.new/0/7".parse().expect("an origin"),
            catalog: 3,
        };
        let text = String::from_utf8(letter.encode()).expect("JSON");
        insta::assert_snapshot!(text);
        let headers: Headers = [(headers::DEAD, text.replace("\"attempts\",", "\"bored\","))].into_iter().collect();
        let newer = DeadLetter::of(&headers).expect("a letter");
        assert_eq!(newer, DeadLetter { reason: Reason::Unknown(Label::new("bored")), ..letter });
        assert!(matches!(DeadLetter::of(&Headers::default()), Err(DeadError::Missing)));
    }
}
