//! The catalog, compiled: every event and job, with an index by table and operation.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use contracts::{
    hasura::{self, Change, Occasion},
    names::{EventRef, GroupName},
};
use expressions::{Columns, closest};
use serde_json::Value;

use crate::{
    described::{Described, DescribedTables},
    detector::{Tables, place},
    event::Event,
    files,
    job::Job,
    report::{Report, Rule},
    rule_test::RuleTest,
    sources::Sources,
};

/// The kinds of jobs there are, and what their options may be: the runner's registry.
pub trait Kinds {
    /// Whether these options are fine for this kind. Their strings are templates still, `${ … }` and all. The error is a
    /// sentence for whoever wrote the file.
    fn check(&self, kind: &str, options: &Value) -> Result<(), String>;
    /// The names of the kinds.
    fn names(&self) -> Vec<&str>;
    /// What a row can do by these options that nobody means it to do, and the safe way. A warning.
    fn danger(&self, _kind: &str, _options: &Value) -> Option<(String, String)> {
        None
    }
    /// What these options name and is not there, or cannot be used as it is, where whoever compiles can tell; and what to do. A
    /// warning: the job may run elsewhere.
    fn absent(&self, _kind: &str, _options: &Value) -> Option<(String, String)> {
        None
    }
    /// Whether whoever runs the job is given all its parameters, so that none need be filled into its options.
    fn takes_params(&self, _kind: &str, _options: &Value) -> bool {
        false
    }
}

/// How many names are compared with one that no event has.
const COMPARED: usize = 2000;

/// What compiling gives: everything that was found wrong, and if nothing forbids it, a catalog.
#[derive(Debug)]
pub struct Outcome {
    /// `None` if the report has errors.
    pub catalog: Option<Catalog>,
    /// What was found.
    pub report: Report,
}

/// For one table (or for all of them): positions of events by operation, in the order of names.
type ByOperation = [Vec<usize>; 4];

/// A compiled catalog. It never changes: an edit compiles another.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    events: Vec<Event>,
    jobs: BTreeMap<GroupName, Job>,
    retired: BTreeMap<GroupName, Job>,
    by_table: HashMap<String, HashMap<String, ByOperation>>,
    all_tables: ByOperation,
    /// Positions of the events that are about scheduled triggers and actions, by their names.
    called: HashMap<Occasion, HashMap<String, Vec<usize>>>,
    described: DescribedTables,
    /// What conditions, data and keys can look at.
    columns: Columns,
}

/// Another event has this name already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event {0} exists already")]
pub struct NameTaken(pub EventRef);

impl Catalog {
    /// Compiles files, as strictly as who writes them wants it. `kinds` judges the jobs' options.
    pub fn compile(sources: &Sources, kinds: &dyn Kinds) -> Outcome {
        let Outcome { catalog, mut report } = files::compile(sources, kinds);
        report.promote(Rule::AlwaysFails);
        report.promote(Rule::Column);
        report.promote(Rule::Schema);
        Outcome { catalog: catalog.filter(|_| !report.has_errors()), report }
    }

    pub(crate) fn new(mut events: Vec<Event>, jobs: Vec<Job>, described: DescribedTables) -> Self {
        events.sort_by(|a, b| a.name().cmp(b.name()));
        let jobs = jobs.into_iter().map(|job| (job.group().clone(), job)).collect();
        let mut catalog = Self { events, jobs, described, ..Self::default() };
        catalog.index();
        catalog
    }

    /// Adds an event that a Rust function detects.
    pub fn with_event(mut self, event: Event) -> Result<Self, NameTaken> {
        let at = match self.events.binary_search_by(|other| other.name().cmp(event.name())) {
            Ok(_) => return Err(NameTaken(event.name().clone())),
            Err(at) => at,
        };
        self.events.insert(at, event);
        self.index();
        Ok(self)
    }

    fn index(&mut self) {
        self.by_table.clear();
        self.all_tables = ByOperation::default();
        self.called.clear();
        self.columns = Columns::none();
        self.events.iter().for_each(|event| event.columns(&mut self.columns));
        for (at, event) in self.events.iter().enumerate() {
            if let Some(called) = event.called() {
                self.called.entry(called.occasion).or_default().entry(called.name.clone()).or_default().push(at);
            }
            let Some(selector) = event.selector() else { continue };
            let note = |places: &mut ByOperation| {
                for operation in selector.operations.iter().filter_map(|operation| place(*operation)) {
                    let places = &mut places[operation];
                    if places.last() != Some(&at) {
                        places.push(at);
                    }
                }
            };
            match &selector.tables {
                Tables::All => note(&mut self.all_tables),
                Tables::These(tables) => {
                    for table in tables {
                        let schema = self.by_table.entry(table.schema.clone()).or_default();
                        note(schema.entry(table.name.clone()).or_default());
                    }
                }
            }
        }
    }

    /// The events that a change may be, in the order of their names. Events on other tables cost nothing here.
    pub fn candidates<'c>(&'c self, change: &Change<'c>) -> impl Iterator<Item = &'c Event> {
        let own = self.by_table.get(change.schema()).and_then(|schema| schema.get(change.table()));
        let of = |places: &'c ByOperation| place(change.operation()).map_or(&[] as &[usize], |place| &places[place]);
        let (own, all) = match change.occasion() {
            Occasion::Change => (own.map_or(&[] as &[usize], of), of(&self.all_tables)),
            occasion => (self.called(occasion, change.name().unwrap_or_default()), &[] as &[usize]),
        };
        let source = change.source();
        merged(own, all)
            .map(|at| &self.events[at])
            .filter(move |event| event.source().is_none_or(|wanted| wanted == source))
    }

    fn called(&self, occasion: Occasion, name: &str) -> &[usize] {
        self.called.get(&occasion).and_then(|named| named.get(name)).map_or(&[], Vec::as_slice)
    }

    /// The names of the scheduled triggers or of the actions that events are about, in no order.
    pub fn names_of(&self, occasion: Occasion) -> impl Iterator<Item = &str> {
        self.called.get(&occasion).into_iter().flat_map(|named| named.keys()).map(String::as_str)
    }

    /// Parses a body of one of the kinds that Hasura sends; of a change only what [`Self::parse`] says. Returns it with its
    /// [`print`](hasura::print()), which is of all of it.
    ///
    /// # Errors
    /// The body is no JSON.
    pub fn parse_as(&self, occasion: Occasion, body: &[u8], source: &str) -> Result<(Value, u32), serde_json::Error> {
        match occasion {
            Occasion::Change => self.parse(body, source),
            _ => hasura::parse(body).map(|value| (value, hasura::print(body))),
        }
    }

    /// Parses a source's body as far as its events can look at it: columns that no condition, data or key names are left out, and
    /// those of described tables are read by their type. Returns it with its [`print`](hasura::print()), which is of all of it.
    ///
    /// # Errors
    /// The body is no JSON.
    pub fn parse(&self, body: &[u8], source: &str) -> Result<(Value, u32), serde_json::Error> {
        let (mut value, print) = match &self.columns {
            Columns::Any => hasura::parse(body).map(|value| (value, hasura::print(body)))?,
            columns @ Columns::Named { .. } => hasura::parse_partly(body, &|row, name| columns.has(row, name))?,
        };
        self.read(&mut value, source);
        Ok((value, print))
    }

    /// Reads the columns of described tables by their type, in a body of a source that is parsed already.
    pub fn read(&self, body: &mut Value, source: &str) {
        self.described.read(body, source);
    }

    /// The tables whose columns are known, in no order.
    pub fn described(&self) -> impl Iterator<Item = &Described> {
        self.described.all()
    }

    /// One event.
    pub fn event(&self, name: &EventRef) -> Option<&Event> {
        let at = self.events.binary_search_by(|event| event.name().cmp(name)).ok()?;
        self.events.get(at)
    }

    /// The event whose name is closest to one that is none's: what was probably meant.
    pub fn meant_by(&self, name: &EventRef) -> Option<&EventRef> {
        let names: Vec<String> = self.events.iter().take(COMPARED).map(|event| event.name().to_string()).collect();
        let meant = closest(&name.to_string(), names.iter().map(String::as_str))?;
        self.events.iter().map(Event::name).find(|event| event.to_string() == meant)
    }

    /// Every event, by name.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Every job, by group.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// Runs a test of an event.
    ///
    /// # Errors
    /// The text says what came instead of what was expected.
    pub fn test(&self, event: &Event, test: &RuleTest) -> Result<(), String> {
        test.run(event, &|group, context| {
            let filled = self.job(group)?.filling().fill(event.name(), context);
            Some(filled.map(|filled| filled.options).map_err(|error| error.to_string()))
        })
    }

    /// The job of a group, in use or retired.
    pub fn job(&self, group: &GroupName) -> Option<&Job> {
        self.jobs.get(group).or_else(|| self.retired.get(group))
    }

    /// The jobs that left the catalog and may still have something to run, by group.
    pub fn retired(&self) -> impl Iterator<Item = &Job> {
        self.retired.values()
    }

    /// Keeps what an event gave to a job that it lists no more: its stamps may still name it.
    pub(crate) fn keep_with(&mut self, group: &GroupName, event: &EventRef, written: &Value) {
        let job = self.jobs.get_mut(group).or_else(|| self.retired.get_mut(group));
        let job = job.filter(|job| !job.filling.with.contains_key(event));
        if let Some((job, with)) = job.and_then(|job| Some((job, files::kept(written)?))) {
            job.filling.with.insert(event.clone(), Arc::new(with));
        }
    }

    pub(crate) fn retire(&mut self, job: Job) {
        if !self.jobs.contains_key(job.group()) {
            self.retired.insert(job.group().clone(), job);
        }
    }
}

/// Two ascending lists as one.
fn merged<'c>(a: &'c [usize], b: &'c [usize]) -> impl Iterator<Item = usize> + 'c {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if y < x => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}
