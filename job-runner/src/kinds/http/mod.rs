//! `http`: a request for each event.
//!
//! ```text
//!  options ─▶ fill (a row's values, as texts) ─▶ call (request, secrets, signature) ─▶ client ─▶ answer
//!                                                        names ─▶ guard ──────────────┘
//! ```
//!
//! The target is called at least once for each event, under one key (`Idempotency-Key`) in every attempt; its status says
//! whether that was a success, and its body is the result. A host that stands in the catalog is trusted, one that comes from
//! a row is not: see [`guard`]. Secrets are named in the catalog and kept by the configuration: see [`crate::secrets`].

mod answer;
mod call;
mod clients;
mod fill;
mod guard;
mod names;
mod options;
mod sign;
#[cfg(test)]
mod tests;
mod told;
mod trouble;
mod url;

use std::{path::PathBuf, sync::Arc, time::Duration};

use catalog::{Filler, RenderError, Template};
use contracts::outcomes::BoxFuture;
use hyper_util::client::legacy::connect::capture_connection;
use serde_json::Value;
use tokio::time::sleep;

use self::{call::Call, clients::Clients, options::Options};
use crate::{
    Config,
    kind::{ABSENT, Blame, Failure, Kind, Outcome, Run},
    secrets::Secrets,
};

/// How long until a connection is tried again for which this machine had no room.
const AGAIN: Duration = Duration::from_millis(200);

pub(crate) struct Http {
    folder: PathBuf,
    clients: Clients,
    secrets: Arc<Secrets>,
}

impl Http {
    /// Requests whose files are relative to the folder of the catalog, with the secrets of the configuration.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            folder: config.folder.clone(),
            clients: Clients::new(&config.folder),
            secrets: Arc::new(Secrets::new(&config.secrets)),
        }
    }

    async fn attempt(&self, run: &Run) -> Outcome {
        let options = Options::of(&run.options).map_err(Failure::last)?;
        let own = |failure: Failure| failure.blamed(Blame::Own);
        let call = Call::make(&options, run, &self.secrets).await.map_err(own)?;
        let client = self.clients.get(&options.profile, &self.secrets).await.map_err(own)?;
        loop {
            let mut request = call.request.clone();
            let connection = capture_connection(&mut request);
            let answered = async {
                let response = client.request(request).await;
                match response {
                    Ok(response) => Ok(answer::outcome(response, &call.host, &call.told).await),
                    Err(error) => Err(error),
                }
            };
            let error = match run.cancelled.run_until_cancelled(answered).await {
                Some(Ok(outcome)) => return outcome,
                Some(Err(error)) => error,
                None if connection.connection_metadata().is_some() => {
                    let what = "no complete answer came from";
                    return Err(Failure::new(format!("{what} {}; it may have received the request", call.host)));
                }
                None => return Err(Failure::new(format!("no connection to {} until then", call.host))),
            };
            if !trouble::is_no_room(&error) {
                return Err(trouble::failure(&error, &call.host));
            }
            run.held.add(AGAIN);
            if run.cancelled.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                return Err(trouble::failure(&error, &call.host));
            }
        }
    }
}

impl Kind for Http {
    fn check(&self, options: &Value) -> Result<(), String> {
        Options::of(options).map(|_| ())
    }

    fn absent(&self, options: &Value) -> Option<(String, String)> {
        let options = Options::of(options).ok()?;
        let absent = |what: String| (what, ABSENT.to_owned());
        if let Some(name) = options.secrets().into_iter().find(|name| !self.secrets.knows(name)) {
            let what = "which `job-runner.secrets` of the configuration does not have";
            return Some(absent(format!("it names the secret `{name}`, {what}")));
        }
        let cert = options.profile.identity.as_ref().map(|(cert, _)| cert);
        let mut files = options.profile.ca.iter().chain(cert).map(|path| self.folder.join(path));
        let missing = files.find(|path| !path.is_file())?;
        Some(absent(format!("its certificates, {}, are no file", missing.display())))
    }

    fn has_target(&self) -> bool {
        true
    }

    fn fill(&self, options: &Template, filler: &Filler<'_>) -> Result<Value, RenderError> {
        fill::fill(options, filler)
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.attempt(&run).await })
    }
}
