//! Why events did not happen in a change: made on demand, from the change and the catalog that decided.

use contracts::{
    hasura::{Change, Occasion},
    why::NotDetected,
};
use expressions::{Effort, closest};
use serde_json::{Map, Value};

use crate::{
    catalog::Catalog,
    detector::{Mismatch, Table, Tables, described},
    event::Event,
};

/// How many events are explained.
const EXPLAINED: usize = 200;
/// How many events or tables a sentence names.
const NAMED: usize = 3;
/// How many tables are compared with one that no event names.
const COMPARED: usize = 2000;
/// The longest sentence, in characters, and the longest name in it.
const SENTENCE: usize = 1000;
const NAME: usize = 100;

/// Why events did not happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whys {
    /// The events of the change's table that did not get past their selector or condition, with the reason, the closest
    /// first: those whose condition looks at a column that the change changed, then the others that looked at the change,
    /// then those that are about another operation or source.
    pub events: Vec<NotDetected>,
    /// How many more there were.
    pub more: u64,
    /// Why no event looked at the change at all.
    pub nothing: Option<String>,
}

impl Catalog {
    /// Why the events did not happen that did not, in words for people. Bounded in work and in bytes, whatever the change.
    pub fn why_not(&self, change: &Change<'_>) -> Whys {
        let effort = Effort::default();
        let mut out = Whys::default();
        let mismatch = |event: &Event| event.mismatch(change);
        let is_near = |mismatch: Option<Mismatch>| {
            !matches!(mismatch, Some(Mismatch::Table | Mismatch::Occasion | Mismatch::Name))
        };
        let of_table = |event: &&Event| event.occasion().is_some() && is_near(mismatch(event));
        let (mut looked, passed_by): (Vec<&Event>, Vec<&Event>) =
            self.events().iter().filter(of_table).partition(|event| mismatch(event).is_none());
        let changed = changed(change);
        looked.sort_by_cached_key(|event| !event.asks_for(&changed));
        // A wrong trigger is found by looking, as a condition is.
        let by_trigger = passed_by.iter().any(|event| mismatch(event) == Some(Mismatch::Trigger));
        if looked.is_empty() && !by_trigger {
            out.nothing = Some(cut(&self.nothing_about(change, &passed_by), SENTENCE));
        }
        for event in looked.into_iter().chain(passed_by) {
            let Some(why) = event.why_not_within(change, &effort) else { continue };
            if out.events.len() < EXPLAINED && !effort.is_spent() {
                let because = cut(&why.to_string(), SENTENCE);
                let explanation = Some(why).filter(|why| !why.text.is_empty());
                let place = event.decided_at(if explanation.is_some() { "when" } else { "from" });
                out.events.push(NotDetected { event: event.name().clone(), place, because, explanation });
            } else {
                out.more += 1;
            }
        }
        out
    }

    /// Why no event looked at a change; `passed_by` are those of its table.
    fn nothing_about(&self, change: &Change<'_>, passed_by: &[&Event]) -> String {
        if change.occasion() != Occasion::Change {
            return self.nothing_called(change, passed_by);
        }
        let (schema, name) = (cut(change.schema(), NAME), cut(change.table(), NAME));
        let table = format!("{schema}.{name}");
        let mut operations: Vec<String> = Vec::new();
        let mut sources: Vec<String> = Vec::new();
        for event in passed_by {
            let Some(selector) = event.selector() else { continue };
            let takes_source = selector.source.as_deref().is_none_or(|source| source == change.source());
            if takes_source && !selector.operations.contains(&change.operation()) {
                let listed: Vec<&str> = selector.operations.iter().map(|operation| operation.as_str()).collect();
                operations.push(format!("{} is about {} only", event.name(), listed.join(", ")));
            } else if let Some(source) = &selector.source {
                sources.push(format!("{} wants the source {source}", event.name()));
            }
        }
        if !operations.is_empty() {
            return format!("no event is about {} of {table}; {}", change.operation(), first(&operations));
        }
        if !sources.is_empty() {
            let source = cut(change.source(), NAME);
            return format!("no event is about {table} of the source {source}; {}", first(&sources));
        }
        let tables = self.tables();
        if tables.is_empty() {
            return format!("no event is about {table}: the catalog has no event that is about a table");
        }
        let same_name: Vec<&Table> = tables.iter().copied().filter(|table| table.name == name).collect();
        let near: Vec<&Table> = if same_name.is_empty() {
            let known = tables.iter().map(|table| table.name.as_str());
            let by_name =
                closest(&name, known).map(|near| tables.iter().copied().filter(|it| it.name == near).collect());
            by_name.unwrap_or_default()
        } else {
            same_name
        };
        if near.is_empty() {
            let all: Vec<String> = tables.iter().map(ToString::to_string).collect();
            return format!("no event is about {table}; the catalog is about {}", first(&all));
        }
        let named: Vec<String> = near.iter().map(|table| format!("{table} ({})", first(&self.about(table)))).collect();
        format!("no event is about {table}; closest: {}", first(&named))
    }

    /// The same of a scheduled trigger or an action; `passed_by` are the events that want another source.
    fn nothing_called(&self, change: &Change<'_>, passed_by: &[&Event]) -> String {
        let (occasion, what) = (change.occasion(), cut(&described(change), NAME));
        let sources =
            passed_by.iter().filter_map(|event| Some(format!("{} wants the source {}", event.name(), event.source()?)));
        let sources: Vec<String> = sources.collect();
        if !sources.is_empty() {
            let source = cut(change.source(), NAME);
            return format!("no event is about {what} of the source {source}; {}", first(&sources));
        }
        let mut known: Vec<&str> = self.names_of(occasion).take(COMPARED).collect();
        known.sort_unstable();
        if known.is_empty() {
            let any = occasion.with_article();
            return format!("no event is about {what}: the catalog has no event that is about {any}");
        }
        match closest(change.name().unwrap_or_default(), known.iter().copied()) {
            Some(near) => format!("no event is about {what}; closest: {near}"),
            None => {
                let all: Vec<String> = known.into_iter().map(str::to_owned).collect();
                format!("no event is about {what}; the catalog is about {}", first(&all))
            }
        }
    }

    /// The tables that events name, each once, in order.
    fn tables(&self) -> Vec<&Table> {
        let selectors = self.events().iter().filter_map(Event::selector);
        let named = selectors.filter_map(|selector| match &selector.tables {
            Tables::These(tables) => Some(tables),
            Tables::All => None,
        });
        let mut tables: Vec<&Table> = named.flatten().collect();
        tables.sort_unstable();
        tables.dedup();
        tables.truncate(COMPARED);
        tables
    }

    fn about(&self, table: &Table) -> Vec<String> {
        let is_about = |event: &&Event| {
            event.selector().is_some_and(|selector| selector.tables.includes(&table.schema, &table.name))
        };
        self.events().iter().filter(is_about).map(|event| event.name().to_string()).collect()
    }
}

/// The columns in which the rows differ.
fn changed<'c>(change: &'c Change<'_>) -> Vec<&'c str> {
    let (old, new) = (change.old().as_object(), change.new_row().as_object());
    let value = |row: Option<&'c Map<String, Value>>, name: &str| row.and_then(|row| row.get(name));
    let rows = [old, new].into_iter().flatten();
    let names = rows.flat_map(Map::keys).filter(|name| value(old, name) != value(new, name));
    names.map(String::as_str).collect()
}

/// The first of a list, and how many more there are.
fn first(of: &[String]) -> String {
    let shown = of.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match of.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
