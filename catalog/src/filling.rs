//! What a job is given of an event before it runs: its parameters, what it works on, and its options.

use std::{collections::BTreeMap, sync::Arc};

use contracts::names::EventRef;
use expressions::{Bindings, Room};
use serde_json::{Map, Value};

use crate::{
    data::{Data, MAX_DATA},
    template::{JobContext, Piece, RenderError, Template},
};

/// How a job is filled in for an event.
#[derive(Debug, Clone)]
pub struct Filling {
    pub(crate) options: Template,
    pub(crate) parameters: Vec<Parameter>,
    /// What each event gives to the parameters.
    pub(crate) with: BTreeMap<EventRef, Arc<With>>,
    pub(crate) input: Option<Data>,
}

/// What a shared job wants of each event that lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// As `params` has it.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Its value where an event gives none; without one it is required.
    pub default: Option<Value>,
}

/// What one event gives to a job's parameters.
#[derive(Debug, Clone)]
pub struct With {
    pub(crate) values: Vec<(String, Data)>,
    /// As it was written: what travels when the event lists the job no more.
    pub(crate) written: Value,
}

/// What a job has for one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// Its parameters, a map.
    pub params: Value,
    /// What it works on, where that is not the event's data.
    pub input: Option<Value>,
    /// The options of its kind.
    pub options: Value,
}

/// What fills templates in for one event: for a kind with options that are more than values.
#[derive(Debug)]
pub struct Filler<'a> {
    bindings: Bindings<'a>,
    room: Room,
}

impl<'a> Filler<'a> {
    fn new(bindings: Bindings<'a>) -> Self {
        Self { bindings, room: Room::new(MAX_DATA) }
    }

    /// What fills in with these alone.
    pub fn of(context: &JobContext<'a>) -> Self {
        let data = Some(context.data);
        Self::new(Bindings { data, input: data, event: Some(context.event), ..Bindings::default() })
    }

    /// The value of the option at that path.
    ///
    /// # Errors
    /// What of it cannot be filled in.
    pub fn value(&self, path: &str, template: &Template) -> Result<Value, RenderError> {
        template.fill(&self.bindings, path, &self.room)
    }

    /// The text of the option at that path piece by piece, so that what is filled in can be told from what is written.
    ///
    /// # Errors
    /// What of it cannot be filled in, or that it is no text.
    pub fn pieces(&self, path: &str, template: &Template) -> Result<Vec<Piece>, RenderError> {
        template.pieces(&self.bindings, path, &self.room)
    }
}

impl From<Template> for Filling {
    fn from(options: Template) -> Self {
        Self { options, parameters: Vec::new(), with: BTreeMap::new(), input: None }
    }
}

impl Filling {
    /// The options of the kind, as templates.
    pub fn options(&self) -> &Template {
        &self.options
    }

    /// What an event may give it, in the order of the file.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What an event gives it, as it was written.
    pub fn with(&self, event: &EventRef) -> Option<&Value> {
        self.with.get(event).map(|with| &with.written)
    }

    /// Whether it works on something else than the event's data.
    pub fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// Whether it has to be given the payload that an event was found in.
    pub fn takes_payload(&self) -> bool {
        self.input.as_ref().is_some_and(|input| input.leaves().iter().any(|leaf| leaf.takes_payload()))
    }

    /// Everything for one event.
    ///
    /// # Errors
    /// What cannot be made, and where it is written: `with.to`, `input`, `run[2]`.
    pub fn fill(&self, event: &EventRef, context: &JobContext<'_>) -> Result<Filled, RenderError> {
        self.fill_by(event, context, |options, filler| filler.value("", options))
    }

    /// The same, where the kind has its own way with its options.
    ///
    /// # Errors
    /// As those of [`Self::fill`].
    pub fn fill_by(
        &self,
        event: &EventRef,
        context: &JobContext<'_>,
        by: impl FnOnce(&Template, &Filler<'_>) -> Result<Value, RenderError>,
    ) -> Result<Filled, RenderError> {
        let bindings = Bindings { data: Some(context.data), event: Some(context.event), ..Bindings::default() };
        let params = self.params(event, &bindings)?;
        let bindings = Bindings { params: Some(&params), ..bindings };
        let input = self.input.as_ref().map(|input| {
            let bindings = Bindings { payload: context.payload, ..bindings };
            made("input", input, &bindings, &Room::new(MAX_DATA))
        });
        let input = input.transpose()?;
        let bindings = Bindings { input: Some(input.as_ref().unwrap_or(context.data)), ..bindings };
        let options = by(&self.options, &Filler::new(bindings))?;
        Ok(Filled { params, input, options })
    }

    fn params(&self, event: &EventRef, bindings: &Bindings<'_>) -> Result<Value, RenderError> {
        let (room, mut params) = (Room::new(MAX_DATA), Map::new());
        let given = self.with.get(event).map(|with| with.values.as_slice()).unwrap_or_default();
        for Parameter { name, default, .. } in &self.parameters {
            let given = given.iter().find(|(given, _)| given == name);
            let given = given.map(|(_, data)| made(&format!("with.{name}"), data, bindings, &room)).transpose()?;
            if let Some(value) = given.or_else(|| default.clone()) {
                params.insert(name.clone(), value);
            }
        }
        Ok(Value::Object(params))
    }
}

fn made(path: &str, data: &Data, bindings: &Bindings<'_>, room: &Room) -> Result<Value, RenderError> {
    data.value(bindings, room).map_err(|message| RenderError { path: path.to_owned(), message })
}
