//! `herald dlq show`: a dead letter as a person reads it.

use std::{collections::BTreeMap, process::ExitCode};

use contracts::ids::CorrelationId;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Letter, why};
use crate::{
    address::Api,
    ask::known,
    exit,
    http::encode,
    order::counted,
    page::one_line,
    print::{self, BOLD, DIM, RED, clean, cut, defused},
};

/// How much of an event's data is shown, in bytes; of a header, in characters; and how many of these.
const DATA: usize = 16 * 1024;
const HEADER: usize = 1000;
const HEADERS: usize = 100;

/// A letter with its event, as far as it is read.
#[derive(Debug, Deserialize)]
struct Whole {
    letter: Letter,
    key: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// What else the letter says, and the event's data.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct More {
    letter: Rest,
    #[serde(default)]
    cloud_event: Value,
}

#[derive(Debug, Deserialize)]
struct Rest {
    correlation: CorrelationId,
    first: String,
    origin: String,
    catalog: u64,
}

pub(super) async fn run(api: &Api, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let found: Option<Box<RawValue>> = known(api, &format!("/v1/dead/{}", encode(id))).await?;
    let Some(found) = found else {
        print::error(&format!(
            "there is no dead letter `{}` (any more); `{} dlq list` lists them",
            clean(id),
            print::command()
        ));
        return Ok(ExitCode::from(exit::NO));
    };
    if json {
        print::line(&one_line(found.get()))?;
        return Ok(ExitCode::SUCCESS);
    }
    print::block(&shown(found.get())?)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(text: &str) -> serde_json::Result<String> {
    let (Whole { letter, key, headers }, more): (Whole, More) =
        (serde_json::from_str(text)?, serde_json::from_str(text)?);
    let Rest { correlation, first, origin, catalog } = more.letter;
    let mut out = vec![
        format!("❌ {BOLD}{}{BOLD:#} failed for {BOLD}{}{BOLD:#}", clean(&letter.job), letter.event),
        field("id", &letter.id.to_string()),
        field("correlation", correlation.as_str()),
        field("attempts", &format!("{}: {}", letter.attempts, why(&letter.reason))),
        field("began, died", &format!("{first}, {}", letter.last)),
        field("event at", &format!("{origin}, key {}", key.as_deref().unwrap_or("none"))),
        field("catalog", &format!("version {catalog}")),
    ];
    out.extend(letter.error.lines().map(|line| format!("   {RED}{}{RED:#}", defused(line))));
    out.push(format!("   {BOLD}data{BOLD:#}"));
    let command = print::command();
    let id = &letter.id.to_string()[..8];
    let rest =
        |what: String| format!("   {DIM}… and {what} more; `{command} dlq show {id} --json` has all of it{DIM:#}");
    let data = serde_json::to_string_pretty(more.cloud_event.get("data").unwrap_or(&Value::Null))?;
    let shown = head(&data, DATA);
    out.extend(shown.lines().map(|line| format!("   {}", defused(line))));
    out.extend((shown.len() < data.len()).then(|| rest(counted((data.len() - shown.len()) as u64, "byte"))));
    out.push(format!("   {BOLD}{}{BOLD:#}", counted(headers.len() as u64, "header")));
    out.extend(headers.iter().take(HEADERS).map(|(name, value)| field(name, &cut(value, HEADER))));
    out.extend(headers.len().checked_sub(HEADERS + 1).map(|more| rest(counted(more as u64 + 1, "header"))));
    out.push(format!(
        "   {DIM}`{command} dlq redrive {id}` runs it again, `{command} dlq discard {id}` puts it away{DIM:#}"
    ));
    Ok(out.join("\n"))
}

/// As much of a text as has so many bytes.
fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn field(name: &str, value: &str) -> String {
    format!("   {DIM}{}{DIM:#}  {}", clean(name), clean(value))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn of_a_large_letter_the_beginning_is_shown_and_what_has_the_rest() {
        let headers: Vec<String> = (0..150).map(|n| format!("\"h{n}\":\"{}\"", "ä".repeat(5000))).collect();
        let text = format!(
            r#"{{"letter":{{"id":"710923ea-91e1-5411-9ca1-9f0325876604","job":"charge","event":"order.paid",
            "correlation":"order-7","reason":"final","error":"no","attempts":1,"first":"2026-11-21T02:22:50Z",
            "last":"2026-11-21T02:22:51Z","origin":"event.order.paid/0/7","catalog":3}},
            "cloudEvent":{{"data":"{}"}},"headers":{{{}}}}}"#,
            "ü".repeat(100_000),
            headers.join(",")
        );
        let told = strip_str(&shown(&text).expect("a letter")).to_string();
        assert!(told.len() < 400_000, "{}", told.len());
        for part in
            ["… and 183619 bytes more; ", "150 headers", "… and 50 headers more; `herald dlq show 710923ea --json`"]
        {
            assert!(told.contains(part), "{part}: {}", &told[told.len() - 400..]);
        }
    }

    #[test]
    fn a_letter_is_shown_whole() {
        let text = r#"{"letter":{"id":"710923ea-91e1-5411-9ca1-9f0325876604","job":"charge","event":"order.paid",
            "correlation":"order-7","reason":"final","error":"400 from billing\u001b[2J\n no such card","attempts":1,
            "first":"2026-11-21T02:22:50Z","last":"2026-11-21T02:22:51Z","origin":"event.order.paid/0/7","catalog":3},
            "key":"7","cloudEvent":{"id":"1","data":{"price":1.10,"by":[1]}},"headers":{"ce_type":"order.paid"}}"#;
        insta::assert_snapshot!(strip_str(&shown(text).expect("a letter")).to_string(), @r#"
        ❌ charge failed for order.paid
           id  710923ea-91e1-5411-9ca1-9f0325876604
           correlation  order-7
           attempts  1: no other makes sense
           began, died  2026-11-21T02:22:50Z, 2026-11-21T02:22:51Z
           event at  event.order.paid/0/7, key 7
           catalog  version 3
           400 from billing
            no such card
           data
           {
             "by": [
               1
             ],
             "price": 1.10
           }
           1 header
           ce_type  order.paid
           `herald dlq redrive 710923ea` runs it again, `herald dlq discard 710923ea` puts it away
        "#);
    }
}
