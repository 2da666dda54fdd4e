//! The file: opening, its format and its migration, and what makes it durable.

use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use bus::place::InPlace;
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, marks};

/// `HrlR`: tells the file apart from other SQLite files.
const APPLICATION_ID: i64 = 0x4872_6c52;

/// Each brings the file from the format of its place to the next; a new format appends one.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE invocation (
        id INTEGER PRIMARY KEY,
        correlation_hash INTEGER NOT NULL,
        invocation_hash INTEGER NOT NULL,
        received INTEGER NOT NULL,
        state INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX invocation_by_hash ON invocation (correlation_hash, invocation_hash, received);
    CREATE INDEX invocation_open ON invocation (correlation_hash, received, state) WHERE state < 2;
    CREATE TABLE correlation (
        hash INTEGER NOT NULL,
        correlation TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (hash, correlation)
    ) WITHOUT ROWID;
    CREATE TABLE position (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
    CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
    CREATE TABLE unreadable (
        partition INTEGER NOT NULL,
        at INTEGER NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (partition, at)
    ) WITHOUT ROWID;
    CREATE TABLE total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO total VALUES ('seed', random()), ('invocations', 0), ('completed', 0), ('unreadable', 0);
",
    "
    CREATE INDEX invocation_by_time ON invocation (correlation_hash, received, invocation_hash);
    CREATE INDEX invocation_unfinished ON invocation (id) WHERE state < 2;
    CREATE INDEX invocation_failed ON invocation (id) WHERE flags & 1;
    CREATE INDEX invocation_eventless ON invocation (id) WHERE flags & 2;
",
    // Correlations get rows that invocations name by number, so that only the index of their names is hit at random.
    // The ids that the older bodies hold beside the columns are not read again.
    "
    ALTER TABLE correlation RENAME TO correlation_2;
    ALTER TABLE invocation RENAME TO invocation_2;
    CREATE TABLE correlation (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, tally BLOB);
    CREATE TABLE invocation (
        id INTEGER PRIMARY KEY,
        correlation INTEGER NOT NULL REFERENCES correlation,
        invocation BLOB NOT NULL,
        received INTEGER NOT NULL,
        state INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    INSERT INTO correlation (name, tally) SELECT correlation, body FROM correlation_2;
    INSERT OR IGNORE INTO correlation (name)
        SELECT json_extract(CAST(substr(body, 2) AS TEXT), '$.c') FROM invocation_2 ORDER BY id;
    INSERT INTO invocation
        SELECT id, (SELECT id FROM correlation WHERE name = json_extract(CAST(substr(body, 2) AS TEXT), '$.c')),
            unhex(replace(json_extract(CAST(substr(body, 2) AS TEXT), '$.i'), '-', '')), received, state, flags, body
        FROM invocation_2 ORDER BY id;
    DROP TABLE correlation_2;
    DROP TABLE invocation_2;
    CREATE UNIQUE INDEX invocation_by_id ON invocation (correlation, invocation);
    CREATE INDEX invocation_by_time ON invocation (correlation, received, invocation);
    CREATE INDEX invocation_open ON invocation (correlation, received) WHERE state < 2;
    CREATE INDEX invocation_unfinished ON invocation (id, received) WHERE state < 2;
    CREATE INDEX invocation_failed ON invocation (id) WHERE flags & 1;
    CREATE INDEX invocation_eventless ON invocation (id) WHERE flags & 2;
    DELETE FROM total WHERE name = 'seed';
    INSERT INTO total SELECT 'unfinished', count(*) FROM invocation WHERE state < 2;
",
    // What invocations are found by beside their correlations, and the newest of each span of rows: see `marks`, which fills it.
    "
    ALTER TABLE invocation ADD COLUMN about INTEGER;
    ALTER TABLE invocation ADD COLUMN subject INTEGER;
    CREATE TABLE span (number INTEGER PRIMARY KEY, newest INTEGER NOT NULL);
    CREATE TABLE happened (event INTEGER NOT NULL, invocation INTEGER NOT NULL, PRIMARY KEY (event, invocation))
        WITHOUT ROWID;
    INSERT INTO span SELECT id >> 12, max(received) FROM invocation GROUP BY id >> 12;
    CREATE INDEX invocation_by_beginning ON invocation (id >> 12, invocation);
    CREATE INDEX invocation_by_table ON invocation (about) WHERE about IS NOT NULL;
    CREATE INDEX invocation_by_row ON invocation (id >> 12, subject) WHERE subject IS NOT NULL;
",
];

/// The format whose step also notes the marks of each row.
const MARKED: i64 = 4;

/// Opens the file to write, as its only writer; the lock is held as long as the second value lives.
pub(super) fn open(path: &Path) -> Result<(Connection, File), StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let lock = lock(path)?;
    let connection = Connection::open(path).map_err(StoreError::doing("open")).map_err(|error| error.at(path))?;
    configure(&connection, path).and_then(|()| migrate(&connection, path)).map_err(|error| error.at(path))?;
    Ok((connection, lock))
}

/// Deletes a store, whatever its format, and nothing that is none; whether there was one.
///
/// # Errors
/// Another process writes to it, the file is no store of Herald, or it cannot be deleted.
pub fn erase(path: &Path) -> Result<bool, StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    if !path.exists() {
        return Ok(false);
    }
    let _lock = lock(path)?;
    let owner = || -> Result<i64, StoreError> {
        let connection = open_to_read(path)?;
        let pragma = connection.pragma_query_value(None, "application_id", |row| row.get(0));
        pragma.map_err(StoreError::doing("read the format of"))
    };
    let is_empty = std::fs::metadata(path).map_err(io)?.len() == 0;
    if !is_empty && owner().ok() != Some(APPLICATION_ID) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    for file in [path.to_owned(), beside(path, "wal"), beside(path, "shm")] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
    }
    Ok(true)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, "lock")).map_err(io)?;
    lock.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => StoreError::InUse(path.to_owned()),
        std::fs::TryLockError::Error(source) => io(source),
    })?;
    Ok(lock)
}

/// The log is moved into the file only every 64 MiB: until then the pages of the index, which are hit at random, are
/// written to it many times, and moved once.
fn configure(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; \
             PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 16000; PRAGMA temp_store = MEMORY;",
        )
        .map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => StoreError::Foreign(path.to_owned()),
            _ => StoreError::doing("open")(source),
        })?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn migrate(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = pragma("user_version").map_err(StoreError::doing("read the format of"))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    let owner = pragma("application_id").map_err(StoreError::doing("read the format of"))?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(StoreError::doing("read the format of"))?;
    if owner != APPLICATION_ID && (owner != 0 || tables > 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    for (step, migration) in (0..known).zip(MIGRATIONS).skip_while(|(step, _)| *step < found) {
        let next = step + 1;
        let run = |sql: String| connection.execute_batch(&sql).map_err(StoreError::doing("migrate"));
        run(format!("BEGIN IMMEDIATE; {migration}"))?;
        if next == MARKED {
            marks::fill(connection)?;
        }
        run(format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {next}; COMMIT;"))?;
        // A new file is nobody's news.
        if found > 0 {
            tracing::info!(store.path = %path.display(), store.format = next, "migrated the results store");
        }
    }
    Ok(())
}

/// Opens the file to read beside its writer.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::doing("open"))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(StoreError::doing("open"))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-{what}"));
    name.into()
}

/// What makes committed transactions survive a power cut.
#[derive(Debug, Clone)]
pub struct Durable {
    path: PathBuf,
    /// The file and its log.
    places: [InPlace; 2],
}

impl Durable {
    /// Of an open file that was read from, so that its log is there.
    pub(super) fn new(path: PathBuf) -> Result<Self, StoreError> {
        let at = |path: &Path| InPlace::at(path).map_err(|source| StoreError::Io { path: path.to_owned(), source });
        let places = [at(&path)?, at(&beside(&path, "wal"))?];
        Ok(Self { path, places })
    }

    /// Looks whether what is committed will be found again.
    ///
    /// # Errors
    /// [`StoreError::Displaced`]: the file or its log is no longer where it was.
    pub fn check(&self) -> Result<(), StoreError> {
        self.places.iter().try_for_each(|place| place.check().map_err(StoreError::from))
    }

    /// Blocks until everything that was committed before is on the disk. What was moved from the log into the file since
    /// was synced when it was moved, so the log is all that is left.
    ///
    /// # Errors
    /// The log cannot be written, or is no longer where it was.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.check()?;
        match OpenOptions::new().read(true).write(true).open(beside(&self.path, "wal")) {
            Ok(log) => log.sync_data().map_err(|source| StoreError::Io { path: self.path.clone(), source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(StoreError::Io { path: self.path.clone(), source }),
        }
    }
}
