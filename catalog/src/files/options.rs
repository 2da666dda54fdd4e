//! The options of a job: those that every job has, and the one key that is its kind.

use std::collections::BTreeMap;

use contracts::names::{GroupName, JobName};
use expressions::{CompileError, Member, Scope};
use serde_json::{Map, Value};

use crate::{
    catalog::Kinds,
    data::Data,
    filling::Filling,
    flow::Flow,
    job::{Backoff, DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT, Job, Order, Publishes},
    report::Rule,
    template::Template,
    yaml::{Content, Entry, Yaml},
};

use super::{
    context::File,
    data, flow, keys,
    parameters::{self, Uses},
    parts::{look, needs, positive, span, whole},
    publish, secrets, window,
};

/// The most attempts that a job may ask for.
const MOST_ATTEMPTS: u64 = 1_000;

/// Reads a definition; `None` if it has no usable kind.
pub(super) fn job(file: &mut File<'_>, node: &Yaml, name: JobName, group: GroupName, kinds: &dyn Kinds) -> Option<Job> {
    let entries = node.entries()?;
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let kind = kind(file, node, kinds)?;
    let mut uses = Uses::default();
    let parameters = get("parameters").filter(|node| !node.is_null());
    if group == GroupName::of_definition(&name) {
        uses.declared = match parameters {
            Some(node) => Some(parameters::declared(file, node)?),
            None => Some(Vec::new()),
        };
    } else if let Some(node) = parameters {
        let message = "a job that is defined in an event has no parameters".to_owned();
        let help = "write the values where they are used, or define it in a file of jobs/";
        file.error(Rule::Job, node.start, message, Some(help.into()));
    }
    let (options, publishes) = options(file, kind, kinds, &mut uses)?;
    let input = get("input").filter(|node| !node.is_null()).map(|node| input(file, node, &mut uses));
    let input = input.map_or(Some(None), |input| input.map(Some))?;
    let gathering = window::gathering(file, node, &mut uses)?;
    let concurrency = get("concurrency").and_then(|node| flow::concurrency(file, node, &mut uses));
    let (concurrency, each) = concurrency.unwrap_or((DEFAULT_CONCURRENCY, None));
    let flow = Flow {
        rate: get("rate").and_then(|node| flow::rate(file, node, &mut uses)),
        each,
        circuit: get("circuit").and_then(|node| flow::circuit(file, node)).unwrap_or_default(),
    };
    uses.end(file, parameters);
    let Uses { declared, needs, .. } = uses;
    let filling = Filling { options, parameters: declared.unwrap_or_default(), with: BTreeMap::new(), input };
    Some(Job {
        name,
        group,
        description: get("description").and_then(|node| file.text_of("description", node)).map(str::to_owned),
        kind: kind.key.clone(),
        filling,
        timeout: get("timeout").and_then(|node| positive(file, "timeout", node)).unwrap_or(DEFAULT_TIMEOUT),
        attempts: get("attempts")
            .and_then(|node| whole(file, "attempts", node, MOST_ATTEMPTS))
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(DEFAULT_ATTEMPTS),
        backoff: get("backoff").map(|node| backoff(file, node)).unwrap_or_default(),
        give_up_after: get("giveUpAfter").and_then(|node| positive(file, "giveUpAfter", node)),
        concurrency,
        flow,
        order: get("order").and_then(|node| order(file, node)).unwrap_or_default(),
        gathering,
        final_exit_codes: get("finalExitCodes").map(|node| exit_codes(file, node)).unwrap_or_default(),
        events: Vec::new(),
        definition: definition_json(node),
        file: file.path(),
        needs,
        publishes,
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
                let help = keys::instead_of(&entry.key, known)
                    .unwrap_or_else(|| format!("the kinds of jobs are {}", names.join(", ")));
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
fn options(
    file: &mut File<'_>,
    kind: &Entry,
    kinds: &dyn Kinds,
    uses: &mut Uses,
) -> Option<(Template, Option<Publishes>)> {
    let (raw, compiled) = match kind.value.is_null() {
        true => (Value::Object(Map::new()), Some((Template::Value(Value::Object(Map::new())), None))),
        false if kind.key == publish::KIND => (kind.value.to_json(), publish::options(file, kind, uses)),
        false => (kind.value.to_json(), template(file, &kind.value, uses).map(|template| (template, None))),
    };
    if let Err(message) = kinds.check(&kind.key, &raw) {
        file.error(Rule::Job, kind.start, format!("{}: {message}", kind.key), None);
        return None;
    }
    if kinds.takes_params(&kind.key, &raw) {
        uses.takes_all();
    }
    for (offset, name) in secrets::of(&kind.value) {
        let what = name.map_or_else(|| "this".to_owned(), |name| format!("`{name}`"));
        file.secret(
            offset,
            format!("{what} looks like a secret in plain text, which everybody who has the catalog can read"),
        );
    }
    if let Some((message, help)) = kinds.danger(&kind.key, &raw) {
        file.warning(Rule::Job, kind.start, format!("{}: {message}", kind.key), &help);
    }
    if let Some((message, help)) = kinds.absent(&kind.key, &raw) {
        file.warning(Rule::Job, kind.start, format!("{}: {message}", kind.key), &help);
    }
    compiled
}

fn template(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Template> {
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
                let (found, named) = uses.look(expression);
                mistakes.extend(found.into_iter().map(|it| CompileError { offset: it.offset + at, ..it }));
                members.extend(named.into_iter().map(|it| Member { offset: it.offset + at, ..it }));
            });
            file.mistakes(node, text, *style, mistakes);
            uses.needs.extend(needs(file, node, members));
            compiled.map_err(|errors| file.template_errors(node, text, *style, errors)).ok()
        }
        Content::Scalar(..) => Some(Template::Value(node.to_json())),
        Content::List(items) => {
            let items: Vec<Option<Template>> = items.iter().map(|item| template(file, item, uses)).collect();
            items.into_iter().collect::<Option<_>>().map(Template::List)
        }
        Content::Map { entries, .. } => {
            let entries: Vec<Option<(String, Template)>> = entries
                .iter()
                .map(|entry| template(file, &entry.value, uses).map(|value| (entry.key.clone(), value)))
                .collect();
            entries.into_iter().collect::<Option<_>>().map(Template::Map)
        }
    }
}

/// What the job works on: a shape over the event, its parameters, and the payload that it was found in.
fn input(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Data> {
    data::shape(file, ("input", Scope::Input), node, &mut |file, node, expression| look(file, node, expression, uses))
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

/// The definition that travels: everything but the `id`, which the name carries.
fn definition_json(node: &Yaml) -> Value {
    let entries = node.entries().unwrap_or_default().iter().filter(|entry| entry.key != "id");
    Value::Object(entries.map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>())
}
