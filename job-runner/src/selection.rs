//! Which jobs this process runs: those whose full name fits one of its patterns.

use std::collections::HashSet;

use contracts::{names::GroupName, pattern::fits};

/// How many names a warning lists.
const LISTED: usize = 5;

/// The patterns of a process.
#[derive(Debug)]
pub(crate) struct Selection {
    patterns: Vec<String>,
    /// Those that fitted no job of the last catalog: said already.
    idle: HashSet<String>,
}

impl Selection {
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self { patterns: patterns.to_vec(), idle: HashSet::new() }
    }

    /// Whether a job runs here.
    pub(crate) fn takes(&self, group: &GroupName) -> bool {
        self.patterns.iter().any(|pattern| fits(pattern, group.full_name()))
    }

    /// Says which patterns fit no job any more, now that these are all there are.
    pub(crate) fn look(&mut self, number: u64, names: &[&str]) {
        if self.patterns.is_empty() {
            tracing::warn!(catalog.number = number, "`job-runner.jobs` is empty, so that no job runs in this process");
        }
        for pattern in self.newly_idle(names) {
            tracing::warn!(
                catalog.number = number,
                pattern,
                "a pattern of `job-runner.jobs` fits no job; {}",
                there_are(names)
            );
        }
    }

    /// Patterns that fit nothing and did, or were never tried. Everything fits nothing where there is nothing.
    fn newly_idle(&mut self, names: &[&str]) -> Vec<String> {
        let fits_none = |pattern: &&String| *pattern != "*" && !names.iter().any(|name| fits(pattern, name));
        let idle: HashSet<String> = self.patterns.iter().filter(fits_none).cloned().collect();
        let newly = self.patterns.iter().filter(|pattern| idle.contains(*pattern) && !self.idle.contains(*pattern));
        let newly = newly.cloned().collect();
        self.idle = idle;
        newly
    }
}

fn there_are(names: &[&str]) -> String {
    let listed = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "the catalog has no jobs".to_owned(),
        count if count <= LISTED => format!("there are {listed}"),
        count => format!("there are {listed} and {} more", count - LISTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(patterns: &[&str]) -> Selection {
        Selection::new(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_job_runs_where_a_pattern_fits_its_full_name() {
        let selection = selection(&["publish-*", "move.*.job-1"]);
        let shared = |name: &str| GroupName::of_definition(&name.parse().expect("a name"));
        let inline = |event: &str, id: &str| {
            GroupName::of_inline(&event.parse().expect("an event"), &id.parse().expect("a name"))
        };
        assert!(selection.takes(&shared("publish-event-log")));
        assert!(selection.takes(&inline("move.pickup.successful", "job-1")));
        assert!(!selection.takes(&inline("move.pickup.successful", "job-2")));
        assert!(!selection.takes(&shared("job-1")));
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_said_once_until_it_fitted_again() {
        let mut selection = selection(&["*", "mail-*", "move.*"]);
        assert_eq!(selection.newly_idle(&["move.new.job-1"]), ["mail-*"]);
        assert!(selection.newly_idle(&["move.new.job-1", "other"]).is_empty());
        assert_eq!(selection.newly_idle(&["mail-customer"]), ["move.*"]);
        assert_eq!(selection.newly_idle(&[]), ["mail-*"]);
    }

    #[test]
    fn a_few_names_are_listed() {
        assert_eq!(there_are(&[]), "the catalog has no jobs");
        assert_eq!(there_are(&["a", "b"]), "there are `a`, `b`");
        assert_eq!(there_are(&["a", "b", "c", "d", "e", "f", "g"]), "there are `a`, `b`, `c`, `d`, `e` and 2 more");
    }
}
