//! A file that is open and must stay where it is: one that was deleted, replaced or mounted over is written to in vain.

use std::{
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A file under its path, as it was when it was opened. While somebody has it open, no other file gets its number.
#[derive(Debug, Clone)]
pub struct InPlace {
    path: PathBuf,
    device: u64,
    number: u64,
}

/// Another file, or none, is under the path of one that is in use. What is written to that is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{path} was deleted, replaced or mounted over while it was in use, and what is written to it is lost; start herald \
     again. To start afresh, stop herald first and delete the whole data folder then"
)]
pub struct Displaced {
    /// Where it was.
    pub path: PathBuf,
}

impl InPlace {
    /// Remembers which file is at a path now.
    ///
    /// # Errors
    /// There is none, or it cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self { path: path.to_owned(), device: found.dev(), number: found.ino() })
    }

    /// Looks whether it is still there. It costs a microsecond or two, and does not wait for the disk as a rule.
    ///
    /// # Errors
    /// Another one is there, or none.
    pub fn check(&self) -> Result<(), Displaced> {
        let is_there = match self.path.metadata() {
            Ok(found) => (found.dev(), found.ino()) == (self.device, self.number),
            // A folder that may not be looked into any more says nothing of the file.
            Err(error) => !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::StaleNetworkFileHandle
            ),
        };
        if is_there { Ok(()) } else { Err(Displaced { path: self.path.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_no_longer_under_its_path_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("data");
        let path = inner.join("file");
        fs::create_dir(&inner).expect("a folder");
        let make = || fs::File::create(&path).expect("a file");
        let opened = make();
        let place = InPlace::at(&path).expect("a file");
        place.check().expect("still there");
        fs::remove_file(&path).expect("deleted");
        assert!(place.check().is_err(), "deleted");
        let _another = make();
        assert!(place.check().is_err(), "replaced");
        fs::remove_dir_all(&inner).expect("deleted");
        assert!(place.check().is_err(), "the folder deleted");
        fs::write(&inner, "").expect("a file");
        assert!(place.check().is_err(), "the folder replaced by a file");
        drop(opened);
    }
}
