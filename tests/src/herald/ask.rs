//! What a test asks of a Herald: its webhook, its API, its tools; and waiting for an answer.

use std::net::SocketAddr;

use bytes::Bytes;
use contracts::{
    ids::CorrelationId,
    summary::{State, Summary},
};
use serde_json::Value;
use tokio::sync::watch;

use super::{Accepted, Herald};
use crate::{
    FIRST, Output, Role, Tool,
    client::{self, Answer, Connection, Events, Request},
};

impl Herald {
    /// Where webhooks are taken.
    pub fn webhook(&self) -> SocketAddr {
        self.listening(Role::Ingest, "webhook")
    }

    /// Where webhooks are taken, over deaths and restarts.
    pub fn webhooks(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.webhooks.subscribe()
    }

    pub fn api(&self) -> SocketAddr {
        self.listening(Role::Results, "API")
    }

    /// The address that a role's first process printed; on the embedded bus one process has them all.
    fn listening(&self, role: Role, label: &str) -> SocketAddr {
        self.printed(role, label).unwrap_or_else(|| panic!("it is not running: {label}"))
    }

    fn printed(&self, role: Role, label: &str) -> Option<SocketAddr> {
        let role = if self.fleet.is_running(Role::Dev, FIRST) { Role::Dev } else { role };
        self.fleet.printed_address(role, FIRST, label)
    }

    /// Where the API is, if it is ready.
    pub(super) fn listens(&self) -> Option<SocketAddr> {
        self.printed(Role::Results, "API")
    }

    /// Asks the webhook, with the secret where there is one.
    pub async fn hook(&self, mut request: Request) -> Answer {
        if let Some(secret) = &self.fleet.given.secret {
            request = request.header("x-herald-secret", secret);
        }
        self.ask(self.webhook(), request).await
    }

    /// Asks the API, with the token where there is one.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(self.api(), self.authorised(Request::get(path))).await
    }

    /// Asks anybody, and notes it in the history.
    pub async fn ask(&self, address: SocketAddr, request: Request) -> Answer {
        let answer = client::send(address, &request).await;
        let said = match &answer {
            Ok(answer) => format!("{} {}", answer.status, answer.text()),
            Err(error) => format!("{error:#}"),
        };
        self.fleet.note(&format!("{} -> {said}", request.line()));
        answer.unwrap_or_else(|error| panic!("{}: {error:#}\n{}", request.line(), self.story()))
    }

    fn authorised(&self, request: Request) -> Request {
        match &self.fleet.given.token {
            Some(token) => request.header("authorization", &format!("Bearer {token}")),
            None => request,
        }
    }

    /// Follows a live stream of the API.
    pub async fn stream(&self, path: &str) -> Events {
        let connection = Connection::open(self.api()).await.expect("the API");
        connection.stream(self.authorised(Request::get(path))).await.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Posts a body to `/hasura`, which must be accepted.
    pub async fn post(&self, body: impl ToString) -> Accepted {
        self.hook(Request::post("/hasura", Bytes::from(body.to_string()))).await.expect(200).json()
    }

    /// What is known of a correlation.
    pub async fn summary(&self, correlation: &CorrelationId) -> Option<Summary> {
        let answer = self.get(&format!("/v1/correlations/{correlation}")).await;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits until a correlation is complete, with that many invocations.
    pub async fn complete(&self, correlation: &CorrelationId, invocations: u64) -> Summary {
        self.wait_for(&format!("{correlation} to be complete with {invocations} invocations"), async || {
            let answer = self.get(&format!("/v1/correlations/{correlation}?wait=2s")).await;
            let summary: Summary = (answer.status == 200).then(|| answer.json())?;
            (summary.state == State::Complete && summary.counters.invocations == invocations).then_some(summary)
        })
        .await
    }

    /// Posts a body, and waits until everything it caused has ended.
    pub async fn run(&self, body: Value) -> Summary {
        let accepted = self.post(body).await;
        self.complete(&accepted.correlation_id, 1).await
    }

    /// Runs a tool against it to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        self.tool(arguments).output().await
    }

    /// Starts a tool against it.
    pub fn tool(&self, arguments: &[&str]) -> Tool {
        let mut variables = vec![
            ("HERALD_URL".to_owned(), format!("http://{}", self.webhook())),
            ("HERALD_API".to_owned(), format!("http://{}", self.api())),
        ];
        variables.extend(self.fleet.given.secret.clone().map(|secret| ("HERALD_SECRET".to_owned(), secret)));
        variables.extend(self.fleet.given.token.clone().map(|token| ("HERALD_API_TOKEN".to_owned(), token)));
        Tool::start(arguments, &variables, None)
    }

    /// Looks until there is something, and gives up with the whole story when there is nothing for long, or when a process
    /// has died.
    pub async fn wait_for<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        self.fleet.wait_for(what, look).await
    }

    /// What was printed and asked, for whoever must find out why.
    pub fn story(&self) -> String {
        self.fleet.story()
    }
}
