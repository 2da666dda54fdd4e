//! Deletes a log, and nothing else that lies in its folder.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{FILE, LOCK, OpenError, lock};

/// What every file of SQLite begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Tables that a log has since its first format.
const OURS: &str = "SELECT count(*) FROM sqlite_schema WHERE name IN ('topics', 'batches', 'positions', 'extents')";

/// Deletes the log in a data folder, whatever its format. Returns its file; none if there was no log.
///
/// # Errors
/// Another process has it open, the file is no log of Herald, or it cannot be deleted.
pub fn erase(folder: &Path) -> Result<Option<PathBuf>, OpenError> {
    let path = folder.join(FILE);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Folder { path, source }
    };
    if !folder.join(LOCK).exists() && !path.exists() {
        return Ok(None);
    }
    let _lock = lock(folder)?;
    if !is_ours(&path).map_err(failed(&path))? {
        return Err(OpenError::Foreign { path });
    }
    let mut erased = None;
    // The file first: without it, what stands beside it is nothing.
    for name in [FILE.to_owned(), format!("{FILE}-wal"), format!("{FILE}-shm")] {
        let file = folder.join(name);
        match fs::remove_file(&file) {
            Ok(()) => drop(erased.get_or_insert(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&file)(error)),
        }
    }
    Ok(erased)
}

/// Whether there is nothing, or nothing in it, or a log.
fn is_ours(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?.take(MAGIC.len() as u64).read_to_end(&mut head)?,
    };
    if head.is_empty() {
        return Ok(true);
    }
    let tables = || -> rusqlite::Result<i64> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.query_row(OURS, [], |row| row.get(0))
    };
    Ok(head == MAGIC && tables().is_ok_and(|tables| tables == 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{Config, Embedded};

    #[test]
    fn a_log_goes_and_what_lies_beside_it_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(erase(&folder.path().join("nowhere")).expect("nothing to do"), None);
        let bus = Embedded::open(&Config::new(folder.path())).expect("a bus");
        fs::write(folder.path().join("notes.txt"), "mine").expect("written");
        assert!(matches!(erase(folder.path()), Err(OpenError::InUse { .. })), "it is open");
        bus.close();
        drop(bus);
        assert_eq!(erase(folder.path()).expect("erased"), Some(folder.path().join(FILE)));
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).expect("a folder").flatten().map(|it| it.file_name()).collect();
        left.sort();
        assert_eq!(left, [LOCK, "notes.txt"]);
    }

    #[test]
    fn what_is_no_log_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        for text in [&b"a letter"[..], MAGIC] {
            fs::write(&file, text).expect("written");
            assert!(matches!(erase(folder.path()), Err(OpenError::Foreign { .. })));
            assert_eq!(fs::read(&file).expect("it is there"), text);
        }
        fs::remove_file(&file).expect("removed");
        Connection::open(&file).and_then(|it| it.execute_batch("CREATE TABLE topics (a)")).expect("another's");
        assert!(matches!(erase(folder.path()), Err(OpenError::Foreign { .. })));
    }
}
