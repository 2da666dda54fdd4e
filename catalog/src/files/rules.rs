//! What is only seen when all files are read.

use std::collections::{BTreeMap, BTreeSet};

use contracts::names::JobName;
use expressions::closest;

use crate::{
    described::{Described, DescribedTables},
    detector::{In, Selector, Table, Tables},
    event::Event,
    job::{Job, Need},
    report::{Location, Problem, Rule, Severity},
};

use super::context::Problems;

/// Checks events against each other and against the jobs.
pub(super) fn check(
    events: &[Event],
    (definitions, inline): (&BTreeMap<JobName, Job>, &[Job]),
    described: &DescribedTables,
    problems: &mut Problems,
) {
    twins(events, problems);
    misnamed(events, described, problems);
    three_parts(events, described, problems);
    // What an event wanted to list is only known when every event could be read.
    if !problems.has_errors() {
        unused(events, definitions, problems);
        definitions.values().chain(inline).for_each(|job| unfilled(events, job, problems));
    }
}

/// Two events that detect the same: usually a copy that someone forgot to edit.
fn twins(events: &[Event], problems: &mut Problems) {
    let mut seen: BTreeMap<String, &Event> = BTreeMap::new();
    for event in events {
        // An event without a condition is about every change of its table; there may be several such.
        let (Some(of), Some(when)) = (event.is_of(), event.when()) else { continue };
        let when = when.source().split_whitespace().collect::<Vec<_>>().join(" ");
        let (key, same) = match of {
            In::Changes(Selector { tables, operations, source, trigger }) => {
                let mut operations = operations.clone();
                operations.sort_unstable();
                (format!("{tables} {operations:?} {source:?} {trigger:?} {when}"), "tables, operations")
            }
            In::Called(called) => (format!("{called:?} {when}"), called.occasion.noun()),
        };
        if let Some(other) = seen.insert(key, event)
            && other.name().name != event.name().name
        {
            let message = format!("the event {} has the same {same} and condition", other.name());
            problems.push(warning(event.place("from"), Rule::Twin, message));
        }
    }
}

/// A table that is not described, and that one which is differs from by no more than a slip.
fn misnamed(events: &[Event], described: &DescribedTables, problems: &mut Problems) {
    let known: Vec<&Table> = described.all().map(Described::table).collect();
    let mut looked_at = BTreeMap::new();
    for event in events {
        let Some(Selector { tables: Tables::These(tables), .. }) = event.selector() else { continue };
        for table in tables.iter().filter(|table| !described.has(table)) {
            let Some(meant) = *looked_at.entry(table).or_insert_with(|| table.slip_of(&known)) else { continue };
            let message = format!("{table} is not described");
            let help = format!("did you mean {meant}? A table of that name would be described in tables/{table}.yaml");
            problems.push(Problem { help: Some(help), ..warning(event.place("from"), Rule::Table, message) });
        }
    }
}

/// A table whose name would have a dot in it, as of one who names the database, too.
fn three_parts(events: &[Event], described: &DescribedTables, problems: &mut Problems) {
    for event in events {
        let Some(Selector { tables: Tables::These(tables), .. }) = event.selector() else { continue };
        for Table { schema, name } in tables.iter().filter(|table| table.name.contains('.') && !described.has(table)) {
            let message = format!("{schema}.{name} is read as the table `{name}` of the schema `{schema}`");
            let help =
                format!("a table is `schema.name`: write `table: {name}`, and `source: {schema}` for the database");
            problems.push(Problem { help: Some(help), ..warning(event.place("from"), Rule::Table, message) });
        }
    }
}

/// What a job's options name of the data, and an event that lists it does not have: each such run fails.
fn unfilled(events: &[Event], job: &Job, problems: &mut Problems) {
    if job.needs.is_empty() {
        return;
    }
    let listing = events.iter().filter(|event| event.jobs().iter().any(|listed| listed.group == job.group));
    let known: Vec<_> = listing.filter_map(|event| Some((event, event.members()?))).collect();
    for Need { name, place, text } in &job.needs {
        let mut without = known.iter().filter(|(_, members)| !members.contains(name.as_str()));
        let Some((event, members)) = without.next() else { continue };
        let more = match without.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let help = match closest(name, members.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("add it to the event's `data`, or give a default: coalesce(data.{name}, \"\")"),
        };
        let message = format!("the data of {}{more} have no `{name}`", event.name());
        let problem = warning(place.clone(), Rule::AlwaysFails, message);
        problems.push(Problem { help: Some(help), text: text.clone(), ..problem });
    }
}

/// A definition that no event lists never runs.
fn unused(events: &[Event], definitions: &BTreeMap<JobName, Job>, problems: &mut Problems) {
    let listed: BTreeSet<_> = events.iter().flat_map(Event::jobs).map(|job| &job.group).collect();
    for job in definitions.values().filter(|job| !listed.contains(&job.group)) {
        let place = Location { file: job.file().to_owned(), line: 0, column: 0 };
        problems.push(warning(place, Rule::Job, format!("no event lists the job {}", job.name())));
    }
}

fn warning(place: Location, rule: Rule, message: String) -> Problem {
    Problem { severity: Severity::Warning, rule, place, message, help: None, text: String::new() }
}
