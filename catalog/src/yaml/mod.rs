//! YAML as a tree that knows where everything stands.
//!
//! Deserialising into structs would lose two things that a catalog needs: whether a text was written in block style
//! (expressions are safe only there), and which byte of the file a byte of an expression came from.

mod place;
mod read;
mod scalar;
mod unclosed;

pub(crate) use place::{line_column, offset_in_file};
pub(crate) use read::{ErrorKind, read};
pub(crate) use unclosed::unclosed;

use serde_json::{Map, Value};

/// Reads a file of one document that is no part of a catalog, as JSON; null where nothing is in it.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn json_of(text: &str) -> Result<Value, String> {
    let read = read(text).map_err(|error| {
        let (line, _) = line_column(text, error.offset);
        format!("line {line}: {}", error.message)
    })?;
    Ok(read.map_or(Value::Null, |yaml| yaml.to_json()))
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// `|`: lines stay lines.
    Block,
    /// `>`: lines become one.
    Folded,
}

/// A node with its place, in bytes of the file.
#[derive(Debug, Clone)]
pub(crate) struct Yaml {
    pub(crate) content: Content,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// A tag, `!name`: never wanted, and the usual accident of an expression that begins with `!`.
    pub(crate) tag: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar(String, Style),
    List(Vec<Yaml>),
    /// Entries in the order of the file; `flow` is `{ a: b }`.
    Map {
        entries: Vec<Entry>,
        flow: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) start: usize,
    pub(crate) value: Yaml,
}

impl Yaml {
    /// Whether nothing, `~` or `null` was written.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(text, Style::Plain) if scalar::is_null(text))
    }

    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Map { entries, .. } => Some(entries),
            _ => None,
        }
    }

    /// A member of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The node that a JSON Pointer leads to, or the last one on the way that there is.
    pub(crate) fn at(&self, pointer: &str) -> &Self {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.content {
                Content::List(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
                _ => node.get(&part),
            };
            let Some(next) = next else { break };
            node = next;
        }
        node
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Scalar(..) => "a single value",
            Content::List(_) => "a list",
            Content::Map { .. } => "a map",
        }
    }

    /// As JSON, by YAML 1.2's core schema. Numbers keep their digits.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(text, Style::Plain) => scalar::plain(text),
            Content::Scalar(text, _) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Yaml::to_json).collect()),
            Content::Map { entries, .. } => {
                let entries = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }
}
