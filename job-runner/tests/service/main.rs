//! The whole stage on buses in memory: one that behaves, and one that is hostile.

mod catalogs;
mod ends;
mod groups;
mod hostile;
mod many_machines;
mod paused;
mod retries;
mod runs;
mod support;
