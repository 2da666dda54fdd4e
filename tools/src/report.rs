//! What is wrong with a catalog, for people: errors first, and each kind in its colour.

use catalog::{Catalog, Problem, Report, Severity};
use client::print::{self, RED, YELLOW, count};

/// A problem under its line, without the line's end.
pub fn problem(problem: &Problem) -> String {
    let told = problem.to_string();
    let (style, severity) = match problem.severity {
        Severity::Error => (RED, "error"),
        Severity::Warning => (YELLOW, "warning"),
    };
    let rest = told.strip_prefix(severity).unwrap_or(&told).trim_end();
    format!("{style}{severity}{style:#}{rest}\n")
}

/// Prints all of them, errors first.
///
/// # Errors
/// Stdout cannot be written.
pub fn tell(report: &Report) -> anyhow::Result<()> {
    let (errors, warnings) = report.by_severity();
    errors.into_iter().chain(warnings).try_for_each(|one| print::line(&problem(one)))
}

/// `1 event, 3 jobs`.
pub fn counted(catalog: &Catalog) -> String {
    let (events, jobs) = (catalog.events().len(), catalog.jobs().count());
    format!("{}, {}", count(events, "event"), count(jobs, "job"))
}
