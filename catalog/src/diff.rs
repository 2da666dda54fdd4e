//! What two versions of a catalog say differently, by event and by job: what is written, and not how it is laid out.

use std::collections::{BTreeMap, HashMap};

use contracts::json::equal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    sources::{Source, Sources},
    yaml::json_of,
};

/// How many names a line has.
const BRIEF: usize = 8;

/// What differs, in the order of paths.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Events, jobs, and whatever else has files of its own.
    pub changed: Vec<Changed>,
    /// Files that say the same as before: comments, layout or their place differ.
    pub form: Vec<String>,
}

/// An event or a job that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The folder of its file: `events`, `jobs`.
    pub kind: String,
    /// Its name, as its file is named.
    pub name: String,
    /// What happened to it.
    pub change: What,
    /// Its file; that of before if it is gone.
    pub file: String,
    /// What differs of one that is in both versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
}

/// What happened to an event or a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Where it stands: `data.total`, `jobs[mail].attempts`.
    pub path: String,
    /// What stood there, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What stands there, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl What {
    /// `+`, `-` or `~`.
    pub fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }
}

impl Changes {
    /// From one version to another; from nothing, everything is new.
    pub fn between(before: &Sources, after: &Sources) -> Self {
        let (before, after) = (named(before), named(after));
        let mut changes = Self::default();
        for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
            let (before, after) = (before.get(name), after.get(name));
            let (kind, name) = (name.0.to_owned(), name.1.to_owned());
            let entry = |change, file: &Source, keys| Changed { kind, name, change, file: file.path.clone(), keys };
            match (before, after) {
                (Some(before), None) => changes.changed.push(entry(What::Removed, before, Vec::new())),
                (None, Some(after)) => changes.changed.push(entry(What::Added, after, Vec::new())),
                (Some(before), Some(after)) if before == after => {}
                (Some(before), Some(after)) => match keys(before, after) {
                    keys if keys.is_empty() => changes.form.push(after.path.clone()),
                    keys => changes.changed.push(entry(What::Changed, after, keys)),
                },
                (None, None) => {}
            }
        }
        changes.changed.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        changes
    }

    /// Whether nothing differs but the form.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The names on one line, `+ order.paid, ~ job mail`; empty if nothing differs.
    pub fn brief(&self) -> String {
        let mut names: Vec<String> = self.changed.iter().take(BRIEF).map(Changed::title).collect();
        if self.changed.len() > BRIEF {
            names.push(format!("and {} more", self.changed.len() - BRIEF));
        }
        names.join(", ")
    }
}

impl Changed {
    /// `~ order.paid`, `+ job mail`.
    pub fn title(&self) -> String {
        let kind = match self.kind.as_str() {
            "events" => "",
            "jobs" => "job ",
            "tables" => "table ",
            other => other,
        };
        format!("{} {kind}{}", self.change.sign(), self.name)
    }
}

/// What one value has differently from another, by path.
pub fn differences(before: &Value, after: &Value) -> Vec<Key> {
    let mut keys = Vec::new();
    compare(&mut keys, String::new(), before, after);
    keys
}

/// The files of a catalog by folder and name; those that are no YAML say nothing.
fn named(sources: &Sources) -> BTreeMap<(&str, &str), &Source> {
    sources.yaml().filter_map(|file| Some((name(&file.path)?, file))).collect()
}

fn name(path: &str) -> Option<(&str, &str)> {
    let (folder, below) = path.split_once('/')?;
    // A table of several sources has files of one name, which lie in folders.
    let file = if folder == "tables" { below } else { below.rsplit('/').next()? };
    Some((folder, file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml"))?))
}

fn keys(before: &Source, after: &Source) -> Vec<Key> {
    let mut keys = Vec::new();
    match (json_of(&before.text), json_of(&after.text)) {
        (Ok(before), Ok(after)) => compare(&mut keys, String::new(), &before, &after),
        // What is no YAML is compared as it stands.
        _ if before.text == after.text => {}
        _ => keys.push(Key { path: String::new(), before: None, after: None }),
    }
    keys
}

fn compare(keys: &mut Vec<Key>, path: String, before: &Value, after: &Value) {
    if equal(before, after) {
        return;
    }
    let whole = |path| Key { path, before: Some(before.clone()), after: Some(after.clone()) };
    let (Some(old), Some(new)) = (Parts::of(before), Parts::of(after)) else { return keys.push(whole(path)) };
    if old.is_list != new.is_list {
        return keys.push(whole(path));
    }
    let added = new.names.iter().filter(|name| !old.values.contains_key(*name));
    for name in old.names.iter().chain(added) {
        let path = match (old.is_list, path.is_empty()) {
            (true, _) => format!("{path}[{name}]"),
            (false, true) => (*name).to_owned(),
            (false, false) => format!("{path}.{name}"),
        };
        match (old.values.get(name), new.values.get(name)) {
            (Some(before), Some(after)) => compare(keys, path, before, after),
            (before, after) => {
                let [before, after] = [before, after].map(|value| value.map(|value| (*value).clone()));
                keys.push(Key { path, before, after });
            }
        }
    }
    let is_same = old.names.len() == new.names.len() && old.names.iter().all(|name| new.values.contains_key(name));
    if old.is_list && is_same && old.names != new.names {
        keys.push(Key { path, before: Some(old.names.into()), after: Some(new.names.into()) });
    }
}

/// The parts of a map, or of a list whose items all have a name of their own.
struct Parts<'v> {
    is_list: bool,
    names: Vec<&'v str>,
    values: HashMap<&'v str, &'v Value>,
}

impl<'v> Parts<'v> {
    fn of(value: &'v Value) -> Option<Self> {
        let mut parts = Self { is_list: value.is_array(), names: Vec::new(), values: HashMap::new() };
        match value {
            Value::Object(map) => {
                // A key is there once.
                for (key, value) in map {
                    parts.add(key, value)?;
                }
            }
            Value::Array(items) => {
                for item in items {
                    let named = |key| item.get(key).and_then(Value::as_str);
                    let name =
                        item.as_str().or_else(|| named("id")).or_else(|| named("use")).or_else(|| named("name"))?;
                    parts.add(name, item)?;
                }
            }
            _ => return None,
        }
        Some(parts)
    }

    /// None if there is one of that name already.
    fn add(&mut self, name: &'v str, value: &'v Value) -> Option<()> {
        self.names.push(name);
        self.values.insert(name, value).is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn between(before: &[(&str, &str)], after: &[(&str, &str)]) -> Changes {
        Changes::between(&Sources::new(before.iter().copied()), &Sources::new(after.iter().copied()))
    }

    #[test]
    fn what_is_written_is_compared_and_not_how() {
        let changes = between(
            &[("events/a.b.yaml", "from: { table: t }\nwhen: changed(\"x\")\n"), ("events/gone.yaml", "a: 1")],
            &[
                ("events/sub/a.b.yaml", "# why\nfrom:\n  table: t\nwhen: |-\n  changed(\"x\")\n"),
                ("jobs/new.yml", "log: {}"),
            ],
        );
        assert_eq!(changes.brief(), "- gone, + job new");
        assert_eq!(changes.form, ["events/sub/a.b.yaml"]);
    }

    #[test]
    fn a_change_is_told_by_its_path_and_lists_by_the_names_of_their_items() {
        let before =
            "data: { id: new.id, total: new.total }\njobs: [mail, { id: own, log: {}, attempts: 3 }]\ntests: [1, 2]\n";
        let after =
            "data: { id: new.id, sum: new.total }\njobs: [{ id: own, log: {}, attempts: 5 }, audit]\ntests: [1]\n";
        let changes = between(&[("events/a.yaml", before)], &[("events/a.yaml", after)]);
        let keys = &changes.changed[0].keys;
        let told: Vec<_> = keys.iter().map(|key| (key.path.as_str(), key.before.clone(), key.after.clone())).collect();
        assert_eq!(
            told,
            [
                ("data.total", Some(json!("new.total")), None),
                ("data.sum", None, Some(json!("new.total"))),
                ("jobs[mail]", Some(json!("mail")), None),
                ("jobs[own].attempts", Some(json!(3)), Some(json!(5))),
                ("jobs[audit]", None, Some(json!("audit"))),
                ("tests", Some(json!([1, 2])), Some(json!([1]))),
            ]
        );
    }

    #[test]
    fn descriptions_of_a_table_in_several_sources_are_told_apart() {
        let here = ("tables/public.orders.yaml", "columns: { id: bigint }");
        let shop = |id: &str| format!("source: shop\ncolumns: {{ id: {id} }}");
        let (before, after) = (shop("uuid"), shop("text"));
        let changes = between(
            &[here, ("tables/shop/public.orders.yaml", &before)],
            &[here, ("tables/shop/public.orders.yaml", &after)],
        );
        assert_eq!(changes.brief(), "~ table shop/public.orders");
        assert_eq!(changes.changed[0].keys[0].path, "columns.id");
    }

    #[test]
    fn another_order_of_jobs_and_files_that_are_no_yaml_differ_too() {
        let changes = between(&[("events/a.yaml", "jobs: [a, b]")], &[("events/a.yaml", "jobs: [b, a]")]);
        assert_eq!(changes.changed[0].keys[0].path, "jobs");
        let changes = between(&[("events/a.yaml", "x: [")], &[("events/a.yaml", "x: ]")]);
        assert_eq!(changes.brief(), "~ a");
        assert!(between(&[("events/a.yaml", "x: [")], &[("events/a.yaml", "x: [")]).is_empty());
    }
}
