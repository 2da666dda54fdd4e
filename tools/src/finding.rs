//! How findings are told: one below the other, and the verdict.

use std::process::ExitCode;

use client::{
    exit,
    print::{self, BOLD, DIM},
};
use runtime::finding::{Finding, Level};

/// How many places of a finding are shown.
const PLACES: usize = 6;

/// Prints them with the verdict, which is the exit code.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn tell(found: &[Finding]) -> anyhow::Result<ExitCode> {
    for finding in found {
        print::line(&shown(finding))?;
    }
    let count = |level| found.iter().filter(|finding| finding.level == level).count();
    let problems = count(Level::Problem);
    print::line(&format!("\n{}", verdict(problems, count(Level::Warning))))?;
    Ok(code(problems))
}

/// The exit code of so many problems.
pub(crate) fn code(problems: usize) -> ExitCode {
    if problems == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) }
}

fn shown(finding: &Finding) -> String {
    let Finding { check, level, what, places, advice } = finding;
    let mark = match level {
        Level::Ok => "✅",
        Level::Warning => "⚠️ ",
        Level::Problem => "❌",
    };
    let mut out = format!("{mark} {BOLD}{check}{BOLD:#}: {}", print::clean(what));
    if !places.is_empty() {
        let listed = print::clean(&places[..places.len().min(PLACES)].join(", "));
        let rest = if places.len() > PLACES { format!(" and {} more", places.len() - PLACES) } else { String::new() };
        out = format!("{out}\n     {DIM}{listed}{rest}{DIM:#}");
    }
    if !advice.is_empty() {
        out = format!("{out}\n     → {}", print::clean(advice));
    }
    out
}

fn verdict(problems: usize, warnings: usize) -> String {
    let counted = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    match (problems, warnings) {
        (0, 0) => "✅ Everything is as it should be".to_owned(),
        (0, warnings) => format!("⚠️  No problems, {}", counted(warnings, "warning")),
        (problems, warnings) => format!("❌ {}, {}", counted(problems, "problem"), counted(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_finding_says_what_where_and_what_to_do() {
        let finding = Finding::warning("replicas", "there is one copy", "raise it");
        let finding = (0..8).fold(finding, |finding, number| finding.at(format!("t{number}")));
        assert_eq!(
            plain(&shown(&finding)),
            "⚠️  replicas: there is one copy\n     t0, t1, t2, t3, t4, t5 and 2 more\n     → raise it"
        );
        assert_eq!(plain(&shown(&Finding::ok("clock", "they agree"))), "✅ clock: they agree");
    }

    #[test]
    fn the_verdict_counts() {
        assert_eq!(verdict(1, 2), "❌ 1 problem, 2 warnings");
        assert_eq!(verdict(0, 1), "⚠️  No problems, 1 warning");
    }
}
