//! An order to a running Herald: who gives it, and why.

use std::env;

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    address::Api,
    http::{Call, Error},
    page::one_line,
    print,
};

/// Who orders it.
const BY: &str = "x-herald-by";

/// Who orders something, and why.
#[derive(Debug, Clone, Args)]
pub(crate) struct Orderer {
    /// Who orders it; it is kept with the order [default: <user>@<host>]
    #[arg(long, env = "HERALD_BY", value_name = "NAME")]
    by: Option<String>,
    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
    /// Say what would happen, and order nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON: the answer
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

impl Orderer {
    /// Posts an order, and reads the answer; prints it where JSON is wanted.
    ///
    /// # Errors
    /// The API cannot be reached, refuses, or answers something else.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        mut body: Map<String, Value>,
    ) -> anyhow::Result<T> {
        body.extend(self.because.iter().map(|because| ("because".to_owned(), because.as_str().into())));
        body.extend(self.dry_run.then(|| ("dryRun".to_owned(), true.into())));
        let call = Call::post(&self.api.api, path, Value::Object(body).to_string())
            .token(self.api.token.as_deref())?
            .header(BY, Some(&self.by()))?;
        let answer = call.answer().await?;
        let read = serde_json::from_slice(&answer)
            .map_err(|error| Error::Unexpected { base: self.api.api.to_string(), reason: error.to_string() })?;
        if self.json {
            print::line(&one_line(&String::from_utf8_lossy(&answer)))?;
        }
        Ok(read)
    }

    fn by(&self) -> String {
        let user = || ["USER", "LOGNAME"].iter().find_map(|name| env::var(name).ok()).filter(|user| !user.is_empty());
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        self.by.clone().unwrap_or_else(|| format!("{}@{host}", user().unwrap_or_else(|| "somebody".to_owned())))
    }
}

/// `1 record`, `2 records`, of which the API counts at most so many.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
