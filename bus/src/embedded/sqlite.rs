//! The log on SQLite: one connection writes, a few read.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension as _, ffi, params};

use super::{Config, OpenError, body, compaction::Compaction, retention::Retention, schema};
use crate::{
    local::{
        batch::Stored,
        log::lock,
        storage::{Extent, Loaded, Reader, Storage, StorageError, TopicId, Transaction, Trimmable, Trimmed, Usage},
    },
    member::{Note, Position},
    place::InPlace,
    record::{Offset, Partition},
    topic::TopicInfo,
};

/// Pages of the write-ahead log after which it is copied into the file: 16 MiB.
const CHECKPOINT_PAGES: i64 = 2048;
/// How many readers may read at once; others wait.
const READERS: usize = 2;

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// What to do about a file that cannot be used.
fn advice(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(DiskFull) => "; make room on that disk",
        Some(ReadOnly | PermissionDenied | CannotOpen) => "; allow this user to write that file and its folder",
        Some(DatabaseCorrupt | NotADatabase) => "; put back a backup, or choose another folder with --data",
        Some(SystemIoFailure) => {
            "; look whether that disk is full (`df`), fails (`dmesg`) or is mounted read-only, and whether the size of files is \
             limited (`ulimit -f`)"
        }
        _ => "",
    }
}

/// A transaction that the file did not take.
fn not_written(path: &Path, error: &rusqlite::Error) -> StorageError {
    StorageError(format!("cannot write {}: {error}{}", path.display(), advice(error)))
}

pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    retention: Retention,
    compaction: Compaction,
    usage: Usage,
    commits: u32,
    places: Vec<InPlace>,
}

pub(super) struct Readers(Vec<Mutex<Connection>>);

pub(super) fn open(path: &Path, config: &Config) -> Result<(Writer, Readers), OpenError> {
    let message = |error: &rusqlite::Error| format!("{error}{}", advice(error));
    let failed = |error: rusqlite::Error| OpenError::Database { path: path.into(), message: message(&error) };
    let mut connection = Connection::open(path).map_err(failed)?;
    // SQLite opens what it may not write to be read, and says nothing.
    if connection.is_readonly(MAIN_DB).map_err(failed)? {
        let error = ffi::Error::new(ffi::SQLITE_READONLY);
        let error = rusqlite::Error::SqliteFailure(error, Some("it may not be written".to_owned()));
        return Err(failed(error));
    }
    prepare_writer(&connection).map_err(failed)?;
    let found = schema::migrate(&mut connection).map_err(failed)?;
    if found > schema::FORMAT {
        return Err(OpenError::Newer { path: path.into(), found, known: schema::FORMAT });
    }
    let readers = (0..READERS).map(|_| reader(path).map(Mutex::new)).collect::<Result<_, _>>().map_err(failed)?;
    let usage = Usage { used: 0, limit: config.max_bytes };
    let (retention, compaction) = (Retention::new(config), Compaction::of(path));
    let mut writer =
        Writer { path: path.into(), connection, retention, compaction, usage, commits: 0, places: Vec::new() };
    writer.measure().map_err(failed)?;
    // The log of the file is there once it was read from.
    for path in [path.to_owned(), beside(path)] {
        writer.places.push(InPlace::at(&path).map_err(|source| OpenError::Folder { path, source })?);
    }
    Ok((writer, Readers(readers)))
}

/// The file's write-ahead log.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    // Before the first table is made; an existing file keeps its size.
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A 2xx means durable: the log is synced with every commit.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Writer {
    /// How much of the file is in use: pages that are not free.
    fn measure(&mut self) -> rusqlite::Result<()> {
        let pragma = |name: &str| self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let (pages, free, size) = (pragma("page_count")?, pragma("freelist_count")?, pragma("page_size")?);
        self.usage.used = unsigned((pages - free) * size);
        Ok(())
    }

    fn extent(&self, topic: TopicId, partition: u32) -> rusqlite::Result<Extent> {
        let mut stored =
            self.connection.prepare_cached("SELECT begin, next FROM extents WHERE topic = ?1 AND partition = ?2")?;
        let stored: Option<(i64, i64)> =
            stored.query_row(params![topic.0, partition], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let mut last = self.connection.prepare_cached(
            "SELECT next FROM batches WHERE topic = ?1 AND partition = ?2 ORDER BY base DESC LIMIT 1",
        )?;
        let last: Option<i64> = last.query_row(params![topic.0, partition], |row| row.get(0)).optional()?;
        let (begin, next) = stored.unwrap_or_default();
        Ok(Extent { begin: Offset(unsigned(begin)), end: Offset(unsigned(last.unwrap_or(next).max(next))) })
    }

    /// Writes a transaction; answers how many bytes of batches it stored.
    fn write(&mut self, transaction: &Transaction) -> rusqlite::Result<u64> {
        let mut stored = 0;
        let database = self.connection.transaction()?;
        for (id, info) in &transaction.create {
            database
                .prepare_cached("INSERT INTO topics (id, name, partitions, compacted) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![id.0, info.topic.as_str(), info.partitions, info.compacted])?;
        }
        for topic in &transaction.delete {
            // The row stays, nameless, so that its number is not used again.
            database.execute("UPDATE topics SET name = '/' || id WHERE id = ?1", [topic.0])?;
            for table in ["batches", "extents", "positions", "compacted"] {
                database.execute(&format!("DELETE FROM {table} WHERE topic = ?1"), [topic.0])?;
            }
        }
        if !transaction.appends.is_empty() {
            let mut insert = database.prepare_cached(
                "INSERT INTO batches (topic, partition, base, next, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let at = transaction.published.as_millisecond();
            for (topic, partition, batch) in &transaction.appends {
                let (base, next) = (signed(batch.base.0), signed(batch.next.0));
                let body = body::pack(&batch.body);
                stored += body.len() as u64;
                insert.execute(params![topic.0, partition.0, base, next, at, body])?;
            }
        }
        if !transaction.positions.is_empty() {
            let mut upsert = database.prepare_cached(
                "INSERT INTO positions (consumer, topic, partition, next, note) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET next = excluded.next, note = excluded.note",
            )?;
            for (group, topic, partition, position) in &transaction.positions {
                let (next, note) = (signed(position.next.0), position.note.as_str().as_bytes());
                upsert.execute(params![group, topic.0, partition.0, next, note])?;
            }
        }
        for group in &transaction.forget {
            database.execute("DELETE FROM positions WHERE consumer = ?1", [group])?;
        }
        database.commit()?;
        Ok(stored)
    }
}

/// A note as the file has it. Until notes became text, that of a job with nothing to remember was the one byte 1.
fn note(bytes: &[u8], consumer: &str) -> Result<Note, StorageError> {
    if bytes == [1] {
        return Ok(Note::default());
    }
    let text = str::from_utf8(bytes).ok().and_then(|text| Note::new(text).ok());
    text.ok_or_else(|| {
        let job = consumer.strip_prefix("job.").unwrap_or(consumer);
        StorageError(format!(
            "a position of `{consumer}` has a note that is no text: an older version wrote it while runs of that job were \
             unfinished; start that version once more, stop it when `{job}` has nothing left to run, and start this one again"
        ))
    })
}

impl Storage for Writer {
    fn load(&mut self) -> Result<Loaded, StorageError> {
        let mut loaded = Loaded::default();
        {
            let mut topics =
                self.connection.prepare("SELECT id, name, partitions, compacted FROM topics ORDER BY id")?;
            let mut rows = topics.query([])?;
            while let Some(row) = rows.next()? {
                let (id, name): (u32, String) = (row.get(0)?, row.get(1)?);
                loaded.next_topic = id + 1;
                if name.starts_with('/') {
                    continue;
                }
                let info = TopicInfo { topic: name.into(), partitions: row.get(2)?, compacted: row.get(3)? };
                let extents = (0..info.partitions)
                    .map(|partition| self.extent(TopicId(id), partition))
                    .collect::<Result<_, _>>()?;
                loaded.topics.push((TopicId(id), info, extents));
            }
        }
        let mut positions = self.connection.prepare("SELECT consumer, topic, partition, next, note FROM positions")?;
        let mut rows = positions.query([])?;
        while let Some(row) = rows.next()? {
            let consumer: String = row.get(0)?;
            let note = note(row.get_ref(4)?.as_bytes().map_err(rusqlite::Error::from)?, &consumer)?;
            let position = Position { next: Offset(unsigned(row.get(3)?)), note };
            loaded.positions.push((consumer, TopicId(row.get(1)?), Partition(row.get(2)?), position));
        }
        Ok(loaded)
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<(), StorageError> {
        // Between two measurements only what is appended counts; before anything is refused it is measured.
        let stored = self.write(transaction);
        self.usage.used += stored.map_err(|error| not_written(&self.path, &error))?;
        self.commits += 1;
        if self.commits.is_multiple_of(256) || self.usage.is_full() {
            self.measure()?;
        }
        Ok(())
    }

    fn in_place(&mut self) -> Result<(), StorageError> {
        self.places.iter().try_for_each(|place| place.check().map_err(|error| StorageError(error.to_string())))
    }

    fn trim(
        &mut self,
        candidates: &mut dyn FnMut() -> Vec<Trimmable>,
        now: Timestamp,
    ) -> Result<Vec<Trimmed>, StorageError> {
        let trimmed = self.retention.step(&mut self.connection, self.usage.used, candidates, now)?;
        let compacted = self.compaction.step(&mut self.connection, candidates, now);
        // What was deleted is told in any case: the log in memory must begin where the file does.
        if (compacted || !trimmed.is_empty())
            && let Err(error) = self.measure()
        {
            tracing::warn!(error = %error, "how much the bus has could not be measured this time");
        }
        Ok(trimmed)
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

impl Readers {
    fn any(&self) -> std::sync::MutexGuard<'_, Connection> {
        let free = self.0.iter().find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| lock(&self.0[0]))
    }
}

impl Reader for Readers {
    fn read(
        &self,
        topic: TopicId,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, StorageError> {
        let connection = self.any();
        let mut first = connection.prepare_cached(
            "SELECT base FROM batches WHERE topic = ?1 AND partition = ?2 AND base <= ?3 ORDER BY base DESC LIMIT 1",
        )?;
        let at = params![topic.0, partition.0, signed(from.0)];
        let first: i64 = first.query_row(at, |row| row.get(0)).optional()?.unwrap_or_else(|| signed(from.0));
        let mut batches = connection.prepare_cached(
            "SELECT base, next, body FROM batches WHERE topic = ?1 AND partition = ?2 AND base >= ?3 ORDER BY base",
        )?;
        let mut rows = batches.query(params![topic.0, partition.0, first])?;
        let (mut bytes, mut out) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            let next = Offset(unsigned(row.get(1)?));
            if next <= from {
                continue;
            }
            let body = body::unpack(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
            if bytes > 0 && bytes + body.len() > max_bytes {
                break;
            }
            bytes += body.len();
            out.push(Stored { base: Offset(unsigned(row.get(0)?)), next, body });
        }
        Ok(out)
    }

    fn at_time(&self, topic: TopicId, partition: Partition, time: Timestamp) -> Result<Option<Offset>, StorageError> {
        let connection = self.any();
        // No index on time: only a reader that starts at a time pays, once, for a walk over the rows before it.
        let mut all = connection.prepare_cached(
            "SELECT base FROM batches WHERE topic = ?1 AND partition = ?2 AND at >= ?3 ORDER BY base LIMIT 1",
        )?;
        let found: Option<i64> =
            all.query_row(params![topic.0, partition.0, time.as_millisecond()], |row| row.get(0)).optional()?;
        Ok(found.map(|base| Offset(unsigned(base))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_told_with_its_file_and_what_to_do() {
        let path = Path::new("data/bus.db");
        let told = |code| not_written(path, &rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).to_string();
        for (code, advice) in [
            (ffi::SQLITE_FULL, "room"),
            (ffi::SQLITE_READONLY, "allow"),
            (ffi::SQLITE_IOERR_WRITE, "ulimit -f"),
            (ffi::SQLITE_CORRUPT, "backup"),
        ] {
            let told = told(code);
            assert!(told.starts_with("cannot write data/bus.db: ") && told.contains(advice), "{told}");
        }
    }

    #[test]
    fn what_is_no_bus_or_may_not_be_written_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bus.db");
        let told = || match open(&path, &Config::new(folder.path())) {
            Ok(_) => "it was opened".to_owned(),
            Err(error) => error.to_string(),
        };
        std::fs::write(&path, [b'x'; 100]).expect("written");
        assert!(told().ends_with("put back a backup, or choose another folder with --data"), "{}", told());
        std::fs::remove_file(&path).expect("deleted");
        assert_eq!(told(), "it was opened");
        let mut permissions = path.metadata().expect("a file").permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).expect("changed");
        // Who is root may write all the same.
        if std::fs::File::options().write(true).open(&path).is_err() {
            assert!(told().ends_with("allow this user to write that file and its folder"), "{}", told());
        }
    }
}
