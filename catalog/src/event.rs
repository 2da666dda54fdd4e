//! A named event, compiled: what it is detected in, its condition, its data, its key and the jobs it asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contracts::{
    document,
    hasura::{Change, Occasion, Op, Row},
    names::{EventRef, GroupName, JobName},
    why::{Explanation, Failing},
};
use expressions::{Bindings, Columns, Effort, Expression, Opening, Room, Stop};
use serde_json::{Map, Value};

use crate::{
    data::{Data, MAX_DATA},
    data_schema::{DataSchema, Violation},
    detector::{Called, Detection, Detector, In, Mismatch, Selector, Shared},
    filling::With,
    report::Location,
    rule_test::RuleTest,
};

/// How many bytes the key of an event may have.
pub const MAX_KEY: usize = 1024;

const TOO_DEEP: &str = "the data nests deeper than 128 levels, which nobody could read";

/// What became of one change under one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The event happened.
    Detected {
        /// Its data.
        data: Value,
        /// Its key, where it declares one; else the raw record's counts.
        key: Option<String>,
    },
    /// It did not. [`Event::why_not`] says it in words.
    NotDetected(Reason),
    /// It held, and its data or key would be larger than any bus takes.
    TooLarge {
        /// In which part.
        stage: Stage,
        /// By what, and how much.
        error: String,
    },
    /// It cannot be said, or it held and its data or key could not be made.
    Failed {
        /// In which part.
        stage: Stage,
        /// Why.
        error: String,
    },
}

/// Why an event was not detected; costs nothing to make, for almost every change ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The event is only ever published by name.
    NamedOnly,
    /// The change is not one that the event looks at.
    Selector(Mismatch),
    /// The condition was false.
    False,
    /// The condition has no value, because something it needs is missing or null.
    Absent,
}

/// The parts of an event that are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The condition.
    When,
    /// The data.
    Data,
    /// The data are not what the schema allows.
    Schema,
    /// The key.
    Key,
}

impl Stage {
    /// As the file calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::When => "when",
            Self::Data => "data",
            Self::Schema => "schema",
            Self::Key => "key",
        }
    }
}

/// A job that an event lists.
#[derive(Debug, Clone)]
pub struct ListedJob {
    /// Its name within the event.
    pub name: JobName,
    /// Its consumer group, by which [`Catalog::job`](crate::Catalog::job) finds its definition.
    pub group: GroupName,
    /// What the event gives to its parameters.
    pub with: Option<Arc<With>>,
}

/// How an event is detected.
#[derive(Debug, Clone)]
pub(crate) enum Detect {
    /// Published by name only.
    Named,
    /// By expressions.
    Cel { of: In, when: Option<Expression>, data: Option<Data> },
    /// By a function.
    Rust { of: In, detector: Shared },
}

/// One version of one event.
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) name: EventRef,
    pub(crate) topic: Arc<str>,
    pub(crate) description: Option<String>,
    pub(crate) detect: Detect,
    /// What its condition begins with: see [`Glance`](crate::Glance).
    pub(crate) opening: Option<Opening>,
    pub(crate) key: Vec<Expression>,
    pub(crate) schema: Option<DataSchema>,
    pub(crate) sample: Option<Value>,
    pub(crate) jobs: Vec<ListedJob>,
    pub(crate) stamp: Vec<JobName>,
    pub(crate) tests: Vec<RuleTest>,
    /// What the caller of an action is answered.
    pub(crate) answer: Option<Data>,
    /// What it is told where the condition does not hold.
    pub(crate) otherwise: Option<Data>,
    pub(crate) reserved: BTreeMap<String, Value>,
    pub(crate) file: Arc<str>,
    pub(crate) places: BTreeMap<String, (usize, usize)>,
}

impl Event {
    /// An event that a function detects, to be added with [`Catalog::with_event`](crate::Catalog::with_event).
    pub fn detected_by(name: EventRef, selector: Selector, detector: impl Detector + 'static) -> Self {
        let of = In::Changes(selector);
        Self::new(name, Detect::Rust { of, detector: Shared(Arc::new(detector)) }, "(built in)".into())
    }

    pub(crate) fn new(name: EventRef, detect: Detect, file: Arc<str>) -> Self {
        let opening = match &detect {
            Detect::Cel { when, .. } => when.as_ref().and_then(Expression::opening),
            Detect::Named | Detect::Rust { .. } => None,
        };
        Self {
            topic: name.topic().into(),
            name,
            description: None,
            opening,
            detect,
            key: Vec::new(),
            schema: None,
            sample: None,
            jobs: Vec::new(),
            stamp: Vec::new(),
            tests: Vec::new(),
            answer: None,
            otherwise: None,
            reserved: BTreeMap::new(),
            file,
            places: BTreeMap::new(),
        }
    }

    /// Its name and version.
    pub fn name(&self) -> &EventRef {
        &self.name
    }

    /// Its topic without prefix, to be shared by its records.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// What it means, for people.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// What it is detected in; none if it is only ever published by name.
    pub(crate) fn is_of(&self) -> Option<&In> {
        match &self.detect {
            Detect::Named => None,
            Detect::Cel { of, .. } | Detect::Rust { of, .. } => Some(of),
        }
    }

    /// Which changes it looks at; none if it is about no table.
    pub fn selector(&self) -> Option<&Selector> {
        match self.is_of()? {
            In::Changes(selector) => Some(selector),
            In::Called(_) => None,
        }
    }

    /// The scheduled trigger or the action that it is about, if it is about one.
    pub fn called(&self) -> Option<&Called> {
        match self.is_of()? {
            In::Changes(_) => None,
            In::Called(called) => Some(called),
        }
    }

    /// The only source that it looks at, where one is named.
    pub fn source(&self) -> Option<&str> {
        self.is_of()?.source()
    }

    /// Which part of `from` does not match; none if all does, or if there is no `from`.
    pub(crate) fn mismatch(&self, change: &Change<'_>) -> Option<Mismatch> {
        self.is_of()?.mismatch(change)
    }

    /// Its condition, where it has one in CEL.
    pub fn when(&self) -> Option<&Expression> {
        match &self.detect {
            Detect::Cel { when, .. } => when.as_ref(),
            _ => None,
        }
    }

    /// The schema of its data.
    pub fn schema(&self) -> Option<&DataSchema> {
        self.schema.as_ref()
    }

    /// Holds data against its schema, if it has one.
    ///
    /// # Errors
    /// The first thing that the schema does not allow.
    pub fn validate(&self, data: &Value) -> Result<(), Violation> {
        self.schema.as_ref().map_or(Ok(()), |schema| schema.validate(data))
    }

    /// An example of its data.
    pub fn sample(&self) -> Option<&Value> {
        self.sample.as_ref()
    }

    /// The jobs it lists, in the order of the file.
    pub fn jobs(&self) -> &[ListedJob] {
        &self.jobs
    }

    /// The names of its jobs: what the detector writes on every such event.
    pub fn stamp(&self) -> &[JobName] {
        &self.stamp
    }

    /// Its tests.
    pub fn tests(&self) -> &[RuleTest] {
        &self.tests
    }

    /// `deprecated`, `personal` and `emitter`, as the file has them.
    pub fn reserved(&self, key: &str) -> Option<&Value> {
        self.reserved.get(key)
    }

    /// The file it is defined in, relative to the catalog's folder.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where a key of the file stands (`sample`, `schema`, `when` …), or the file as a whole.
    pub fn place(&self, key: &str) -> Location {
        let (line, column) = self.places.get(key).copied().unwrap_or((0, 0));
        Location { file: self.file.to_string(), line, column }
    }

    /// The same as `file:line`; none if it is in no file.
    pub fn decided_at(&self, key: &str) -> Option<String> {
        let Location { file, line, .. } = self.place(key);
        (line > 0).then(|| format!("{file}:{line}"))
    }

    /// Whether it can happen in a change of this kind, as far as can be seen without a row.
    pub fn listens_to(&self, operation: Op) -> bool {
        self.selector().is_some_and(|selector| selector.operations.contains(&operation))
            && !self.when().is_some_and(|when| when.never_holds(operation))
    }

    /// The columns, of either row, that decide about it or become its data; none if any may.
    pub fn looks_at(&self) -> Option<BTreeSet<String>> {
        let mut columns = Columns::none();
        self.columns(&mut columns);
        match columns {
            Columns::Any => None,
            Columns::Named { old, new } => Some(old.into_iter().chain(new).collect()),
        }
    }

    /// The names of its data's members, where they are known.
    pub(crate) fn members(&self) -> Option<BTreeSet<&str>> {
        match &self.detect {
            Detect::Cel { data: Some(Data::Map(entries)), .. } => {
                Some(entries.iter().map(|(name, _)| &**name).collect())
            }
            Detect::Cel { of: In::Changes(_), data: None, .. } => Some(BTreeSet::from(["op", "old", "new"])),
            Detect::Cel { .. } | Detect::Named | Detect::Rust { .. } => None,
        }
    }

    /// Adds the columns that decide about it or become its data.
    pub(crate) fn columns(&self, into: &mut Columns) {
        match &self.detect {
            // What is no change is read whole.
            Detect::Named | Detect::Cel { of: In::Called(_), .. } => return,
            Detect::Cel { when, data: Some(data), .. } => {
                when.iter().for_each(|when| when.columns(into));
                data.columns(into);
            }
            // A function may look at all of a change, and without data of its own an event carries all of it.
            Detect::Cel { data: None, .. } | Detect::Rust { .. } => *into = Columns::Any,
        }
        self.key.iter().for_each(|part| part.columns(into));
    }

    /// What it is detected in; none if it is only ever published by name.
    pub fn occasion(&self) -> Option<Occasion> {
        self.is_of().map(In::occasion)
    }

    /// Whether its condition looks at one of these columns.
    pub(crate) fn asks_for(&self, names: &[&str]) -> bool {
        let mut columns = Columns::none();
        match &self.detect {
            Detect::Cel { when: Some(when), .. } => when.columns(&mut columns),
            Detect::Cel { when: None, .. } | Detect::Named => {}
            Detect::Rust { .. } => columns = Columns::Any,
        }
        names.iter().any(|name| columns.has(Row::Old, name) || columns.has(Row::New, name))
    }

    /// What [`Self::evaluate`] says of a change in which the event did not happen; none if it happened. No data are
    /// made, except by a function: what a change costs whose events have no room.
    pub fn refuses(&self, change: &Change<'_>) -> Option<Verdict> {
        if matches!(self.detect, Detect::Rust { .. }) {
            return Some(self.evaluate(change)).filter(|verdict| !matches!(verdict, Verdict::Detected { .. }));
        }
        self.passes_by(change)
    }

    /// The verdict of the selector and the condition, if they decide.
    fn passes_by(&self, change: &Change<'_>) -> Option<Verdict> {
        let Some(of) = self.is_of() else { return Some(Verdict::NotDetected(Reason::NamedOnly)) };
        if let Some(mismatch) = of.mismatch(change) {
            return Some(Verdict::NotDetected(Reason::Selector(mismatch)));
        }
        let bindings = Bindings { change: Some(change), ..Bindings::default() };
        self.when().and_then(|when| refused(when, &bindings))
    }

    /// Decides whether this event happened in a change.
    pub fn evaluate(&self, change: &Change<'_>) -> Verdict {
        if let Some(verdict) = self.passes_by(change) {
            return verdict;
        }
        let data = match &self.detect {
            Detect::Rust { detector, .. } => match detector.0.detect(change) {
                Detection::Detected(data) => data,
                Detection::NotDetected(_) => return Verdict::NotDetected(Reason::False),
                Detection::Failed(error) => return Verdict::Failed { stage: Stage::When, error },
            },
            Detect::Cel { data, .. } => {
                let bindings = Bindings { change: Some(change), ..Bindings::default() };
                let room = Room::new(MAX_DATA);
                let data = data.as_ref().map_or_else(|| whole(change, &room), |data| data.value(&bindings, &room));
                match data {
                    Ok(data) if document::is_readable(&data) => data,
                    Ok(_) => return Verdict::Failed { stage: Stage::Data, error: TOO_DEEP.into() },
                    Err(_) if room.is_full() => {
                        return Verdict::TooLarge { stage: Stage::Data, error: self.largest(change, &bindings) };
                    }
                    Err(error) => return Verdict::Failed { stage: Stage::Data, error },
                }
            }
            Detect::Named => return Verdict::NotDetected(Reason::NamedOnly),
        };
        self.keyed(Some(change), data)
    }

    /// The event as it is published by name: with the data as they are given, and the key that they make, where the declared
    /// one is about them alone.
    pub fn published(&self, data: Value) -> Verdict {
        self.keyed(None, data)
    }

    /// The event of data that the schema allows, with its key.
    fn keyed(&self, change: Option<&Change<'_>>, data: Value) -> Verdict {
        if let Err(violation) = self.validate(&data) {
            return Verdict::Failed { stage: Stage::Schema, error: violation.to_string() };
        }
        match self.key_of(change, &data) {
            Ok(Some(key)) if key.len() > MAX_KEY => {
                let advice = "take what names what the event is about, as in `[data.tenant, data.id]`";
                let error = format!("the key has {} bytes, and at most {MAX_KEY} are possible; {advice}", key.len());
                Verdict::TooLarge { stage: Stage::Key, error }
            }
            Ok(key) => Verdict::Detected { data, key },
            Err(error) => Verdict::Failed { stage: Stage::Key, error },
        }
    }

    /// Which leaf makes the data too large, in words.
    fn largest(&self, change: &Change<'_>, bindings: &Bindings<'_>) -> String {
        let mut leaves = Vec::new();
        match &self.detect {
            Detect::Cel { data: Some(data), .. } => data.lengths(bindings, &mut String::new(), &mut leaves),
            _ => {
                for (name, row) in carried(change) {
                    let columns = row.as_object().into_iter().flatten();
                    leaves.extend(
                        columns.map(|(column, value)| (format!("{name}.{column}"), contracts::json::size(value))),
                    );
                }
            }
        }
        let largest = leaves.iter().max_by_key(|(_, length)| *length);
        let (path, length) = largest.map_or(("data", MAX_DATA), |(path, length)| (path.as_str(), *length));
        let has = if length > MAX_DATA { format!("more than {MAX_DATA}") } else { length.to_string() };
        format!(
            "the data have more than {MAX_DATA} bytes, which no bus takes; the largest leaf is `{path}` with {has} bytes"
        )
    }

    /// The parts of its key, where it declares one.
    pub fn key(&self) -> &[Expression] {
        &self.key
    }

    /// The text of the declared key: its parts, canonical, joined by `|`.
    fn key_of(&self, change: Option<&Change<'_>>, data: &Value) -> Result<Option<String>, String> {
        if self.key.is_empty() || (change.is_none() && self.key.iter().any(Expression::needs_change)) {
            return Ok(None);
        }
        let bindings = Bindings { change, data: Some(data), ..Bindings::default() };
        let room = Room::new(MAX_DATA);
        let parts: Vec<Value> = self
            .key
            .iter()
            .map(|part| part.value(&bindings, &room).map_err(|stop| part.describe(&stop)))
            .collect::<Result<_, _>>()?;
        Ok(contracts::json::key(&parts))
    }

    /// Why the event did not happen in a change, in words for people.
    pub fn why_not(&self, change: &Change<'_>) -> String {
        match (self.why_not_within(change, &Effort::default()), self.evaluate(change)) {
            (Some(why), _) => why.to_string(),
            (None, Verdict::Failed { stage, error } | Verdict::TooLarge { stage, error }) => {
                format!("{}: {error}", stage.as_str())
            }
            _ => "it was detected".into(),
        }
    }

    /// What made the condition hold in a change in which it did: its terms, with the values that they saw.
    pub fn why(&self, change: &Change<'_>, effort: &Effort) -> Vec<Explanation> {
        let bindings = Bindings { change: Some(change), ..Bindings::default() };
        self.when().map(|when| when.why(&bindings, effort)).unwrap_or_default()
    }

    /// That a change makes the event fail, with where and by which values; none if it does not.
    pub fn failing(&self, change: &Change<'_>, effort: &Effort) -> Option<Failing> {
        let (stage, error) = match self.evaluate(change) {
            Verdict::Failed { stage, error } | Verdict::TooLarge { stage, error } => (stage, error),
            Verdict::Detected { .. } | Verdict::NotDetected(_) => return None,
        };
        let explanation = (stage == Stage::When).then(|| self.why_not_within(change, effort)).flatten();
        let place = self.decided_at(stage.as_str());
        Some(Failing { event: self.name().clone(), stage: stage.as_str().to_owned(), place, error, explanation })
    }

    /// Why a change did not get past the event's selector and condition, as a tree and a sentence; none if it did.
    pub fn why_not_within(&self, change: &Change<'_>, effort: &Effort) -> Option<Explanation> {
        let Some(of) = self.is_of() else {
            return Some(Explanation::only("the event is only ever published by name"));
        };
        if let Some(mismatch) = of.mismatch(change) {
            return Some(Explanation::only(of.explain(mismatch, change)));
        }
        match &self.detect {
            Detect::Cel { when: Some(when), .. } => {
                when.why_not(&Bindings { change: Some(change), ..Bindings::default() }, effort)
            }
            Detect::Rust { detector, .. } => match detector.0.detect(change) {
                Detection::NotDetected(reason) => Some(Explanation::only(reason)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The verdict, unless the condition holds.
fn refused(when: &Expression, bindings: &Bindings<'_>) -> Option<Verdict> {
    match when.holds(bindings) {
        Ok(true) => None,
        Ok(false) => Some(Verdict::NotDetected(Reason::False)),
        Err(Stop::Absent(_)) => Some(Verdict::NotDetected(Reason::Absent)),
        Err(stop) => Some(Verdict::Failed { stage: Stage::When, error: when.describe(&stop) }),
    }
}

/// What an event carries that declares no data, by name.
fn carried<'c>(change: &Change<'c>) -> impl Iterator<Item = (&'static str, &'c Value)> {
    let rows = [("old", change.old()), ("new", change.new_row())];
    let brought = change.occasion().carried();
    rows.into_iter().filter(move |_| brought.is_none()).chain(brought.map(|name| (name, change.member(name))))
}

/// What an event carries that declares no data: operation and rows of a change, and of what is no change what it brought.
fn whole(change: &Change<'_>, room: &Room) -> Result<Value, String> {
    for (name, value) in carried(change) {
        room.fit(value).map_err(|full| format!("{name}: {full}"))?;
    }
    if let Some(brought) = change.occasion().carried() {
        return Ok(change.member(brought).clone());
    }
    let mut data = Map::new();
    data.insert("op".into(), change.operation().as_str().into());
    data.insert("old".into(), change.old().clone());
    data.insert("new".into(), change.new_row().clone());
    Ok(Value::Object(data))
}
