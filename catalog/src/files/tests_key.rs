//! `tests`: their shape; running them is someone else's.

use contracts::{
    hasura::{Occasion, Op},
    names::JobName,
};
use expressions::closest;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    described::{Described, DescribedTables},
    detector::{Table, Tables},
    event::Event,
    report::Rule,
    rule_test::{Expectation, ExpectedJob, Happens, RuleTest, TestBody, TestChange},
    yaml::{Content, Yaml},
};

use super::{context::File, keys, rows, schema_key};

/// What is known of the rows that a test may have, and of what comes of them.
pub(super) struct Rows<'r> {
    pub(super) described: &'r DescribedTables,
    /// The event, but for its tests.
    pub(super) event: &'r Event,
}

impl<'r> Rows<'r> {
    /// The description of a test's table, where it has one.
    fn of(&self, table: Option<&Table>, source: Option<&str>) -> Option<&'r Described> {
        let first = || match &self.event.selector()?.tables {
            Tables::These(tables) => tables.first(),
            Tables::All => None,
        };
        let Table { schema, name } = table.or_else(first)?;
        let of_event = || self.event.source();
        self.described.of(schema, name, source.or_else(of_event).unwrap_or("default"))
    }
}

pub(super) fn tests(file: &mut File<'_>, node: &Yaml, rows: &Rows<'_>) -> Vec<RuleTest> {
    match &node.content {
        Content::List(items) => items.iter().filter_map(|item| test(file, item, rows)).collect(),
        _ => {
            file.wrong_shape("tests", node, "a list");
            Vec::new()
        }
    }
}

fn test(file: &mut File<'_>, node: &Yaml, rows: &Rows<'_>) -> Option<RuleTest> {
    let Some(entries) = node.entries() else {
        file.wrong_shape("tests", node, "a map of `name`, `change` (or `scheduled`) and `expect`");
        return None;
    };
    file.known_keys(node, keys::TEST);
    for wanted in keys::TEST_WANTED {
        if !entries.iter().any(|entry| entry.key == *wanted) {
            file.error(Rule::Shape, node.start, format!("the test has no `{wanted}`"), None);
            return None;
        }
    }
    let (occasion, given) = what(file, node, rows.event)?;
    if let Some(entry) = entries.iter().find(|entry| entry.key == "answer" && occasion != Occasion::Action) {
        file.error(Rule::Shape, entry.start, "`answer` goes with `action`".into(), Some("leave it out".into()));
        return None;
    }
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let (name, expected) = (get("name")?, get("expect")?);
    let expect = expectation(file, expected)?;
    let jobs = get("jobs").map(|node| jobs(file, node, rows.event.stamp(), &expect)).unwrap_or_default();
    let test = RuleTest {
        name: file.text_of("name", name)?.to_owned(),
        happens: match occasion {
            Occasion::Change => Happens::Change(change(file, given, rows)?),
            _ => Happens::Comes(body(file, given, occasion)?),
        },
        expect,
        answer: get("answer").map(Yaml::to_json),
        jobs,
        line: file.position(node.start).0,
    };
    refused(file, rows.event, &test, expected);
    Some(test)
}

/// What happens in a test: one of the things that can, and of what the event is about.
fn what<'y>(file: &mut File<'_>, node: &'y Yaml, event: &Event) -> Option<(Occasion, &'y Yaml)> {
    let is_what = |key: &str| keys::TEST_WHAT.contains(&key);
    let mut given = node.entries().unwrap_or_default().iter().filter(|entry| is_what(&entry.key));
    let wanted = key_of(event.occasion().unwrap_or(Occasion::Change));
    let Some(entry) = given.next() else {
        file.error(Rule::Shape, node.start, format!("the test has no `{wanted}`"), None);
        return None;
    };
    if let Some(other) = given.next() {
        let message = format!("the test has both `{}` and `{}`", entry.key, other.key);
        file.error(Rule::Shape, other.start, message, Some("write a test for each".into()));
        return None;
    }
    if event.occasion().is_some() && entry.key != wanted {
        let message = format!("the event is not detected in a `{}`", entry.key);
        file.error(Rule::Shape, entry.start, message, Some(format!("write `{wanted}:`")));
        return None;
    }
    let occasion = [Occasion::Change, Occasion::Scheduled, Occasion::Action].into_iter();
    Some((occasion.into_iter().find(|occasion| key_of(*occasion) == entry.key)?, &entry.value))
}

/// The key of a test that has what happens.
fn key_of(occasion: Occasion) -> &'static str {
    if occasion == Occasion::Change { "change" } else { occasion.as_str() }
}

/// What comes and is no change.
fn body(file: &mut File<'_>, node: &Yaml, occasion: Occasion) -> Option<TestBody> {
    let key = key_of(occasion);
    let Some(entries) = node.entries() else {
        file.wrong_shape(key, node, &format!("a map, `{{ {}: … }}`,", occasion.carried().unwrap_or_default()));
        return None;
    };
    let is_action = occasion == Occasion::Action;
    file.known_keys(node, if is_action { keys::ACTION } else { keys::SCHEDULED });
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    for key in ["name", "comment", "scheduled_time", "created_at", "request_query"] {
        if let Some(node) = get(key).filter(|node| !node.is_null()) {
            file.text_of(key, node)?;
        }
    }
    let source = get("source").filter(|node| !node.is_null()).and_then(|node| file.text_of("source", node));
    let received = received(file, get("received"));
    let is_given = |key: &str| !["source", "received"].contains(&key);
    let as_json = |key: &str, node: &Yaml| match key {
        "payload" | "input" | "session" => node.to_json(),
        // What looks like a number or a date is a text in what Hasura sends.
        _ => node.scalar().filter(|_| !node.is_null()).map_or(Value::Null, Value::from),
    };
    let given = entries.iter().filter(|entry| is_given(&entry.key));
    let mut given: Map<String, Value> =
        given.map(|entry| (entry.key.clone(), as_json(&entry.key, &entry.value))).collect();
    if is_action {
        if let Some(name) = given.remove("name") {
            given.insert("action".to_owned(), Map::from_iter([("name".to_owned(), name)]).into());
        }
        if let Some(Value::Object(session)) = given.remove("session") {
            let lower = session.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
            given.insert("session_variables".to_owned(), lower.collect::<Map<_, _>>().into());
        }
    }
    Some(TestBody { occasion, given, source: source.map(str::to_owned), received })
}

/// The moment that a test says.
fn received(file: &mut File<'_>, node: Option<&Yaml>) -> Option<Timestamp> {
    let node = node.filter(|node| !node.is_null())?;
    let received = file.text_of("received", node)?.parse().ok();
    if received.is_none() {
        let message = "`received` is a timestamp with a zone, 2024-01-02T03:04:05Z";
        file.error(Rule::Shape, node.start, message.into(), None);
    }
    received
}

/// Says that the schema refuses the data which a test expects, or else those that come of its change.
fn refused(file: &mut File<'_>, event: &Event, test: &RuleTest, expected: &Yaml) {
    let Some(schema) = event.schema() else { return };
    let fits = !matches!(test.expect, Expectation::Data(_))
        || schema_key::hold(file, schema, "what the test expects", expected);
    if fits
        && test.expect != Expectation::Failed
        && let Some(violation) = test.refused(event)
    {
        let message =
            format!("the schema refuses the data that come of this {}: {violation}", test.happens.occasion().noun());
        file.warning(Rule::Sample, expected.start, message, schema_key::HELP);
    }
}

fn expectation(file: &mut File<'_>, node: &Yaml) -> Option<Expectation> {
    match &node.content {
        Content::Map { .. } => Some(Expectation::Data(node.to_json())),
        Content::List(_) => Some(Expectation::Data(node.to_json())),
        Content::Scalar(text, _) => match text.as_str() {
            "none" => Some(Expectation::None),
            "detected" => Some(Expectation::Detected),
            "failed" => Some(Expectation::Failed),
            _ => {
                let help = "write the data that is expected, or `none`, `detected` or `failed`";
                file.error(Rule::Shape, node.start, "`expect` is not understood".into(), Some(help.into()));
                None
            }
        },
    }
}

/// `[mail, { audit: { message: … } }]`: jobs that the event asks for, where wanted with options as they are filled in.
fn jobs(file: &mut File<'_>, node: &Yaml, known: &[JobName], expect: &Expectation) -> Vec<ExpectedJob> {
    if matches!(expect, Expectation::None | Expectation::Failed) {
        let message = "an event that is not detected asks for no job";
        file.error(Rule::Shape, node.start, message.into(), Some("leave `jobs` out of this test".into()));
        return Vec::new();
    }
    let Content::List(items) = &node.content else {
        file.wrong_shape("jobs", node, "a list of jobs, `[mail, { audit: { message: … } }]`,");
        return Vec::new();
    };
    items.iter().filter_map(|item| job(file, item, known)).collect()
}

fn job(file: &mut File<'_>, item: &Yaml, known: &[JobName]) -> Option<ExpectedJob> {
    let (name, options) = match (&item.content, item.entries()) {
        (Content::Scalar(name, _), _) => (name.as_str(), None),
        (_, Some([entry])) => (entry.key.as_str(), Some(entry.value.to_json())),
        _ => {
            file.wrong_shape("jobs", item, "a job's name, or its name with options");
            return None;
        }
    };
    if !known.iter().any(|job| job.as_str() == name) {
        let names: Vec<&str> = known.iter().map(JobName::as_str).collect();
        let help = match closest(name, names.iter().copied()) {
            Some(job) => format!("did you mean `{job}`?"),
            None if names.is_empty() => "the event lists no jobs".to_owned(),
            None => format!("it has {}", names.join(", ")),
        };
        file.error(Rule::Job, item.start, format!("the event has no job `{name}`"), Some(help));
        return None;
    }
    Some(ExpectedJob { name: name.to_owned(), options })
}

/// Says what no change of that operation has: Hasura sends an insert without the row before, and a delete without one after.
fn contradictions(file: &mut File<'_>, operation: Op, get: impl Fn(&'static str) -> Option<usize>) {
    let (unwanted, wanted) = match operation {
        Op::Insert => ("old", "new"),
        Op::Delete => ("new", "old"),
        Op::Update | Op::Manual | Op::Unknown(_) => return,
    };
    if let Some(at) = get(unwanted) {
        let op = operation.as_str().to_lowercase();
        let message = format!("an {op} has no `{unwanted}` row").replace("an delete", "a delete");
        let help = format!("leave `{unwanted}` out: {op} has `{wanted}` alone, and an update has both");
        file.error(Rule::Shape, at, message, Some(help));
    }
}

fn change(file: &mut File<'_>, node: &Yaml, rows: &Rows<'_>) -> Option<TestChange> {
    let Some(entries) = node.entries() else {
        file.wrong_shape("change", node, "a map, `{ op: update, old: …, new: … }`,");
        return None;
    };
    file.known_keys(node, keys::CHANGE);
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let json = |key: &str| get(key).map_or(Value::Null, Yaml::to_json);
    let mut text = |key: &str| get(key).filter(|node| !node.is_null()).and_then(|node| file.text_of(key, node));
    let table = text("table").map(str::to_owned);
    let (trigger, source) = (text("trigger").map(str::to_owned), text("source").map(str::to_owned));
    let op = text("op").map(str::to_uppercase);
    let operation = match op.as_deref().and_then(Op::parse) {
        Some(operation) => operation,
        None => {
            let (message, help) = match get("op") {
                Some(_) => ("`op` is insert, update, delete or manual", None),
                None => (
                    "the change has no `op`",
                    Some("add what happens to the row: `op: update`, insert, delete or manual"),
                ),
            };
            file.error(Rule::Shape, get("op").unwrap_or(node).start, message.into(), help.map(str::to_owned));
            return None;
        }
    };
    contradictions(file, operation, |row| Some(get(row).filter(|row| !row.is_null())?.start));
    let received = received(file, get("received"));
    let table = table.and_then(|text| {
        let table = Table::parse(&text);
        if table.is_none() {
            file.error(Rule::Shape, node.start, format!("{text:?} is no table's name"), None);
        }
        table
    });
    if let Some((table, tables)) = table.as_ref().zip(rows.event.selector().map(|selector| &selector.tables))
        && !tables.includes(&table.schema, &table.name)
    {
        let at = get("table").unwrap_or(node).start;
        let help =
            format!("the event is about {tables}; what is of another table is never this event, whatever its rows");
        file.warning(Rule::Table, at, format!("the test's change is of {table}"), &help);
    }
    let described = rows.of(table.as_ref(), source.as_deref());
    let mut row = |key: &str| {
        let mut row = json(key);
        if let Some((described, node)) = described.zip(get(key)) {
            rows::check(file, node, described);
            described.read(&mut row);
        }
        row
    };
    let (old, new) = (row("old"), row("new"));
    let table = table.map(|table| table.to_string());
    let session = match json("session") {
        Value::Object(map) => Some(map.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()),
        _ => None,
    };
    Some(TestChange { operation, old, new, session, table, trigger, source, received })
}
