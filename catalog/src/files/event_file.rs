//! An event's file.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    hasura::{Occasion, Op},
    names::{EventRef, JobName},
};
use expressions::{Expression, Scope, closest};

use crate::{
    catalog::Kinds,
    described::DescribedTables,
    detector::In,
    event::{Detect, Event, ListedJob},
    job::Job,
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{
    context::{File, KEY_HELP},
    data, from, job_file, keys, parameters, schema_key, tests_key,
};

/// Reads one event and the jobs it has inline; `None` if it is no map at all.
pub(super) fn event(
    file: &mut File<'_>,
    name: EventRef,
    definitions: &BTreeMap<JobName, Job>,
    kinds: &dyn Kinds,
    described: &DescribedTables,
) -> Option<(Event, Vec<Job>)> {
    let root = file.read()?;
    let has_unknown = file.known_keys(&root, keys::EVENT);
    let entries = root.entries().unwrap_or_default();
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);

    let errors = file.errors();
    let detect = detect(file, described, (get("from"), has_unknown), [get("when"), get("data")]);
    let mut event = Event::new(name, detect, file.path());
    event.places = entries.iter().map(|entry| (entry.key.clone(), file.position(entry.start))).collect();
    event.description = get("description").and_then(|node| file.text_of("description", node)).map(str::to_owned);
    // What data with an error would have is not known.
    let members = event.members().filter(|_| file.errors() == errors);
    let scope = Scope::key_of(get("from").map_or(Occasion::Change, from::occasion));
    let key = get("key").map(|node| key(file, node, scope, members.as_ref())).unwrap_or_default();
    if let (Some(members), Some(sample)) = (&members, get("sample")) {
        shown_and_not_there(file, sample, members);
    }
    let schema = get("schema").and_then(|node| schema_key::schema(file, node, members.as_ref()));
    (event.key, event.schema) = (key, schema);
    event.sample = get("sample").map(Yaml::to_json);
    if let (Some(schema), Some(sample)) = (&event.schema, get("sample")) {
        schema_key::hold(file, schema, "the sample", sample);
    }
    if event.sample.is_none() {
        let help = "add `sample:` with an example of the event's data";
        file.whole_file_warning(Rule::Sample, format!("the event {} has no sample", event.name), help);
    }
    answers(file, &mut event, get("answer"), get("otherwise"));
    for key in keys::RESERVED {
        if let Some(node) = get(key) {
            event.reserved.insert((*key).to_owned(), node.to_json());
        }
    }
    let inline = get("jobs").map(|node| jobs(file, &mut event, node, definitions, kinds)).unwrap_or_default();
    event.stamp = event.jobs.iter().map(|job| job.name.clone()).collect();
    let rows = tests_key::Rows { described, event: &event };
    event.tests = get("tests").map(|node| tests_key::tests(file, node, &rows)).unwrap_or_default();
    Some((event, inline))
}

fn detect(
    file: &mut File<'_>,
    described: &DescribedTables,
    (from, has_unknown): (Option<&Yaml>, bool),
    [when, data]: [Option<&Yaml>; 2],
) -> Detect {
    let of = from.map(|from| from::from(file, from));
    let occasion = from.map_or(Occasion::Change, from::occasion);
    file.rows = match of.iter().flatten().next() {
        Some(In::Changes(selector)) => described.rows(selector),
        Some(In::Called(_)) | None => None,
    };
    let when = when.and_then(|node| Some((node.start, file.expression("when", node, Scope::of(occasion))?)));
    let data = data.filter(|node| !node.is_null()).and_then(|node| data::data(file, node, occasion));
    let Some(of) = of else {
        // Beside a key that nobody knows it may stand under that.
        if let Some((offset, _)) = when.as_ref().filter(|_| !has_unknown) {
            let help = "add `from: { table: … }`, or leave `when` out";
            let message = "an event without `from` is only published by name, and has no condition";
            file.error(Rule::Shape, *offset, message.into(), Some(help.into()));
        }
        return Detect::Named;
    };
    let Some(of) = of else { return Detect::Named };
    if let Some((offset, when)) = &when {
        check_holds(file, *offset, when, &of);
    }
    Detect::Cel { of, when: when.map(|(_, when)| when), data }
}

fn check_holds(file: &mut File<'_>, offset: usize, when: &Expression, of: &In) {
    let operations = match of {
        In::Changes(selector) => selector.operations.as_slice(),
        In::Called(_) => &[],
    };
    if let Some((one, other)) = when.contradiction() {
        let message = format!("the condition can never hold: `{one}` and `{other}` exclude one another");
        let help = "leave one of them out, or join them with `||`; values are also written as one list: `new.status in [\"a\", \
                    \"b\"]`";
        file.warning(Rule::NeverHolds, offset, message, &Scope::of(of.occasion()).say(help));
    }
    let asked = if operations.is_empty() { &[Op::Manual] } else { operations };
    // Of what is no condition that was said.
    if !when.no_condition().is_empty() || !asked.iter().all(|operation| when.never_holds(*operation)) {
        return;
    }
    let listed: Vec<&str> = operations.iter().map(|operation| operation.as_str()).collect();
    let message = match listed.is_empty() {
        true => "the condition can never hold".to_owned(),
        false => format!("the condition can never hold for {}", listed.join(", ")),
    };
    let help = "`changed` and `became` compare the old with the new row, so they hold for updates only";
    let about_rows = ["changed", "became", "was"].iter().any(|name| when.source().contains(name));
    file.error(Rule::NeverHolds, offset, message, about_rows.then(|| help.to_owned()));
}

/// What the caller of an action is answered, and what it is told where the condition does not hold.
fn answers(file: &mut File<'_>, event: &mut Event, answer: Option<&Yaml>, otherwise: Option<&Yaml>) {
    let is_of_action = event.occasion() == Some(Occasion::Action);
    for (key, node) in [("answer", answer), ("otherwise", otherwise)] {
        let Some(node) = node.filter(|_| !is_of_action) else { continue };
        let message = format!("`{key}` is for the caller of an action, and this event has none");
        file.error(Rule::Shape, node.start, message, Some("leave it out, or write `from: { action: … }`".into()));
    }
    if !is_of_action {
        return;
    }
    event.answer = answer.and_then(|node| {
        data::shape(file, ("answer", Scope::Answer), node, &mut |file, node, expression| {
            parameters::attributes(file, node, expression);
        })
    });
    let Some(node) = otherwise else { return };
    match &node.content {
        Content::Map { .. } => {
            file.known_keys(node, keys::OTHERWISE);
        }
        Content::List(_) => {
            return file.wrong_shape("otherwise", node, "an expression, or a map of `message` and `code`,");
        }
        Content::Scalar(..) => {}
    }
    event.otherwise = data::shape(file, ("otherwise", Scope::Action), node, &mut |_, _, _| {});
}

/// `key: new.id`, or a list of parts.
fn key(file: &mut File<'_>, node: &Yaml, scope: Scope, members: Option<&BTreeSet<&str>>) -> Vec<Expression> {
    match &node.content {
        Content::List(parts) if parts.is_empty() => {
            file.wrong_shape("key", node, "an expression or a list of them");
            Vec::new()
        }
        Content::List(parts) => parts.iter().filter_map(|part| key_part(file, part, scope, members)).collect(),
        _ => key_part(file, node, scope, members).into_iter().collect(),
    }
}

fn key_part(file: &mut File<'_>, node: &Yaml, scope: Scope, members: Option<&BTreeSet<&str>>) -> Option<Expression> {
    let part = file.expression("key", node, scope)?;
    if let (Some(members), Content::Scalar(text, style)) = (members, &node.content) {
        let of_data = part.members().into_iter().filter(|member| !member.of_event);
        let mistakes = of_data.filter_map(|member| parameters::unknown_data(member, Some(members)));
        file.mistakes(node, text, *style, mistakes.collect());
    }
    if part.is_composite() {
        let message = format!("the JSON of `{part}`, which is no single value, would be in the key");
        file.warning(Rule::Expression, node.start, message, &scope.say(KEY_HELP));
    }
    Some(part)
}

/// What a sample shows, and the data never have.
fn shown_and_not_there(file: &mut File<'_>, sample: &Yaml, members: &BTreeSet<&str>) {
    for entry in sample.entries().unwrap_or_default().iter().filter(|entry| !members.contains(&*entry.key)) {
        let help = match closest(&entry.key, members.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "leave it out, or add it to `data`".to_owned(),
        };
        file.warning(Rule::Shape, entry.start, format!("the sample has `{}`, which the data do not", entry.key), &help);
    }
}

/// The jobs: names of definitions, or definitions inline. Returns those inline.
fn jobs(
    file: &mut File<'_>,
    event: &mut Event,
    node: &Yaml,
    definitions: &BTreeMap<JobName, Job>,
    kinds: &dyn Kinds,
) -> Vec<Job> {
    let items: &[Yaml] = match &node.content {
        Content::List(items) => items,
        _ if node.is_null() => &[],
        _ => {
            let first = node.entries().and_then(|entries| entries.first()).map(|entry| entry.key.as_str());
            let help = format!("write `- {}`, one on each line", first.or_else(|| node.scalar()).unwrap_or("name"));
            let message = format!("`jobs` is {}, and a list is wanted", node.kind());
            file.error(Rule::Shape, node.start, message, Some(help));
            return Vec::new();
        }
    };
    let (mut found, mut inline): (Vec<ListedJob>, Vec<Job>) = (Vec::new(), Vec::new());
    let members = event.members();
    for item in items {
        let is_use = item.entries().unwrap_or_default().iter().any(|entry| keys::USE.contains(&entry.key.as_str()));
        let listed = match &item.content {
            Content::Scalar(..) => parameters::listed(file, item, definitions, members.as_ref()),
            Content::Map { .. } if is_use => parameters::listed(file, item, definitions, members.as_ref()),
            Content::Map { .. } => job_file::inline(file, item, &event.name, definitions, kinds).map(|job| {
                let listed = ListedJob { name: job.name.clone(), group: job.group.clone(), with: None };
                inline.push(job);
                listed
            }),
            Content::List(_) => {
                file.wrong_shape("jobs", item, "a job's name or its definition");
                None
            }
        };
        let Some(listed) = listed else { continue };
        let name = &listed.name;
        if found.iter().any(|other| other.name.as_str().eq_ignore_ascii_case(name.as_str())) {
            let help = is_use.then(|| {
                format!("an event lists a job once; for a second time make another definition of jobs/{name}.yaml")
            });
            file.error(Rule::Name, item.start, format!("the event has a job {name} already"), help);
            continue;
        }
        found.push(listed);
    }
    event.jobs = found;
    inline
}
