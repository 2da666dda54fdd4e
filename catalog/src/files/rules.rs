//! What is only seen when all files are read.

use std::collections::{BTreeMap, BTreeSet};

use contracts::names::JobName;
use expressions::closest;

use crate::{
    described::DescribedTables,
    detector::{Selector, Tables},
    event::Event,
    job::Job,
    report::{Place, Problem, Rule, Severity},
};

use super::context::Problems;

/// Checks events against each other and against the jobs.
pub(super) fn check(
    events: &[Event],
    definitions: &BTreeMap<JobName, Job>,
    described: &DescribedTables,
    problems: &mut Problems,
) {
    twins(events, problems);
    misnamed(events, described, problems);
    // What an event wanted to list is only known when every event could be read.
    if !problems.has_errors() {
        unused(events, definitions, problems);
    }
}

/// Two events that detect the same: usually a copy that someone forgot to edit.
fn twins(events: &[Event], problems: &mut Problems) {
    let mut seen: BTreeMap<String, &Event> = BTreeMap::new();
    for event in events {
        // An event without a condition is about every change of its table; there may be several such.
        let (Some(selector), Some(when)) = (event.selector(), event.when()) else { continue };
        let mut operations = selector.operations.clone();
        operations.sort_unstable();
        let when = when.source().split_whitespace().collect::<Vec<_>>().join(" ");
        let Selector { tables, source, trigger, .. } = selector;
        let key = format!("{tables} {operations:?} {source:?} {trigger:?} {when}");
        if let Some(other) = seen.insert(key, event)
            && other.name().name != event.name().name
        {
            let message = format!("the event {} has the same tables, operations and condition", other.name());
            problems.push(warning(event.place("from"), Rule::Twin, message));
        }
    }
}

/// A table that is not described, and that one which is differs from by no more than a slip.
fn misnamed(events: &[Event], described: &DescribedTables, problems: &mut Problems) {
    let known: BTreeSet<String> = described.all().map(|described| described.table().to_string()).collect();
    let mut looked_at = BTreeMap::new();
    for event in events {
        let Some(Selector { tables: Tables::These(tables), .. }) = event.selector() else { continue };
        for table in tables.iter().filter(|table| !described.has(table)) {
            let closest = || closest(&table.to_string(), known.iter().map(String::as_str));
            let Some(meant) = *looked_at.entry(table).or_insert_with(closest) else { continue };
            let message = format!("{table} is not described");
            let help = format!("did you mean {meant}? A table of that name is described in tables/{table}.yaml");
            problems.push(Problem { help: Some(help), ..warning(event.place("from"), Rule::Table, message) });
        }
    }
}

/// A definition that no event lists never runs.
fn unused(events: &[Event], definitions: &BTreeMap<JobName, Job>, problems: &mut Problems) {
    let listed: BTreeSet<_> = events.iter().flat_map(Event::jobs).map(|job| &job.group).collect();
    for job in definitions.values().filter(|job| !listed.contains(&job.group)) {
        let place = Place { file: job.file().to_owned(), line: 0, column: 0 };
        problems.push(warning(place, Rule::Job, format!("no event lists the job {}", job.name())));
    }
}

fn warning(place: Place, rule: Rule, message: String) -> Problem {
    Problem { severity: Severity::Warning, rule, place, message, help: None, text: String::new() }
}
