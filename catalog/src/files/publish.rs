//! The kind `publish`: an event by its name, whose `data` and `key` are expressions, as in an event's file; and that what
//! jobs publish goes in no circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use contracts::names::EventRef;
use expressions::{Expression, Scope, closest};
use serde_json::Value;

use crate::{
    event::Event,
    job::{Job, Publishes},
    report::{Problem, Rule, Severity},
    template::Template,
    yaml::{Content, Entry, Yaml},
};

use super::{
    context::{File, Problems},
    data,
    parameters::Uses,
    parts,
};

/// What the kind is called.
pub(super) const KIND: &str = "publish";
/// How many events of a circle are named.
const NAMED: usize = 12;

/// Reads what is published; `None` if any part of it is wrong.
pub(super) fn options(file: &mut File<'_>, kind: &Entry, uses: &mut Uses) -> Option<(Template, Option<Publishes>)> {
    let Some(entries) = kind.value.entries() else {
        return Some((Template::Value(kind.value.to_json()), publishes(file, &kind.value, false)));
    };
    let mut parts = Vec::with_capacity(entries.len());
    for Entry { key, value, .. } in entries {
        let part = match key.as_str() {
            "data" | "key" => shape(file, key, value, uses)?,
            _ => Template::Value(value.to_json()),
        };
        parts.push((key.clone(), part));
    }
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let may_repeat = get("mayRepeat").map(Yaml::to_json) == Some(Value::Bool(true));
    let publishes = get("event").and_then(|event| publishes(file, event, may_repeat));
    Some((Template::Map(parts), publishes))
}

/// The event, if that is one's name: what is none is told by the kind itself.
fn publishes(file: &File<'_>, event: &Yaml, may_repeat: bool) -> Option<Publishes> {
    let Content::Scalar(name, style) = &event.content else { return None };
    let (place, text) = file.place_within(event, name, *style, 0);
    Some(Publishes { event: name.parse().ok()?, may_repeat, place, text })
}

fn shape(file: &mut File<'_>, key: &str, node: &Yaml, uses: &mut Uses) -> Option<Template> {
    let look =
        &mut |file: &mut File<'_>, node: &Yaml, expression: &Expression| parts::look(file, node, expression, uses);
    data::shape(file, (key, Scope::Job), node, look).map(Template::from)
}

/// That what jobs publish is there, and goes in no circles. `known` are the events that are there, and those whose files have
/// an error.
pub(super) fn check(events: &[Event], jobs: &[&Job], known: &BTreeSet<EventRef>, problems: &mut Problems) {
    let publishing: Vec<(&Job, &Publishes)> = jobs.iter().filter_map(|job| Some((*job, job.publishes()?))).collect();
    let mut steps: BTreeMap<&EventRef, Vec<Step<'_>>> = BTreeMap::new();
    for &(job, publishes) in &publishing {
        if !known.contains(&publishes.event) {
            problems.push(unknown(publishes, known));
        }
        let listing = events.iter().filter(|event| event.jobs().iter().any(|listed| listed.group == job.group));
        for event in listing.filter(|_| !publishes.may_repeat) {
            steps.entry(event.name()).or_default().push(Step { from: event.name(), job, publishes });
        }
    }
    let mut told: BTreeSet<(&EventRef, &EventRef)> = BTreeSet::new();
    for step in steps.values().flatten() {
        if told.contains(&step.ends()) {
            continue;
        }
        let Some(back) = way(&steps, &step.publishes.event, step.from) else { continue };
        told.insert(step.ends());
        told.extend(back.iter().map(Step::ends));
        problems.push(circle(step, &back));
    }
}

/// That an event leads to another, by a job of it.
#[derive(Clone, Copy)]
struct Step<'c> {
    from: &'c EventRef,
    job: &'c Job,
    publishes: &'c Publishes,
}

impl<'c> Step<'c> {
    fn ends(&self) -> (&'c EventRef, &'c EventRef) {
        (self.from, &self.publishes.event)
    }
}

/// The shortest way from one event to another.
fn way<'c>(steps: &BTreeMap<&'c EventRef, Vec<Step<'c>>>, from: &'c EventRef, to: &EventRef) -> Option<Vec<Step<'c>>> {
    let mut by: BTreeMap<&EventRef, Option<Step<'c>>> = BTreeMap::from([(from, None)]);
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        if at == to {
            let mut way: Vec<Step<'c>> = std::iter::successors(by[at], |step| by[step.from]).collect();
            way.reverse();
            return Some(way);
        }
        for step in steps.get(at).into_iter().flatten() {
            by.entry(&step.publishes.event).or_insert_with(|| {
                next.push_back(&step.publishes.event);
                Some(*step)
            });
        }
    }
    None
}

fn circle(first: &Step<'_>, back: &[Step<'_>]) -> Problem {
    let mut chain = first.from.to_string();
    for Step { job, publishes, .. } in std::iter::once(first).chain(back).take(NAMED) {
        chain.push_str(&format!(" → {} → {}", job.name(), publishes.event));
    }
    let more = (back.len() + 1).saturating_sub(NAMED);
    if more > 0 {
        chain.push_str(&format!(" → … ({more} more)"));
    }
    let help = "leave one of them out; if a circle is wanted, and ends by what the data say, write `mayRepeat: true` in one of its jobs";
    problem(first.publishes, format!("what is published goes in a circle: {chain}"), help.to_owned())
}

fn unknown(publishes: &Publishes, known: &BTreeSet<EventRef>) -> Problem {
    let names: Vec<String> = known.iter().map(EventRef::to_string).collect();
    let name = publishes.event.to_string();
    let help = match closest(&name, names.iter().map(String::as_str)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("an event that is published is defined in events/{name}.yaml; it needs no `from`"),
    };
    problem(publishes, format!("there is no event `{name}`"), help)
}

fn problem(at: &Publishes, message: String, help: String) -> Problem {
    let Publishes { place, text, .. } = at.clone();
    Problem { severity: Severity::Error, rule: Rule::Job, place, message, help: Some(help), text }
}
