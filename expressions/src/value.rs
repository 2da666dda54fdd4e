//! The values an evaluation handles: mostly borrowed, from the body or from the compiled expression.

use std::{ops::Deref, rc::Rc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map as JsonMap, Value as Json};

use crate::{
    compare,
    node::{Kind, Literal, Node},
    number::Number,
};

/// One value. Strings, lists and maps are borrowed until an operation makes a new one.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Text<'a>),
    Bytes(Rc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Type(&'static str),
}

/// A string.
#[derive(Debug, Clone)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

/// A list.
#[derive(Debug, Clone)]
pub(crate) enum List<'a> {
    Json(&'a [Json]),
    Made(Rc<Vec<Value<'a>>>),
}

/// A map.
#[derive(Debug, Clone)]
pub(crate) enum Map<'a> {
    Json(&'a JsonMap<String, Json>),
    Made(Rc<Vec<(Value<'a>, Value<'a>)>>),
}

impl<'a> Value<'a> {
    /// A view of a JSON value.
    #[inline]
    pub(crate) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(Number::Written(number.as_str())),
            Json::String(text) => Self::str(text),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(map) => Self::Map(Map::Json(map)),
        }
    }

    pub(crate) fn of_literal(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Int(value) => Self::int(*value),
            Literal::Number(text) => Self::Number(Number::Written(text)),
            Literal::String(text) => Self::str(text),
            Literal::Bytes(bytes) => Self::Bytes(bytes.as_slice().into()),
            Literal::Type(name) => Self::Type(name),
        }
    }

    /// The value of a node that is a literal.
    pub(crate) fn written(node: &'a Node) -> Option<Self> {
        if let Kind::Literal(literal) = &node.kind { Some(Self::of_literal(literal)) } else { None }
    }

    pub(crate) fn int(value: i64) -> Self {
        Self::Number(Number::Int(value))
    }

    #[inline]
    pub(crate) fn str(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }

    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Made(text.into()))
    }

    pub(crate) fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Made(Rc::new(items)))
    }

    pub(crate) fn map(entries: Vec<(Value<'a>, Value<'a>)>) -> Self {
        Self::Map(Map::Made(Rc::new(entries)))
    }

    /// The name of the value's type, as `type()` says it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Number(Number::Int(_)) => "int",
            Self::Number(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Type(_) => "type",
        }
    }

    /// The type for a message, with the article a reader expects.
    pub(crate) fn kind(&self) -> &'static str {
        match self.type_name() {
            "null_type" => "null",
            "double" => "a number",
            "int" => "an int",
            "bool" => "a bool",
            "string" => "a string",
            "list" => "a list",
            "map" => "a map",
            "timestamp" => "a timestamp",
            "duration" => "a duration",
            "bytes" => "bytes",
            _ => "a type",
        }
    }

    /// The elements of a list, or the keys of a map: what the macros go over.
    pub(crate) fn elements(&self) -> Option<List<'a>> {
        match self {
            Self::List(list) => Some(list.clone()),
            Self::Map(map) => Some(map.keys()),
            _ => None,
        }
    }

    /// A rough measure of how much there is to look at, for the budget.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.len() / 64,
            Self::Number(Number::Written(text)) => text.len() / 64,
            Self::Bytes(bytes) => bytes.len() / 64,
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            _ => 0,
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::of_json),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(map) => map.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    pub(crate) fn keys(&self) -> List<'a> {
        List::Made(Rc::new(match self {
            Self::Json(map) => map.keys().map(|key| Value::str(key)).collect(),
            Self::Made(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
        }))
    }

    pub(crate) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Json(_), Value::String(name)) => self.field(name),
            (Self::Json(_), _) => None,
            (Self::Made(entries), _) => {
                entries.iter().find(|(other, _)| compare::equal_scalars(other, key)).map(|(_, value)| value.clone())
            }
        }
    }

    /// The value of a key that is a string.
    #[inline]
    pub(crate) fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(map) => map.get(name).map(Value::of_json),
            Self::Made(_) => self.get(&Value::str(name)),
        }
    }

    /// How many keys are looked at to find one.
    pub(crate) fn looked_through(&self) -> usize {
        if let Self::Made(entries) = self { entries.len() } else { 0 }
    }
}
