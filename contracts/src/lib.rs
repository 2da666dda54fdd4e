//! What travels between the stages of Herald, and nothing else: names, ids, the bodies Hasura sends, the headers of raw
//! records and events, progress records and the summary of a correlation, each with its JSON Schema.
//!
//! No I/O happens here and no clock is read: every stage depends on this crate and on no other stage, so this is where
//! they meet. A wire type carries its version, and a reader keeps what it does not know instead of refusing it.

#![warn(missing_docs)]

pub mod cloud_event;
pub mod control;
pub mod dead;
pub mod document;
pub mod duration;
pub mod envelope;
pub mod found;
pub mod hasura;
pub mod headers;
pub mod ids;
pub mod json;
mod label;
pub mod lane;
pub mod names;
pub mod origin;
pub mod outcomes;
pub mod pattern;
pub mod payload;
pub mod progress;
pub mod raw;
pub mod rejected;
pub mod schema;
pub mod summary;
pub mod token;
pub mod topics;
pub mod wait;
pub mod why;

pub use label::Label;
