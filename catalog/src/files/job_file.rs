//! A job's definition: in a file of its own, inline in an event, or as it travels once it is retired.

use std::{collections::BTreeMap, sync::Arc};

use contracts::names::{EventRef, GroupName, JobName};
use serde_json::Value;

use crate::{
    catalog::{Catalog, Kinds},
    job::Job,
    report::{Location, Problem, Rule, Severity},
    sources::{Source, Sources},
    wire,
    yaml::Yaml,
};

use super::{
    context::{File, Problems},
    options,
};

/// Reads `jobs/<name>.yaml`.
pub(super) fn definition(file: &mut File<'_>, name: JobName, kinds: &dyn Kinds) -> Option<Job> {
    let root = file.read()?;
    if let Some(id) = root.entries()?.iter().find(|entry| entry.key == "id") {
        let help = "leave it out: the file's name is the job's";
        file.error(Rule::Shape, id.start, "a shared definition has no `id`".into(), Some(help.into()));
    }
    let group = GroupName::of_definition(&name);
    options::job(file, &root, name, group, kinds)
}

/// Reads a job within an event's list.
pub(super) fn inline(
    file: &mut File<'_>,
    node: &Yaml,
    event: &EventRef,
    definitions: &BTreeMap<JobName, Job>,
    kinds: &dyn Kinds,
) -> Option<Job> {
    let entries = node.entries()?;
    let Some(id) = entries.iter().find(|entry| entry.key == "id") else {
        let shared = entries.iter().find(|entry| definitions.contains_key(entry.key.as_str()));
        let (message, help) = match shared {
            Some(entry) => (
                format!("the job `{}` is shared, and takes no options here", entry.key),
                format!(
                    "write `- {0}`, or `- use: {0}` and below it `with: {{ … }}` for its parameters, or give this one an `id` \
                     and its own definition",
                    entry.key
                ),
            ),
            None => ("a job that is defined here needs an `id`".to_owned(), "add `id: name`".to_owned()),
        };
        file.error(Rule::Job, node.start, message, Some(help));
        return None;
    };
    let text = file.text_of("id", &id.value)?;
    let name: JobName = match text.parse() {
        Ok(name) => name,
        Err(error) => {
            file.error(Rule::Name, id.value.start, error.to_string(), None);
            return None;
        }
    };
    let group = GroupName::of_inline(event, &name);
    let mut job = options::job(file, node, name, group, kinds)?;
    job.events = vec![event.clone()];
    Some(job)
}

/// Compiles a retired job's definition; `None` if this version cannot run it any more.
pub(crate) fn retired(retired: &wire::Retired, events: Vec<EventRef>, kinds: &dyn Kinds) -> Option<Job> {
    // JSON is YAML: the definition is read like any other.
    let source = Source::from(("(retired)", retired.definition.to_string()));
    let mut problems = Problems::default();
    let mut file = File::new(&source, &mut problems);
    let root = file.read()?;
    let mut job = options::job(&mut file, &root, retired.name.clone(), retired.group.clone(), kinds)?;
    job.events = events;
    job.file = Arc::from("(retired)");
    Some(job)
}

/// A job that left while its topics still hold work for it, and whose definition is lost.
pub(crate) fn left_behind(group: &GroupName, events: &[EventRef]) -> Problem {
    let events: Vec<String> = events.iter().map(EventRef::to_string).collect();
    let message =
        format!("the job {} left, and its definition cannot be read by this version of Herald", group.full_name());
    let help = format!(
        "what {} still hold for it is not done; list it again with a definition that compiles",
        events.join(", ")
    );
    let place = Location { file: "(retired)".into(), line: 0, column: 0 };
    Problem { severity: Severity::Warning, rule: Rule::Job, place, message, help: Some(help), text: String::new() }
}

/// The jobs of sources that were good enough to be written, whatever kinds there are now.
pub(crate) fn jobs_of(sources: &Sources) -> Vec<Job> {
    struct AnyKind;
    impl Kinds for AnyKind {
        fn check(&self, _: &str, _: &Value) -> Result<(), String> {
            Ok(())
        }
        fn names(&self) -> Vec<&str> {
            Vec::new()
        }
    }
    let outcome = Catalog::compile(sources, &AnyKind);
    outcome.catalog.map(|catalog| catalog.jobs().cloned().collect()).unwrap_or_default()
}
