//! What is elsewhere and belongs to a catalog all the same: the system tells of changes in a folder, and not in what a link
//! there leads to, nor that the folder itself is another one by now.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The links of a catalog and its folders, and what each led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Links(Vec<(PathBuf, Option<Target>)>);

/// What tells one file or folder from another, and a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    file: (u64, u64),
    /// Its size, and when it was changed last, with its permissions; nothing of a folder, which is watched.
    content: Option<(u64, i64, i64)>,
}

impl Target {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let content = (!found.is_dir()).then(|| (found.len(), found.ctime(), found.ctime_nsec()));
        Some(Self { file: (found.dev(), found.ino()), content })
    }
}

impl Links {
    /// Those of these parts of a folder. What cannot be read has none.
    pub(super) fn find(folder: &Path, parts: &[&str]) -> Self {
        let mut paths = vec![folder.to_owned()];
        for part in parts.iter().map(|part| folder.join(part)) {
            let _ = walk(&part, &mut Vec::new(), &mut paths);
            paths.push(part);
        }
        Self(paths.into_iter().map(|path| (path.clone(), Target::of(&path))).collect())
    }

    /// Whether one leads to something else by now.
    pub(super) fn have_moved(&self) -> bool {
        self.0.iter().any(|(path, before)| Target::of(path) != *before)
    }
}

fn walk(folder: &Path, above: &mut Vec<PathBuf>, links: &mut Vec<PathBuf>) -> io::Result<()> {
    let this = fs::canonicalize(folder)?;
    if above.contains(&this) {
        return Ok(());
    }
    above.push(this);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
            let _ = walk(&path, above, links);
        }
        if kind.is_symlink() {
            links.push(path);
        }
    }
    above.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whatever_a_link_leads_to_is_looked_at() {
        let outside = tempfile::tempdir().expect("a folder");
        let at = |path: &str| outside.path().join(path);
        for folder in ["catalog/events/deep", "v1/deep", "v2/deep"] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        for file in ["v1/a.yaml", "v1/deep/b.yaml", "v2/a.yaml", "v2/deep/b.yaml"] {
            fs::write(at(file), "x").expect("written");
        }
        let link = |to: &str, path: &str| {
            let _ = fs::remove_file(at(path));
            symlink(at(to), at(path)).expect("a link");
        };
        link("v1", "current");
        link("current/a.yaml", "catalog/events/deep/a.yaml");
        link("nothing", "catalog/events/deep/gone.yaml");
        link("..", "catalog/events/circle");
        let folder = at("catalog");
        let find = || Links::find(&folder, &["events", "jobs"]);
        let mut before = find();
        let mut moves = |what: &str| {
            assert!(before.have_moved(), "{what}");
            before = find();
            assert!(!before.have_moved(), "{what} is told once");
        };
        fs::write(at("v1/a.yaml"), "an edit").expect("written");
        moves("an edit of what a link leads to");
        link("v2", "current");
        moves("a link on the way that leads elsewhere");
        fs::write(at("nothing"), "").expect("written");
        moves("a link to nothing that leads to something");
        link("v1/deep", "catalog/jobs");
        moves("a part that is a link");
        link("v2/deep", "catalog/jobs");
        moves("a part that leads elsewhere");
        fs::rename(at("catalog"), at("before")).expect("renamed");
        moves("the folder itself");
    }
}
