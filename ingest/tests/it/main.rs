//! Ingest over a real listener and a bus.

mod support;
mod unavailable;
mod webhook;
