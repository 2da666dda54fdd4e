//! A change, or what else comes, in which an event happens, for whoever wants to try it: that of one of its tests, else one that is made of its sample and
//! of what its condition demands. What is handed out was evaluated, and is detected.

use contracts::{
    hasura::{Change, ChangeParts, Occasion, Op},
    json::equal,
};
use expressions::{Bindings, Wanted, WishOf};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use crate::{
    data::Data,
    detector::{Called, In},
    event::{Detect, Event, Verdict},
    rule_test::{Expectation, Happens, TestBody, TestChange},
};

/// A change in which an event happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Likely {
    /// What Hasura would send.
    pub body: Value,
    /// Its source.
    pub source: String,
    /// The test that it is of.
    pub test: Option<String>,
}

impl Event {
    /// A change that is this event if it comes now.
    ///
    /// # Errors
    /// None is known, in words: why what was tried last is not this event.
    pub fn likely(&self, now: Timestamp) -> Result<Likely, String> {
        let Some(of) = self.is_of() else {
            return Err("it is only ever published by name, and no change is it".to_owned());
        };
        let mut why_not = None;
        let expects = |expected: &Expectation| matches!(expected, Expectation::Detected | Expectation::Data(_));
        let tests = self.tests().iter().filter(|test| expects(&test.expect));
        let tests = tests.map(|test| (Some(test.name.clone()), test.happens.clone()));
        let can_be = |operation: &Op| !self.when().is_some_and(|when| when.never_holds(*operation));
        let (operations, called) = match of {
            In::Changes(selector) => (selector.operations.as_slice(), None),
            In::Called(called) => (&[] as &[Op], Some(called)),
        };
        let made = operations.iter().filter(|operation| can_be(operation));
        let made = made.map(|operation| Happens::Change(self.made(*operation)));
        let made = made.chain(called.map(|called| Happens::Comes(self.brought(called)))).map(|made| (None, made));
        for (test, mut happens) in tests.chain(made) {
            if let Happens::Comes(TestBody { occasion: Occasion::Scheduled, given, .. }) = &mut happens {
                given.entry("scheduled_time").or_insert_with(|| format!("{now:.0}").into());
            }
            let (body, source) = (happens.body(self), happens.source(self));
            match self.is(happens.occasion(), &body, &source, now) {
                Ok(()) => return Ok(Likely { body, source, test }),
                Err(why) => why_not = Some(why),
            }
        }
        Err(why_not.unwrap_or_default())
    }

    fn is(&self, occasion: Occasion, body: &Value, source: &str, received: Timestamp) -> Result<(), String> {
        let change = Change::of(occasion, ChangeParts { body, source, received }).map_err(|error| error.to_string())?;
        match self.evaluate(&change) {
            Verdict::Detected { .. } => Ok(()),
            _ => Err(self.in_the_way(&change)),
        }
    }

    /// Why a change is not this event, and the term of the condition that is in the way.
    fn in_the_way(&self, change: &Change<'_>) -> String {
        let why = self.why_not(change);
        let bindings = Bindings { change: Some(change), ..Bindings::default() };
        match self.when().and_then(|when| when.unmet(&bindings)) {
            Some(term) => format!("nothing was found for `{}` ({why})", term.trim()),
            None => why,
        }
    }

    /// What brings what the sample shows where data are a part of that as it is, and what the condition demands.
    fn brought(&self, called: &Called) -> TestBody {
        let name = called.occasion.carried().unwrap_or_default();
        let (mut brought, mut session) = (Value::Object(Map::new()), Map::new());
        match (&self.detect, self.sample()) {
            (Detect::Cel { data: Some(data), .. }, Some(sample)) => shown_of(data, sample, name, &mut brought),
            (_, Some(sample)) => brought = sample.clone(),
            (_, None) => {}
        }
        for wish in self.when().map(|when| when.wishes()).unwrap_or_default() {
            match (wish.of, wish.path.as_slice()) {
                (WishOf::Brought, way) => grant(&mut brought, way, &wish.wanted),
                (WishOf::Session, [variable, ..]) => {
                    grant(session.entry(variable.clone()).or_insert(Value::Null), &[], &wish.wanted);
                }
                _ => {}
            }
        }
        let mut given = Map::from_iter([(name.to_owned(), brought)]);
        if called.occasion == Occasion::Action {
            given.insert("session_variables".to_owned(), session.into());
        }
        TestBody { occasion: called.occasion, given, source: None, received: None }
    }

    /// Rows that have what the sample shows where data are a column as it is, and what the condition demands.
    fn made(&self, operation: Op) -> TestChange {
        let (mut old, mut new) = (Map::new(), Map::new());
        if let (Detect::Cel { data: Some(data), .. }, Some(sample)) = (&self.detect, self.sample()) {
            shown(data, sample, &mut old, &mut new);
        }
        share(&mut old, &mut new);
        let mut session = Map::new();
        for wish in self.when().map(|when| when.wishes()).unwrap_or_default() {
            let row = match wish.of {
                WishOf::Session => &mut session,
                WishOf::Brought => continue,
                WishOf::Old => &mut old,
                WishOf::Row if operation == Op::Delete => &mut old,
                WishOf::New | WishOf::Row => &mut new,
            };
            match (&wish.wanted, wish.path.as_slice()) {
                (Wanted::Changed, [column]) => change(column, &mut old, &mut new),
                (wanted, [column, way @ ..]) => grant(row.entry(column.clone()).or_insert(Value::Null), way, wanted),
                (_, []) => {}
            }
        }
        share(&mut old, &mut new);
        let row = |there: bool, row| if there { Value::Object(row) } else { Value::Null };
        TestChange {
            operation,
            old: row(operation.has_old(), old),
            new: row(operation != Op::Delete, new),
            session: (!session.is_empty()).then_some(session),
            table: None,
            trigger: None,
            source: None,
            received: None,
        }
    }
}

/// Gives each row what only the other has.
fn share(old: &mut Map<String, Value>, new: &mut Map<String, Value>) {
    for (column, value) in &*old {
        new.entry(column.clone()).or_insert_with(|| value.clone());
    }
    for (column, value) in &*new {
        old.entry(column.clone()).or_insert_with(|| value.clone());
    }
}

/// Lets a column have another value than before.
fn change(column: &str, old: &mut Map<String, Value>, new: &mut Map<String, Value>) {
    let is = new.entry(column.to_owned()).or_insert_with(|| "after".into());
    if old.get(column).is_none_or(|was| equal(was, is)) {
        old.insert(column.to_owned(), another(is));
    }
}

/// Lets a value, or what is within it, be what is wanted; what is so already stays.
fn grant(value: &mut Value, way: &[String], wanted: &Wanted) {
    if let [name, way @ ..] = way {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        return grant(&mut value[name.as_str()], way, wanted);
    }
    let is_beyond = |limit: &Number, than: fn(&f64, &f64) -> bool| {
        value.as_f64().zip(limit.as_f64()).is_some_and(|(value, limit)| than(&value, &limit))
    };
    let granted = match wanted {
        Wanted::OneOf(values) if values.iter().any(|one| equal(one, value)) => None,
        Wanted::OneOf(values) => values.first().cloned(),
        Wanted::NoneOf(values) if !value.is_null() && !values.iter().any(|one| equal(one, value)) => None,
        Wanted::NoneOf(values) => Some(values.first().map_or_else(|| "after".into(), another)),
        Wanted::AtLeast(limit) => (!is_beyond(limit, f64::ge)).then(|| limit.clone().into()),
        Wanted::AtMost(limit) => (!is_beyond(limit, f64::le)).then(|| limit.clone().into()),
        Wanted::Changed => None,
    };
    if let Some(granted) = granted {
        *value = granted;
    }
}

/// Another value of the same type.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(value) => (!value).into(),
        Value::Number(number) if number.as_i64() == Some(0) => 1.into(),
        Value::Number(_) => 0.into(),
        Value::Null => 0.into(),
        _ => "before".into(),
    }
}

/// The columns that data show as they are.
fn shown(data: &Data, sample: &Value, old: &mut Map<String, Value>, new: &mut Map<String, Value>) {
    match (data, sample) {
        (Data::Leaf(leaf), value) => match leaf.source().trim().split_once('.') {
            Some(("old", column)) if is_name(column) => drop(old.insert(column.to_owned(), value.clone())),
            Some(("new" | "row", column)) if is_name(column) => drop(new.insert(column.to_owned(), value.clone())),
            _ => {}
        },
        (Data::Map(entries), Value::Object(members)) => {
            for (name, data) in entries {
                members.get(name).into_iter().for_each(|value| shown(data, value, old, new));
            }
        }
        (Data::List(items), Value::Array(values)) => {
            items.iter().zip(values).for_each(|(data, value)| shown(data, value, old, new));
        }
        (Data::Null | Data::List(_) | Data::Map(_), _) => {}
    }
}

/// What data show as it is of what came, by its name.
fn shown_of(data: &Data, sample: &Value, name: &str, brought: &mut Value) {
    match (data, sample) {
        (Data::Leaf(leaf), value) => match leaf.source().trim().strip_prefix(name) {
            Some("") => *brought = value.clone(),
            Some(rest) if rest.strip_prefix('.').is_some_and(is_name) && brought.is_object() => {
                brought[&rest[1..]] = value.clone();
            }
            _ => {}
        },
        (Data::Map(entries), Value::Object(members)) => {
            for (member, data) in entries {
                members.get(member).into_iter().for_each(|value| shown_of(data, value, name, brought));
            }
        }
        (Data::List(items), Value::Array(values)) => {
            items.iter().zip(values).for_each(|(data, value)| shown_of(data, value, name, brought));
        }
        (Data::Null | Data::List(_) | Data::Map(_), _) => {}
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
