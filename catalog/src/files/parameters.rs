//! The parameters of shared jobs: what a definition declares, what an event gives, and what the definition makes of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contracts::names::JobName;
use expressions::{CompileError, Expression, Member, Scope, closest};
use serde_json::Value;

use crate::{
    event::ListedJob,
    filling::{Parameter, With},
    job::{Job, Need},
    report::Rule,
    sources::Source,
    template::ATTRIBUTES,
    yaml::{Content, Yaml},
};

use super::{
    context::{File, Problems},
    data, keys,
};

/// What expressions of a definition name, as they are read.
#[derive(Default)]
pub(super) struct Uses {
    /// The parameters that it declares; none if it can declare none, being defined within an event.
    pub(super) declared: Option<Vec<Parameter>>,
    /// Members of the data without which it cannot be filled in.
    pub(super) needs: Vec<Need>,
    used: BTreeSet<String>,
    all: bool,
}

impl Uses {
    /// Notes what an expression names, and tells what it names and is not there.
    pub(super) fn look(&mut self, expression: &Expression) -> (Vec<CompileError>, Vec<Member>) {
        let (mut mistakes, mut members) = (expression.mistakes(), expression.members());
        mistakes.extend(members.extract_if(.., |member| member.of_event).filter_map(unknown_attribute));
        let named = expression.params();
        self.all |= named.whole.is_some();
        let whole = named.whole.filter(|_| self.declared.is_none()).map(|at| ("params".to_owned(), at));
        for (name, offset) in named.members.into_iter().chain(whole) {
            let declared = self.declared.as_deref();
            if !declared.is_some_and(|declared| declared.iter().any(|parameter| parameter.name == name)) {
                mistakes.push(undeclared(declared, &name, offset));
            }
            self.used.insert(name);
        }
        (mistakes, members)
    }

    /// Warns of parameters that nothing is made of.
    pub(super) fn end(&self, file: &mut File<'_>, parameters: Option<&Yaml>) {
        let declared = self.declared.as_deref().unwrap_or_default();
        let is_declared = |name: &str| declared.iter().any(|parameter| parameter.name == name);
        for entry in parameters.and_then(Yaml::entries).unwrap_or_default() {
            if !self.all && is_declared(&entry.key) && !self.used.contains(&entry.key) {
                let message = format!("the parameter `{}` is not used", entry.key);
                let help = format!("write `${{params.{}}}` where it is wanted, or leave it out", entry.key);
                file.warning(Rule::Job, entry.start, message, &help);
            }
        }
    }

    /// All of them go to whoever runs the job.
    pub(super) fn takes_all(&mut self) {
        self.all = true;
    }
}

fn undeclared(declared: Option<&[Parameter]>, name: &str, offset: usize) -> CompileError {
    let Some(declared) = declared else {
        let message = "a job that is defined in an event has no parameters".to_owned();
        let help = Some("write the value itself, `${data.id}`; a definition of jobs/ may have parameters".to_owned());
        return CompileError { offset, message, help };
    };
    let help = match closest(name, declared.iter().map(|parameter| parameter.name.as_str())) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("declare it: `parameters: {{ {name}: what it is }}`"),
    };
    CompileError { offset, message: format!("the job has no parameter `{name}`"), help: Some(help) }
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

/// Reads `parameters`; none if it is of another shape.
pub(super) fn declared(file: &mut File<'_>, node: &Yaml) -> Option<Vec<Parameter>> {
    let Some(entries) = node.entries() else {
        file.wrong_shape("parameters", node, "a map from names to what they are, `{ to: Whom it is sent to }`,");
        return None;
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.key.clone();
        let is_word = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit();
        if name.is_empty() || !name.chars().enumerate().all(is_word) {
            let message = format!("`{name}` is no name of a parameter");
            let help = "it is a word of letters, digits and `_`, so that `params.name` means it";
            file.error(Rule::Name, entry.start, message, Some(help.into()));
            continue;
        }
        let mut parameter = Parameter { name, description: None, default: None };
        match &entry.value.content {
            _ if entry.value.is_null() => {}
            Content::Map { entries, .. } => {
                file.known_keys(&entry.value, keys::PARAMETER);
                let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
                parameter.description =
                    get("description").and_then(|node| file.text_of("description", node)).map(str::to_owned);
                parameter.default = get("default").map(Yaml::to_json);
                if let Some(node) = get("default").filter(|node| has_hole(node)) {
                    let message = "a `default` stands as it is, and nothing is filled in".to_owned();
                    let help = "give none, and write `${coalesce(params.x, data.y)}` with `default: null`";
                    file.error(Rule::Job, node.start, message, Some(help.into()));
                }
            }
            Content::Scalar(text, _) => parameter.description = Some(text.clone()),
            Content::List(_) => {
                file.wrong_shape(&entry.key, &entry.value, "what it is, or a map of `description` and `default`")
            }
        }
        found.push(parameter);
    }
    Some(found)
}

fn has_hole(node: &Yaml) -> bool {
    node.to_json().to_string().contains("${")
}

/// Reads a job that an event lists: by its name alone, or with `use` and `with`. `members` are those of the event's data, where
/// they are known.
pub(super) fn listed(
    file: &mut File<'_>,
    item: &Yaml,
    definitions: &BTreeMap<JobName, Job>,
    members: Option<&BTreeSet<&str>>,
) -> Option<ListedJob> {
    let entries = item.entries().unwrap_or_default();
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    file.known_keys(item, keys::USE);
    let name = get("use").unwrap_or(item);
    let job = definition(file, name, definitions)?;
    let errors = file.errors();
    let with = match get("with").filter(|with| !with.is_null()) {
        Some(with) => Some(given(file, with, Some(job), members)?),
        None => None,
    };
    let has = |name: &str| with.iter().flat_map(|with| &with.values).any(|(given, _)| given == name);
    let wanted = job.filling.parameters.iter().filter(|parameter| parameter.default.is_none() && !has(&parameter.name));
    let wanted: Vec<&str> = wanted.map(|parameter| parameter.name.as_str()).collect();
    // A name that is misspelt is told once.
    if !wanted.is_empty() && file.errors() == errors {
        let message = format!(
            "the job {} needs {}",
            job.name,
            wanted.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
        let each = wanted.iter().map(|name| format!("{name}: …")).collect::<Vec<_>>().join(", ");
        let help = format!(
            "write `- use: {}` and below it `with: {{ {each} }}`; each value is an expression over the event, `data.id`, or a \
             text in two pairs of quotes, `\"'welcome'\"`",
            job.name
        );
        file.error(Rule::Job, item.start, message, Some(help));
    }
    Some(ListedJob { name: job.name.clone(), group: job.group.clone(), with: with.map(Arc::new) })
}

fn definition<'d>(file: &mut File<'_>, node: &Yaml, definitions: &'d BTreeMap<JobName, Job>) -> Option<&'d Job> {
    let text = file.text_of("use", node)?;
    if let Some(job) = definitions.get(text) {
        return Some(job);
    }
    if file.is_broken_job(text) {
        return None;
    }
    let help = match closest(text, definitions.keys().map(JobName::as_str)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => {
            format!("a job that is named here is defined in jobs/{text}.yaml; one that is defined here has an `id`")
        }
    };
    file.error(Rule::Job, node.start, format!("there is no job `{text}`"), Some(help));
    None
}

/// Reads `with`; what the job's definition does not declare is an error, where it is known.
fn given(file: &mut File<'_>, node: &Yaml, job: Option<&Job>, members: Option<&BTreeSet<&str>>) -> Option<With> {
    let Some(entries) = node.entries() else {
        file.wrong_shape("with", node, "a map from parameters to expressions, `{ to: data.email }`,");
        return None;
    };
    let mut values = Vec::new();
    for entry in entries {
        let declared = job.map(|job| &job.filling.parameters);
        if let (Some(job), Some(declared)) =
            (job, declared.filter(|all| all.iter().all(|known| known.name != entry.key)))
        {
            let help = match closest(&entry.key, declared.iter().map(|known| known.name.as_str())) {
                Some(known) => format!("did you mean `{known}`?"),
                None if declared.is_empty() => format!("{} declares no `parameters`", job.file),
                None => {
                    let known: Vec<&str> = declared.iter().map(|known| known.name.as_str()).collect();
                    format!("it has {}", known.join(", "))
                }
            };
            let message = format!("the job {} has no parameter `{}`", job.name, entry.key);
            file.error(Rule::Job, entry.start, message, Some(help));
            continue;
        }
        let value = data::shape(file, ("with", Scope::With), &entry.value, &mut |file, node, expression| {
            let Content::Scalar(text, style) = &node.content else { return };
            let (attributes, data): (Vec<Member>, _) =
                expression.members().into_iter().partition(|member| member.of_event);
            let mut mistakes: Vec<CompileError> = attributes.into_iter().filter_map(unknown_attribute).collect();
            mistakes.extend(data.into_iter().filter_map(|member| unknown_data(member, members)));
            file.mistakes(node, text, *style, mistakes);
        });
        values.push((entry.key.clone(), value?));
    }
    Some(With { values, written: node.to_json() })
}

/// Says which attributes an expression names that no event has.
pub(super) fn attributes(file: &mut File<'_>, node: &Yaml, expression: &Expression) {
    let Content::Scalar(text, style) = &node.content else { return };
    let of_event = expression.members().into_iter().filter(|member| member.of_event);
    file.mistakes(node, text, *style, of_event.filter_map(unknown_attribute).collect());
}

/// A member that the data of an event do not have.
pub(super) fn unknown_data(member: Member, members: Option<&BTreeSet<&str>>) -> Option<CompileError> {
    let members = members.filter(|members| !members.contains(&*member.name))?;
    let help = match closest(&member.name, members.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "add it to `data`, or take a column: `new.id`".to_owned(),
    };
    let message = format!("the event's data have no `{}`", member.name);
    Some(CompileError { offset: member.offset, message, help: Some(help) })
}

/// What an event gave to a job that it lists no more; none if this version cannot read it.
pub(crate) fn kept(written: &Value) -> Option<With> {
    // JSON is YAML: it is read like any other.
    let source = Source::from(("(retired)", written.to_string()));
    let mut problems = Problems::default();
    let mut file = File::new(&source, &mut problems);
    let node = file.read()?;
    given(&mut file, &node, None, None)
}
