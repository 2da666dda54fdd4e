//! Waiting for what processes do, and their story for whoever must find out why they did not.

use std::{fmt::Write as _, sync::PoisonError, time::Instant};

use super::Fleet;
use crate::{
    LOOK, PATIENCE, Role,
    client::{self, Request},
};

/// How many lines the history keeps.
const HISTORY: usize = 40;

impl Fleet {
    /// Waits until a process is ready: it says so, and what it serves answers. A detector or a job runner is so only with a
    /// catalog.
    pub async fn ready(&self, role: Role, instance: &str) {
        let name = role.name();
        self.wait_for(&format!("{name} {instance} to be ready"), async || {
            role.ready(&self.stdout_of(role, instance)).map(drop)
        })
        .await;
        if let Some(webhook) = self.printed_address(role, instance, "webhook") {
            self.wait_for("the webhook", async || {
                client::send(webhook, &Request::get("/hasura")).await.ok().filter(|answer| answer.status != 503)
            })
            .await;
        }
        if let Some(api) = self.printed_address(role, instance, "API") {
            self.wait_for("the API", async || {
                client::send(api, &Request::get("/readyz")).await.ok().filter(|answer| answer.status == 200)
            })
            .await;
        }
    }

    /// Waits until every running process that follows the catalog follows this version, or a later one.
    pub async fn follow(&self, number: u64) {
        for (role, instance) in self.running().into_iter().filter(|(role, _)| role.tells_catalog()) {
            self.wait_for(&format!("{} {instance} to follow catalog version {number}", role.name()), async || {
                let stdout = self.stdout_of(role, &instance);
                // The line that says that it is ready has the first.
                version("atalog version ", &stdout).filter(|version| *version >= number)
            })
            .await;
        }
    }

    /// Looks until there is something, and gives up with the whole story when there is nothing for long, or when a
    /// process has died unasked.
    pub async fn wait_for<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            if begun.elapsed() >= PATIENCE {
                panic!("waited in vain for {what}\n{}{}", self.story(), self.standing().await);
            }
            if let Some(dead) = self.dead() {
                panic!("{dead} died while {what} was awaited\n{}", self.story());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How far each group is, as the API tells now.
    async fn standing(&self) -> String {
        let mut out = "--- how they stand\n".to_owned();
        let api = |(role, instance): &(Role, String)| self.printed_address(*role, instance, "API");
        for address in self.running().iter().filter_map(api) {
            for path in ["/readyz", "/v1/status", "/v1/invocations?limit=3"] {
                let told = match client::send(address, &Request::get(path)).await {
                    Ok(answer) => answer.text().to_owned(),
                    Err(error) => error.to_string(),
                };
                let _ = writeln!(out, "  {path}: {told}");
            }
        }
        out
    }

    /// Adds a line to the history, unless it is the last one again.
    pub(crate) fn note(&self, line: &str) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let line: String = line.chars().take(2000).collect();
        if history.back() == Some(&line) {
            return;
        }
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(line);
    }

    /// What was printed and asked, for whoever must find out why.
    pub fn story(&self) -> String {
        let mut story = self.before.clone();
        for (role, instance) in self.running() {
            let (stdout, stderr) = (self.stdout_of(role, &instance), self.stderr_of(role, &instance));
            let _ = write!(story, "--- {} {instance}, running\n{stdout}{stderr}", role.name());
        }
        let _ = write!(story, "--- catalogs\n{}--- asked last\n", self.said_of_catalogs());
        for line in self.history.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(story, "  {line}");
        }
        story
    }
}

/// The last version of the catalog that a text tells of in these words.
pub(crate) fn version(words: &str, text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(words)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
