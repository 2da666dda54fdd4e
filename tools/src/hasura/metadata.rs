//! The event triggers that stand in Hasura's metadata: a folder of its CLI's, or an exported file.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use catalog::{Operation, Table, json_of_yaml};
use client::exit::Usage;
use serde_json::{Map, Value};

use super::{DEFAULT_SOURCE, needs::Columns};

/// What is known of Hasura.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The tables that are tracked.
    pub(super) tables: BTreeSet<Table>,
    /// Their triggers, whoever they are for.
    pub(super) triggers: Vec<Found>,
}

/// A trigger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) database: String,
    pub(super) table: Table,
    pub(super) name: String,
    pub(super) told: Vec<Told>,
    pub(super) retries: u64,
    pub(super) webhook: String,
    /// The variable that holds the webhook, where it is none itself.
    pub(super) variable: String,
    /// The names of its headers, and whether each has its value in plain text.
    pub(super) headers: Vec<(String, bool)>,
    /// Whether another body than Hasura's is sent.
    pub(super) transforms_body: bool,
}

/// Of what kind of change it tells, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) operation: Operation,
    /// The columns of which one must have changed.
    pub(super) listens: Columns,
    /// The columns that are sent.
    pub(super) sends: Columns,
}

/// Reads a metadata folder, the folder of a project that has one, or a file that Hasura exported.
///
/// # Errors
/// There is none, or it cannot be read.
pub(super) fn read(path: &Path) -> Result<Metadata, Usage> {
    if path.is_file() {
        let document = Document::read(path.to_owned())?;
        let export = document.value.get("metadata").unwrap_or(&document.value);
        let sources = export.get("sources").unwrap_or(export).clone();
        return Document { value: sources, ..document }.metadata();
    }
    let places = ["databases/databases.yaml", "metadata/databases/databases.yaml"].map(|place| path.join(place));
    let Some(file) = places.into_iter().find(|file| file.is_file()) else {
        let message = "no metadata of Hasura's: there is no databases/databases.yaml in it; `hasura metadata export` writes \
                       that folder, and a file that the console exported will do, too";
        return Err(Usage(format!("{} is {message}", path.display())));
    };
    Document::read(file)?.metadata()
}

/// A part of the metadata, and the file it stands in.
struct Document {
    file: PathBuf,
    value: Value,
}

impl Document {
    fn read(file: PathBuf) -> Result<Self, Usage> {
        let failed = |error: String| Usage(format!("cannot read {}: {error}", file.display()));
        let text = fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        let value = serde_json::from_str(&text).or_else(|_| json_of_yaml(&text)).map_err(failed)?;
        Ok(Self { file, value })
    }

    fn metadata(&self) -> Result<Metadata, Usage> {
        let mut metadata = Metadata::default();
        for source in self.items()? {
            let database = text(&source.value, "name").unwrap_or(DEFAULT_SOURCE).to_owned();
            let tables = source.value.get("tables").cloned().unwrap_or_default();
            for table in source.part(tables)?.items()? {
                let Some(name) = table.value.get("table").and_then(table_of) else { continue };
                let triggers = table.value.get("event_triggers").and_then(Value::as_array).into_iter().flatten();
                metadata.triggers.extend(triggers.map(|trigger| found(&database, &name, trigger)));
                metadata.tables.insert(name);
            }
        }
        Ok(metadata)
    }

    /// The items of a list, wherever they stand.
    fn items(&self) -> Result<Vec<Self>, Usage> {
        match &self.value {
            Value::Array(items) => items.iter().map(|item| self.part(item.clone())).collect(),
            Value::Null => Ok(Vec::new()),
            _ => Err(Usage(format!("{} is no metadata of Hasura's: a list is wanted there", self.file.display()))),
        }
    }

    /// A part of it, which may stand in a file of its own: `!include public_orders.yaml`, as a text or as a tag.
    fn part(&self, value: Value) -> Result<Self, Usage> {
        match value.as_str().map(|text| text.strip_prefix("!include ").unwrap_or(text)) {
            Some(path) => Self::read(self.file.with_file_name("").join(path.trim())),
            None => Ok(Self { file: self.file.clone(), value }),
        }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

fn table_of(value: &Value) -> Option<Table> {
    let name = value.as_str().or_else(|| text(value, "name"))?;
    Some(Table { schema: text(value, "schema").unwrap_or("public").to_owned(), name: name.to_owned() })
}

fn found(database: &str, table: &Table, trigger: &Value) -> Found {
    let definition = trigger.get("definition").and_then(Value::as_object);
    let headers = trigger.get("headers").and_then(Value::as_array).into_iter().flatten();
    let header = |header: &Value| {
        // `{{NAME}}` stands for a variable.
        let is_plain = text(header, "value").is_some_and(|value| !value.contains("{{"));
        (text(header, "name").unwrap_or_default().to_owned(), is_plain)
    };
    let of = |key| text(trigger, key).unwrap_or_default().to_owned();
    Found {
        database: database.to_owned(),
        table: table.clone(),
        name: of("name"),
        told: definition.map(told).unwrap_or_default(),
        retries: trigger.pointer("/retry_conf/num_retries").and_then(Value::as_u64).unwrap_or(0),
        webhook: of("webhook"),
        variable: of("webhook_from_env"),
        headers: headers.map(header).collect(),
        transforms_body: trigger.pointer("/request_transform/body").is_some_and(|body| !body.is_null()),
    }
}

fn told(definition: &Map<String, Value>) -> Vec<Told> {
    let operations = [("insert", Operation::Insert), ("update", Operation::Update), ("delete", Operation::Delete)];
    let mut told: Vec<Told> = operations
        .into_iter()
        .filter_map(|(key, operation)| {
            let spec = definition.get(key).filter(|spec| !spec.is_null())?;
            // Only of an update it matters what changed.
            let listens = if operation == Operation::Update { columns(spec.get("columns")) } else { Columns::All };
            Some(Told { operation, listens, sends: columns(spec.get("payload")) })
        })
        .collect();
    if definition.get("enable_manual") == Some(&Value::Bool(true)) {
        told.push(Told { operation: Operation::Manual, listens: Columns::All, sends: Columns::All });
    }
    told
}

fn columns(value: Option<&Value>) -> Columns {
    match value {
        Some(Value::Array(names)) => {
            Columns::These(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => Columns::All,
    }
}
