//! The keys that files may have.

/// Of an event's file.
pub(super) const EVENT: &[&str] = &[
    "description",
    "from",
    "when",
    "data",
    "key",
    "schema",
    "sample",
    "jobs",
    "tests",
    "deprecated",
    "personal",
    "emitter",
];
/// Accepted and kept, for features to come.
pub(super) const RESERVED: &[&str] = &["deprecated", "personal", "emitter"];
/// Of `from`.
pub(super) const FROM: &[&str] = &["table", "operations", "source", "trigger"];
/// Of a table's file.
pub(super) const TABLE: &[&str] = &["description", "source", "columns"];
/// Of a column of a table.
pub(super) const COLUMN: &[&str] = &["type", "nullable", "values", "description"];
/// Of a test.
pub(super) const TEST: &[&str] = &["name", "change", "expect"];
/// Of a test's change.
pub(super) const CHANGE: &[&str] = &["op", "old", "new", "session", "table", "trigger", "source", "received"];
/// Of any job, beside the one key that is its kind.
pub(super) const JOB: &[&str] =
    &["id", "description", "timeout", "attempts", "backoff", "concurrency", "order", "finalExitCodes"];
/// Of `backoff`.
pub(super) const BACKOFF: &[&str] = &["initial", "factor", "max"];
