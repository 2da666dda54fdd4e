//! The tables of the log, and how an older file becomes a current one.

use rusqlite::Connection;

/// The format written here. A file with a lower number is migrated, one with a higher number refused.
pub(super) const FORMAT: i64 = 1;

/// A row per topic, partition and commit: records are batched because rows, not bytes, are what a commit costs.
const CREATE: &str = "
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL
);
-- Where a partition begins and ends once batches were deleted from it.
CREATE TABLE extents (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    begin INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE batches (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    base INTEGER NOT NULL,
    next INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (topic, partition, base)
) WITHOUT ROWID;
CREATE TABLE positions (
    consumer TEXT NOT NULL,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    next INTEGER NOT NULL,
    note BLOB NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
) WITHOUT ROWID;
";

/// How far each partition of a compacted topic is compacted. Older versions of Herald leave it as it is, and it stays true.
const COMPACTED: &str = "
CREATE TABLE IF NOT EXISTS compacted (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    tombstones INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
";

/// The file's format, after it was brought up to [`FORMAT`]; a newer one is left as it is.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(CREATE)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    if found <= FORMAT {
        connection.execute_batch(COMPACTED)?;
    }
    Ok(found.max(FORMAT))
}
