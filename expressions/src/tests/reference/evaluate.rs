//! What an expression means, by the words of `docs/language.md`.

use std::{collections::BTreeMap, str::FromStr};

use bigdecimal::BigDecimal;
use serde_json::Value as Json;

use super::{
    compute::{compare, compute, function, time},
    expression::Written,
};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Plain>),
    Map(BTreeMap<String, Plain>),
    /// In nanoseconds since 1970.
    Time(i128),
    /// In nanoseconds.
    Span(i128),
}

/// A number, whether it is an int of the expression itself, and how it was written.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) value: BigDecimal,
    pub(super) is_int: bool,
    pub(super) written: Option<String>,
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Without {
    Absent,
    Failed,
}

pub(super) type Result<T = Plain> = std::result::Result<T, Without>;
type Locals = [(&'static str, Plain)];

use Without::{Absent, Failed};

pub(super) fn decimal(text: &str) -> BigDecimal {
    BigDecimal::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(super) fn number(value: BigDecimal, is_int: bool) -> Plain {
    let fits = (BigDecimal::from(i64::MIN)..=BigDecimal::from(i64::MAX)).contains(&value);
    Plain::Number(Number { value, is_int: is_int && fits, written: None })
}

impl Plain {
    fn of(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(value) => {
                Self::Number(Number { value: decimal(value.as_str()), is_int: false, written: Some(value.to_string()) })
            }
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Json::Object(map) => Self::Map(map.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect()),
        }
    }

    /// As it is published, and as `string` gives it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::Number(Number { written: Some(text), .. }) => text.clone(),
            Self::Time(nanoseconds) => {
                jiff::Timestamp::from_nanosecond(*nanoseconds).map(|time| time.to_string()).unwrap_or_default()
            }
            Self::Span(nanoseconds) => {
                let fraction = format!("{:09}", nanoseconds.abs() % 1_000_000_000);
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                let sign = if *nanoseconds < 0 { "-" } else { "" };
                format!("{sign}{}{point}{fraction}s", nanoseconds.abs() / 1_000_000_000)
            }
            other => panic!("{other:?} has no text"),
        }
    }

    /// As JSON on one line.
    fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(_) | Self::Number(_) => self.text(),
            Self::Text(_) | Self::Time(_) | Self::Span(_) => Json::from(self.text()).to_string(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::json).collect::<Vec<_>>().join(",")),
            Self::Map(map) => {
                let member = |(key, value): (&String, &Self)| format!("{}:{}", Json::from(key.as_str()), value.json());
                format!("{{{}}}", map.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    fn present(self) -> Result {
        if self == Self::Null { Err(Absent) } else { Ok(self) }
    }

    fn truth(self) -> Result<bool> {
        match self.present()? {
            Self::Bool(value) => Ok(value),
            _ => Err(Failed),
        }
    }

    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Number(number) if number.value.is_integer() => number.value.with_scale(0).to_string().parse().ok(),
            _ => None,
        }
    }
}

/// The change that is looked at.
pub(super) struct Reference<'r> {
    pub(super) old: &'r Json,
    pub(super) new: &'r Json,
    pub(super) operation: &'static str,
}

impl Reference<'_> {
    /// What an expression is, or why it is nothing.
    pub(super) fn value(&self, written: &Written, locals: &Locals) -> Result {
        let of = |written: &Written| self.value(written, locals);
        match written {
            Written::Literal(text) => Ok(literal(text)),
            Written::Text(text) => Ok(Plain::Text((*text).to_owned())),
            Written::Variable("old") => Ok(Plain::of(self.old)),
            Written::Variable("new") => Ok(Plain::of(self.new)),
            Written::Variable("row") => Ok(Plain::of(if self.new.is_null() { self.old } else { self.new })),
            Written::Variable("op") => Ok(Plain::Text(self.operation.to_owned())),
            Written::Variable("received") => time("2024-05-06T07:08:09Z"),
            Written::Variable(name) => {
                Ok(locals.iter().rev().find(|(local, _)| local == name).expect("it is around").1.clone())
            }
            Written::Member(inner, name) => match of(inner)?.present()? {
                Plain::Map(map) => map.get(*name).cloned().ok_or(Absent),
                _ => Err(Failed),
            },
            Written::Element(inner, key) => element(of(inner)?.present()?, of(key)?.present()?),
            Written::List(items) => items.iter().map(of).collect::<Result<_>>().map(Plain::List),
            Written::Map(entries) => {
                let each = entries.iter().map(|(key, value)| Ok(((*key).to_owned(), of(value)?)));
                each.collect::<Result<_>>().map(Plain::Map)
            }
            Written::Not(inner) => Ok(Plain::Bool(!of(inner)?.truth()?)),
            Written::Minus(inner) => match of(inner)?.present()? {
                Plain::Number(Number { value, is_int, .. }) => Ok(number(-value, is_int)),
                Plain::Span(span) => Ok(Plain::Span(-span)),
                _ => Err(Failed),
            },
            Written::Between(left, operator, right) => self.between(left, operator, right, locals),
            Written::Choice(parts) => {
                let [condition, one, other] = parts.as_ref();
                let (one, other) = (of(one), of(other));
                if of(condition)?.truth()? { one } else { other }
            }
            Written::Call(name, arguments) | Written::Method(name, arguments) => self.call(name, arguments, locals),
            Written::Macro(over, name, variable, test) => {
                let elements = match of(over)?.present()? {
                    Plain::List(items) => items,
                    Plain::Map(map) => map.into_keys().map(Plain::Text).collect(),
                    _ => return Err(Failed),
                };
                let look = |element: &Plain| {
                    let locals = [locals, &[(*variable, element.clone())]].concat();
                    self.value(test, &locals)
                };
                let looked: Vec<Result> = elements.iter().map(look).collect();
                go_over(name, elements, looked)
            }
        }
    }

    fn between(&self, left: &Written, operator: &str, right: &Written, locals: &Locals) -> Result {
        let (one, other) = (self.value(left, locals), self.value(right, locals));
        let beside = |value: Result, written: &Written| match (value, written) {
            (Err(Absent), Written::Literal("null")) => Ok(Plain::Null),
            (value, _) => value,
        };
        match operator {
            "&&" | "||" => {
                let decisive = operator == "||";
                decide(decisive, [one, other].into_iter().map(|value| value.and_then(Plain::truth)).collect())
            }
            "==" => Ok(Plain::Bool(beside(one, right)? == beside(other, left)?)),
            "!=" => Ok(Plain::Bool(beside(one, right)? != beside(other, left)?)),
            "in" => match (one?, other?.present()?) {
                (wanted, Plain::List(items)) => Ok(Plain::Bool(items.contains(&wanted))),
                (Plain::Text(key), Plain::Map(map)) => Ok(Plain::Bool(map.contains_key(&key))),
                (_, Plain::Map(_)) => Ok(Plain::Bool(false)),
                _ => Err(Failed),
            },
            "<" | "<=" | ">" | ">=" => compare(operator, one?.present()?, other?.present()?),
            _ => compute(operator, one?.present()?, other?.present()?),
        }
    }

    fn call(&self, name: &str, arguments: &[Written], locals: &Locals) -> Result {
        let values: Vec<Result> = arguments.iter().map(|argument| self.value(argument, locals)).collect();
        let column = |row: &Json| match &values[0] {
            Ok(Plain::Text(name)) => row.get(name).map(Plain::of),
            other => panic!("{other:?} is no column"),
        };
        let has_changed = |name: &Result| {
            let Ok(Plain::Text(name)) = name else { panic!("no column") };
            self.old.get(name).zip(self.new.get(name)).is_some_and(|(old, new)| Plain::of(old) != Plain::of(new))
        };
        match name {
            "changed" => Ok(Plain::Bool(has_changed(&values[0]))),
            "changedAny" => Ok(Plain::Bool(values.iter().any(has_changed))),
            "was" => values[1].clone().map(|value| Plain::Bool(column(self.old) == Some(value))),
            "became" if !has_changed(&values[0]) => Ok(Plain::Bool(false)),
            "became" => values[1].clone().map(|value| Plain::Bool(column(self.new) == Some(value))),
            "has" => {
                let Written::Member(inner, name) = &arguments[0] else { panic!("{arguments:?}") };
                match self.value(inner, locals) {
                    Ok(Plain::Map(map)) => Ok(Plain::Bool(map.contains_key(*name))),
                    Ok(Plain::Null) | Err(Absent) => Ok(Plain::Bool(false)),
                    _ => Err(Failed),
                }
            }
            "coalesce" => {
                let there = values.into_iter().find(|value| !matches!(value, Ok(Plain::Null) | Err(Absent)));
                there.unwrap_or(Ok(Plain::Null))
            }
            "get" => {
                let Ok(Plain::Text(path)) = &values[1] else { panic!("{arguments:?}") };
                let mut found = match &values[0] {
                    Err(Failed) => return Err(Failed),
                    Err(Absent) => None,
                    Ok(value) => Some(value.clone()),
                };
                for name in path.split('.') {
                    found = match found {
                        Some(Plain::Map(map)) => map.get(name).cloned(),
                        Some(Plain::List(items)) => name.parse().ok().and_then(|at: usize| items.get(at).cloned()),
                        _ => None,
                    };
                }
                found.filter(|value| *value != Plain::Null).map_or_else(|| values[2].clone(), Ok)
            }
            "json" => values[0].clone().map(|value| Plain::Text(value.json())),
            _ => {
                let values =
                    values.into_iter().map(|value| value.and_then(Plain::present)).collect::<Result<Vec<_>>>()?;
                function(name, &values)
            }
        }
    }
}

fn literal(text: &str) -> Plain {
    match text {
        "null" => Plain::Null,
        "true" => Plain::Bool(true),
        "false" => Plain::Bool(false),
        _ => Plain::Number(Number {
            value: decimal(text),
            is_int: !text.contains(['.', 'e']),
            written: Some(text.to_owned()),
        }),
    }
}

fn element(of: Plain, key: Plain) -> Result {
    match of {
        Plain::List(items) => {
            let at = key.whole().ok_or(Failed)?;
            usize::try_from(at).ok().and_then(|at| items.get(at).cloned()).ok_or(Absent)
        }
        Plain::Map(map) => match key {
            Plain::Text(name) => map.get(&name).cloned().ok_or(Absent),
            _ => Err(Absent),
        },
        _ => Err(Failed),
    }
}

/// The decisive one of several wins; else a failure; else an absence.
fn decide(decisive: bool, terms: Vec<Result<bool>>) -> Result {
    let has = |wanted: Result<bool>| terms.contains(&wanted);
    if has(Ok(decisive)) {
        return Ok(Plain::Bool(decisive));
    }
    if has(Err(Failed)) {
        return Err(Failed);
    }
    if has(Err(Absent)) { Err(Absent) } else { Ok(Plain::Bool(!decisive)) }
}

fn go_over(name: &str, elements: Vec<Plain>, looked: Vec<Result>) -> Result {
    let truths: Vec<Result<bool>> = looked.iter().cloned().map(|value| value.and_then(Plain::truth)).collect();
    match name {
        "all" => decide(false, truths),
        "exists" => decide(true, truths),
        "exists_one" => {
            let truths = truths.into_iter().collect::<Result<Vec<bool>>>()?;
            Ok(Plain::Bool(truths.into_iter().filter(|truth| *truth).count() == 1))
        }
        "filter" => {
            let truths = truths.into_iter().collect::<Result<Vec<bool>>>()?;
            Ok(Plain::List(elements.into_iter().zip(truths).filter(|(_, kept)| *kept).map(|(kept, _)| kept).collect()))
        }
        _ => looked.into_iter().collect::<Result<_>>().map(Plain::List),
    }
}
