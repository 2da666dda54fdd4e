//! `herald tail`: events as they are published.

use crate::address::Api;
use clap::Args;
use std::{process::ExitCode, time::Duration};

use contracts::topics::EVENT_PREFIX;
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use crate::{
    exit,
    http::{Call, Stream, encode},
    ids::Given,
    page::one_line,
    print::{self, BOLD, DIM, clean, cut},
};

/// What `herald tail` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Names of events, where `*` stands for anything, as in `move.*` [default: every event]
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Only events of the correlations whose id begins so
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<String>,
    /// Only events of the correlation of the last that came
    #[arg(long, conflicts_with = "correlation")]
    pub(crate) last: bool,
    /// Print JSON: one CloudEvent per line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// How long to wait before a stream that broke off is asked for again.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that is shown of an event's data, in characters.
const DATA: usize = 160;

/// What is shown of a CloudEvent.
#[derive(Debug, Deserialize)]
struct CloudEvent<'a> {
    #[serde(rename = "type")]
    name: String,
    time: Option<Timestamp>,
    correlationid: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Prints events until it is interrupted. A stream that broke off is asked for again; what was published meanwhile is not
/// shown, and that is said.
///
/// # Errors
/// The API cannot be reached at the start, or refuses.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut stream = open(&options).await?;
    let correlation = match &options.correlation {
        _ if options.last => {
            let last = Given { id: None, last: true };
            match last.meant(&options.api, None).await? {
                Some(last) => Some(last.correlation.to_string()),
                None => {
                    print::error(&last.unknown());
                    return Ok(ExitCode::from(exit::NO));
                }
            }
        }
        begins => begins.clone(),
    };
    if !options.json {
        let of = correlation.as_ref().map(|of| format!(" of {}", clean(of))).unwrap_or_default();
        print::note(&format!("following events{of}; Ctrl-C ends it"));
    }
    loop {
        let ended = match stream.next().await {
            Ok(Some(event)) if event.kind == "event" => {
                if correlation.as_ref().is_none_or(|begins| is_of(&event.data, begins)) {
                    print::line(&if options.json {
                        one_line(&event.data)
                    } else {
                        shown(&event.data, &event.id, &TimeZone::system())
                    })?;
                }
                continue;
            }
            // Kinds that this version does not know.
            Ok(Some(_)) => continue,
            Ok(None) => "the stream ended".to_owned(),
            Err(error) => error.to_string(),
        };
        print::note(&format!("{ended}; trying again. What is published meanwhile is not shown here"));
        stream = loop {
            sleep(PAUSE).await;
            match open(&options).await {
                Ok(stream) => break stream,
                Err(error) if is_away(&error) => {}
                Err(error) => return Err(error),
            }
        };
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(crate::http::Error::is_unreachable)
}

async fn open(options: &Options) -> anyhow::Result<Stream> {
    let names: Vec<_> = options.patterns.iter().map(|pattern| format!("name={}", encode(pattern))).collect();
    let path = if names.is_empty() { "/v1/events".to_owned() } else { format!("/v1/events?{}", names.join("&")) };
    let call = Call::get(&options.api.api, &path).token(options.api.token.as_deref())?;
    Ok(call.stream().await?)
}

/// Whether an event is of a correlation whose id begins so.
fn is_of(json: &str, begins: &str) -> bool {
    let event = serde_json::from_str::<CloudEvent<'_>>(json).ok();
    event.and_then(|event| event.correlationid).is_some_and(|id| id.starts_with(begins))
}

/// The name with its version, which the topic has and the event's `type` has not; `id` is the place of the event in its topic.
fn name<'a>(kind: &'a str, id: &'a str) -> &'a str {
    let topic = id.split('/').next().and_then(|topic| topic.strip_prefix(EVENT_PREFIX));
    topic.filter(|name| name.starts_with(kind)).unwrap_or(kind)
}

/// One event on one line; what cannot be read as one is shown as it is.
fn shown(json: &str, id: &str, zone: &TimeZone) -> String {
    let Ok(event) = serde_json::from_str::<CloudEvent<'_>>(json) else { return cut(&clean(json), DATA) };
    let time = event.time.map(|time| time.to_zoned(zone.clone()).strftime("%H:%M:%S.%3f").to_string());
    let time = time.unwrap_or_else(|| "--:--:--".to_owned());
    let correlation = clean(event.correlationid.as_deref().unwrap_or_default());
    let data = cut(&clean(&one_line(event.data.map_or("", RawValue::get))), DATA);
    format!("{DIM}{time}{DIM:#} ⭐ {BOLD}{}{BOLD:#}  {DIM}{correlation}{DIM:#}  {data}", clean(name(&event.name, id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_with_its_time_name_correlation_and_data() {
        let json = r#"{"specversion":"1.0","id":"x","type":"move.new","time":"2026-11-21T10:00:00.5Z",
                       "correlationid":"c-1","data":{"moveId": 12345678901234567890.10}}"#;
        let line = anstream::adapter::strip_str(&shown(json, "event.move.new/0/7", &TimeZone::UTC)).to_string();
        assert_eq!(line, "10:00:00.500 ⭐ move.new  c-1  {\"moveId\": 12345678901234567890.10}");
        assert_eq!(shown("no\u{7}nsense", "", &TimeZone::UTC), "no nsense");
    }

    #[test]
    fn two_versions_of_an_event_have_two_names() {
        assert_eq!(name("move.new", "event.move.new.v2/0/7"), "move.new.v2");
        assert_eq!(name("move.new", "event.move.new/0/7"), "move.new");
        assert_eq!(name("move.new", ""), "move.new");
    }

    #[test]
    fn an_event_is_of_a_correlation_by_the_beginning_of_its_id() {
        let json = r#"{"type":"move.new","correlationid":"order-77"}"#;
        assert!(is_of(json, "orde") && is_of(json, "order-77"));
        assert!(!is_of(json, "order-8") && !is_of("nonsense", "o") && !is_of(r#"{"type":"move.new"}"#, "o"));
    }
}
