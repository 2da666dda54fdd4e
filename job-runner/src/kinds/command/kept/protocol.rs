//! What Herald and a kept program say to one another: JSON, a line for each message. `docs/kept-commands.md` is its page.
//!
//! ```text
//! ▶ {"protocol":1,"job":"send-mail"}                      ◀ {"protocol":1}
//! ▶ {"id":"….1","run":"…","attempt":1,"event":{…}, …}     ◀ {"id":"….1","result":{…}}
//! ```

use std::borrow::Cow;

use contracts::{cloud_event::CloudEvent, ids::JobRunId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::super::{
    answer,
    document::{in_one_line, line, wrong},
};
use crate::kind::{Answer, Failure, Outcome, Run, head};

/// The version that this Herald speaks.
const PROTOCOL: u64 = 1;
/// What is said of a program that never began to speak.
pub(super) const SILENT: &str = "it never wrote {\"protocol\":1}, with which a program begins that is started once for many \
                                 events (`keep`, docs/kept-commands.md); what runs once for each event has no `keep`";
/// How much of a line that is none of its messages is shown.
const SHOWN: usize = 200;
/// How long a result is that may nest too deep to be read.
const MAY_BE_DEEP: usize = 256;

#[derive(Serialize)]
struct Hello<'a> {
    protocol: u64,
    job: &'a str,
}

#[derive(Deserialize)]
struct HelloBack {
    protocol: u64,
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    run: JobRunId,
    attempt: u32,
    deadline: Timestamp,
    token: String,
    params: &'a Value,
    event: CloudEvent<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Value>,
    retry: Option<Value>,
}

/// The first line that a program reads.
pub(super) fn hello(run: &Run) -> Result<Vec<u8>, Failure> {
    line(&Hello { protocol: PROTOCOL, job: run.group.full_name() })
}

/// Whether a program's first line is what it must be.
pub(super) fn hello_back(line: &[u8]) -> Result<(), String> {
    match serde_json::from_slice(line) {
        Ok(HelloBack { protocol: PROTOCOL }) => Ok(()),
        Ok(HelloBack { protocol }) => {
            Err(format!("the program speaks protocol {protocol}, and this version of Herald {PROTOCOL}"))
        }
        Err(_) => Err(format!(
            "the program's first line is `{}`, and {{\"protocol\":{PROTOCOL}}} was expected: with `keep` a program speaks JSON \
             lines on stdin and stdout (docs/kept-commands.md), and logs to stderr",
            shown(line)
        )),
    }
}

/// The event as a program reads it, and the id that its answer must have. No two attempts have the same.
pub(super) fn message(run: &Run, now: Timestamp) -> Result<(String, Vec<u8>), Failure> {
    let id = format!("{}.{}", run.id, run.attempt);
    let data = in_one_line(&run.data);
    let message = Message {
        id: &id,
        run: run.id,
        attempt: run.attempt,
        deadline: SignedDuration::try_from(run.timeout)
            .ok()
            .and_then(|timeout| now.checked_add(timeout).ok())
            .unwrap_or(Timestamp::MAX),
        token: run.token().to_string(),
        params: &run.params,
        event: CloudEvent::new(&run.event, &data).map_err(wrong)?,
    };
    let message = line(&message)?;
    Ok((id, message))
}

/// What a line means that answers a message; the error says why it is no answer.
pub(super) fn reply(line: &[u8], id: &str, now: Timestamp) -> Result<Outcome, String> {
    let told = |what: &str| format!("the program wrote `{}`, {what}", shown(line));
    if str::from_utf8(line).is_err() {
        return Err(told("which is not UTF-8"));
    }
    let reply: Reply<'_> = serde_json::from_slice(line).map_err(|error| {
        told(&format!("which is no answer: {error}; an answer has `id` and `result` or `error`, and logs go to stderr"))
    })?;
    if reply.id != id {
        return Err(format!(
            "the program answered for `{}`, and `{id}` was asked: it answered twice, or mixed them up",
            head(&reply.id, SHOWN)
        ));
    }
    let is_deep = |result: &RawValue| {
        result.get().len() >= MAY_BE_DEEP && contracts::document::parse_bytes(result.get().as_bytes()).is_err()
    };
    Ok(match (reply.error.filter(|error| !error.is_null()), reply.result) {
        (Some(error), _) => {
            let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            let text = if text.trim().is_empty() { "the program failed without a word".to_owned() } else { text };
            Err(answer::followed(Failure::new(text), reply.retry.as_ref(), now))
        }
        (None, Some(result)) if is_deep(result) => {
            return Err(told("whose `result` is nested deeper than anyone reads"));
        }
        (None, Some(result)) => Ok(Answer::raw(result.to_owned())),
        (None, None) => Ok(Answer::nothing()),
    })
}

pub(super) fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(2 * SHOWN)]);
    let begin = head(&text, SHOWN);
    let more = if begin.len() < text.len() || line.len() > 2 * SHOWN { "…" } else { "" };
    format!("{}{more}", begin.escape_debug())
}
