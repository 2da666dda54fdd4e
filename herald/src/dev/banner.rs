//! What `dev` tells a person: what it serves, what it does not understand, and what to try next.

use std::{fmt::Write as _, net::SocketAddr, path::Path, time::Duration};

use catalog::{Catalog, Change, ChangeParts, Event, Report, Tables, Verdict};
use contracts::hasura;
use results::Handle;
use runtime::health::Check;

use crate::stages::{Catalogs, Followed};
use catalog_log::aside;
use client::print::Speaker;
use settings::Config;

/// How many events are listed; a larger catalog is summed up.
const SHOWN: usize = 40;

/// How long the search for a payload may take.
const ADVICE: Duration = Duration::from_secs(2);

/// Says it.
pub(super) struct Banner {
    pub(super) webhook: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) config: Config,
    pub(super) results: Handle,
    pub(super) catalogs: Catalogs,
    pub(super) check: Check,
    pub(super) speaker: Speaker,
}

impl Banner {
    /// A catalog counts from now on.
    pub(super) async fn applied(&self, number: u64, report: &Report, first: bool) {
        let mut followed = self.catalogs.follow();
        let ready = |followed: &Option<Followed>| followed.as_ref().is_some_and(|followed| followed.number >= number);
        // The follower ends only with the process.
        let Some(followed) = followed.wait_for(ready).await.ok().and_then(|followed| followed.clone()) else {
            return;
        };
        self.check.ready();
        if !report.problems.is_empty() {
            self.speaker.line(report.to_string().trim_end());
        }
        if first {
            let payload = self.best_payload(&followed).await;
            // What the store cannot tell now it tells whoever asks later.
            let unfinished = self.results.ask(|reader| reader.totals()).await.map_or(0, |totals| totals.open);
            self.speaker.line(&self.welcome(&followed, payload.as_deref(), unfinished));
        } else {
            let (events, jobs) = (followed.catalog.events().len(), followed.catalog.jobs().count());
            self.speaker.line(&format!("📖 Catalog version {number}: {events} events, {jobs} jobs"));
        }
    }

    /// The files cannot be used; the catalog of that number goes on counting, if there is one.
    pub(super) fn invalid(&self, report: &Report, counting: Option<u64>) {
        self.speaker.line(report.to_string().trim_end());
        let stays = match counting {
            Some(number) => format!("catalog version {number} stays in force"),
            None => {
                self.check.not_ready("the catalog has errors; the log shows them");
                "waiting for files that can be used".to_owned()
            }
        };
        self.speaker.line(&format!("❌ The catalog has errors; {stays}"));
    }

    fn welcome(&self, followed: &Followed, payload: Option<&str>, unfinished: u64) -> String {
        let mut out = String::from("\n🔔 Herald is listening\n\n");
        let _ = writeln!(out, "   webhook   http://{}/hasura", self.webhook);
        let _ = writeln!(out, "   API       http://{}", self.api);
        let _ = writeln!(out, "   data      {}", self.config.data.display());
        let folder = &self.config.job_runner.folder;
        let _ = writeln!(out, "   catalog   {}, version {}", folder.display(), followed.number);
        match unfinished {
            0 => {}
            1 => out.push_str("   goes on   1 invocation that was not finished\n"),
            more => {
                let _ = writeln!(out, "   goes on   {more} invocations that were not finished");
            }
        }
        out.push('\n');
        let events = followed.catalog.events();
        let rows: Vec<[String; 4]> = events.iter().take(SHOWN).map(row).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (a, b, c) = (width(0), width(1), width(2));
        for [name, tables, operations, jobs] in &rows {
            let line = format!("   ⭐ {name:a$}   {tables:b$}   {operations:c$}   {jobs}");
            let _ = writeln!(out, "{}", line.trim_end());
        }
        if events.len() > SHOWN {
            let _ = writeln!(out, "   … and {} more", events.len() - SHOWN);
        }
        if rows.is_empty() {
            out.push_str("   no events yet: write one into events/, and it counts at once\n");
        }
        if let Some(payload) = payload {
            let command = std::env::var("HERALD_COMMAND").unwrap_or_else(|_| "herald".to_owned());
            let _ = writeln!(
                out,
                "\n   Next, in a second terminal:\n\n   {command} send {payload} --wait{}\n",
                self.elsewhere()
            );
        }
        out
    }

    /// The payload to begin with, if one is found soon: it is only advice.
    async fn best_payload(&self, followed: &Followed) -> Option<String> {
        let (folder, catalog) = (self.config.job_runner.folder.clone(), followed.catalog.clone());
        let found = aside("payloads", move || best_payload(&folder, &catalog));
        tokio::time::timeout(ADVICE, found).await.ok()?.ok()?
    }

    /// The flags that a tool needs to find listeners that are not where they usually are.
    fn elsewhere(&self) -> String {
        let mut out = String::new();
        if self.webhook.port() != 8080 {
            let _ = write!(out, " --url http://{}", self.webhook);
        }
        if self.api.port() != 8081 {
            let _ = write!(out, " --api http://{}", self.api);
        }
        out
    }
}

/// An event's name, its tables, their operations, and its jobs.
fn row(event: &Event) -> [String; 4] {
    let (tables, operations) = match event.selector() {
        None => ("by name only".to_owned(), String::new()),
        Some(selector) => {
            let operations: Vec<String> = selector.operations.iter().map(|op| op.as_str().to_lowercase()).collect();
            (tables(&selector.tables), operations.join(", "))
        }
    };
    let jobs: Vec<&str> = event.stamp().iter().map(|job| job.as_str()).collect();
    [event.name().to_string(), tables, operations, jobs.join(", ")]
}

fn tables(tables: &Tables) -> String {
    match tables {
        Tables::All => "every table".to_owned(),
        Tables::These(tables) => {
            let names: Vec<String> = tables.iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
            names.join(", ")
        }
    }
}

/// The payload beside the catalog in which most events are detected.
fn best_payload(folder: &Path, catalog: &Catalog) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("payloads")).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|it| it == "json") && file.is_file()) {
        let Ok(body) = std::fs::read(file) else { continue };
        let count = detected(&body, catalog);
        if count > best.as_ref().map_or(0, |(most, _)| *most) {
            best = Some((count, file.display().to_string()));
        }
    }
    best.map(|(_, file)| file)
}

fn detected(body: &[u8], catalog: &Catalog) -> usize {
    let Ok((body, _)) = catalog.parse(body, "default") else { return 0 };
    let parts = ChangeParts { body: hasura::unwrap(&body), source: "default", received: jiff::Timestamp::UNIX_EPOCH };
    let Ok(change) = Change::new(parts) else { return 0 };
    let candidates = catalog.candidates("default", change.schema(), change.table(), change.operation());
    candidates.filter(|event| matches!(event.evaluate(&change), Verdict::Detected { .. })).count()
}
