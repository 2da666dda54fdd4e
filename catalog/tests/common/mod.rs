//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use catalog::{Catalog, Change, ChangeParts, Kinds, Outcome, Problem, Sources};
use serde_json::Value;

/// The kinds of jobs that the tests know.
pub(crate) struct TestKinds;

impl Kinds for TestKinds {
    fn check(&self, kind: &str, options: &Value) -> Result<(), String> {
        match (kind, options) {
            ("simulate", Value::Object(map)) if map.contains_key("dealy") => Err("`dealy` is unknown".into()),
            _ => Ok(()),
        }
    }

    fn names(&self) -> Vec<&str> {
        vec!["command", "log", "simulate", "http", "publish"]
    }
}

pub(crate) fn compile(files: &[(&str, &str)]) -> Outcome {
    Catalog::compile(&Sources::new(files.iter().copied()), &TestKinds)
}

/// A catalog of one event without problems but the missing sample.
pub(crate) fn catalog(files: &[(&str, &str)]) -> Catalog {
    let outcome = compile(files);
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
}

/// The problems of one event's file, beside a missing sample.
pub(crate) fn problems(text: &str) -> Vec<Problem> {
    problems_of(&[("events/a.yaml", text)])
}

pub(crate) fn problems_of(files: &[(&str, &str)]) -> Vec<Problem> {
    let mut problems = compile(files).report.problems;
    problems.retain(|problem| problem.rule != catalog::Rule::Sample);
    problems
}

pub(crate) fn change<'a>(body: &'a Value, source: &'a str) -> Change<'a> {
    let received = "2026-03-02T09:41:07.6Z".parse().expect("a timestamp");
    Change::new(ChangeParts { body, source, received }).expect("a change")
}
