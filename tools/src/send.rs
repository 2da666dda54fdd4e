//! `herald send`: what Hasura would send, from a file, of rows that are given, or such that it is an event.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use catalog::{Likely, Occasion};
use clap::Args;
use client::{
    exit::{self, Usage},
    print,
    send::Body,
};
use contracts::names::EventRef;
use jiff::Timestamp;
use serde_json::Value;

use crate::folder::{rows::Rows, usable};

/// What `herald send` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A Hasura payload; `-` reads it from stdin
    #[arg(value_name = "FILE", conflicts_with_all = ["table", "op", "old", "new", "set", "event"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    rows: Rows,
    /// Instead of a payload: an event; what is sent is of its tests, or made of its sample and condition, and is detected as that event
    #[arg(long, value_name = "EVENT", conflicts_with_all = ["table", "op", "old", "new", "set"])]
    event: Option<EventRef>,
    /// The catalog's folder that has the event
    #[arg(long, value_name = "FOLDER", requires = "event", default_value = ".")]
    catalog: PathBuf,
    /// Print what would be sent, and send nothing
    #[arg(long, conflicts_with = "file")]
    dry_run: bool,
    #[command(flatten)]
    send: client::send::Options,
}

/// Sends it, and waits if it is told to.
///
/// # Errors
/// What is to be sent cannot be used or made, the webhook or the API cannot be reached, or the webhook refuses.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { file, rows, event, catalog, dry_run, mut send } = options;
    let made = match (&event, file) {
        (_, Some(file)) => return client_run(send, Body::File(file)),
        (Some(event), None) => {
            let Some(likely) = likely(event, &catalog)? else { return Ok(ExitCode::from(exit::NO)) };
            let occasion = Occasion::of(&likely.body);
            let (what, any) = (occasion.noun(), occasion.with_article());
            let of = likely.test.as_ref().map(|test| format!("the {what} of its test `{test}`"));
            let of = of.unwrap_or_else(|| format!("{any} made of its sample and condition"));
            print::note(&format!("sends {of} as {event}"));
            send.source.get_or_insert(likely.source);
            likely.body
        }
        (None, None) if rows.table.is_some() => rows.body()?,
        (None, None) => {
            let wanted = "give what Hasura sends, as a file; or a change: --table orders --set new.status=shipped; or an \
                          event of a catalog: --event order.paid --catalog .";
            return Err(Usage(wanted.to_owned()).into());
        }
    };
    if send.same_id {
        return Err(Usage("--same-id goes with a file: what is made up has no id of its own".to_owned()).into());
    }
    if dry_run {
        print::line(&serde_json::to_string_pretty(&made)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    client_run(send, Body::Made(members(made).to_string()))
}

/// The body with the members that a fresh id and time take the place of.
fn members(mut body: Value) -> Value {
    body["id"] = "".into();
    // A cron trigger sends none.
    if Occasion::of(&body) == Occasion::Change || body.get("created_at").is_some() {
        body["created_at"] = "".into();
    }
    body
}

fn client_run(options: client::send::Options, body: Body) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(client::send::run(options, body))
}

/// A change that is the event; none once the catalog's errors are told.
fn likely(event: &EventRef, folder: &Path) -> anyhow::Result<Option<Likely>> {
    let Some(catalog) = usable(folder)? else { return Ok(None) };
    let Some(known) = catalog.event(event) else {
        let names: Vec<String> = catalog.events().iter().map(|event| event.name().to_string()).collect();
        let meant = expressions::closest(&event.to_string(), names.iter().map(String::as_str));
        let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        return Err(Usage(format!("the catalog {} has no event {event}{meant}", folder.display())).into());
    };
    if known.selector().is_none() && known.called().is_none() {
        let publish = format!("{} publish {event} data.json --wait", print::command());
        return Err(Usage(format!(
            "{event} has no `from`: no change is it, it is published by its name, with its data: {publish}"
        ))
        .into());
    }
    let likely = known.likely(Timestamp::now());
    Ok(Some(likely.map_err(|why| {
        let file = known.file();
        let (what, given) = match known.occasion().unwrap_or(Occasion::Change) {
            Occasion::Change => ("change", "give the change: --table … --set old.status=placed --set new.status=paid"),
            other => (other.noun(), "give what Hasura sends, as a file"),
        };
        Usage(format!(
            "no {what} could be made up that is {event}: {why}; write a test in {file} that expects it, or {given}"
        ))
    })?))
}
