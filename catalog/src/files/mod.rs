//! From files to a catalog, with everything that is wrong on the way.

mod context;
mod data;
mod event_file;
mod flow;
mod from;
mod job_file;
pub(crate) mod keys;
mod options;
mod parameters;
mod parts;
mod publish;
mod rows;
mod rules;
mod schema_key;
mod secrets;
mod table_file;
mod tests_key;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use contracts::names::{EventRef, GroupName, JobName};

use crate::{
    catalog::{Catalog, Kinds, Outcome},
    described::DescribedTables,
    event::{Event, ListedJob},
    job::Job,
    report::{Location, Problem, Report, Rule, Severity},
    sources::{Source, Sources, is_yaml},
};

pub(crate) use job_file::{jobs_of, left_behind, retired};
pub(crate) use parameters::kept;

use context::{File, Problems};

/// Compiles all files; a catalog comes out if nothing is wrong enough to forbid it.
pub(crate) fn compile(sources: &Sources, kinds: &dyn Kinds) -> Outcome {
    let mut problems = Problems::default();
    for (source, why) in sources.files().iter().filter_map(|source| Some((source, source.unreadable.as_ref()?))) {
        problems.push(whole(&source.path, Rule::File, Severity::Error, why));
    }
    let definitions = definitions(sources, kinds, &mut problems);
    let described = described(sources, &mut problems);
    let (events, inline) = events(sources, kinds, (&definitions, &described), &mut problems);
    rules::check(&events, (&definitions, &inline), &described, &mut problems);
    let jobs: Vec<&Job> = definitions.values().chain(&inline).collect();
    publish::check(&events, &jobs, &named(sources), &mut problems);
    if events.is_empty() && !problems.has_errors() {
        problems.push(whole("events", Rule::Empty, Severity::Warning, "the folder has no events yet"));
    }
    let jobs = listed(definitions, &events).into_iter().chain(inline).collect();
    let mut report = Report { problems: problems.into_vec() };
    report.sort();
    let catalog = (!report.has_errors()).then(|| Catalog::new(events, jobs, described));
    Outcome { catalog, report }
}

fn whole(file: &str, rule: Rule, severity: Severity, message: &str) -> Problem {
    let place = Location { file: file.to_owned(), line: 0, column: 0 };
    Problem { severity, rule, place, message: message.to_owned(), help: None, text: String::new() }
}

/// The shared definitions of `jobs/`, by name.
fn definitions(sources: &Sources, kinds: &dyn Kinds, problems: &mut Problems) -> BTreeMap<JobName, Job> {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for source in yaml_files(sources, "jobs/", problems) {
        let mut file = File::new(source, problems);
        let Some(name) = file.name::<JobName>("a job's file is named after the job") else { continue };
        if !seen.insert(name.as_str().to_lowercase()) {
            file.whole_file(Rule::Name, format!("there are two definitions of the job {name}"));
            continue;
        }
        match job_file::definition(&mut file, name, kinds) {
            Some(job) => drop(found.insert(job.name().clone(), job)),
            None => file.job_is_broken(),
        }
    }
    found
}

/// The tables of `tables/` and folders below, whose columns are known.
fn described(sources: &Sources, problems: &mut Problems) -> DescribedTables {
    let mut tables = DescribedTables::default();
    for source in yaml_files(sources, "tables/", problems) {
        let mut file = File::new(source, problems);
        let Some(table) = table_file::table(&mut file) else { continue };
        if let Err(other) = tables.add(table) {
            let message = format!("{other} describes that table already");
            file.whole_file(
                Rule::Name,
                format!("{message}; tables of one name are of different sources: `source: shop`"),
            );
        }
    }
    tables
}

/// The events of `events/` and folders below, and the jobs they have inline.
fn events(
    sources: &Sources,
    kinds: &dyn Kinds,
    (definitions, described): (&BTreeMap<JobName, Job>, &DescribedTables),
    problems: &mut Problems,
) -> (Vec<Event>, Vec<Job>) {
    let (mut events, mut jobs) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for source in yaml_files(sources, "events/", problems) {
        let mut file = File::new(source, problems);
        let Some(name) = file.name::<EventRef>("a file is named after its event") else { continue };
        if let Some(other) = seen.insert(name.to_string().to_lowercase(), &source.path) {
            file.whole_file(Rule::Name, format!("the event {name} is in {other} already"));
            continue;
        }
        if let Some((event, inline)) = event_file::event(&mut file, name, definitions, kinds, described) {
            events.push(event);
            jobs.extend(inline);
        }
    }
    (events, jobs)
}

/// The files of a folder that are YAML; the others are worth a warning.
fn yaml_files<'s>(sources: &'s Sources, folder: &str, problems: &mut Problems) -> Vec<&'s Source> {
    let readable = sources.files().iter().filter(|file| file.path.starts_with(folder) && file.unreadable.is_none());
    let (yaml, others): (Vec<&Source>, Vec<&Source>) = readable.partition(|file| is_yaml(&file.path));
    for other in others {
        let message = "this file is not read: files here end in .yaml or .yml";
        problems.push(whole(&other.path, Rule::File, Severity::Warning, message));
    }
    yaml
}

/// The events that there are files of, whatever is in them.
fn named(sources: &Sources) -> BTreeSet<EventRef> {
    let stem = |path: &str| Some(path.strip_prefix("events/")?.rsplit('/').next()?.rsplit_once('.')?.0.to_owned());
    let files = sources.files().iter().filter(|file| is_yaml(&file.path));
    files.filter_map(|file| stem(&file.path)?.parse().ok()).collect()
}

/// The definitions that events list, with those events and what each gives them.
fn listed(definitions: BTreeMap<JobName, Job>, events: &[Event]) -> Vec<Job> {
    let mut by_group: BTreeMap<&GroupName, Vec<(&Event, &ListedJob)>> = BTreeMap::new();
    for event in events {
        for job in event.jobs() {
            by_group.entry(&job.group).or_default().push((event, job));
        }
    }
    let listed = definitions.into_values().filter_map(|mut job| {
        let listing = by_group.remove(&job.group)?;
        job.events = listing.iter().map(|(event, _)| event.name().clone()).collect();
        job.events.sort();
        let given = listing.iter().filter_map(|(event, job)| Some((event.name().clone(), job.with.clone()?)));
        job.filling.with = given.collect();
        Some(job)
    });
    listed.collect()
}
