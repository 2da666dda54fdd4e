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
pub(crate) struct Metadata {
    pub(crate) databases: Vec<String>,
    pub(crate) tables: Vec<Tracked>,
    /// Their triggers, whoever they are for.
    pub(super) triggers: Vec<Found>,
    /// The cron triggers, whoever they are for.
    pub(crate) schedules: Vec<Schedule>,
}

/// A cron trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) comment: Option<String>,
    pub(crate) payload: Value,
}

/// A table that is tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tracked {
    pub(crate) database: String,
    pub(crate) table: Table,
    /// The columns that its permissions, triggers and relationships name; hardly ever all.
    pub(crate) columns: BTreeSet<String>,
    /// Whether its rows are the values of an enum.
    pub(crate) is_enum: bool,
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
    /// What of the request is made anew, of [`TRANSFORMED`].
    pub(super) transforms: Vec<&'static str>,
}

/// What a `request_transform` may change so that Herald does not get what Hasura sends.
const TRANSFORMED: [&str; 4] = ["body", "method", "url", "query_params"];

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
pub(crate) fn read(path: &Path) -> Result<Metadata, Usage> {
    if path.is_file() {
        let document = Document::read(path.to_owned())?;
        let export = document.value.get("metadata").unwrap_or(&document.value);
        let sources = export.get("sources").unwrap_or(export).clone();
        let schedules = schedules(export.get("cron_triggers").unwrap_or(&Value::Null));
        let metadata = Document { value: sources, ..document }.metadata()?;
        return Ok(Metadata { schedules, ..metadata });
    }
    let places = ["databases/databases.yaml", "metadata/databases/databases.yaml"].map(|place| path.join(place));
    let Some(file) = places.into_iter().find(|file| file.is_file()) else {
        let message = "no metadata of Hasura's: there is no databases/databases.yaml in it; `hasura metadata export` writes \
                       that folder, and a file that the console exported will do, too";
        return Err(Usage(format!("{} is {message}", path.display())));
    };
    let beside = file.with_file_name("").join("../cron_triggers.yaml");
    let cron = if beside.is_file() { Document::read(beside)?.value } else { Value::Null };
    Ok(Metadata { schedules: schedules(&cron), ..Document::read(file)?.metadata()? })
}

/// The cron triggers of a list.
fn schedules(list: &Value) -> Vec<Schedule> {
    let each = list.as_array().into_iter().flatten();
    let named = each.filter_map(|one| {
        Some(Schedule {
            name: text(one, "name").filter(|name| !name.trim().is_empty())?.to_owned(),
            comment: text(one, "comment").map(str::to_owned),
            payload: one.get("payload").cloned().unwrap_or_default(),
        })
    });
    named.collect()
}

/// A part of the metadata, and the file it stands in.
struct Document {
    file: PathBuf,
    value: Value,
}

impl Document {
    fn read(file: PathBuf) -> Result<Self, Usage> {
        let failed = |error: String| Usage(format!("cannot read {}: {error}", file.display()));
        // A pipe would be waited for.
        if fs::metadata(&file).is_ok_and(|found| !found.is_file()) {
            return Err(failed("it is no regular file".to_owned()));
        }
        let text = fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
        let value = serde_json::from_str(&text).or_else(|_| json_of_yaml(&text)).map_err(failed)?;
        Ok(Self { file, value })
    }

    fn metadata(&self) -> Result<Metadata, Usage> {
        let mut metadata = Metadata::default();
        for source in self.items()? {
            let database = text(&source.value, "name").unwrap_or(DEFAULT_SOURCE).to_owned();
            metadata.databases.push(database.clone());
            let tables = source.value.get("tables").cloned().unwrap_or_default();
            for table in source.part(tables)?.items()? {
                let Some(name) = table.value.get("table").and_then(table_of) else { continue };
                let triggers = table.value.get("event_triggers").and_then(Value::as_array).into_iter().flatten();
                metadata.triggers.extend(triggers.map(|trigger| found(&database, &name, trigger)));
                metadata.tables.push(Tracked {
                    database: database.clone(),
                    columns: named(&table.value),
                    is_enum: table.value.get("is_enum") == Some(&Value::Bool(true)),
                    table: name,
                });
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

/// The columns that an entry of a table names: each is in a list under `columns`, is a key of `column_config`, or is what a
/// relationship of the table itself goes by.
fn named(table: &Value) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let of_permissions = ["insert_permissions", "select_permissions", "update_permissions"];
    let permissions = of_permissions.iter().filter_map(|kind| table.get(kind)?.as_array()).flatten();
    let permitted = permissions.filter_map(|permission| permission.pointer("/permission/columns"));
    let triggers = table.get("event_triggers").and_then(Value::as_array).into_iter().flatten();
    let operations = triggers.filter_map(|trigger| trigger.get("definition")?.as_object()).flat_map(Map::values);
    let told = operations.flat_map(|operation| [operation.get("columns"), operation.get("payload")]).flatten();
    for list in permitted.chain(told) {
        out.extend(list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    let configured = table.pointer("/configuration/column_config").and_then(Value::as_object);
    out.extend(configured.into_iter().flat_map(Map::keys).cloned());
    let relationships = table.get("object_relationships").and_then(Value::as_array).into_iter().flatten();
    for by in relationships.filter_map(|relationship| relationship.pointer("/using/foreign_key_constraint_on")) {
        let names = by.as_array().map_or(std::slice::from_ref(by), Vec::as_slice);
        out.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    out
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
    let transforms = |part: &str| {
        let part = trigger.get("request_transform").and_then(|transform| transform.get(part));
        part.is_some_and(|part| !part.is_null() && part.as_object().is_none_or(|parts| !parts.is_empty()))
    };
    Found {
        database: database.to_owned(),
        table: table.clone(),
        name: of("name"),
        told: definition.map(told).unwrap_or_default(),
        retries: trigger.pointer("/retry_conf/num_retries").and_then(Value::as_u64).unwrap_or(0),
        webhook: of("webhook"),
        variable: of("webhook_from_env"),
        headers: headers.map(header).collect(),
        transforms: TRANSFORMED.into_iter().filter(|part| transforms(part)).collect(),
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
