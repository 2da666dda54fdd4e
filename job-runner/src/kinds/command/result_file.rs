//! `HERALD_RESULT`: a file that a program may write its result to. Nobody makes it but the program, and it goes with the run.

use std::{
    fs::{self, DirBuilder, File},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde_json::value::RawValue;

use super::output::{MAX_JSON, result_of};

/// The folder of this process's files, which only its user may look into.
#[derive(Debug, Default)]
pub(super) struct Results {
    folder: Mutex<Option<PathBuf>>,
    next: AtomicU64,
}

/// One run's file, which is deleted when this is dropped.
#[derive(Debug)]
pub(super) struct ResultFile(PathBuf);

impl Results {
    /// A place for a file; none where no folder can be made: then a program can only print its result.
    pub(super) fn file(&self) -> Option<ResultFile> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever tidies up the folder of temporary files may have taken it.
        if folder.as_ref().is_none_or(|folder| !folder.is_dir()) {
            match make() {
                Ok(made) => *folder = Some(made),
                Err(error) => {
                    tracing::warn!(%error, "no folder for results can be made, so that commands get no HERALD_RESULT");
                    return None;
                }
            }
        }
        let name = self.next.fetch_add(1, Relaxed).to_string();
        folder.as_ref().map(|folder| ResultFile(folder.join(name)))
    }
}

fn make() -> io::Result<PathBuf> {
    let random = RandomState::new().hash_one(std::process::id());
    let folder = std::env::temp_dir().join(format!("herald-results-{random:016x}"));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

impl Drop for Results {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // Whatever a program left in it goes, too; what cannot be deleted is of no use to anyone.
            let _ = fs::remove_dir_all(folder);
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
