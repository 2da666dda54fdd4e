//! A folder that is no catalog, and where the catalog is that was meant: above it, below it, or in files that lie wrong.

use std::{
    fs,
    path::{Path, PathBuf},
};

use catalog::{FOLDERS, Location, Problem, Rule, Severity, Sources};

use super::yaml_files;

/// How far below a folder a catalog is looked for, and how many folders are looked into.
const DEPTH: usize = 3;
const MOST: usize = 1000;
/// How many that may be meant are named.
const NAMED: usize = 3;

/// That a folder has no `events/`, with what to do.
pub(super) fn no_catalog(folder: &Path) -> Problem {
    let place = Location { file: "events".to_owned(), line: 0, column: 0 };
    let message = format!("{} is no catalog: it has no folder `events`", folder.display());
    let help = Some(help(folder));
    Problem { severity: Severity::Error, rule: Rule::Empty, place, message, help, text: String::new() }
}

fn help(folder: &Path) -> String {
    meant(folder).unwrap_or_else(|| "name the folder of a catalog, or write one event into events/".to_owned())
}

/// What to do where something tells which catalog was meant.
fn meant(folder: &Path) -> Option<String> {
    if let Some(above) = above(folder) {
        return Some(format!("it is a part of the catalog {0}: give {0}", above.display()));
    }
    let below = below(folder);
    if let Some((first, others)) = below.split_first() {
        let named: Vec<String> = others.iter().take(NAMED - 1).map(|other| other.display().to_string()).collect();
        let or = if named.is_empty() { String::new() } else { format!(", or {}", named.join(", or ")) };
        return Some(format!("give the catalog in it: {}{or}", first.display()));
    }
    let beside = yaml_files(folder).into_iter().map(|name| (name, "beside it"));
    let in_event = yaml_files(&folder.join("event")).into_iter().map(|name| (format!("event/{name}"), "there"));
    let (name, place) = beside.chain(in_event).next()?;
    Some(format!("{name} lies {place}: move it into events/"))
}

/// That a folder has no `events/`, where something tells which catalog was meant: for who waits for files.
pub fn remark(folder: &Path) -> Option<String> {
    let is_none = !folder.join("events").exists();
    let meant = is_none.then(|| meant(folder)).flatten()?;
    Some(format!("{} has no folder `events`; {meant}", folder.display()))
}

/// The catalog that a folder is a part of: `shop` of `shop/events`, as far as it can be written.
fn above(folder: &Path) -> Option<PathBuf> {
    let whole = fs::canonicalize(folder).ok()?;
    let part = whole.ancestors().take(DEPTH).find(|part| {
        let is_part = part.file_name().is_some_and(|name| FOLDERS.iter().any(|known| name == *known));
        is_part && part.parent().is_some_and(is_catalog)
    })?;
    let ups = whole.strip_prefix(part).ok()?.components().count() + 1;
    // As it was written, where that has as many parts.
    let written =
        folder.ancestors().nth(ups).filter(|written| fs::canonicalize(written).ok().as_deref() == part.parent());
    written.map(Path::to_owned).or_else(|| part.parent().map(Path::to_owned))
}

fn is_catalog(folder: &Path) -> bool {
    folder.join("events").is_dir() && Sources::read(folder).is_ok_and(|files| files.event_files() > 0)
}

/// The catalogs below a folder, those that are nearest first.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut level, mut seen) = (Vec::new(), vec![folder.to_owned()], 0);
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for folder in level {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten().take(MOST) {
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                // No link: it may lead anywhere.
                if is_hidden || !entry.file_type().is_ok_and(|kind| kind.is_dir()) || seen == MOST {
                    continue;
                }
                seen += 1;
                let path = entry.path();
                if is_catalog(&path) { found.push(path) } else { next.push(path) }
            }
        }
        if !found.is_empty() {
            break;
        }
        level = next;
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_that_was_meant_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let shop = root.path().join("apps/shop");
        fs::create_dir_all(shop.join("events/paid")).expect("a folder");
        fs::create_dir_all(shop.join("jobs")).expect("a folder");
        fs::write(shop.join("events/order.paid.yaml"), "").expect("written");
        let told = |folder: &Path| help(folder).replace(&root.path().display().to_string(), "");
        assert_eq!(told(root.path()), "give the catalog in it: /apps/shop");
        for part in ["events", "events/paid", "jobs"] {
            assert_eq!(told(&shop.join(part)), "it is a part of the catalog /apps/shop: give /apps/shop", "{part}");
        }
        let other = root.path().join("apps/billing");
        fs::create_dir_all(other.join("events")).expect("a folder");
        fs::write(other.join("events/invoice.paid.yaml"), "").expect("written");
        assert_eq!(told(&root.path().join("apps")), "give the catalog in it: /apps/billing, or /apps/shop");
        let empty = root.path().join("empty");
        fs::create_dir(&empty).expect("a folder");
        assert_eq!(told(&empty), "name the folder of a catalog, or write one event into events/");
        fs::write(empty.join("order.paid.yaml"), "").expect("written");
        assert_eq!(told(&empty), "order.paid.yaml lies beside it: move it into events/");
        assert!(
            remark(&shop.join("jobs"))
                .is_some_and(|remark| remark.contains("jobs has no folder `events`; it is a part"))
        );
        assert_eq!(remark(&shop), None);
    }
}
