//! Where schemas come from: a folder, a file, a git revision, or the catalogs of a running Herald.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context as _;
use catalog::{Catalog, DataSchema, Severity, Sources};
use catalog_log::Version;
use client::{
    address::{self, Api},
    exit::Usage,
};
use job_runner::{Config, Registry};
use serde::Deserialize;
use serde_json::Value;

use super::git;
use crate::catalog::from;

/// How many earlier states are compared at most.
pub(super) const EARLIER: usize = 200;

/// One side of the comparison, as it is given.
#[derive(Debug, Clone)]
pub(super) enum Side {
    Folder(PathBuf),
    File(PathBuf),
    Git { revision: String, folder: PathBuf },
    Api(client::http::Base),
}

impl FromStr for Side {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Api(address::api(text)?));
        }
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        match text.split_once(':') {
            Some((revision, folder)) if !revision.is_empty() && !folder.is_empty() => {
                Ok(Self::Git { revision: revision.to_owned(), folder: folder.into() })
            }
            _ => Err("it is no folder of a catalog, no file with a JSON Schema, no `revision:folder` of git \
                      (main:examples/moves), and no URL of a running Herald's API (http://127.0.0.1:8081)"
                .to_owned()),
        }
    }
}

/// What a version of an event promises.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Promise {
    /// It has no schema: its data may be anything.
    Nothing,
    Schema(Value),
    /// The name of a type, which is not held against anything.
    Type(String),
}

/// The events of one state of a catalog.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) name: String,
    /// By name with version: what is promised, and in which file.
    pub(super) events: BTreeMap<String, (Promise, Option<String>)>,
}

impl Side {
    /// As it is now.
    pub(super) async fn state(&self, token: Option<&str>) -> anyhow::Result<State> {
        match self {
            Self::Folder(folder) => State::compiled(folder.display().to_string(), &Sources::read(folder)?),
            Self::File(file) => of_file(file),
            Self::Git { revision, folder } => {
                State::compiled(format!("{revision}:{}", folder.display()), &git::read(revision, folder)?)
            }
            Self::Api(base) => {
                let api = Api { api: base.clone(), token: token.map(str::to_owned) };
                let newest = versions(&api).await?.pop();
                let newest = newest.with_context(|| format!("{base} has no catalog yet"))?;
                of_version(&api, newest.number).await
            }
        }
    }

    /// As it was before, oldest first, and whether older ones were left out.
    pub(super) async fn earlier(&self, token: Option<&str>) -> anyhow::Result<(Vec<State>, bool)> {
        match self {
            Self::Folder(path) | Self::File(path) => {
                let path = path.display();
                Err(Usage(format!(
                    "a folder or a file has no earlier states; for a transitive check name a revision of git \
                     (main:{path}) or a running Herald"
                ))
                .into())
            }
            Self::Git { revision, folder } => {
                let mut all = git::log(revision, folder)?;
                let cut = all.len() > EARLIER;
                all.truncate(EARLIER);
                let mut states = Vec::new();
                for revision in all.iter().rev() {
                    let name = format!("{}:{}", &revision[..revision.len().min(12)], folder.display());
                    // Whoever wrote a catalog that does not compile published nothing by it.
                    states.extend(State::compiled(name, &git::read(revision, folder)?).ok());
                }
                Ok((states, cut))
            }
            Self::Api(base) => {
                let api = Api { api: base.clone(), token: token.map(str::to_owned) };
                let all = versions(&api).await?;
                let cut = all.len() > EARLIER;
                let mut states = Vec::new();
                for version in all.iter().skip(all.len().saturating_sub(EARLIER)) {
                    states.push(of_version(&api, version.number).await?);
                }
                Ok((states, cut))
            }
        }
    }
}

impl State {
    fn compiled(name: String, sources: &Sources) -> anyhow::Result<Self> {
        let outcome = Catalog::compile(sources, &Registry::standard(&Config::default()));
        let Some(catalog) = outcome.catalog else {
            let first = outcome.report.problems.iter().find(|problem| problem.severity == Severity::Error);
            let first = first.map(ToString::to_string).unwrap_or_default();
            anyhow::bail!("{name} is no catalog that can be read: {first}");
        };
        let promise = |schema: Option<&DataSchema>| match schema.map(DataSchema::document) {
            None => Promise::Nothing,
            Some(Value::String(of)) => Promise::Type(of.clone()),
            Some(schema) => Promise::Schema(schema.clone()),
        };
        let events = catalog.events().iter();
        let events =
            events.map(|event| (event.name().to_string(), (promise(event.schema()), Some(event.file().to_owned()))));
        Ok(Self { name, events: events.collect() })
    }
}

/// A JSON Schema, or several: `{ "$defs": { "order.paid": … } }` without any rule beside them.
fn of_file(path: &Path) -> anyhow::Result<State> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let document: Value = serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))?;
    let is_bundle = |map: &serde_json::Map<String, Value>| map.keys().all(|key| key.starts_with('$') || key == "title");
    let defined = document.as_object().filter(|map| is_bundle(map)).and_then(|map| map.get("$defs")?.as_object());
    let events = match defined {
        Some(defined) => defined.iter().map(|(event, schema)| (event.clone(), schema.clone())).collect(),
        None => BTreeMap::from([("schema".to_owned(), document)]),
    };
    let file = Some(name.clone());
    let events = events.into_iter().map(|(event, schema)| (event, (Promise::Schema(schema), file.clone()))).collect();
    Ok(State { name, events })
}

/// The versions of the catalog that a running Herald keeps, oldest first.
async fn versions(api: &Api) -> anyhow::Result<Vec<Version>> {
    #[derive(Deserialize)]
    struct Answer {
        catalogs: Vec<Version>,
    }
    let Answer { mut catalogs } = from::get(api, "/v1/catalogs").await?;
    catalogs.reverse();
    Ok(catalogs)
}

async fn of_version(api: &Api, number: u64) -> anyhow::Result<State> {
    let gone = || format!("version {number} of the catalog is not kept any more; try again");
    let whole = from::of_api(api, number).await?.with_context(gone)?;
    State::compiled(format!("version {number} of {}", api.api), &whole.files)
}
