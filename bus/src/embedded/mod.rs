//! The embedded bus: every topic, position and note in one SQLite file, for one process. It is durable against kill -9
//! and a full disk, and never grows into a broker.

mod body;
mod compaction;
mod erase;
mod retention;
mod schema;
mod sqlite;

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

pub use self::erase::erase;
pub use crate::local::broker::Standing;
use crate::local::{Local, Within};

/// The file with the log, within the data folder.
pub const FILE: &str = "bus.db";
/// The file that one process locks.
pub const LOCK: &str = "bus.lock";
/// The newest format of the file that is known here.
pub const FORMAT: i64 = schema::FORMAT;

/// How long a lock may outlive its process. One that is killed while it starts a program leaves its lock to that child,
/// which lets go of it only when it becomes the program.
const LINGER: Duration = Duration::from_secs(1);

/// What the embedded bus is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder; created if absent.
    pub folder: PathBuf,
    /// How many partitions a topic gets that asks for no number. One is enough for one process: jobs run side by side
    /// within a partition too.
    pub partitions: u32,
    /// The most bytes that the file may have. At 90 % of it publishing is refused, while hops may drain.
    pub max_bytes: u64,
    /// Beyond this many bytes, or three quarters of `max_bytes`, the oldest records go, once every group has read them.
    pub keep_bytes: u64,
    /// Beyond this age records go, once every group has read them.
    pub keep_age: Duration,
}

impl Config {
    /// The defaults, in that folder: one partition, 8 GiB at most, 2 GiB or seven days kept.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            partitions: 1,
            max_bytes: 8 << 30,
            keep_bytes: 2 << 30,
            keep_age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Why the embedded bus cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be used.
    #[error("cannot use {path}: {source}; let this user write it, or choose another folder with --data")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{folder} is in use by another herald (process {pid}); stop it, or choose another folder with --data")]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// The other process.
        pid: String,
    },
    /// It was written by a newer Herald.
    #[error(
        "{path} has format {found}, and this herald knows up to {known}; use a newer herald, or another folder with --data"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The file is another program's.
    #[error("{path} is no log of Herald, and is left as it is; move it away, or choose another folder with --data")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refused.
    #[error("cannot open {path}: {message}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        message: String,
    },
}

/// The embedded bus.
pub struct Embedded {
    local: Local,
    /// Held as long as the bus is open.
    _lock: File,
}

impl Embedded {
    /// Opens the bus in its folder, creating what is absent and migrating what is older.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let folder = &config.folder;
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: folder.clone(), source })?;
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        let (storage, reader) = sqlite::open(&path, config)?;
        let local = Local::start(Box::new(storage), Arc::new(reader), config.partitions, None)
            .map_err(|error| OpenError::Database { path, message: error.to_string() })?;
        Ok(Self { local, _lock: lock })
    }

    /// Whether it can write, now and later; it has ended when its file is no longer where it was, or when it was closed.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.local.standing()
    }

    /// Commits what is queued and closes the file. Whoever still waits is told that the bus has stopped.
    pub fn close(&self) {
        self.local.stop();
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let failed = |source| OpenError::Folder { path: path.clone(), source };
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
    let begun = Instant::now();
    let mut locked = file.try_lock();
    while matches!(locked, Err(TryLockError::WouldBlock)) && begun.elapsed() < LINGER {
        std::thread::sleep(LINGER / 50);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number only makes the message better.
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".into() } else { pid.trim().to_owned() };
            return Err(OpenError::InUse { folder: folder.into(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(failed)?;
    Ok(file)
}

impl Within for Embedded {
    fn local(&self) -> &Local {
        &self.local
    }
}
