//! Versions of the catalog, for people and as JSON.

use std::{path::PathBuf, process::ExitCode, str::FromStr};

use catalog::{Changed, Changes, Source, shown};
use catalog_log::Version;
use clap::Args;
use client::{
    exit::Usage,
    print::{self, BOLD, DIM, count},
};
use jiff::Timestamp;
use serde_json::json;

use super::from::{self, From, Whole};
use crate::changes;

/// How many names of what changed a line has.
const NAMES: usize = 8;

/// `herald catalog show`.
#[derive(Debug, Clone, Args)]
pub(super) struct Show {
    /// The version's number [default: the one in force], and the name of an event or a job, to see its file alone
    #[arg(value_name = "VERSION] [NAME", num_args = 0..=2)]
    what: Vec<String>,
    /// Print JSON: the version with its files
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: From,
}

/// `herald catalog diff`.
#[derive(Debug, Clone, Args)]
pub(super) struct Diff {
    /// A version's number, or a catalog's folder [default: the version before the other one]. A folder alone is what the version in
    /// force would become
    #[arg(value_name = "FROM")]
    before: Option<Side>,
    /// A version's number, or a catalog's folder [default: the version in force]
    #[arg(value_name = "TO")]
    after: Option<Side>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: From,
}

/// `herald catalog history`.
#[derive(Debug, Clone, Args)]
pub(super) struct History {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: From,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Side {
    Version(u64),
    Folder(PathBuf),
}

impl FromStr for Side {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Folder(text.into()), Self::Version))
    }
}

impl Show {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (version, name) = what(&self.what)?;
        let whole = self.from.whole(version).await?;
        let files: Vec<&Source> = match name {
            None => whole.files.files().iter().collect(),
            Some(name) => whole.files.files().iter().filter(|file| is_of(file, name)).collect(),
        };
        if let Some(name) = name.filter(|_| files.is_empty()) {
            anyhow::bail!("version {} has no event and no job `{name}`; without a name all are listed", whole.number);
        }
        if self.json {
            let Whole { number, written, folder, .. } = &whole;
            let document = json!({ "number": number, "written": written, "folder": folder, "files": files });
            print::line(&document.to_string())?;
        } else if name.is_some() {
            for file in files {
                print::line(&format!("{DIM}# {}{DIM:#}\n{}", shown(&file.path), shown(file.text.trim_end())))?;
            }
        } else {
            print::line(&title(whole.number, whole.written, whole.folder.as_deref()))?;
            files.iter().try_for_each(|file| print::line(&format!("   {}", shown(&file.path))))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The version and the name that are asked for.
fn what(given: &[String]) -> Result<(Option<u64>, Option<&str>), Usage> {
    let number = |text: &String| text.parse::<u64>().ok();
    match given {
        [] => Ok((None, None)),
        [one] => Ok(number(one).map_or((None, Some(one)), |number| (Some(number), None))),
        [version, name, ..] => match number(version) {
            Some(version) => Ok((Some(version), Some(name))),
            None => Err(Usage(format!("`{version}` is no version's number: herald catalog show 3 {name}"))),
        },
    }
}

/// Whether a file is of the event, the job or the table of that name.
fn is_of(file: &Source, name: &str) -> bool {
    let last = file.path.rsplit('/').next().unwrap_or_default();
    file.path == name || [".yaml", ".yml"].iter().any(|end| last.strip_suffix(end) == Some(name))
}

impl Diff {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (before, after) = self.sides();
        let (after_name, after) = self.side(after, None).await?;
        let earlier = after_name.parse::<u64>().ok();
        let (before_name, before) = self.side(before, earlier).await?;
        let changes = Changes::between(&before, &after);
        if self.json {
            let side = |name: &str| name.parse::<u64>().map_or_else(|_| json!(name), |number| json!(number));
            let document = json!({ "from": side(&before_name), "to": side(&after_name), "changed": changes.changed, "form": changes.form });
            print::line(&document.to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        let named = |name: &str| if name.parse::<u64>().is_ok() { format!("version {name}") } else { name.to_owned() };
        print::line(&format!("{BOLD}{} → {}{BOLD:#}", named(&before_name), named(&after_name)))?;
        if changes.is_empty() && changes.form.is_empty() {
            print::line("   they say the same")?;
        }
        changes::lines(&changes).iter().try_for_each(|line| print::line(&format!("   {line}")))?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is compared with what. A folder alone is the new side: what it would change of the version in force.
    fn sides(&self) -> (Option<&Side>, Option<&Side>) {
        match (&self.before, &self.after) {
            (Some(folder @ Side::Folder(_)), None) => (None, Some(folder)),
            (before, after) => (before.as_ref(), after.as_ref()),
        }
    }

    /// The files of a side, and its name: a number or a folder. Without one it is the version before `than`, or the newest.
    async fn side(&self, side: Option<&Side>, than: Option<u64>) -> anyhow::Result<(String, catalog::Sources)> {
        let number = match (side, than) {
            (Some(Side::Folder(path)), _) => return Ok((path.display().to_string(), from::folder(path)?)),
            (Some(Side::Version(number)), _) => Some(*number),
            (None, None) => None,
            (None, Some(than)) => {
                let versions = self.from.versions().await?;
                let before = versions.iter().rev().find(|version| version.number < than);
                let none = || {
                    anyhow::anyhow!(
                        "no version before {than} is kept; compare it with a folder: herald catalog diff ./catalog {than}"
                    )
                };
                Some(before.ok_or_else(none)?.number)
            }
        };
        let whole = self.from.whole(number).await?;
        Ok((whole.number.to_string(), whole.files))
    }
}

impl History {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut versions = self.from.versions().await?;
        versions.reverse();
        if self.json {
            versions.iter().try_for_each(|version| print::line(&json!(version).to_string()))?;
        } else if versions.is_empty() {
            print::line("there is no catalog on the bus yet")?;
        }
        for (at, version) in versions.iter().enumerate().filter(|_| !self.json) {
            let counts = if at == 0 { "   in force" } else { "" };
            print::block(&format!("{}{counts}", title(version.number, version.written, version.folder.as_deref())))?;
            print::block(&format!("   {}", said(version)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn title(number: u64, written: Timestamp, folder: Option<&str>) -> String {
    let folder = folder.map(|folder| format!("   {DIM}{}{DIM:#}", shown(folder))).unwrap_or_default();
    format!("{BOLD}version {number}{BOLD:#}   {written:.0}{folder}")
}

fn said(version: &Version) -> String {
    let counted = format!("{}, {}", count(version.events, "event"), count(version.jobs, "job"));
    let Some(changed) = &version.changed else { return format!("{counted}: the oldest that is kept") };
    let mut names: Vec<String> = changed.iter().take(NAMES).map(|one: &Changed| shown(&one.title())).collect();
    if changed.len() > NAMES {
        names.push(format!("and {} more", changed.len() - NAMES));
    }
    let names = if names.is_empty() { "the same in another form".to_owned() } else { names.join(", ") };
    format!("{counted}: {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_number_or_a_folder() {
        assert_eq!("3".parse(), Ok(Side::Version(3)));
        assert_eq!("./3".parse(), Ok(Side::Folder("./3".into())));
    }

    #[test]
    fn a_folder_alone_is_what_the_version_in_force_would_become() {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            diff: Diff,
        }
        let sides = |given: &[&str]| {
            let Alone { diff } = clap::Parser::parse_from([&["diff"], given].concat());
            let (before, after) = diff.sides();
            (before.cloned(), after.cloned())
        };
        let (number, folder) = (Some(Side::Version(3)), Some(Side::Folder("my".into())));
        assert_eq!(sides(&["my"]), (None, folder.clone()));
        assert_eq!(sides(&["my", "3"]), (folder, number.clone()));
        assert_eq!(sides(&["3"]), (number, None));
        assert_eq!(sides(&[]), (None, None));
    }

    #[test]
    fn a_version_and_a_name_are_told_apart() {
        let told = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|it| (*it).to_owned()).collect();
            what(&given).map(|(number, name)| (number, name.map(str::to_owned))).ok()
        };
        assert_eq!(told(&["3"]), Some((Some(3), None)));
        assert_eq!(told(&["a.b"]), Some((None, Some("a.b".into()))));
        assert_eq!(told(&["3", "a.b"]), Some((Some(3), Some("a.b".into()))));
        assert_eq!(told(&["a.b", "3"]), None);
    }

    #[test]
    fn a_file_is_found_by_what_it_is_about() {
        let file = Source::from(("events/orders/order.paid.v2.yaml", ""));
        assert!(is_of(&file, "order.paid.v2") && is_of(&file, "events/orders/order.paid.v2.yaml"));
        assert!(!is_of(&file, "order.paid"));
    }
}
