//! The catalog that `bench` measures: rules over one table, of which each webhook makes one an event with one job.

use std::{fs, path::Path};

use anyhow::Context as _;

/// The event of the load.
const CHANGED: &str = "bench.changed";
/// The event of the samples.
pub(super) const SAMPLED: &str = "bench.sampled";

/// Writes it into a folder: `rules` on `public.bench`, and `others` on tables that nobody writes to.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn write(folder: &Path, rules: u32, others: u32) -> anyhow::Result<()> {
    let events = folder.join("events");
    fs::create_dir_all(&events).with_context(|| format!("cannot create the folder {}", events.display()))?;
    for (name, text) in files(rules, others) {
        let path = events.join(format!("{name}.yaml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn files(rules: u32, others: u32) -> impl Iterator<Item = (String, String)> {
    let detected =
        [(CHANGED, "changed"), (SAMPLED, "sampled")].map(|(name, status)| (name.to_owned(), event("bench", status)));
    let silent =
        (0..rules.saturating_sub(2)).map(|n| (format!("bench.never-{n}"), event("bench", &format!("never {n}"))));
    let elsewhere = (0..others).map(|n| (format!("other.changed-{n}"), event(&format!("other_{n}"), "changed")));
    detected.into_iter().chain(silent).chain(elsewhere)
}

fn event(table: &str, status: &str) -> String {
    format!(
        r#"description: A row of {table} became {status}.
from: {{ table: public.{table}, operations: [update] }}
when: |
  became("status", "{status}")
data:
  id: new.id
  customerId: new.customer_id
  amount: new.amount
sample: {{ id: 1, customerId: 7, amount: 129.95 }}
jobs:
  - id: log
    log:
      message: {status}
"#
    )
}

#[cfg(test)]
mod tests {
    use ::catalog::{Catalog, Change, ChangeParts, Kinds, Sources, Verdict};
    use serde_json::Value;

    use super::*;
    use crate::request::{Prepared, Purpose, Shape};

    #[test]
    fn each_webhook_becomes_one_event_among_as_many_rules_as_were_asked_for() {
        let files: Vec<_> = files(10, 3).collect();
        let on_the_table = files.iter().filter(|(_, text)| text.contains("public.bench,")).count();
        assert_eq!((files.len(), on_the_table), (13, 10));
        assert_eq!(
            files
                .iter()
                .filter(|(_, text)| text.contains("(\"status\", \"changed\")") && text.contains("public.bench,"))
                .count(),
            1
        );
    }

    /// Takes any kind of job: their options are the runner's to judge.
    struct AnyKind;

    impl Kinds for AnyKind {
        fn check(&self, _kind: &str, _options: &Value) -> Result<(), String> {
            Ok(())
        }
        fn names(&self) -> Vec<&str> {
            vec!["log"]
        }
    }

    #[test]
    fn the_catalog_is_one_and_detects_in_a_webhook_what_it_is_for() {
        let sources = Sources::new(files(10, 3).map(|(name, text)| (format!("events/{name}.yaml"), text)));
        let outcome = Catalog::compile(&sources, &AnyKind);
        assert_eq!(outcome.report.problems.len(), 0, "{:?}", outcome.report);
        let catalog = outcome.catalog.expect("nothing forbids it");
        let shape = Shape { base: "http://h".parse().expect("a base"), secret: None, size: 1536, run: 1 };
        for (purpose, event) in [(Purpose::Load, CHANGED), (Purpose::Sample { wait: 1 }, SAMPLED)] {
            let mut prepared = Prepared::new(&shape, purpose).expect("it fits");
            let request = String::from_utf8_lossy(prepared.number(7)).into_owned();
            let body = serde_json::from_str(request.split_once("\r\n\r\n").expect("a head").1).expect("JSON");
            let parts = ChangeParts { body: &body, source: "default", received: jiff::Timestamp::UNIX_EPOCH };
            let change = Change::new(parts).expect("a change");
            let candidates = catalog.candidates(&change);
            let (found, silent): (Vec<_>, Vec<_>) =
                candidates.partition(|event| matches!(event.evaluate(&change), Verdict::Detected { .. }));
            assert_eq!(found.iter().map(|event| event.name().to_string()).collect::<Vec<_>>(), [event]);
            assert_eq!(silent.len(), 9);
        }
    }
}
