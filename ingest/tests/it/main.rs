//! Ingest over a real listener and a bus.

mod actions;
mod publications;
mod support;
mod unavailable;
mod webhook;
