//! Writes what is planned, and nothing over what there is unless that is wanted.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;
use catalog::schema::FILES;
use client::exit::Usage;

use crate::hasura::DEFAULT_SOURCE;

/// How many names a message lists.
const LISTED: usize = 20;

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The files, by path within the folder.
    files: Vec<(String, String)>,
    /// What cannot be done, in sentences.
    pub(super) notes: Vec<String>,
    /// For each source a payload to begin with, and the source.
    pub(super) payloads: Vec<(String, String)>,
    /// The source whose tables are all there, unless none's are.
    pub(super) described: Option<String>,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Written {
    new: Vec<String>,
    over: Vec<String>,
    same: usize,
}

/// That a folder is a new one, or has nothing in it; hidden files do not count.
pub(super) fn check_empty(folder: &Path) -> Result<(), Usage> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Usage(format!("cannot look into {}: {error}", folder.display()))),
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    if names.is_empty() {
        return Ok(());
    }
    let message = "give a new or an empty folder, or --force: then files of the same names are written over";
    Err(Usage(format!("{} is not empty, it has {}; {message}", folder.display(), listed(&names))))
}

pub(super) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Plan {
    pub(super) fn add(&mut self, path: impl Into<String>, text: String) {
        self.files.push((path.into(), text));
    }

    /// Adds the schemas of the catalog's files, and to each of those, for editors, which is its own.
    pub(super) fn with_schemas(mut self) -> Self {
        for (path, text) in &mut self.files {
            let schema =
                FILES.iter().find(|(folder, ..)| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
            if let Some((_, name, _)) = schema {
                let up = "../".repeat(path.matches('/').count());
                *text = format!("# yaml-language-server: $schema={up}schemas/{name}\n{text}");
            }
        }
        for (_, name, text) in FILES {
            self.add(format!("schemas/{name}"), text.to_owned());
        }
        self
    }

    /// The descriptions that are there of tables that are not, of the source whose tables are known.
    pub(super) fn gone(&self, folder: &Path) -> Option<String> {
        let source = self.described.as_deref()?;
        let home = if source == DEFAULT_SOURCE { "tables".to_owned() } else { format!("tables/{source}") };
        let there = fs::read_dir(folder.join(&home)).ok()?.flatten();
        let names = there.map(|entry| format!("{home}/{}", entry.file_name().to_string_lossy()));
        let mut gone: Vec<String> = names
            .filter(|path| [".yaml", ".yml"].iter().any(|end| path.ends_with(end)))
            .filter(|path| {
                !self
                    .files
                    .iter()
                    .any(|(planned, _)| planned.rsplit_once('.').map(|it| it.0) == path.rsplit_once('.').map(|it| it.0))
            })
            .collect();
        gone.sort();
        (!gone.is_empty()).then(|| {
            format!(
                "the database has no table (any more) that these describe: {}; take them away, and the events about them",
                listed(&gone)
            )
        })
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// Writes the files; over others only if that is wanted.
    ///
    /// # Errors
    /// Others are there, and then nothing is written; or one cannot be written.
    pub(super) fn write(&self, folder: &Path, over: bool) -> anyhow::Result<Written> {
        let mut written = Written::default();
        for (path, text) in &self.files {
            match fs::read(folder.join(path)) {
                Ok(there) if there == text.as_bytes() => written.same += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => written.new.push(path.clone()),
                // What cannot be read is there all the same.
                _ => written.over.push(path.clone()),
            }
        }
        if !over && !written.over.is_empty() {
            let names = listed(&written.over);
            let message = format!("{} has files of the same names: {names}; nothing is written", folder.display());
            return Err(Usage(format!("{message}. --force writes over them")).into());
        }
        for (path, text) in &self.files {
            let is_new = written.new.contains(path);
            if is_new || written.over.contains(path) {
                let path = folder.join(path);
                write(&path, text, is_new).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(written)
    }
}

fn write(path: &Path, text: &str, is_new: bool) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::File::options();
    options.write(true).truncate(true);
    // What came there meanwhile is not written over.
    let mut file = if is_new { fs::File::create_new(path)? } else { options.open(path)? };
    file.write_all(text.as_bytes())
}

impl Written {
    /// What was written where.
    pub(super) fn told(&self, folder: &Path) -> String {
        let mut lines = Vec::new();
        let all = self.new.iter().map(|path| (path, "")).chain(self.over.iter().map(|path| (path, "  (written over)")));
        let count = self.new.len() + self.over.len();
        // Of many new files the folders are enough; what was lost is always said.
        for (path, mark) in all.filter(|(_, mark)| count <= LISTED || !mark.is_empty()) {
            lines.push(format!("{}{mark}", folder.join(path).display()));
        }
        let same = if self.same > 0 { format!(", {} as they were", self.same) } else { String::new() };
        let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        lines.push(format!("✅ {files} written into {}{same}", folder.display()));
        lines.join("\n")
    }
}
