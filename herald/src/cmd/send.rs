//! `herald send`: what Hasura would send, and with `--wait` what becomes of it.

use std::{fs, io, process::ExitCode};

use anyhow::Context as _;
use contracts::{
    ids::{CorrelationId, InvocationId},
    raw::Place,
    summary::{Invocation, Outcome, State, Summary},
};
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    cli::SendOptions,
    exit::{self, Usage},
    http::{Call, Error},
    page::{self, Awaited},
    payload, print, render,
};

/// The request header of a shared secret, as ingest expects it.
pub(crate) const SECRET_HEADER: &str = "x-herald-secret";
/// The request header of a correlation id, as ingest reads it first.
pub(crate) const CORRELATION_HEADER: &str = "x-correlation-id";

/// What the webhook answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    correlation_id: CorrelationId,
    invocation_id: InvocationId,
    #[serde(default)]
    raw: Option<Place>,
}

/// Sends the file, and waits if it is told to.
///
/// # Errors
/// The file cannot be used, the webhook or the API cannot be reached, or the webhook refuses.
pub(super) async fn run(options: SendOptions) -> anyhow::Result<ExitCode> {
    let body = body(&options)?;
    let path = options.source.as_deref().map_or_else(|| "/hasura".to_owned(), |source| format!("/hasura/{source}"));
    let call = Call::post(&options.webhook.url, &path, body)
        .header(SECRET_HEADER, options.webhook.secret.as_deref())?
        .header(CORRELATION_HEADER, options.correlation.as_ref().map(CorrelationId::as_str))?;
    let answer = call.answer().await?;
    let accepted: Accepted = serde_json::from_slice(&answer).map_err(|error| Error::Unexpected {
        base: options.webhook.url.to_string(),
        reason: format!("its answer names no correlation and invocation: {error}"),
    })?;
    if options.wait.is_some() {
        return wait(&options, &accepted).await;
    }
    if options.json {
        print::line(&page::one_line(&String::from_utf8_lossy(&answer)))?;
    } else {
        print::line(&format!("📨 Accepted   correlation {}", accepted.correlation_id))?;
        print::note(&format!("   herald show {} shows what becomes of it", accepted.correlation_id));
    }
    Ok(ExitCode::SUCCESS)
}

fn body(options: &SendOptions) -> anyhow::Result<Vec<u8>> {
    let shown = options.file.display();
    let is_stdin = options.file.as_os_str() == "-";
    let read = if is_stdin { read_stdin() } else { fs::read(&options.file) };
    let bytes = read.map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    if options.same_id {
        return Ok(bytes);
    }
    let unusable = |error: &dyn std::fmt::Display| Usage(format!("{shown} cannot be sent with a fresh id: {error}"));
    let text = std::str::from_utf8(&bytes).map_err(|error| unusable(&error))?;
    let fresh =
        payload::fresh(text, &Uuid::now_v7().to_string(), Timestamp::now()).map_err(|error| unusable(&error))?;
    Ok(fresh.into_bytes())
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes)?;
    Ok(bytes)
}

async fn wait(options: &SendOptions, accepted: &Accepted) -> anyhow::Result<ExitCode> {
    let timeout = options.wait.unwrap_or_default();
    let correlation = &accepted.correlation_id;
    let awaited = Awaited { correlation, invocation: Some(accepted.invocation_id), raw: accepted.raw, timeout };
    let last = page::follow(&options.api, &awaited, !options.json)
        .await
        .with_context(|| format!("it was accepted as correlation {correlation}, but what became of it is not known"))?;
    let Some(last) = last else {
        page::known(&options.api, correlation).await?;
        anyhow::bail!("nothing is known of correlation {correlation} after {}", render::time(timeout));
    };
    if options.json {
        print::line(&last.json())?;
    } else {
        print::line(&format!("\n{}", render::summary(&last.summary)))?;
    }
    Ok(verdict(&last.summary, Some(accepted.invocation_id), timeout))
}

/// The exit code of a correlation: no when something failed, or when it was not complete in time.
pub(super) fn verdict(summary: &Summary, sent: Option<InvocationId>, waited: std::time::Duration) -> ExitCode {
    if summary.state != State::Complete {
        print::note(&format!("not complete after {}", render::time(waited)));
        return ExitCode::from(exit::NO);
    }
    // What came under an id that was another change's is not run.
    let is_refused = |one: &Invocation| one.rejected.is_some() || one.reused > 0;
    let refused = summary.invocations.iter().any(|one| Some(one.invocation) == sent && is_refused(one));
    if refused || summary.incomplete || summary.outcome == Some(Outcome::Failure) {
        return ExitCode::from(exit::NO);
    }
    ExitCode::SUCCESS
}
