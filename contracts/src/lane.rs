//! What waits of a job: the records of its side topic `lane.<group>`, which is compacted.
//!
//! A record that cannot be finished now (it failed and is tried again later, or stands behind such a one of its key) moves
//! here, so that its group's position moves on. Partition p of every input has partition p of the lane. Of one that waits there
//! are two records: the whole event, written once, and its [`State`], written anew with each attempt; both are deleted when
//! its run ends. So what an attempt costs does not depend on how large its event is.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    headers::{self, Headers, Writer},
    ids::{OrderId, WindowId},
    origin::Origin,
};

/// The version of the states written here.
pub const VERSION: u32 = 1;

/// What the key of every state begins with: while there is one, something waits.
pub const STATES: &str = "state/";

/// What the key of a lane's record says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The whole event that waits: its value, its headers, and its own key in [`headers::KEY`].
    Event(Origin),
    /// How far its run has come: a [`State`].
    State(Origin),
    /// That an order was carried out in an input partition, `topic/partition`.
    Order(OrderId, String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(origin) => write!(f, "event/{origin}"),
            Self::State(origin) => write!(f, "state/{origin}"),
            Self::Order(id, input) => write!(f, "order/{id}/{input}"),
        }
    }
}

impl Key {
    /// Reads the key of a lane's record; none of one that this version does not know.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (what, rest) = str::from_utf8(key).ok()?.split_once('/')?;
        match what {
            "event" => rest.parse().ok().map(Self::Event),
            "state" => rest.parse().ok().map(Self::State),
            "order" => {
                let (id, input) = rest.split_once('/')?;
                Some(Self::Order(id.parse().ok()?, input.to_owned()))
            }
            _ => None,
        }
    }
}

/// How far the run of an event that waits has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// [`VERSION`].
    pub v: u32,
    /// How many attempts have begun.
    #[serde(default)]
    pub attempts: u32,
    /// Whether the end of the last of them was told; otherwise it is under way, or its process died under it.
    #[serde(default)]
    pub told: bool,
    /// How many had begun when somebody ordered further ones: those count from there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub base: u32,
    /// When the first attempt began, or further ones were ordered; none while nothing has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When it was said when the next attempt is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the next attempt is due; none where it is as soon as nothing of its key is before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The window that it came into; none of an event that is for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// A window of events that gather. It is open until `due` of the last of them, of which no attempt has begun; those before it were
/// superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// What its events have in common.
    pub by: WindowId,
    /// When the first of them came: two windows of one value are told apart by that.
    pub began: Timestamp,
    /// How many had come with this one.
    pub events: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A state cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// A newer Herald wrote it.
    #[error("it has version {0}, and this version of Herald reads up to {VERSION}")]
    Version(u32),
    /// It is none.
    #[error("it is none of Herald's: {0}")]
    Shape(String),
}

impl State {
    /// The value as it travels.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a state is plain data with string keys")
    }

    /// Reads a value.
    ///
    /// # Errors
    /// It is of a newer Herald, or none at all.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let state: Self = serde_json::from_slice(value).map_err(|error| StateError::Shape(error.to_string()))?;
        if state.v > VERSION { Err(StateError::Version(state.v)) } else { Ok(state) }
    }
}

/// The headers of an event that moves to a lane or to the dead letters: as they were, with its key, and one more.
pub fn moved(event: &Headers, key: Option<&[u8]>, more: Option<(&'static str, &[u8])>) -> Headers {
    let ours = [headers::KEY, headers::DEAD];
    let mut out = Writer::with_capacity(event.len() + 2, event.size() + 128);
    for (name, value) in event.iter().filter(|(name, _)| !ours.contains(name)) {
        match headers::known(name) {
            Some(name) => out.push_bytes(name, value),
            None => out.push_bytes(name.to_owned(), value),
        }
    }
    for (name, value) in key.map(|key| (headers::KEY, key)).into_iter().chain(more) {
        out.push_bytes(name, value);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { topic: "event.move.new.v2".into(), partition: 3, offset: 41 }
    }

    #[test]
    fn keys_read_as_they_were_written() {
        let id = OrderId(uuid::Uuid::nil());
        let keys = [Key::Event(origin()), Key::State(origin()), Key::Order(id, "event.move.new.v2/3".into())];
        let written: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let order = "order/00000000-0000-0000-0000-000000000000/event.move.new.v2/3";
        assert_eq!(written, ["event/event.move.new.v2/3/41", "state/event.move.new.v2/3/41", order]);
        for (key, text) in keys.iter().zip(written) {
            assert_eq!(Key::parse(text.as_bytes()).as_ref(), Some(key));
        }
        for strange in ["", "event", "event/a", "event/a/1", "event//1/2", "event/a/-1/2", "later/a/1/2", "order/1/a/2"]
        {
            assert_eq!(Key::parse(strange.as_bytes()), None, "{strange}");
        }
    }

    #[test]
    fn a_state_reads_as_it_was_written_and_that_of_a_newer_herald_is_refused() {
        let time: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let state = State {
            v: VERSION,
            attempts: 6,
            told: true,
            base: 5,
            first: Some(time),
            since: Some(time),
            due: Some("2026-01-02T03:04:46Z".parse().expect("a time")),
            window: None,
        };
        let text = String::from_utf8(state.encode()).expect("JSON");
        insta::assert_snapshot!(text, @r#"{"v":1,"attempts":6,"told":true,"base":5,"first":"2026-01-02T03:04:05Z","since":"2026-01-02T03:04:05Z","due":"2026-01-02T03:04:46Z"}"#);
        assert_eq!(State::decode(text.as_bytes()).expect("a state"), state);
        assert!(matches!(State::decode(br#"{"v":2}"#), Err(StateError::Version(2))));
        assert!(State::decode(b"{}").is_err());
    }

    #[test]
    fn an_event_keeps_its_headers_and_has_its_key_once() {
        let event: Headers = [("ce_id", "1"), ("theirs", "x"), (headers::KEY, "old")].into_iter().collect();
        let moved = moved(&event, Some(b"k\xff"), Some((headers::DEAD, b"{}")));
        let all: Vec<(&str, &[u8])> = moved.iter().collect();
        assert_eq!(all, [("ce_id", &b"1"[..]), ("theirs", b"x"), (headers::KEY, b"k\xff"), (headers::DEAD, b"{}")]);
    }
}
