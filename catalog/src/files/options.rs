//! The options of a job: those that every job has, and the one key that is its kind.

use std::time::Duration;

use contracts::{
    duration,
    names::{GroupName, JobName},
};
use expressions::{CompileError, Member, closest};
use serde_json::{Map, Value};

use crate::{
    catalog::Kinds,
    job::{Backoff, DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT, Job, Need, Order},
    report::Rule,
    template::{ATTRIBUTES, Template},
    yaml::{Content, Entry, Yaml},
};

use super::{context::File, job_file::definition_json, keys, secrets};

/// The most attempts, and the most runs side by side, that a job may ask for.
const MOST_ATTEMPTS: u64 = 1_000;
const MOST_CONCURRENCY: u64 = 10_000;

/// Reads a definition; `None` if it has no usable kind.
pub(super) fn job(file: &mut File<'_>, node: &Yaml, name: JobName, group: GroupName, kinds: &dyn Kinds) -> Option<Job> {
    let entries = node.entries()?;
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let kind = kind(file, node, kinds)?;
    let mut needs = Vec::new();
    let options = options(file, kind, kinds, &mut needs)?;
    Some(Job {
        name,
        group,
        description: get("description").and_then(|node| file.text_of("description", node)).map(str::to_owned),
        kind: kind.key.clone(),
        options,
        timeout: get("timeout").and_then(|node| positive(file, "timeout", node)).unwrap_or(DEFAULT_TIMEOUT),
        attempts: get("attempts")
            .and_then(|node| whole(file, "attempts", node, MOST_ATTEMPTS))
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(DEFAULT_ATTEMPTS),
        backoff: get("backoff").map(|node| backoff(file, node)).unwrap_or_default(),
        concurrency: get("concurrency")
            .and_then(|node| whole(file, "concurrency", node, MOST_CONCURRENCY))
            .and_then(|value| usize::try_from(value).ok())
            .unwrap_or(DEFAULT_CONCURRENCY),
        order: get("order").and_then(|node| order(file, node)).unwrap_or_default(),
        final_exit_codes: get("finalExitCodes").map(|node| exit_codes(file, node)).unwrap_or_default(),
        events: Vec::new(),
        definition: definition_json(node),
        file: file.path(),
        needs,
    })
}

/// The one key that is no common option.
fn kind<'y>(file: &mut File<'_>, node: &'y Yaml, kinds: &dyn Kinds) -> Option<&'y Entry> {
    let others: Vec<&Entry> = node.entries()?.iter().filter(|entry| !keys::JOB.contains(&entry.key.as_str())).collect();
    let names = kinds.names();
    match others.as_slice() {
        [] => {
            let help = format!("add one of {}", names.join(", "));
            file.error(Rule::Job, node.start, "the job does not say what it does".into(), Some(help));
            None
        }
        [kind] if names.is_empty() || names.contains(&kind.key.as_str()) => Some(kind),
        entries => {
            let unknown: Vec<&&Entry> = entries.iter().filter(|entry| !names.contains(&entry.key.as_str())).collect();
            for entry in &unknown {
                let known = keys::JOB.iter().copied().chain(names.iter().copied());
                let help = match closest(&entry.key, known) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("the kinds of jobs are {}", names.join(", ")),
                };
                file.error(
                    Rule::Job,
                    entry.start,
                    format!("`{}` is no kind of job and no option", entry.key),
                    Some(help),
                );
            }
            if unknown.is_empty() {
                let message =
                    format!("a job is of one kind, and this has `{}` and `{}`", entries[0].key, entries[1].key);
                file.error(Rule::Job, entries[1].start, message, None);
            }
            None
        }
    }
}

/// Compiles the options of the kind, and asks the kind about them.
fn options(file: &mut File<'_>, kind: &Entry, kinds: &dyn Kinds, needs: &mut Vec<Need>) -> Option<Template> {
    let (raw, compiled) = match kind.value.is_null() {
        true => (Value::Object(Map::new()), Some(Template::Value(Value::Object(Map::new())))),
        false => (kind.value.to_json(), template(file, &kind.value, needs)),
    };
    if let Err(message) = kinds.check(&kind.key, &raw) {
        file.error(Rule::Job, kind.start, format!("{}: {message}", kind.key), None);
        return None;
    }
    for (offset, name) in secrets::of(&kind.value) {
        let what = name.map_or_else(|| "this".to_owned(), |name| format!("`{name}`"));
        file.secret(
            offset,
            format!("{what} looks like a secret in plain text, which everybody who has the catalog can read"),
        );
    }
    if let Some(message) = kinds.absent(&kind.key, &raw) {
        let help = "put it there, or correct the path; if job runners are other machines, it must be there";
        file.warning(Rule::Job, kind.start, format!("{}: {message}", kind.key), help);
    }
    compiled
}

/// A member that `event` does not have.
fn unknown_attribute(member: Member) -> Option<CompileError> {
    let Member { name, offset, .. } = member;
    if ATTRIBUTES.contains(&name.as_str()) {
        return None;
    }
    let help = match closest(&name, ATTRIBUTES) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("it has {}; what the event carries is `data`", ATTRIBUTES.join(", ")),
    };
    Some(CompileError { offset, message: format!("`event` has no `{name}`"), help: Some(help) })
}

fn template(file: &mut File<'_>, node: &Yaml, needs: &mut Vec<Need>) -> Option<Template> {
    if let Content::Scalar(text, _) = &node.content
        && let Some(written) = other_hole(text)
    {
        let message = format!("`{written}` is written as it stands");
        file.warning(
            Rule::Expression,
            node.start,
            message,
            "what is filled in is written `${data.id}`, `${event.name}`",
        );
    }
    match &node.content {
        Content::Scalar(text, style) if text.contains("${") => {
            let (mut mistakes, mut members) = (Vec::new(), Vec::new());
            let compiled = Template::compile_telling(text, &mut |expression, at| {
                let in_text = |mistake: CompileError| CompileError { offset: mistake.offset + at, ..mistake };
                mistakes.extend(expression.mistakes().into_iter().map(in_text));
                let in_text = |member: Member| Member { offset: member.offset + at, ..member };
                members.extend(expression.members().into_iter().map(in_text));
            });
            mistakes.extend(members.extract_if(.., |member| member.of_event).filter_map(unknown_attribute));
            file.mistakes(node, text, *style, mistakes);
            needs.extend(members.into_iter().map(|member| {
                let (place, line) = file.place_within(node, text, *style, member.offset);
                Need { name: member.name, place, text: line }
            }));
            compiled.map_err(|errors| file.template_errors(node, text, *style, errors)).ok()
        }
        Content::Scalar(..) => Some(Template::Value(node.to_json())),
        Content::List(items) => {
            let items: Vec<Option<Template>> = items.iter().map(|item| template(file, item, needs)).collect();
            items.into_iter().collect::<Option<_>>().map(Template::List)
        }
        Content::Map { entries, .. } => {
            let entries: Vec<Option<(String, Template)>> = entries
                .iter()
                .map(|entry| template(file, &entry.value, needs).map(|value| (entry.key.clone(), value)))
                .collect();
            entries.into_iter().collect::<Option<_>>().map(Template::Map)
        }
    }
}

/// What other template languages fill in: `{{data.id}}`, `$data.id`.
fn other_hole(text: &str) -> Option<&'static str> {
    const HOLES: [(&str, &str, &str); 4] = [
        ("{{", "data.", "{{data."),
        ("{{", "event.", "{{event."),
        ("$", "data.", "$data."),
        ("$", "event.", "$event."),
    ];
    let is_there = |open: &str, name: &str| text.split(open).skip(1).any(|rest| rest.trim_start().starts_with(name));
    HOLES.iter().find(|(open, name, _)| is_there(open, name)).map(|(.., written)| *written)
}

fn span(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<Duration> {
    let text = file.text_of(key, node)?;
    match duration::parse(text) {
        Ok(found) => Some(found),
        Err(error) => {
            file.error(Rule::Job, node.start, format!("`{key}`: {error}"), None);
            None
        }
    }
}

fn positive(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<Duration> {
    let found = span(file, key, node)?;
    if found.is_zero() {
        let help = format!("write how long, as in `{key}: 30s`, or leave it out for the default");
        file.error(Rule::Job, node.start, format!("`{key}` is nothing, and a time is wanted"), Some(help));
        return None;
    }
    Some(found)
}

fn whole(file: &mut File<'_>, key: &str, node: &Yaml, most: u64) -> Option<u64> {
    let found = node.to_json().as_u64().filter(|value| (1..=most).contains(value));
    if found.is_none() {
        file.error(Rule::Job, node.start, format!("`{key}` is a whole number from 1 to {most}"), None);
    }
    found
}

fn order(file: &mut File<'_>, node: &Yaml) -> Option<Order> {
    match node.scalar() {
        Some("key") => Some(Order::Key),
        Some("none") => Some(Order::None),
        _ => {
            file.error(Rule::Job, node.start, "`order` is `key` or `none`".into(), None);
            None
        }
    }
}

fn backoff(file: &mut File<'_>, node: &Yaml) -> Backoff {
    let mut backoff = Backoff::default();
    let Some(entries) = node.entries() else {
        file.wrong_shape("backoff", node, "a map, `{ initial: 1s, factor: 2, max: 10m }`,");
        return backoff;
    };
    file.known_keys(node, keys::BACKOFF);
    for Entry { key, value, .. } in entries {
        match key.as_str() {
            "initial" => backoff.initial = span(file, key, value).unwrap_or(backoff.initial),
            "max" => backoff.max = span(file, key, value).unwrap_or(backoff.max),
            "factor" => match value.to_json().as_f64().filter(|factor| (1.0..=1000.0).contains(factor)) {
                Some(factor) => backoff.factor = factor,
                None => file.error(Rule::Job, value.start, "`factor` is a number from 1 to 1000".into(), None),
            },
            _ => {}
        }
    }
    if backoff.initial > backoff.max {
        file.error(Rule::Job, node.start, "`backoff` begins above its `max`".into(), None);
    }
    backoff
}

fn exit_codes(file: &mut File<'_>, node: &Yaml) -> Vec<i32> {
    let Content::List(items) = &node.content else {
        file.wrong_shape("finalExitCodes", node, "a list of exit codes");
        return Vec::new();
    };
    let mut codes = Vec::new();
    for item in items {
        match item.to_json().as_i64().filter(|code| (1..=255).contains(code)) {
            Some(code) => codes.extend(i32::try_from(code)),
            None => file.error(Rule::Job, item.start, "an exit code that fails is 1 to 255".into(), None),
        }
    }
    codes
}
