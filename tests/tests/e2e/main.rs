//! The whole pipeline, from outside: the real binary, real HTTP, files in folders.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod actions;
mod api;
mod cascades;
mod control;
mod correlation;
mod duplicates;
mod edits;
mod full;
mod gates;
mod harness;
mod hasura;
mod http;
mod init;
mod jobs;
mod kept;
mod lifecycle;
mod many;
mod moves;
mod publish;
mod retries;
mod schedules;
mod schema;
mod seen;
mod shared;
mod support;
mod surroundings;
mod webhook;
mod why;
mod windows;
