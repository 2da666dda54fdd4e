//! The options of a job: JSON whose strings may hold `${ … }`, CEL over what a job has of an event.

use expressions::{Bindings, CompileError, Expression, Room, Scope, hole_end};
use serde_json::{Map, Value};

use crate::data::{Data, MAX_DATA};

/// A value with holes in its strings.
///
/// A string that is nothing but one `${x}` becomes the value of x, with its type; within other text, x must be a scalar and
/// becomes its text. `$${` is a written `${`.
#[derive(Debug, Clone)]
pub enum Template {
    /// As it is.
    Value(Value),
    /// The value of one expression.
    Expression(Expression),
    /// Text with expressions in it.
    Text(Vec<Part>),
    /// A list of templates.
    List(Vec<Template>),
    /// A map of templates.
    Map(Vec<(String, Template)>),
}

/// A piece of a text.
#[derive(Debug, Clone)]
pub enum Part {
    /// As it is.
    Text(String),
    /// The text of a value.
    Expression(Expression),
}

/// A piece of an option's text, as it is for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was filled in; else it stands in the catalog.
    pub is_filled: bool,
}

/// What `event` has.
pub const ATTRIBUTES: [&str; 11] = [
    "id",
    "name",
    "version",
    "source",
    "subject",
    "time",
    "correlationId",
    "causationId",
    "userId",
    "organisationId",
    "depth",
];

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct JobContext<'a> {
    /// The event's data: `data`.
    pub data: &'a Value,
    /// The event's attributes, a map: `event` (`id`, `name`, `version`, `correlationId` …).
    pub event: &'a Value,
    /// The payload that it was found in, for a job that takes it: `payload`.
    pub payload: Option<&'a Value>,
}

impl From<Data> for Template {
    fn from(data: Data) -> Self {
        match data {
            Data::Null => Self::Value(Value::Null),
            Data::Leaf(expression) => Self::Expression(expression),
            Data::List(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Data::Map(entries) => Self::Map(entries.into_iter().map(|(key, data)| (key, data.into())).collect()),
        }
    }
}

/// An option that cannot be filled in for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RenderError {
    /// Which option, `body.items[2]`.
    pub path: String,
    /// Why not.
    pub message: String,
}

impl Template {
    /// Compiles one string. Offsets of errors count from its first byte.
    pub fn compile(text: &str) -> Result<Self, Vec<CompileError>> {
        Self::compile_telling(text, &mut |_, _| {})
    }

    /// The same; tells of each expression, and where in the text it begins.
    pub(crate) fn compile_telling(
        text: &str,
        tell: &mut dyn FnMut(&Expression, usize),
    ) -> Result<Self, Vec<CompileError>> {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${").map(|found| at + found) {
            if text[..found].ends_with('$') && found > at {
                literal.push_str(&text[at..found]);
                literal.push('{');
                at = found + 2;
                continue;
            }
            literal.push_str(&text[at..found]);
            let end = match hole_end(text, found + 2) {
                Ok(Some(end)) => end,
                Ok(None) => {
                    let help = Some("write `$${` for the text itself".to_owned());
                    errors.push(CompileError { offset: found, message: "`${` is not closed".into(), help });
                    break;
                }
                Err(error) => {
                    errors.push(error);
                    break;
                }
            };
            let in_text = |error: CompileError| CompileError { offset: error.offset + found + 2, ..error };
            match Expression::compile(&text[found + 2..end], Scope::Job) {
                Ok(expression) => {
                    tell(&expression, found + 2);
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Expression(expression));
                }
                Err(found_here) => errors.extend(found_here.into_iter().map(in_text)),
            }
            at = end + 1;
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        literal.push_str(&text[at..]);
        Ok(Self::of_parts(parts, literal))
    }

    fn of_parts(mut parts: Vec<Part>, rest: String) -> Self {
        if parts.is_empty() {
            return Self::Value(Value::String(rest));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest));
        }
        match parts.pop() {
            Some(Part::Expression(expression)) if parts.is_empty() => Self::Expression(expression),
            last => Self::Text(parts.into_iter().chain(last).collect()),
        }
    }

    /// The value for one event.
    pub fn render(&self, context: &JobContext<'_>) -> Result<Value, RenderError> {
        let bindings = Bindings { data: Some(context.data), event: Some(context.event), ..Bindings::default() };
        self.fill(&bindings, "", &Room::new(MAX_DATA))
    }

    /// The value of one option, `None` if there is no such key.
    pub fn render_key(&self, key: &str, context: &JobContext<'_>) -> Result<Option<Value>, RenderError> {
        let bindings = Bindings { data: Some(context.data), event: Some(context.event), ..Bindings::default() };
        match self {
            Self::Map(entries) => {
                let found = entries.iter().find(|(name, _)| name == key);
                found.map(|(name, template)| template.fill(&bindings, name, &Room::new(MAX_DATA))).transpose()
            }
            Self::Value(value) => Ok(value.get(key).cloned()),
            _ => Ok(None),
        }
    }

    /// The text piece by piece. A list or a map is no text.
    pub(crate) fn pieces(&self, bindings: &Bindings<'_>, path: &str, room: &Room) -> Result<Vec<Piece>, RenderError> {
        let filled = |expression: &Expression| {
            text_of(expression, bindings, path, room).map(|text| Piece { text, is_filled: true })
        };
        let written = |text: String| Piece { text, is_filled: false };
        match self {
            Self::Value(Value::String(text)) => Ok(vec![written(text.clone())]),
            Self::Value(value @ (Value::Bool(_) | Value::Number(_))) => Ok(vec![written(value.to_string())]),
            Self::Expression(expression) => Ok(vec![filled(expression)?]),
            Self::Text(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => Ok(written(text.clone())),
                    Part::Expression(expression) => filled(expression),
                })
                .collect(),
            _ => Err(RenderError { path: path.to_owned(), message: "it is no text".to_owned() }),
        }
    }

    pub(crate) fn fill(&self, bindings: &Bindings<'_>, path: &str, room: &Room) -> Result<Value, RenderError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Expression(expression) => value_of(expression, bindings, path, room),
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(piece) => text.push_str(piece),
                        Part::Expression(expression) => text.push_str(&text_of(expression, bindings, path, room)?),
                    }
                }
                Ok(Value::String(text))
            }
            Self::List(items) => {
                let items = items.iter().enumerate();
                let filled = items.map(|(index, item)| item.fill(bindings, &format!("{path}[{index}]"), room));
                Ok(Value::Array(filled.collect::<Result<_, _>>()?))
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, template) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    map.insert(key.clone(), template.fill(bindings, &path, room)?);
                }
                Ok(Value::Object(map))
            }
        }
    }
}

fn value_of(expression: &Expression, bindings: &Bindings<'_>, path: &str, room: &Room) -> Result<Value, RenderError> {
    expression
        .value(bindings, room)
        .map_err(|stop| RenderError { path: path.to_owned(), message: expression.describe(&stop) })
}

/// Within text a null would be an accident that nobody sees: it must be said what stands in its place.
fn text_of(expression: &Expression, bindings: &Bindings<'_>, path: &str, room: &Room) -> Result<String, RenderError> {
    let fail = |message: String| RenderError { path: path.to_owned(), message };
    match value_of(expression, bindings, path, room)? {
        Value::Null => {
            Err(fail(format!("{expression} is null; write coalesce({expression}, \"\") to put a text in its place")))
        }
        Value::String(text) => Ok(text),
        value @ (Value::Bool(_) | Value::Number(_)) => Ok(value.to_string()),
        _ => Err(fail(format!(
            "{expression} is a list or a map, and cannot be part of a text; write json({expression})"
        ))),
    }
}
