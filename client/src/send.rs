//! `herald send`: what Hasura would send, and with `--wait` what becomes of it.

use crate::address::{Api, Webhook};
use clap::Args;
use std::{fs, io, process::ExitCode};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use contracts::{
    ids::{CorrelationId, InvocationId},
    names::{SOURCE, is_source},
    raw::Place,
    summary::{Invocation, Outcome, State, Summary},
};
use hyper::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    exit::{self, Usage},
    http::{Call, Error},
    page::{self, Awaited},
    payload, print,
    render::{self, line},
    status::say_if_catalog_is_awaited,
};

/// How something is sent.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Options {
    /// Send the file as it is, byte for byte, instead of with a fresh `id` and `created_at`
    #[arg(long)]
    pub same_id: bool,
    /// The source it comes from, as in `/hasura/<source>` [default: default]
    #[arg(long, value_name = "NAME", value_parser = source)]
    pub source: Option<String>,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

/// How anything is sent to the webhook, and whether its end is waited for.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Sending {
    /// Wait until everything it caused has ended, telling what happens; at most so long
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s",
          value_parser = contracts::wait::parse)]
    pub(crate) wait: Option<Duration>,
    /// The correlation id that everything it causes is gathered under [default: derived from the payload's id]
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<CorrelationId>,
    /// Print JSON: the answer, or with --wait the summary
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) webhook: Webhook,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// A source's name, as ingest takes it in `/hasura/<source>`.
///
/// # Errors
/// It is none, in words for whoever wrote it.
pub fn source(text: &str) -> Result<String, String> {
    if is_source(text) { Ok(text.to_owned()) } else { Err(format!("a source is {SOURCE}")) }
}

/// The request header of a shared secret, as ingest expects it.
pub const SECRET_HEADER: &str = "x-herald-secret";
/// The request header of a correlation id, as ingest reads it first.
pub const CORRELATION_HEADER: &str = "x-correlation-id";

/// What the webhook answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    correlation_id: CorrelationId,
    invocation_id: InvocationId,
    #[serde(default)]
    raw: Option<Place>,
}

impl Accepted {
    fn of_head(head: &HeaderMap) -> Option<Self> {
        let text = |name: &str| head.get(name)?.to_str().ok();
        Some(Self {
            correlation_id: text("x-correlation-id")?.parse().ok()?,
            invocation_id: InvocationId(text("x-invocation-id")?.parse().ok()?),
            raw: None,
        })
    }

    /// Whether this delivery did not run: its invocation was refused, or it was another change under the id of that.
    fn is_refused(&self, one: &Invocation) -> bool {
        one.invocation == self.invocation_id && (one.rejected.is_some() || one.reuses(self.raw))
    }
}

/// What is sent.
#[derive(Debug)]
pub enum Body {
    /// A Hasura payload in a file; `-` is standard input.
    File(PathBuf),
    /// One that was made up.
    Made(String),
}

/// Sends it, and waits if it is told to.
///
/// # Errors
/// The file cannot be used, the webhook or the API cannot be reached, or the webhook refuses.
pub async fn run(options: Options, body: Body) -> anyhow::Result<ExitCode> {
    let body = bytes(&options, &body)?;
    let path = options.source.as_deref().map_or_else(|| "/hasura".to_owned(), |source| format!("/hasura/{source}"));
    options.sending.send(&path, body, &[]).await
}

impl Sending {
    /// Posts a body, and tells what is answered, or what becomes of it.
    ///
    /// # Errors
    /// The webhook or the API cannot be reached, or the webhook refuses.
    pub(crate) async fn send(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&'static str, String)],
    ) -> anyhow::Result<ExitCode> {
        let mut call = Call::post(&self.webhook.url, path, body)
            .header(SECRET_HEADER, self.webhook.secret.as_deref())?
            .header(CORRELATION_HEADER, self.correlation.as_ref().map(CorrelationId::as_str))?;
        for (name, value) in headers {
            call = call.header(name, Some(value))?;
        }
        let (head, answer) = call.whole().await?;
        // The caller of an action is answered what the catalog says; then the ids are in the head.
        let of_action = Accepted::of_head(&head);
        let is_of_action = of_action.is_some();
        let accepted = of_action.map_or_else(|| serde_json::from_slice(&answer), Ok);
        let accepted: Accepted = accepted.map_err(|error| Error::Unexpected {
            base: self.webhook.url.to_string(),
            reason: format!("its answer names no correlation and invocation: {error}"),
        })?;
        if is_of_action && !self.json {
            print::note(&format!("answered {}", print::clean(&page::one_line(&String::from_utf8_lossy(&answer)))));
        }
        if self.wait.is_some() {
            return wait(self, &accepted).await;
        }
        if self.json {
            print::line(&page::one_line(&String::from_utf8_lossy(&answer)))?;
        } else {
            print::line(&format!("📨 Accepted\n{}", render::correlation(&accepted.correlation_id)))?;
            let short = line::short(std::iter::once(&accepted.correlation_id))(&accepted.correlation_id);
            let command = print::command();
            print::note(&format!("   `{command} show {short}` shows what becomes of it, `{command} why {short}` why"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a file has, or for `-` what standard input has, and what it is called.
pub(crate) fn read(file: &Path) -> Result<(String, Vec<u8>), Usage> {
    let is_stdin = file.as_os_str() == "-";
    let shown = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let read = if is_stdin { read_stdin() } else { fs::read(file) };
    let bytes = read.map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    Ok((shown, bytes))
}

fn bytes(options: &Options, body: &Body) -> anyhow::Result<Vec<u8>> {
    let (shown, bytes) = match body {
        Body::Made(text) => ("what was made up".to_owned(), text.clone().into_bytes()),
        Body::File(file) => read(file)?,
    };
    if options.same_id {
        return Ok(bytes);
    }
    let unusable = |error: &dyn std::fmt::Display| Usage(format!("{shown} cannot be sent with a fresh id: {error}"));
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let (line, column) = place(&bytes[..error.valid_up_to()]);
        unusable(&format!("it is not UTF-8 at line {line} column {column}; --same-id sends it as it is"))
    })?;
    let fresh =
        payload::fresh(text, &Uuid::now_v7().to_string(), Timestamp::now()).map_err(|error| unusable(&error))?;
    Ok(fresh.into_bytes())
}

/// The line and the column behind a text, as the JSON reader counts them: in bytes, from 1.
fn place(before: &[u8]) -> (usize, usize) {
    let lines = before.split(|byte| *byte == b'\n');
    let (count, last) = lines.fold((0, 0), |(count, _), line| (count + 1, line.len()));
    (count, last + 1)
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes)?;
    Ok(bytes)
}

async fn wait(options: &Sending, accepted: &Accepted) -> anyhow::Result<ExitCode> {
    let timeout = options.wait.unwrap_or_default();
    let correlation = &accepted.correlation_id;
    let awaited = Awaited { correlation, invocation: Some(accepted.invocation_id), raw: accepted.raw, timeout };
    let last =
        page::follow(&options.api, &awaited, !options.json && print::is_terminal()).await.with_context(|| {
            format!("it was accepted, and goes on when Herald does; `herald show {correlation} --wait` shows it then")
        })?;
    let Some(last) = last else {
        page::known(&options.api, correlation).await?;
        say_if_catalog_is_awaited(&options.api).await;
        anyhow::bail!("nothing is known of correlation {correlation} after {}", render::time(timeout));
    };
    if options.json {
        print::line(&last.json())?;
    } else {
        let gap = if print::is_terminal() { "\n" } else { "" };
        print::block(&format!("{gap}{}", render::summary(&last.summary, Timestamp::now())))?;
    }
    Ok(verdict(&last.summary, Some(accepted), timeout))
}

/// The exit code of a correlation: no when something failed, or when it was not complete in time.
pub(crate) fn verdict(summary: &Summary, sent: Option<&Accepted>, waited: Duration) -> ExitCode {
    if summary.state != State::Complete {
        print::note(&format!("not complete after {}", render::time(waited)));
        return ExitCode::from(exit::NO);
    }
    let is_refused = |one: &Invocation| sent.is_some_and(|sent| sent.is_refused(one));
    if summary.invocations.iter().any(is_refused) || summary.incomplete || summary.outcome == Some(Outcome::Failure) {
        return ExitCode::from(exit::NO);
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_ingest_would_not_take_is_a_usage_error() {
        assert!(source("orders-eu_1.x").is_ok());
        for wrong in ["", "a/b", "a b", &"x".repeat(65)] {
            assert!(source(wrong).is_err(), "{wrong:?} is taken for a source");
        }
    }

    /// The tool by itself.
    #[derive(clap::Parser)]
    struct Alone {
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn a_wait_without_a_time_is_thirty_seconds_and_does_not_eat_the_file() {
        let Alone { file, options } = clap::Parser::parse_from(["send", "--wait", "move.json"]);
        assert_eq!(options.sending.wait, Some(Duration::from_secs(30)));
        assert_eq!(file, PathBuf::from("move.json"));
    }
}
