//! Ingest over a real listener and a bus.

mod publications;
mod support;
mod unavailable;
mod webhook;
