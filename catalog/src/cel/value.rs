//! The values an evaluation handles: mostly borrowed, from the body or from the compiled expression.

use std::{borrow::Cow, rc::Rc};

use bigdecimal::BigDecimal;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json};

use super::{compare, node::Literal};

/// One value. Strings, lists and maps are borrowed until an operation makes a new one.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no 64-bit integer, as its text.
    Number(&'a str),
    /// A number that was computed.
    Decimal(Rc<BigDecimal>),
    String(&'a str),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    JsonList(&'a [Json]),
    JsonMap(&'a Map<String, Json>),
    List(Rc<Vec<Value<'a>>>),
    Map(Rc<Vec<(Value<'a>, Value<'a>)>>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Type(&'static str),
}

impl<'a> Value<'a> {
    /// A view of a JSON value; a number becomes an int if it is one.
    #[inline]
    pub(crate) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number.as_i64().map_or(Self::Number(number.as_str()), Self::Int),
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::JsonList(items),
            Json::Object(map) => Self::JsonMap(map),
        }
    }

    pub(crate) fn of_literal(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Int(value) => Self::Int(*value),
            Literal::Number(text) => Self::Number(text),
            Literal::String(text) => Self::String(text),
            Literal::Bytes(bytes) => Self::Bytes(bytes.as_slice().into()),
            Literal::Type(name) => Self::Type(name),
        }
    }

    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of the value's type, as `type()` says it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Number(_) | Self::Decimal(_) => "double",
            Self::String(_) | Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::JsonList(_) | Self::List(_) => "list",
            Self::JsonMap(_) | Self::Map(_) => "map",
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

    /// The elements of a list, or the keys of a map: what `in` and the macros go over.
    pub(crate) fn elements(&self) -> Option<Elements<'a>> {
        match self {
            Self::JsonList(items) => Some(Elements::Json(items)),
            Self::List(items) => Some(Elements::Owned(items.clone())),
            Self::JsonMap(map) => Some(Elements::Owned(Rc::new(map.keys().map(|key| Value::String(key)).collect()))),
            Self::Map(entries) => Some(Elements::Owned(Rc::new(entries.iter().map(|(key, _)| key.clone()).collect()))),
            _ => None,
        }
    }

    /// The value of a key in a map; `None` also for what is no map.
    pub(crate) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match self {
            Self::JsonMap(map) => map.get(key.as_str()?).map(Value::of_json),
            Self::Map(entries) => {
                entries.iter().find(|(other, _)| compare::equal_scalars(other, key)).map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }

    /// How many keys are looked at to find one.
    pub(crate) fn looked_through(&self) -> usize {
        if let Self::Map(entries) = self { entries.len() } else { 0 }
    }

    /// A rough measure of how much there is to look at, for the budget.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.len() / 64,
            Self::Number(text) => text.len() / 64,
            Self::Text(text) => text.len() / 64,
            Self::Bytes(bytes) => bytes.len() / 64,
            Self::JsonList(items) => items.len(),
            Self::JsonMap(map) => map.len(),
            Self::List(items) => items.len(),
            Self::Map(entries) => entries.len(),
            _ => 0,
        }
    }
}

/// A list to go over, without copying one that is JSON already.
pub(crate) enum Elements<'a> {
    Json(&'a [Json]),
    Owned(Rc<Vec<Value<'a>>>),
}

impl<'a> Elements<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Owned(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::of_json),
            Self::Owned(items) => items.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// A number's text, for comparing by digits.
pub(crate) fn number_text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match value {
        Value::Int(value) => Some(Cow::Owned(value.to_string())),
        Value::Number(text) => Some(Cow::Borrowed(text)),
        Value::Decimal(value) => Some(Cow::Owned(value.to_scientific_notation())),
        _ => None,
    }
}
