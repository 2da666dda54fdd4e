//! `herald detect`: which events a change would be, and why it would not be the others, without a server.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use catalog::{Catalog, Change, ChangeParts, Effort, Event, Occasion, Outcome, Verdict, Whys};
use clap::Args;
use client::{
    exit::{self, Usage},
    print::{self, DIM, clean},
    render::tree,
};
use contracts::{hasura, why::Failing};
use serde_json::{Value, json};

use super::{
    check, compile,
    given::{Given, no_body},
    useless,
};

/// What `herald detect` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    given: Given,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it: 0 if it could be decided, whatever was detected; 1 if an event fails, or the catalog has errors.
///
/// # Errors
/// The folder or the payload cannot be read, or stdout cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if !options.given.is_change() {
        let wanted = "give what Hasura sends, as a file; or a change: --table orders --old '{…}' --new '{…}', or \
                      --set old.status=placed --set new.status=shipped; or what came: --id 8b0c5a3e";
        return Err(Usage(wanted.to_owned()).into());
    }
    let mut given = options.given.body()?;
    let Outcome { catalog, report } = compile(&options.folder)?;
    let Some(catalog) = catalog else {
        if options.json {
            print::line(&serde_json::to_string_pretty(&check::document(&report))?)?;
        } else {
            useless(&report)?;
        }
        return Ok(ExitCode::from(exit::NO));
    };
    catalog.read(&mut given.value, &given.source);
    let body = hasura::unwrap(&given.value);
    let parts = ChangeParts { body, source: &given.source, received: given.received };
    let change = Change::of(Occasion::of(body), parts).map_err(|error| Usage(no_body(&error)))?;
    let found = Found::new(&catalog, &change);
    if options.json {
        print::line(&serde_json::to_string_pretty(&found.document())?)?;
    } else {
        print::line(found.text().trim_end())?;
    }
    Ok(if found.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) })
}

/// An event that happens.
struct Detected<'c> {
    event: &'c Event,
    data: Value,
    key: Option<String>,
}

/// What comes of a change.
struct Found<'c> {
    detected: Vec<Detected<'c>>,
    failed: Vec<Failing>,
    why: Whys,
}

impl<'c> Found<'c> {
    fn new(catalog: &'c Catalog, change: &'c Change<'_>) -> Self {
        let (mut detected, mut failed, effort) = (Vec::new(), Vec::new(), Effort::default());
        for event in catalog.candidates(change) {
            match event.evaluate(change) {
                Verdict::Detected { data, key } => detected.push(Detected { event, data, key }),
                Verdict::NotDetected(_) => {}
                Verdict::Failed { .. } | Verdict::TooLarge { .. } => failed.extend(event.failing(change, &effort)),
            }
        }
        let mut why = catalog.why_not(change);
        why.events.retain(|not| failed.iter().all(|failed| failed.event != not.event));
        Self { detected, failed, why }
    }

    fn document(&self) -> Value {
        let detected = self.detected.iter().map(|it| {
            let jobs: Vec<_> = it.event.stamp().iter().map(ToString::to_string).collect();
            json!({ "event": it.event.name(), "data": it.data, "key": it.key, "jobs": jobs })
        });
        json!({
            "detected": detected.collect::<Vec<_>>(),
            "failed": self.failed,
            "undetected": self.why.events,
            "undetectedMore": self.why.more,
            "because": self.why.nothing,
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for Detected { event, data, key } in &self.detected {
            head(&mut out, "✓", event, "from");
            for (name, value) in [("key", key.clone()), ("data", Some(data.to_string()))] {
                if let Some(value) = value {
                    let _ = writeln!(out, "    {DIM}{name:<5}{DIM:#} {}", clean(&value));
                }
            }
            let jobs: Vec<_> = event.stamp().iter().map(ToString::to_string).collect();
            let jobs = if jobs.is_empty() { "none".to_owned() } else { jobs.join(", ") };
            let _ = writeln!(out, "    {DIM}jobs {DIM:#} {jobs}");
        }
        self.failed.iter().for_each(|failing| tree::failed(&mut out, failing));
        // The events of the table say it themselves.
        if let Some(nothing) = self.why.nothing.as_ref().filter(|_| self.why.events.is_empty()) {
            let _ = writeln!(out, "✗ {}", clean(nothing));
        }
        self.why.events.iter().for_each(|not| tree::not_detected(&mut out, not));
        if self.why.more > 0 {
            let _ = writeln!(out, "and {} more not detected", self.why.more);
        }
        out
    }
}

/// The event's name, and where in its file it is decided.
fn head(out: &mut String, sign: &str, event: &Event, key: &str) {
    tree::head(out, sign, &event.name().to_string(), event.decided_at(key).as_deref());
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn found(payload: &str) -> (Value, String) {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/moves");
        let catalog = compile(root.as_ref()).expect("a folder").catalog.expect("a catalog");
        let body = std::fs::read(format!("{root}/payloads/{payload}.json")).expect("a payload");
        let body = hasura::parse(&body).expect("JSON");
        let parts = ChangeParts { body: hasura::unwrap(&body), source: "default", received: Timestamp::UNIX_EPOCH };
        let change = Change::new(parts).expect("a change");
        let found = Found::new(&catalog, &change);
        (found.document(), anstream::adapter::strip_str(&found.text()).to_string())
    }

    #[test]
    fn what_is_detected_is_shown_with_data_and_jobs_and_the_rest_with_the_clause_that_decided() {
        let (document, text) = found("pickup-successful");
        let names = |of: &str| -> Vec<String> {
            document[of].as_array().into_iter().flatten().map(|it| it["event"].to_string()).collect()
        };
        assert_eq!(names("detected"), [r#""move.cancel.pending""#, r#""move.pickup.successful""#]);
        assert_eq!(names("undetected").len(), text.lines().filter(|line| line.starts_with('✗')).count());
        insta::assert_snapshot!(text);
    }
}
