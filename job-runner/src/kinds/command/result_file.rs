//! `HERALD_RESULT`: a file that a program may write its result to. Nobody makes it but the program, and it goes with the run.
//!
//! The files of a process are in a folder of its own, among the temporary ones, which it holds locked as long as it lives. One
//! that nobody holds was left by a process that was killed: the next one deletes it.

use std::{
    fs::{self, DirBuilder, File},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use serde_json::value::RawValue;

use super::output::{MAX_JSON, result_of};

/// What the names of the folders begin with, and of those that are not locked yet.
const NAME: &str = "herald-results-";
const DRAFT: &str = "herald-draft-";

/// The files of this process.
#[derive(Debug, Default)]
pub(super) struct Results {
    folder: Mutex<Option<Folder>>,
    next: AtomicU64,
    /// Whether it was said that there can be no folder.
    said: AtomicBool,
}

/// Their folder, which only its user may look into. It goes with this.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The folder itself, locked.
    _lock: File,
}

/// One run's file, which is deleted when this is dropped.
#[derive(Debug)]
pub(super) struct ResultFile(PathBuf);

impl Results {
    /// A place for a file; none where no folder can be made: then a program can only print its result.
    pub(super) fn file(&self) -> Option<ResultFile> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever tidies up the folder of temporary files may have taken it.
        if folder.as_ref().is_none_or(|folder| !folder.path.is_dir()) {
            let temporary = std::env::temp_dir();
            match Folder::make(&temporary) {
                Ok(made) => {
                    *folder = Some(made);
                    self.said.store(false, Relaxed);
                    // There may be many others, of other programs too.
                    std::thread::spawn(move || sweep(&temporary));
                }
                Err(error) => {
                    if !self.said.swap(true, Relaxed) {
                        let folder = temporary.display();
                        tracing::warn!(%error, %folder, "no folder for results can be made there, so that commands get no \
                                       HERALD_RESULT; it is tried again for each, and TMPDIR names another place");
                    }
                    return None;
                }
            }
        }
        let name = self.next.fetch_add(1, Relaxed).to_string();
        folder.as_ref().map(|folder| ResultFile(folder.path.join(name)))
    }
}

impl Folder {
    /// A new one. It has its name only once it is locked, so that nobody takes it for one that was left.
    fn make(temporary: &Path) -> io::Result<Self> {
        let random = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let (draft, path) = (temporary.join(format!("{DRAFT}{random}")), temporary.join(format!("{NAME}{random}")));
        DirBuilder::new().mode(0o700).create(&draft)?;
        let lock = File::open(&draft)?;
        lock.lock()?;
        fs::rename(&draft, &path)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever a program left in it goes, too; what cannot be deleted is of no use to anyone.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Deletes the folders that processes of this user left which did not come to their end.
fn sweep(temporary: &Path) {
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let is_left = || {
            let is = entry.metadata()?;
            let is_own = entry.file_name().to_string_lossy().starts_with(NAME) && is.is_dir() && is.uid() == user;
            Ok::<_, io::Error>(is_own && File::open(entry.path())?.try_lock().is_ok())
        };
        if is_left().is_ok_and(|is_left| is_left) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl ResultFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What was written: a JSON document, or else the end of it as text; none, if nothing was.
    pub(super) async fn read(self) -> Result<Option<Box<RawValue>>, String> {
        if fs::symlink_metadata(&self.0).is_err() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || read(&self.0).map_err(|error| error.to_string())).await;
        let bytes = read.map_err(|error| error.to_string()).flatten();
        bytes
            .map(|bytes| result_of(&bytes))
            .map_err(|error| format!("the file of HERALD_RESULT cannot be read: {error}"))
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        // Most programs write none.
        let _ = fs::remove_file(&self.0);
    }
}

/// The whole file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe or a link at its place is not followed or waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let is = file.metadata()?;
    if !is.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if is.len() > MAX_JSON as u64 {
        return Err(io::Error::other(format!("it has {} bytes; at most {MAX_JSON} are possible", is.len())));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_JSON as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_left_that_was_killed_goes_and_what_another_holds_stays() {
        let temporary = tempfile::tempdir().expect("a folder");
        let make = || Folder::make(temporary.path()).expect("a folder");
        let there = || {
            let names = fs::read_dir(temporary.path()).expect("a folder").map(|entry| entry.expect("an entry").path());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        let (held, left, elses) = (make(), make(), temporary.path().join("herald-else"));
        fs::write(left.path.join("0"), "{}").expect("written");
        fs::create_dir(&elses).expect("a folder");
        // As when a process is killed: the lock goes, and the folder stays.
        let Folder { path: abandoned, _lock: lock } = &left;
        lock.unlock().expect("unlocked");
        assert_eq!(there().len(), 3);
        sweep(temporary.path());
        assert!(!abandoned.exists());
        let mut stays = vec![held.path.clone(), elses.clone()];
        stays.sort();
        assert_eq!(there(), stays);
        drop(held);
        assert_eq!(there(), [elses]);
    }
}
