//! The detector as a service.
#![expect(clippy::unwrap_used, reason = "tests")]

mod hostile;
mod many_machines;
mod support;
