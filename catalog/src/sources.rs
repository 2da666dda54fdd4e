//! The files of a catalog as they are: the only file of this crate that reads a disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// How large a file of a catalog may be, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;

/// One file, by its path relative to the catalog's folder, with `/` between its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `events/move.pickup.successful.yaml`
    pub path: String,
    /// Its content; empty for a file that is no YAML, which is only named in a warning.
    pub text: String,
}

/// The files of a catalog, in the order of their paths. This is what travels: compiling is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sources {
    files: Vec<Source>,
}

/// A folder or a file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error("read {path}: {source}")]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Larger than [`MAX_FILE`].
    #[error("{path} is larger than {MAX_FILE} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl Sources {
    /// Sources from paths and texts.
    pub fn new<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let files = files.into_iter().map(|(path, text)| Source { path: path.into(), text: text.into() });
        let mut files: Vec<Source> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// The files, by path.
    pub fn files(&self) -> &[Source] {
        &self.files
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Reads `events/` and `jobs/` of a folder; a folder without either is an empty catalog. Given one event's file, reads
    /// it and the `jobs/` beside its `events/`.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        if !fs::metadata(path).map_err(|source| failed(path, source))?.is_file() {
            let mut files = Vec::new();
            walk(path, "events", &mut files)?;
            walk(path, "jobs", &mut files)?;
            return Ok(Self::new(files));
        }
        let full = fs::canonicalize(path).map_err(|source| failed(path, source))?;
        let home =
            full.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "events" || name == "jobs"));
        let mut files = Vec::new();
        let root = home.and_then(Path::parent).or(full.parent()).unwrap_or(Path::new("."));
        let relative = match home {
            Some(_) => relative_path(root, &full),
            None => format!("events/{}", full.file_name().unwrap_or_default().to_string_lossy()),
        };
        if !relative.starts_with("jobs/") {
            files.push((relative, read_text(&full)?));
        }
        walk(root, "jobs", &mut files)?;
        Ok(Self::new(files))
    }
}

fn walk(root: &Path, folder: &str, files: &mut Vec<(String, String)>) -> Result<(), ReadError> {
    let folder = root.join(folder);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&folder, error)),
    };
    for entry in entries {
        let path = entry.map_err(|source| failed(&folder, source))?.path();
        // Editors leave hidden files behind; they come and go while `dev` watches.
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        let relative = relative_path(root, &path);
        if path.is_dir() {
            walk(root, &relative, files)?;
        } else {
            let text = if is_yaml(&relative) { read_text(&path)? } else { String::new() };
            files.push((relative, text));
        }
    }
    Ok(())
}

/// Whether a path ends as YAML files do.
pub(crate) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

fn read_text(path: &Path) -> Result<String, ReadError> {
    if fs::metadata(path).map_err(|source| failed(path, source))?.len() > MAX_FILE {
        return Err(ReadError::TooLarge { path: path.to_owned() });
    }
    fs::read_to_string(path).map_err(|source| failed(path, source))
}

fn relative_path(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn failed(path: &Path, source: io::Error) -> ReadError {
    ReadError::Io { path: path.to_owned(), source }
}
