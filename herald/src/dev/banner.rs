//! What `dev` tells a person: what it serves, what it does not understand, and what to try next.

use std::{
    fmt::{Display, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use catalog::{Catalog, Change, ChangeParts, Changes, Event, Location, Occasion, Problem, Report, Tables, Verdict};
use contracts::hasura;
use runtime::{config::Auth, health::Check};

use crate::stages::{Catalogs, Followed};
use catalog_log::{Standing, aside};
use client::print::{self, RED, Speaker};
use settings::Config;

/// How many events are listed; a larger catalog is summed up.
const SHOWN: usize = 40;

/// How many warnings are shown at once; more are counted.
const WARNINGS: usize = 5;

/// How long the search for a payload may take.
const ADVICE: Duration = Duration::from_secs(2);

/// Says it.
pub(super) struct Banner {
    pub(super) webhook: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) config: Config,
    /// What was under way when the process began, in lines.
    pub(super) goes_on: Vec<String>,
    pub(super) catalogs: Catalogs,
    pub(super) check: Check,
    pub(super) speaker: Speaker,
    /// The folder of the catalog that the data folder had before, if that was another one.
    pub(super) former: Option<PathBuf>,
}

impl Banner {
    /// A catalog counts from now on; `changes` are from the one before, if it was just written.
    pub(super) async fn applied(&self, number: u64, report: &Report, changes: Option<Changes>, first: bool) {
        let mut followed = self.catalogs.follow();
        let ready = |followed: &Option<Followed>| followed.as_ref().is_some_and(|followed| followed.number >= number);
        // The follower ends only with the process.
        let Some(followed) = followed.wait_for(ready).await.ok().and_then(|followed| followed.clone()) else {
            return;
        };
        self.check.ready();
        self.warnings(report);
        let changed = changes.map(|changes| changes.brief()).unwrap_or_default();
        if first {
            let payload = self.first_send(&followed).await;
            self.speaker.line(&self.welcome(&followed, payload.as_deref(), &self.goes_on, &changed));
        } else {
            let counted = tools::report::counted(&followed.catalog);
            let changed = if changed.is_empty() { changed } else { format!(": {changed}") };
            self.speaker.show(&format!("📖 Catalog version {number}: {counted}{changed}"));
        }
    }

    /// The files cannot be used; `warnings` are those of the report, and those that were told before.
    pub(super) fn invalid(&self, report: &Report, warnings: usize, standing: &Standing) {
        let (errors, new) = report.by_severity();
        for problem in &errors {
            self.speaker.paint(tools::report::problem(problem).trim_end());
        }
        self.warnings(report);
        let folder = self.config.job_runner.folder.display();
        let stays = match standing {
            Standing::Counts(number) => format!("catalog version {number} stays in force"),
            Standing::None | Standing::Another(_) => {
                self.check.not_ready(awaited(&errors, &folder));
                "waiting for files that can be used".to_owned()
            }
        };
        let others = match standing {
            Standing::Another(other) => format!(" (that of {} counts for nothing here)", other.display()),
            _ => String::new(),
        };
        let errors = print::count(errors.len(), "error");
        let warnings = match print::count(warnings, "warning") {
            _ if warnings == 0 => String::new(),
            told if new.len() == warnings && warnings <= WARNINGS => format!(" and {told}"),
            told => format!(" and {told}: herald check {folder}"),
        };
        self.speaker.paint(&format!("{RED}❌ The catalog has {errors}{RED:#}{warnings}; {stays}{others}"));
    }

    /// Some of the warnings, and how many there are more.
    pub(super) fn warnings(&self, report: &Report) {
        let (_, warnings) = report.by_severity();
        for problem in warnings.iter().take(WARNINGS) {
            self.speaker.paint(tools::report::problem(problem).trim_end());
        }
        if warnings.len() > WARNINGS {
            let more = print::count(warnings.len() - WARNINGS, "more warning");
            self.speaker.line(&format!("{more}: herald check {}", self.config.job_runner.folder.display()));
        }
    }

    /// Where Herald listens though no catalog counts; once.
    pub(super) fn awaiting(&self) {
        let addresses = self.addresses();
        self.speaker.line(&format!("\n⏳ Herald takes what comes, and awaits a catalog to look at it\n\n{addresses}"));
    }

    fn addresses(&self) -> String {
        let (webhook, api, data) = (self.webhook, self.api, self.config.data.display());
        format!("   webhook   http://{webhook}/hasura\n   API       http://{api}\n   data      {data}\n")
    }

    /// The catalog's folder was away and is there again.
    pub(super) fn is_back(&self) {
        let folder = self.config.job_runner.folder.display();
        self.speaker.show(&format!("📖 The catalog's folder {folder} is there again: edits count from now on"));
    }

    fn welcome(&self, followed: &Followed, payload: Option<&str>, goes_on: &[String], changed: &str) -> String {
        let mut out = format!("\n🔔 Herald is listening\n\n{}", self.addresses());
        let folder = &self.config.job_runner.folder;
        let _ = writeln!(out, "   catalog   {}, version {}", folder.display(), followed.number);
        if let Some(former) = &self.former {
            let _ = writeln!(out, "   before    the data folder was that of {}", former.display());
        } else if !changed.is_empty() && followed.number > 1 {
            let _ = writeln!(out, "   changed   {changed}");
        }
        for (key, line) in ["goes on", ""].iter().zip(goes_on) {
            let _ = writeln!(out, "   {key:<7}   {line}");
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
            let command = print::command();
            let _ = writeln!(
                out,
                "\n   Next, in a second terminal:\n\n{}   {command} send {payload} --wait{}\n",
                secrets(&self.config.ingest.listen.auth, &self.config.api.listen.auth),
                elsewhere(self.webhook, self.api)
            );
        }
        out
    }

    /// What to send to begin with, if something is found soon: it is only advice.
    async fn first_send(&self, followed: &Followed) -> Option<String> {
        let (folder, catalog) = (self.config.job_runner.folder.clone(), followed.catalog.clone());
        let found = aside("payloads", move || best_payload(&folder, &catalog).or_else(|| likely(&folder, &catalog)));
        tokio::time::timeout(ADVICE, found).await.ok()?.ok()?
    }
}

/// Why a catalog is awaited: its errors, of which the first is told.
fn awaited(errors: &[&Problem], folder: &impl Display) -> String {
    let count = print::count(errors.len(), "error");
    let first = errors.first().map(|Problem { place: Location { file, line, column }, message, .. }| {
        let at = if *line > 0 { format!("{file}:{line}:{column}") } else { file.clone() };
        format!(", {at}: {message}")
    });
    format!("the catalog has {count}{}; herald check {folder} shows all", first.unwrap_or_default())
}

/// The flags that a tool on this machine needs to find listeners that are not where they usually are.
fn elsewhere(webhook: SocketAddr, api: SocketAddr) -> String {
    let mut out = String::new();
    for (flag, mut address, usual) in [("url", webhook, 8080), ("api", api, 8081)] {
        // Whoever listens everywhere is nowhere to be called; it listens here, too.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        if address != SocketAddr::from((Ipv4Addr::LOCALHOST, usual)) {
            let _ = write!(out, " --{flag} http://{address}");
        }
    }
    out
}

/// The variables that a tool needs where a listener wants a secret.
fn secrets(webhook: &Auth, api: &Auth) -> String {
    let wanted = [(webhook, "HERALD_SECRET", "ingest.listen.auth"), (api, "HERALD_API_TOKEN", "api.listen.auth")];
    let lines = wanted.into_iter().filter(|(auth, ..)| auth.secrets().is_some());
    lines.map(|(_, variable, key)| format!("   export {variable}=…   # the secret of `{key}`\n")).collect()
}

/// An event's name, its tables, their operations, and its jobs; of one that is about no table, what it is about instead.
fn row(event: &Event) -> [String; 4] {
    let (tables, operations) = match (event.selector(), event.called()) {
        (None, None) => ("by name only".to_owned(), String::new()),
        (None, Some(called)) => (called.name.clone(), called.occasion.as_str().to_owned()),
        (Some(selector), _) => {
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

/// An event of which a change can be made up.
fn likely(folder: &Path, catalog: &Catalog) -> Option<String> {
    let mut tried = catalog.events().iter().take(SHOWN);
    let event = tried.find(|event| event.likely(jiff::Timestamp::now()).is_ok())?;
    Some(format!("--event {} --catalog {}", event.name(), folder.display()))
}

fn detected(body: &[u8], catalog: &Catalog) -> usize {
    let Ok(mut body) = hasura::parse(body) else { return 0 };
    catalog.read(&mut body, "default");
    let body = hasura::unwrap(&body);
    let parts = ChangeParts { body, source: "default", received: jiff::Timestamp::UNIX_EPOCH };
    let Ok(change) = Change::of(Occasion::of(body), parts) else { return 0 };
    let candidates = catalog.candidates(&change);
    candidates.filter(|event| matches!(event.evaluate(&change), Verdict::Detected { .. })).count()
}

#[cfg(test)]
mod tests {
    use runtime::config::{Secret, Secrets};

    use super::*;

    fn at(webhook: &str, api: &str) -> String {
        elsewhere(webhook.parse().expect("an address"), api.parse().expect("an address"))
    }

    #[test]
    fn what_is_to_be_typed_next_finds_the_listeners() {
        assert_eq!(at("127.0.0.1:8080", "127.0.0.1:8081"), "");
        assert_eq!(at("0.0.0.0:8080", "0.0.0.0:8081"), "");
        assert_eq!(at("0.0.0.0:41880", "[::]:8081"), " --url http://127.0.0.1:41880 --api http://[::1]:8081");
        assert_eq!(at("10.0.0.7:8080", "127.0.0.1:1"), " --url http://10.0.0.7:8080 --api http://127.0.0.1:1");
    }

    #[test]
    fn what_is_to_be_typed_next_has_the_secrets_that_are_wanted() {
        assert_eq!(secrets(&Auth::Unset, &Auth::None), "");
        let secret = Secrets::new(Secret::new("one").into_iter().collect()).expect("a secret");
        let told = secrets(&Auth::Secrets(secret), &Auth::Unset);
        assert_eq!(told, "   export HERALD_SECRET=…   # the secret of `ingest.listen.auth`\n");
    }
}
