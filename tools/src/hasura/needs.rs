//! Which event triggers a catalog needs: a function of the catalog alone.
//!
//! All events on one table share one trigger, for each trigger that fires for a change delivers it once more, under an id of its
//! own: two triggers would make every event twice.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Catalog, Event, Operation, Table, Tables};

use super::name;

/// Of which columns' changes an update is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Columns {
    All,
    These(BTreeSet<String>),
}

/// An event trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    /// Its name, unique in all of Hasura.
    pub(super) name: String,
    /// The database, which Hasura calls a source, too.
    pub(super) source: String,
    pub(super) table: Table,
    pub(super) insert: bool,
    pub(super) update: Option<Columns>,
    pub(super) delete: bool,
    pub(super) manual: bool,
    pub(super) events: BTreeSet<String>,
}

/// What a catalog needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// By source, table and name.
    pub(super) triggers: Vec<Trigger>,
    /// What cannot be done for it, in sentences.
    pub(super) notes: Vec<String>,
}

impl Trigger {
    fn new(source: &str, table: &Table, name: String) -> Self {
        Self {
            name,
            source: source.to_owned(),
            table: table.clone(),
            insert: false,
            update: None,
            delete: false,
            manual: false,
            events: BTreeSet::new(),
        }
    }

    fn serve(&mut self, event: &Event, narrow: bool) {
        self.insert |= event.listens_to(Operation::Insert);
        self.delete |= event.listens_to(Operation::Delete);
        self.manual |= event.listens_to(Operation::Manual);
        if event.listens_to(Operation::Update) {
            let wanted = if narrow { wanted_changes(event) } else { None };
            self.update = Some(match (self.update.take(), wanted) {
                (_, None) | (Some(Columns::All), _) => Columns::All,
                (None, Some(columns)) => Columns::These(columns),
                (Some(Columns::These(mut all)), Some(columns)) => {
                    all.extend(columns);
                    Columns::These(all)
                }
            });
        }
        self.events.insert(event.name().to_string());
    }
}

/// The columns of which one has changed in each update in which the event happens.
fn wanted_changes(event: &Event) -> Option<BTreeSet<String>> {
    let wanted = event.when()?.wanted_changes()?;
    Some(wanted.into_iter().map(str::to_owned).collect())
}

/// What the events need. Those that name no source are about `database`. With `narrow` an update is told of only if a column
/// changed that a condition wants to have changed.
pub(super) fn of(catalog: &Catalog, database: &str, narrow: bool) -> Needs {
    let mut needs = Needs::default();
    let mut by_table: BTreeMap<(&str, &Table), Vec<&Event>> = BTreeMap::new();
    let mut everywhere = Vec::new();
    for event in catalog.events() {
        let Some(selector) = event.selector() else { continue };
        match &selector.tables {
            Tables::All => everywhere.push(event),
            Tables::These(tables) => {
                let source = selector.source.as_deref().unwrap_or(database);
                for table in tables {
                    by_table.entry((source, table)).or_default().push(event);
                }
            }
        }
    }
    for event in &everywhere {
        needs.notes.push(format!(
            "{} is about every table: triggers are made for those alone that other events name",
            event.name()
        ));
    }
    for ((source, table), mut events) in by_table {
        let is_told = |event: &&&Event| source_of(event).is_none_or(|wanted| wanted == source);
        events.extend(everywhere.iter().filter(is_told));
        needs.triggers.extend(of_table(source, table, &events, narrow, &mut needs.notes));
    }
    needs.notes.extend(misnamed(&needs.triggers));
    needs
}

fn source_of(event: &Event) -> Option<&str> {
    event.selector()?.source.as_deref()
}

fn trigger_of(event: &Event) -> Option<&str> {
    event.selector()?.trigger.as_deref()
}

/// One trigger, or as many as events name.
fn of_table(source: &str, table: &Table, events: &[&Event], narrow: bool, notes: &mut Vec<String>) -> Vec<Trigger> {
    let named: BTreeSet<&str> = events.iter().filter_map(|event| trigger_of(event)).collect();
    if named.len() > 1 {
        let names = named.iter().copied().collect::<Vec<_>>().join(", ");
        notes.push(format!(
            "{table} has several triggers, for events name them ({names}): what more than one of them tells comes once from \
             each, and an event that names none is then detected as often"
        ));
    }
    let mut triggers: Vec<Trigger> = match named.is_empty() {
        true => vec![Trigger::new(source, table, name::of(source, table))],
        false => named.iter().map(|name| Trigger::new(source, table, (*name).to_owned())).collect(),
    };
    for event in events {
        let own = trigger_of(event).and_then(|name| triggers.iter().position(|trigger| trigger.name == name));
        triggers[own.unwrap_or(0)].serve(event, narrow);
    }
    triggers
}

/// Names that Hasura would refuse.
fn misnamed(triggers: &[Trigger]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut tables: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for trigger in triggers {
        tables.entry(&trigger.name).or_default().push(trigger.table.to_string());
    }
    for (name, tables) in tables {
        if tables.len() > 1 {
            let tables = tables.join(" and ");
            notes.push(format!("the trigger {name} would be of {tables}, and a trigger of Hasura's is of one table"));
        }
        if !name::is_fine(name) {
            notes.push(format!("Hasura refuses the trigger's name {name:?}: {}", name::RULE));
        }
    }
    notes
}
