//! The files of a catalog as they are: the only file of this crate that reads a disk.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// The folders of a catalog.
pub const FOLDERS: [&str; 3] = ["events", "jobs", "tables"];
/// How large a file of a catalog may be, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;

/// One file, by its path relative to the catalog's folder, with `/` between its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `events/move.pickup.successful.yaml`
    pub path: String,
    /// Its content; empty for a file that is no YAML, which is only named in a warning.
    pub text: String,
    /// Why it has no content that could be read: too large, no UTF-8, no file, a link to nothing. It is an error of the
    /// catalog.
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

/// The folder of a catalog that cannot be read. What is wrong with something in it is an error of the catalog.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the catalog's folder {path}: {source}")]
pub struct ReadError {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
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

    /// Whether both have the same files of those that are read: what lies beside them makes no other catalog.
    pub fn say_the_same(&self, other: &Self) -> bool {
        self.yaml().eq(other.yaml())
    }

    /// The files that are read.
    pub(crate) fn yaml(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| is_yaml(&file.path))
    }

    /// How many files of events there are.
    pub fn event_files(&self) -> usize {
        self.yaml().filter(|file| file.path.starts_with("events/")).count()
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Reads `events/`, `jobs/` and `tables/` of a folder; a folder without any is an empty catalog. A link is what it leads to.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError { path: folder.to_owned(), source };
        if !fs::metadata(folder).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let home = fs::canonicalize(folder).map_err(failed)?;
        let mut above: Vec<PathBuf> = home.ancestors().map(Path::to_owned).collect();
        let mut files = Vec::new();
        for part in FOLDERS {
            match fs::metadata(folder.join(part)) {
                Ok(found) if !found.is_dir() => {
                    files.push(unreadable(part.to_owned(), "it is no folder, and one is wanted here".to_owned()));
                }
                _ => walk(folder, part.to_owned(), &mut above, &mut files),
            }
        }
        Ok(Self::sorted(files))
    }
}

/// Reads whatever is at a path, a folder with all below it; `above` are the folders on the way here.
fn walk(root: &Path, relative: String, above: &mut Vec<PathBuf>, files: &mut Vec<Source>) {
    let path = root.join(&relative);
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => {
            if let Err(why) = walk_folder(root, &relative, above, files) {
                files.push(unreadable(relative, why));
            }
        }
        Ok(_) if !is_yaml(&relative) => files.push((relative, "").into()),
        Ok(_) => files.push(read_source(relative, &path)),
        // It went meanwhile, unless it is a link to nothing: that may stand for a whole folder.
        Err(_) if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {}
        Err(error) => {
            let target = fs::read_link(&path).map(|target| format!(", and is a link to {}", target.display()));
            files.push(unreadable(relative, format!("it cannot be read: {error}{}", target.unwrap_or_default())));
        }
    }
}

fn walk_folder(root: &Path, folder: &str, above: &mut Vec<PathBuf>, files: &mut Vec<Source>) -> Result<(), String> {
    let path = root.join(folder);
    let unread = |error: io::Error| format!("the folder cannot be read: {error}");
    let this = fs::canonicalize(&path).map_err(unread)?;
    if above.contains(&this) {
        return Err("it is a link to a folder that it is in; take it away".to_owned());
    }
    let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unread)?;
    above.push(this);
    for name in entries.iter().map(fs::DirEntry::file_name) {
        // Editors leave hidden files behind; they come and go while `dev` watches.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Some(name) = name.to_str() else {
            let name = name.to_string_lossy();
            files.push(unreadable(format!("{folder}/{name}"), "its name is not UTF-8; rename it".to_owned()));
            continue;
        };
        walk(root, format!("{folder}/{name}"), above, files);
    }
    above.pop();
    Ok(())
}

/// Whether a path ends as YAML files do.
pub(crate) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

fn unreadable(path: String, why: String) -> Source {
    Source { path, text: String::new(), unreadable: Some(why) }
}

fn read_source(relative: String, path: &Path) -> Source {
    match read(path) {
        Ok(text) => (relative, text).into(),
        Err(why) => unreadable(relative, why),
    }
}

/// Opened without waiting, and only if it is a regular file: a pipe without a writer would hold its reader for ever.
fn read(path: &Path) -> Result<String, String> {
    const NO_FILE: &str = "this is no regular file; take it away, or give it a name that does not end in .yaml or .yml";
    let unread = |error: io::Error| format!("the file cannot be read: {error}");
    let check = |found: fs::Metadata| if found.is_file() { Ok(()) } else { Err(NO_FILE.to_owned()) };
    check(fs::metadata(path).map_err(unread)?)?;
    let waitless = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = fs::File::options().read(true).custom_flags(waitless).open(path).map_err(unread)?;
    // It may be another one by now.
    check(file.metadata().map_err(unread)?)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is larger than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let fine = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = fine.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8: line {line} is in another encoding")
    })
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

    /// Why things cannot be read, by their paths.
    fn unreadable(folder: &Path) -> Vec<(String, String)> {
        let sources = Sources::read(folder).expect("a folder");
        sources.files.into_iter().filter_map(|file| Some((file.path, file.unreadable?))).collect()
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_not_waited_for() {
        let folder = folder("pipe");
        let pipe = folder.join("events/a.pipe.yaml");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        symlink("/dev/zero", folder.join("events/b.yaml")).expect("a link");
        let found = unreadable(&folder);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["events/a.pipe.yaml", "events/b.yaml"]);
        assert!(found.iter().all(|(_, why)| why.starts_with("this is no regular file")), "{found:?}");
        assert!(Sources::read(&pipe).is_err() && Sources::read(&folder.join("nowhere")).is_err());
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_named() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let folder = folder("names");
        fs::write(folder.join("events").join(OsStr::from_bytes(b"a.\xe4.yaml")), "x: 1").expect("written");
        fs::write(folder.join("events").join(OsStr::from_bytes(b".\xe4")), "hidden").expect("written");
        let why = "its name is not UTF-8; rename it".to_owned();
        assert_eq!(unreadable(&folder), [("events/a.�.yaml".to_owned(), why)]);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_and_others_are_followed() {
        let folder = folder("links");
        fs::create_dir(folder.join("shared")).expect("a folder");
        fs::write(folder.join("shared/a.b.yaml"), "x: 1").expect("written");
        let link = |to: &str, at: &str| symlink(to, folder.join("events").join(at)).expect("a link");
        link("../shared", "shared");
        assert_eq!(Sources::read(&folder).expect("files").text("events/shared/a.b.yaml"), Some("x: 1"));
        assert_eq!(unreadable(&folder), []);
        link("..", "circle");
        link("/", "everything");
        for (home, other) in [("one", "two"), ("two", "one")] {
            fs::create_dir(folder.join("events").join(home)).expect("a folder");
            // Each is beside the other.
            link(&format!("../{other}"), &format!("{home}/other"));
        }
        link("itself.yaml", "itself.yaml");
        link("/no/such/folder", "gone");
        symlink("/no/such/jobs", folder.join("jobs")).expect("a link");
        let found = unreadable(&folder);
        for (path, part) in [
            ("events/circle", "a link to a folder that it is in"),
            ("events/everything", "a link to a folder that it is in"),
            ("events/one/other/other", "a link to a folder that it is in"),
            ("events/itself.yaml", "a link to itself.yaml"),
            ("events/gone", "No such file or directory (os error 2), and is a link to /no/such/folder"),
            ("jobs", "a link to /no/such/jobs"),
        ] {
            assert!(found.iter().any(|(at, why)| at == path && why.contains(part)), "{path}: {found:#?}");
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_named() {
        let folder = folder("places");
        fs::remove_dir(folder.join("events")).expect("removed");
        for part in ["events", "jobs"] {
            fs::write(folder.join(part), "x").expect("written");
        }
        let why = "it is no folder, and one is wanted here".to_owned();
        assert_eq!(unreadable(&folder), [("events".to_owned(), why.clone()), ("jobs".to_owned(), why)]);
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
