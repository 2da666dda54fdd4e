//! `herald publish`: an event by its name, and with `--wait` what becomes of it. It is sent as a CloudEvent in binary mode.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use contracts::{names::EventRef, raw::PUBLISHER};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use uuid::Uuid;

use crate::{
    exit::Usage,
    send::{self, Sending},
};

/// What does not stand in a header as it is: CloudEvents 1.0.2, *HTTP Protocol Binding*, section 3.1.3.2.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// What is published, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The event's name; from version 2 on with its version, as in `order.paid.v2`
    #[arg(value_name = "EVENT")]
    event: EventRef,
    /// Its data as JSON; `-` reads them from stdin
    #[arg(value_name = "FILE")]
    data: PathBuf,
    /// An id by which the same publication is recognised when it comes again [default: a fresh one]
    #[arg(long, value_name = "ID", value_parser = named)]
    id: Option<String>,
    /// What keeps its order: events of one key follow one another [default: the id]
    #[arg(long, value_name = "KEY", value_parser = named)]
    key: Option<String>,
    #[command(flatten)]
    sending: Sending,
}

/// A text that is not empty.
fn named(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Publishes it, and waits if it is told to.
///
/// # Errors
/// The file cannot be used, the webhook or the API cannot be reached, or the webhook refuses.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { event, data, id, key, sending } = options;
    let (shown, data) = send::read(&data)?;
    if data.trim_ascii().is_empty() {
        return Err(Usage(format!("{shown} is empty; an event without data has `null`")).into());
    }
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let id = id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut headers = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", encoded(&id)),
        ("ce-source", PUBLISHER.to_owned()),
        ("ce-type", event.name.to_string()),
    ];
    headers.extend(key.map(|key| ("ce-partitionkey", encoded(&key))));
    sending.send(&format!("/events/{event}"), data, &headers).await
}
