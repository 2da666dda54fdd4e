//! `herald check`: everything that can be known of a catalog's folder without running it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use catalog::{Problem, Report, Rule, Severity};
use clap::{Args, ValueEnum};
use client::{
    exit,
    print::{self, count},
};
use serde_json::{Value, json};

use super::compile_with;
use crate::report::tell;

/// What `herald check` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The catalog: a folder with `events/` and, where wanted, `jobs/`
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// For people, for programs, for code scanning, or for the annotations of GitHub's actions
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The configuration that says which secrets jobs may use
    #[arg(long, env = "HERALD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each problem under its line
    Text,
    /// One document
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// `::error file=…,line=…`
    Github,
}

/// Does it: 0 if there are no errors, 1 if there are.
///
/// # Errors
/// The folder cannot be read, or stdout cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let outcome = compile_with(&options.folder, options.config.clone())?;
    let mut report = outcome.report;
    report.promote(Rule::Sample);
    match options.format {
        Format::Text => text(&report)?,
        Format::Json => print::line(&serde_json::to_string_pretty(&document(&report))?)?,
        Format::Sarif => print::line(&serde_json::to_string_pretty(&sarif(&options.folder, &report))?)?,
        Format::Github => {
            report.problems.iter().try_for_each(|problem| print::line(&github(&options.folder, problem)))?;
        }
    }
    Ok(if report.has_errors() { ExitCode::from(exit::NO) } else { ExitCode::SUCCESS })
}

fn text(report: &Report) -> anyhow::Result<()> {
    tell(report)?;
    let sign = if report.has_errors() { "❌" } else { "✅" };
    let [errors, warnings] =
        [(Severity::Error, "error"), (Severity::Warning, "warning")].map(|(of, what)| count(report.count(of), what));
    print::line(&format!("{sign} {errors}, {warnings}"))
}

pub(super) fn document(report: &Report) -> Value {
    json!({
        "errors": report.count(Severity::Error),
        "warnings": report.count(Severity::Warning),
        "problems": report.problems,
    })
}

/// The name of a rule, as in JSON.
fn rule(problem: &Problem) -> String {
    serde_json::to_value(problem.rule).ok().and_then(|rule| rule.as_str().map(str::to_owned)).unwrap_or_default()
}

fn level(problem: &Problem) -> &'static str {
    match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What is wrong, with what to write instead.
fn message(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{} (help: {help})", problem.message),
        None => problem.message.clone(),
    }
}

/// The log file of one run, as code scanning takes it: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>.
fn sarif(folder: &Path, report: &Report) -> Value {
    let result = |problem: &Problem| {
        let place = &problem.place;
        let region = (place.line > 0).then(|| json!({ "startLine": place.line, "startColumn": place.column }));
        let mut location = json!({ "artifactLocation": { "uri": uri(&path(folder, problem)) } });
        if let Some(region) = region {
            location["region"] = region;
        }
        json!({
            "ruleId": rule(problem),
            "level": level(problem),
            "message": { "text": message(problem) },
            "locations": [{ "physicalLocation": location }],
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "herald check", "version": env!("CARGO_PKG_VERSION") } },
            "results": report.problems.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// The file from where the command runs, as whoever reads it there knows it.
fn path(folder: &Path, problem: &Problem) -> String {
    let path = folder.join(&problem.place.file);
    path.strip_prefix(".").unwrap_or(&path).display().to_string()
}

/// A path as a reference of RFC 3986: what is none of its characters is encoded.
fn uri(path: &str) -> String {
    path.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

fn github(folder: &Path, problem: &Problem) -> String {
    let place = &problem.place;
    let at = if place.line > 0 { format!(",line={},col={}", place.line, place.column) } else { String::new() };
    annotation(level(problem), &path(folder, problem), &at, &message(problem))
}

/// A workflow command, in which the ends of lines and what parts its members are escaped.
pub(crate) fn annotation(level: &str, file: &str, at: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} file={}{at}::{}", property(file), data(message))
}

#[cfg(test)]
mod tests {
    use catalog::Location;

    use super::*;

    fn problem(line: usize) -> Problem {
        Problem {
            severity: Severity::Error,
            rule: Rule::NeverHolds,
            place: Location { file: "events/a,b.yaml".into(), line, column: 7 },
            message: "50% of it\ncan never hold".into(),
            help: Some("leave it out".into()),
            text: "when: false".into(),
        }
    }

    #[test]
    fn an_annotation_keeps_its_line_whatever_the_message() {
        assert_eq!(
            github("./my/cat".as_ref(), &problem(3)),
            "::error file=my/cat/events/a%2Cb.yaml,line=3,col=7::50%25 of it%0Acan never hold (help: leave it out)"
        );
        assert_eq!(github(".".as_ref(), &problem(0)).split("::").nth(1), Some("error file=events/a%2Cb.yaml"));
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_region() {
        let log = sarif("a b".as_ref(), &Report { problems: vec![problem(3), problem(0)] });
        let results = &log["runs"][0]["results"];
        assert_eq!(results[0]["ruleId"], "never-holds");
        let file = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(file, "a%20b/events/a%2Cb.yaml");
        assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 3);
        assert!(results[1]["locations"][0]["physicalLocation"].get("region").is_none());
    }
}
