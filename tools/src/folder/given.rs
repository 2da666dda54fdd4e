//! A change that is given on the command line: what Hasura sends, its rows, or one that came.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use client::{address::Api, exit::Usage, http::Call, ids, page};
use contracts::{
    hasura::{self, ChangeError, Occasion},
    headers,
    summary::Invocation,
};
use expressions::Scope;
use jiff::Timestamp;
use serde_json::Value;

use super::rows::{self, Rows};

/// See the module.
#[derive(Debug, Clone, Args)]
pub(super) struct Given {
    /// What Hasura sends, as a file, or - for standard input
    #[arg(value_name = "PAYLOAD", conflicts_with_all = ["table", "op", "old", "new", "set"])]
    payload: Option<PathBuf>,
    #[command(flatten)]
    rows: Rows,
    /// Instead of a payload: what came, by its correlation, its invocation or Hasura's id of it, of which the beginning is enough
    #[arg(long, value_name = "ID", conflicts_with_all = ["payload", "table", "op", "old", "new", "set"])]
    id: Option<String>,
    /// Instead of a payload: the last that came
    #[arg(long, conflicts_with_all = ["payload", "id", "table", "op", "old", "new", "set"])]
    last: bool,
    /// Who sends it, as in /hasura/{source} [default: default]
    #[arg(long, value_name = "NAME", value_parser = client::send::source)]
    source: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// What is decided about.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) value: Value,
    pub(super) source: String,
    pub(super) received: Timestamp,
}

impl Body {
    /// What an expression about it may name.
    pub(super) fn scope(&self) -> Scope {
        Scope::of(Occasion::of(hasura::unwrap(&self.value)))
    }
}

impl Given {
    /// Whether there is a payload, or a table that changes.
    pub(super) fn is_change(&self) -> bool {
        self.payload.is_some() || self.rows.table.is_some() || self.id.is_some() || self.last
    }

    /// Whether anything of a change is given.
    pub(super) fn is_something(&self) -> bool {
        self.is_change() || self.rows.has_rows()
    }

    /// What Hasura would send.
    pub(super) fn body(&self) -> anyhow::Result<Body> {
        if self.id.is_some() || self.last {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            return runtime.context("cannot start a runtime")?.block_on(self.recorded());
        }
        let value = match &self.payload {
            Some(path) => {
                let value = read(path)?;
                // What came all the same is decided as it is.
                rows::contradiction(&value).iter().for_each(|odd| client::print::note(odd));
                value
            }
            None => self.rows.body()?,
        };
        let source = self.source.clone().unwrap_or_else(|| "default".to_owned());
        Ok(Body { value, source, received: Timestamp::now() })
    }

    /// What came, as it was received, by whom and when.
    async fn recorded(&self) -> anyhow::Result<Body> {
        let given = ids::Given { id: self.id.clone(), last: self.last };
        let Some(meant) = given.meant(&self.api, self.source.as_deref()).await? else {
            anyhow::bail!(given.unknown());
        };
        let one = first(&self.api, &meant).await?;
        let call = Call::get(&self.api.api, &format!("/v1/raw/{}", one.raw)).token(self.api.token.as_deref())?;
        let (headers, body) = call.whole().await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let value = hasura::parse(&body).map_err(|error| anyhow::anyhow!("what came is no JSON: {error}"))?;
        let source = self.source.clone().or_else(|| header(headers::SOURCE).map(str::to_owned));
        let received = header(headers::RECEIVED).and_then(|at| at.parse().ok());
        Ok(Body {
            value,
            source: source.unwrap_or_else(|| "default".to_owned()),
            received: received.unwrap_or(one.received),
        })
    }
}

/// Why a body is nothing that an event is detected in.
pub(super) fn no_body(error: &ChangeError) -> String {
    format!(
        "it is no change of a table, no body of a scheduled trigger (that has `scheduled_time`) and no action (that has `action`): {error}"
    )
}

/// The invocation that is meant, or the first of the correlation.
async fn first(api: &Api, meant: &ids::Meant) -> anyhow::Result<Invocation> {
    if let Some(one) = ids::invocation(api, meant).await? {
        return Ok(serde_json::from_str(one.get())?);
    }
    let page = page::get(api, &meant.correlation, None).await?.summary;
    if page.counters.invocations > 1 {
        let note =
            "the correlation has several invocations; this is the first, and an invocation's own id means another";
        client::print::note(note);
    }
    page.invocations.into_iter().next().ok_or_else(|| anyhow::anyhow!("nothing is known of it any more"))
}

/// The largest body that any webhook takes, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// The JSON of a file, or of standard input.
pub(crate) fn read(path: &std::path::Path) -> anyhow::Result<Value> {
    let is_stdin = path.as_os_str() == "-";
    let shown = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let read = if is_stdin {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    if bytes.len() > LARGEST {
        let refused =
            format!("{shown} has {} bytes, and no webhook takes more than {LARGEST} (`ingest.max-body`)", bytes.len());
        return Err(Usage(refused).into());
    }
    hasura::parse(&bytes).map_err(|error| Usage(format!("{shown} is no JSON: {error}")).into())
}
