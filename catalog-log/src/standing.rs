//! Whose catalog is on the bus: a data folder that was used with another folder has that one's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use catalog::{Location, Problem, Rule, Severity, Sources, wire::CatalogRecord};

/// What stands on the bus before files are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No catalog.
    None,
    /// The record of that number, which goes on counting.
    Counts(u64),
    /// The catalog of another folder, which counts for nothing here.
    Another(PathBuf),
}

impl Standing {
    /// What a record is to whoever has that folder.
    pub fn of(record: Option<&CatalogRecord>, folder: &Path) -> Self {
        match record {
            None => Self::None,
            Some(record) => match owner(record, home(folder).as_deref()) {
                Some(other) => Self::Another(other.into()),
                None => Self::Counts(record.number),
            },
        }
    }
}

/// A folder as a record names it: absolute, without links; none if it cannot be found now.
pub fn home(folder: &Path) -> Option<String> {
    Some(fs::canonicalize(folder).ok()?.display().to_string())
}

/// The other folder that a record is of. One that is no longer there is taken for the same folder under an earlier name.
pub fn owner<'r>(record: &'r CatalogRecord, home: Option<&str>) -> Option<&'r str> {
    let (home, written) = (home?, record.folder.as_deref()?);
    (written != home && Path::new(written).is_dir()).then_some(written)
}

/// That all events would go: a folder that was moved away, or is not mounted, has none. `home` is the folder of the files,
/// where one process has the bus for itself.
pub(crate) fn emptied(sources: &Sources, previous: Option<&CatalogRecord>, home: Option<&str>) -> Option<Problem> {
    let previous = previous.filter(|previous| owner(previous, home).is_none())?;
    let before = previous.sources.event_files();
    if before == 0 || sources.event_files() > 0 {
        return None;
    }
    let events = if before == 1 { "1 event".to_owned() } else { format!("{before} events") };
    let message = format!("there is no file of an event any more, and version {} has {events}", previous.number);
    let flag = if home.is_some() { "start anew: `herald dev --fresh`" } else { "add `--empty`" };
    let help = format!("put `events/` back; if there are to be no events, {flag}");
    let place = Location { file: "events".to_owned(), line: 0, column: 0 };
    let (severity, rule) = (Severity::Error, Rule::Empty);
    Some(Problem { severity, rule, place, message, help: Some(help), text: String::new() })
}
