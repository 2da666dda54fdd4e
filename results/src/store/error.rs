//! What can go wrong with the store.

use std::path::{Path, PathBuf};

use bus::place::Displaced;

/// The store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite cannot read or write the file.
    #[error("failed to {doing} the results store{}: {source}", shown(path.as_deref()))]
    Sqlite {
        /// The file, once it is known which.
        path: Option<PathBuf>,
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// The file or its folder cannot be opened.
    #[error("failed to open the results store `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The file is no longer where it was opened.
    #[error("the results store is gone: {0}")]
    Displaced(#[from] Displaced),
    /// Another process writes to the file.
    #[error("the results store `{0}` is in use by another process; stop it, or set another `results.path`")]
    InUse(PathBuf),
    /// The file is another program's.
    #[error("`{0}` is no results store of Herald; set another `results.path`, or move the file away")]
    Foreign(PathBuf),
    /// The file was written by a newer version.
    #[error(
        "the results store `{path}` has format {found}, and this version of Herald knows formats up to {known}; use the \
         version that wrote it, or move the file away to fill a new one from the bus"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// A stored row cannot be read: the file is damaged.
    #[error("row {row} of the results store is damaged: {why}; move the file away to fill a new one from the bus")]
    Damaged {
        row: i64,
        /// What is wrong with it.
        why: String,
    },
    /// The position is not the one that the batch started from: nothing of the batch was written.
    #[error(
        "the results store has read partition {partition} to {found:?}, not to {expected:?}, where the batch begins"
    )]
    Moved {
        /// The partition of `progress`.
        partition: u32,
        /// The position that the batch started from.
        expected: Option<u64>,
        /// The position in the file.
        found: Option<u64>,
    },
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| format!(" `{}`", path.display())).unwrap_or_default()
}

impl StoreError {
    /// Names what was being done when SQLite failed.
    pub(super) fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { path: None, doing, source }
    }

    /// Names the file in which SQLite failed.
    #[must_use]
    pub(super) fn at(mut self, file: &Path) -> Self {
        if let Self::Sqlite { path, .. } = &mut self {
            path.get_or_insert_with(|| file.to_owned());
        }
        self
    }

    /// Whether the same may succeed later, when the disk has room or the lock is gone.
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        match self {
            Self::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure))
            }
            _ => false,
        }
    }

    /// Whether starting again meets the same, so that somebody must act first.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Foreign(_) | Self::Newer { .. } | Self::Damaged { .. })
    }
}
