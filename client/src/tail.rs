//! `herald tail`: events as they are published.

use crate::address::Api;
use clap::Args;
use std::{process::ExitCode, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use crate::{
    http::{Call, Stream, encode},
    page::one_line,
    print::{self, BOLD, DIM, clean, cut},
};

/// What `herald tail` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Names of events, where `*` stands for anything, as in `move.*` [default: every event]
    #[arg(value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
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
    if !options.json {
        print::note("following events; Ctrl-C ends it");
    }
    loop {
        let ended = match stream.next().await {
            Ok(Some(event)) if event.kind == "event" => {
                print::line(&if options.json {
                    one_line(&event.data)
                } else {
                    shown(&event.data, &TimeZone::system())
                })?;
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

/// One event on one line; what cannot be read as one is shown as it is.
fn shown(json: &str, zone: &TimeZone) -> String {
    let Ok(event) = serde_json::from_str::<CloudEvent<'_>>(json) else { return cut(&clean(json), DATA) };
    let time = event.time.map(|time| time.to_zoned(zone.clone()).strftime("%H:%M:%S.%3f").to_string());
    let time = time.unwrap_or_else(|| "--:--:--".to_owned());
    let correlation = clean(event.correlationid.as_deref().unwrap_or_default());
    let data = cut(&clean(&one_line(event.data.map_or("", RawValue::get))), DATA);
    format!("{DIM}{time}{DIM:#} ⭐ {BOLD}{}{BOLD:#}  {DIM}{correlation}{DIM:#}  {data}", clean(&event.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_with_its_time_name_correlation_and_data() {
        let json = r#"{"specversion":"1.0","id":"x","type":"move.new","time":"2026-11-21T10:00:00.5Z",
                       "correlationid":"c-1","data":{"moveId": 12345678901234567890.10}}"#;
        let line = anstream::adapter::strip_str(&shown(json, &TimeZone::UTC)).to_string();
        assert_eq!(line, "10:00:00.500 ⭐ move.new  c-1  {\"moveId\": 12345678901234567890.10}");
        assert_eq!(shown("no\u{7}nsense", &TimeZone::UTC), "no nsense");
    }
}
