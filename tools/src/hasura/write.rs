//! Triggers as Hasura's metadata: entries of its folder, or commands for its metadata API.

use super::{
    DEFAULT_SOURCE,
    document::Document,
    needs::{Columns, Trigger},
};

/// How often Hasura tries again: its default is never. With [`INTERVAL`] seconds between, a night.
const RETRIES: u64 = 480;
const INTERVAL: u64 = 60;
/// How long one delivery may take, in seconds: beyond what Herald takes to say 503, and short, for all triggers share Hasura's
/// connections.
const TIMEOUT: u64 = 15;

/// Where Herald is for Hasura, and what it wants to be shown.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Said wherever triggers are written.
    pub(super) address: Option<Address>,
    pub(super) secret: Option<Secret>,
}

/// The webhook.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// The URL that `/hasura` follows.
    Base(String),
    /// A variable of Hasura's environment that holds the whole URL.
    Variable(String),
}

/// The header of the webhook's secret.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub(super) header: String,
    /// The variable of Hasura's environment that holds it.
    pub(super) variable: String,
}

impl Target {
    /// The URL for changes of a database, as an entry of a trigger.
    fn webhook(&self, source: &str) -> Option<(&'static str, Document)> {
        Some(match self.address.as_ref()? {
            Address::Base(base) if source == DEFAULT_SOURCE => ("webhook", Document::Text(format!("{base}/hasura"))),
            Address::Base(base) => ("webhook", Document::Text(format!("{base}/hasura/{source}"))),
            Address::Variable(name) => ("webhook_from_env", name.as_str().into()),
        })
    }

    fn headers(&self) -> Option<(&'static str, Document)> {
        let Secret { header, variable } = self.secret.as_ref()?;
        let header = vec![("name", header.as_str().into()), ("value_from_env", variable.as_str().into())];
        Some(("headers", Document::List(vec![Document::Map(header)])))
    }
}

/// The files of a metadata folder that these triggers belong into, one document for each table.
pub(super) fn folder(triggers: &[Trigger], target: &Target) -> String {
    let is_same = |a: &Trigger, b: &Trigger| (&a.source, &a.table) == (&b.source, &b.table);
    let files = triggers.chunk_by(is_same).map(|triggers| {
        let (source, table) = (&triggers[0].source, &triggers[0].table);
        let events: Vec<&str> = triggers.iter().flat_map(|trigger| &trigger.events).map(String::as_str).collect();
        let entries = triggers.iter().map(|trigger| entry(trigger, target)).collect();
        let file = Document::Map(vec![("table", table_of(triggers)), ("event_triggers", Document::List(entries))]);
        format!(
            "# databases/{source}/tables/{}_{}.yaml\n# For {}.\n{}",
            table.schema,
            table.name,
            events.join(", "),
            file.yaml()
        )
    });
    files.collect::<Vec<_>>().join("---\n")
}

fn table_of(triggers: &[Trigger]) -> Document {
    let table = &triggers[0].table;
    Document::Map(vec![("name", table.name.as_str().into()), ("schema", table.schema.as_str().into())])
}

fn entry(trigger: &Trigger, target: &Target) -> Document {
    let mut definition = vec![("enable_manual", Document::Bool(trigger.manual))];
    definition.extend(operations(trigger));
    let mut entry = vec![("name", trigger.name.as_str().into()), ("definition", Document::Map(definition)), retries()];
    entry.extend(target.webhook(&trigger.source));
    entry.extend(target.headers());
    Document::Map(entry)
}

/// The body of a request to `/v1/metadata` that makes these triggers, or makes them anew. Hasura's `replace` wants a trigger to be
/// there, and to create one wants none: so each is created, whether or not that is refused, and then replaced.
pub(super) fn api(triggers: &[Trigger], target: &Target) -> Document {
    let commands = triggers.iter().flat_map(|trigger| [false, true].map(|replace| command(trigger, target, replace)));
    Document::Map(vec![("type", "bulk_keep_going".into()), ("args", Document::List(commands.collect()))])
}

fn command(trigger: &Trigger, target: &Target, replace: bool) -> Document {
    let table = table_of(std::slice::from_ref(trigger));
    let mut arguments =
        vec![("name", trigger.name.as_str().into()), ("source", trigger.source.as_str().into()), ("table", table)];
    arguments.extend(operations(trigger));
    arguments.extend([("enable_manual", Document::Bool(trigger.manual)), retries()]);
    arguments.extend(target.webhook(&trigger.source));
    arguments.extend(target.headers());
    arguments.push(("replace", Document::Bool(replace)));
    Document::Map(vec![("type", "pg_create_event_trigger".into()), ("args", Document::Map(arguments))])
}

fn operations(trigger: &Trigger) -> Vec<(&'static str, Document)> {
    let all = || Document::Map(vec![("columns", "*".into())]);
    let mut out = Vec::new();
    if trigger.insert {
        out.push(("insert", all()));
    }
    match &trigger.update {
        Some(Columns::All) => out.push(("update", all())),
        Some(Columns::These(columns)) => {
            let columns = columns.iter().map(|column| column.as_str().into()).collect();
            out.push(("update", Document::Map(vec![("columns", Document::List(columns))])));
        }
        None => {}
    }
    if trigger.delete {
        out.push(("delete", all()));
    }
    out
}

fn retries() -> (&'static str, Document) {
    let conf = [("interval_sec", INTERVAL), ("num_retries", RETRIES), ("timeout_sec", TIMEOUT)];
    ("retry_conf", Document::Map(conf.map(|(key, number)| (key, Document::Number(number))).to_vec()))
}
