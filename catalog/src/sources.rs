//! The files of a catalog as they are: the only file of this crate that reads a disk.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
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
    /// Why it has no content that could be read: too large, or no UTF-8. Such a file is an error of the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl<P: Into<String>, T: Into<String>> From<(P, T)> for Source {
    fn from((path, text): (P, T)) -> Self {
        Self { path: path.into(), text: text.into(), unreadable: None }
    }
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
    /// A pipe, a socket or a device: who reads it may wait for ever.
    #[error("{path} is no regular file; take it away, or give it a name that does not end in .yaml or .yml")]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// A link to a folder around itself.
    #[error("{path} is a link to a folder that it is in; take it away")]
    Circle {
        /// The link.
        path: PathBuf,
    },
}

impl Sources {
    /// Sources from paths and texts.
    pub fn new<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        Self::sorted(files.into_iter().map(Source::from).collect())
    }

    fn sorted(mut files: Vec<Source>) -> Self {
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
            walk(path, "events", &mut Vec::new(), &mut files)?;
            walk(path, "jobs", &mut Vec::new(), &mut files)?;
            return Ok(Self::sorted(files));
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
            files.push(read_source(relative, &full)?);
        }
        walk(root, "jobs", &mut Vec::new(), &mut files)?;
        Ok(Self::sorted(files))
    }
}

/// Reads a folder and those below; `above` are the folders on the way here.
fn walk(root: &Path, folder: &str, above: &mut Vec<PathBuf>, files: &mut Vec<Source>) -> Result<(), ReadError> {
    let folder = root.join(folder);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&folder, error)),
    };
    let this = fs::canonicalize(&folder).map_err(|source| failed(&folder, source))?;
    if above.contains(&this) {
        return Err(ReadError::Circle { path: folder });
    }
    above.push(this);
    for entry in entries {
        let path = entry.map_err(|source| failed(&folder, source))?.path();
        // Editors leave hidden files behind; they come and go while `dev` watches.
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        let relative = relative_path(root, &path);
        if path.is_dir() {
            walk(root, &relative, above, files)?;
        } else {
            files.push(if is_yaml(&relative) { read_source(relative, &path)? } else { (relative, "").into() });
        }
    }
    above.pop();
    Ok(())
}

/// Whether a path ends as YAML files do.
pub(crate) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Opened without waiting, and only if it is a regular file: a pipe without a writer would hold its reader for ever.
fn read_source(relative: String, path: &Path) -> Result<Source, ReadError> {
    let failed = |source| failed(path, source);
    let no_file = || ReadError::NoFile { path: path.to_owned() };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(no_file());
    }
    let waitless = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = fs::File::options().read(true).custom_flags(waitless).open(path).map_err(failed)?;
    // It may be another one by now.
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(no_file());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    let unreadable = |path, why| Ok(Source { path, text: String::new(), unreadable: Some(why) });
    if bytes.len() as u64 > MAX_FILE {
        return unreadable(relative, format!("the file is larger than {MAX_FILE} bytes"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((relative, text).into()),
        Err(error) => {
            let fine = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = fine.iter().filter(|byte| **byte == b'\n').count() + 1;
            unreadable(relative, format!("the file is not UTF-8: line {line} is in another encoding"))
        }
    }
}

fn relative_path(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn failed(path: &Path, source: io::Error) -> ReadError {
    ReadError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("herald-sources-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("events")).expect("a folder");
        folder
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_not_waited_for() {
        let folder = folder("pipe");
        let pipe = folder.join("events/a.pipe.yaml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        let error = Sources::read(&folder).expect_err("a pipe");
        assert!(matches!(&error, ReadError::NoFile { path } if *path == pipe), "{error}");
        fs::remove_file(&pipe).expect("removed");
        symlink("/dev/zero", &pipe).expect("a link");
        assert!(matches!(Sources::read(&folder), Err(ReadError::NoFile { .. })));
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_link_to_a_folder_around_it_is_named_and_others_are_followed() {
        let folder = folder("links");
        fs::create_dir(folder.join("shared")).expect("a folder");
        fs::write(folder.join("shared/a.b.yaml"), "x: 1").expect("written");
        symlink(folder.join("shared"), folder.join("events/shared")).expect("a link");
        let sources = Sources::read(&folder).expect("files");
        assert_eq!(sources.text("events/shared/a.b.yaml"), Some("x: 1"));
        symlink("..", folder.join("events/circle")).expect("a link");
        assert!(matches!(Sources::read(&folder), Err(ReadError::Circle { .. })));
        fs::remove_file(folder.join("events/circle")).expect("removed");
        for (home, other) in [("one", "two"), ("two", "one")] {
            fs::create_dir(folder.join("events").join(home)).expect("a folder");
            symlink(format!("../{other}"), folder.join("events").join(home).join("other")).expect("a link");
        }
        assert!(matches!(Sources::read(&folder), Err(ReadError::Circle { .. })), "each is beside the other");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_no_other() {
        let folder = folder("large");
        fs::write(folder.join("events/a.b.yaml"), vec![b' '; 2 * 1024 * 1024]).expect("written");
        fs::write(folder.join("events/c.yaml"), b"a: 1\nb: \xe4\n").expect("written");
        fs::write(folder.join("events/d.yaml"), "fine: 1").expect("written");
        let sources = Sources::read(&folder).expect("a folder");
        let why: Vec<&str> =
            sources.files().iter().map(|file| file.unreadable.as_deref().unwrap_or_default()).collect();
        assert_eq!(
            why,
            ["the file is larger than 1048576 bytes", "the file is not UTF-8: line 2 is in another encoding", ""]
        );
        let report = serde_json::to_string(&sources).expect("JSON");
        assert_eq!(serde_json::from_str::<Sources>(&report).expect("and back"), sources);
        fs::remove_dir_all(folder).expect("removed");
    }
}
