//! Which type a value has for certain where it has one at all, as far as that is seen in the text; and what of it must fail.

use crate::{
    functions::Function,
    node::{Kind, Literal, Node, Operator, Var},
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    String,
    Bool,
    Bytes,
    Timestamp,
    Duration,
    /// What a row, the data or a session has: a text, a number, a truth value, a list or an object, and nothing of CEL's own.
    Json,
}

impl Type {
    /// As an error names it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::String => "a string",
            Self::Bool => "a bool",
            Self::Bytes => "bytes",
            Self::Timestamp => "a timestamp",
            Self::Duration => "a duration",
            Self::Json => "a value of a row",
        }
    }

    fn is_of_time(self) -> bool {
        matches!(self, Self::Timestamp | Self::Duration)
    }
}

/// Two sides of an operation that have no order with one another, or cannot be computed with, whatever the rows hold.
pub(crate) fn misfit(node: &Node) -> Option<(Type, Type)> {
    match &node.kind {
        Kind::Compare(_, sides) => both(sides).filter(|(left, right)| never_equal(*left, *right)),
        // What is made of other types is for the evaluation to tell.
        Kind::Arithmetic(operator, sides) => both(sides)
            .filter(|(left, right)| left.is_of_time() || right.is_of_time())
            .filter(|(left, right)| computed(*operator, *left, *right).is_none()),
        _ => None,
    }
}

/// Whether no value of one type is equal to one of the other.
pub(crate) fn never_equal(left: Type, right: Type) -> bool {
    match (left, right) {
        (Type::Json, other) | (other, Type::Json) => other.is_of_time() || other == Type::Bytes,
        (left, right) => left != right,
    }
}

/// What to write where a time or a span of it stands beside something else.
pub(crate) fn advice(left: Type, right: Type) -> Option<&'static str> {
    match (left, right) {
        (Type::Timestamp, Type::Json) | (Type::Json, Type::Timestamp) => {
            Some("convert it: `timestamp(new.at)`, or `date(new.at, \"Europe/Berlin\")` where it has no zone")
        }
        (Type::Duration, Type::Json) | (Type::Json, Type::Duration) => {
            Some("convert it: `duration(new.wait)`, `timestamp(new.at)`")
        }
        (Type::Timestamp, Type::String) | (Type::String, Type::Timestamp) => Some(
            "convert the text: `timestamp(\"2024-01-31T12:00:00Z\")`, or `date(\"2024-01-31\", \"Europe/Berlin\")`",
        ),
        (Type::Timestamp, Type::Duration) | (Type::Duration, Type::Timestamp) => {
            Some("the difference of two timestamps is a duration: `received - timestamp(new.at)`")
        }
        (Type::Duration, _)
        | (_, Type::Duration)
        | (Type::Timestamp, Type::Number)
        | (Type::Number, Type::Timestamp) => Some("a span of time is written `duration(\"1h30m\")`"),
        (Type::Number, Type::String) | (Type::String, Type::Number) => Some("convert the text: `num(new.total)`"),
        _ => None,
    }
}

/// Whether a node is a time or a span of it, where it has a value.
pub(crate) fn is_of_time(node: &Node) -> bool {
    of(node).is_some_and(Type::is_of_time)
}

/// Whether a node is true or false, where it has a value.
pub(crate) fn is_condition(node: &Node) -> bool {
    of(node) == Some(Type::Bool)
}

fn both(sides: &[Node; 2]) -> Option<(Type, Type)> {
    of(&sides[0]).zip(of(&sides[1]))
}

pub(crate) fn of(node: &Node) -> Option<Type> {
    match &node.kind {
        Kind::Literal(literal) => of_literal(literal),
        Kind::Var(Var::Received) => Some(Type::Timestamp),
        Kind::Var(Var::Body(_)) => Some(Type::Json),
        Kind::Var(Var::Op | Var::TableSchema | Var::TableName | Var::Source | Var::Trigger | Var::User | Var::Role) => {
            Some(Type::String)
        }
        Kind::Select(inner, _) => is_json(inner).then_some(Type::Json),
        Kind::Index(pair) => is_json(&pair[0]).then_some(Type::Json),
        Kind::Negate(inner) => of(inner).filter(|of| matches!(of, Type::Number | Type::Duration)),
        Kind::Arithmetic(operator, sides) => both(sides).and_then(|(left, right)| computed(*operator, left, right)),
        Kind::Not(_)
        | Kind::And(_)
        | Kind::Or(_)
        | Kind::Equal { .. }
        | Kind::Compare(..)
        | Kind::In(_)
        | Kind::Has(..)
        | Kind::Matches(..) => Some(Type::Bool),
        Kind::Call(function, _) => of_call(*function),
        _ => None,
    }
}

/// Whether all that is within it came as JSON.
fn is_json(node: &Node) -> bool {
    match &node.kind {
        Kind::Var(var) => {
            matches!(
                var,
                Var::Old
                    | Var::New
                    | Var::Row
                    | Var::Payload
                    | Var::Body(_)
                    | Var::Session
                    | Var::Data
                    | Var::Event
                    | Var::Params
                    | Var::Input
            )
        }
        Kind::Select(inner, _) => is_json(inner),
        Kind::Index(pair) => is_json(&pair[0]),
        _ => false,
    }
}

fn of_literal(literal: &Literal) -> Option<Type> {
    Some(match literal {
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) | Literal::Number(_) => Type::Number,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
        Literal::Null | Literal::Type(_) => return None,
    })
}

fn of_call(function: Function) -> Option<Type> {
    Some(match function {
        Function::Size | Function::Int | Function::Uint | Function::Double | Function::Num | Function::Field(_) => {
            Type::Number
        }
        Function::String
        | Function::Json
        | Function::Lower
        | Function::Upper
        | Function::LowerAscii
        | Function::UpperAscii
        | Function::Trim
        | Function::Join
        | Function::Substring
        | Function::Replace => Type::String,
        Function::Bool
        | Function::Contains
        | Function::StartsWith
        | Function::EndsWith
        | Function::Matches
        | Function::Changed
        | Function::ChangedAny
        | Function::Was
        | Function::Became => Type::Bool,
        Function::Bytes => Type::Bytes,
        Function::Timestamp | Function::Date => Type::Timestamp,
        Function::Duration => Type::Duration,
        Function::Coalesce | Function::Get | Function::Type | Function::Dyn | Function::Split => return None,
    })
}

fn computed(operator: Operator, left: Type, right: Type) -> Option<Type> {
    match (operator, left, right) {
        (_, Type::Number, Type::Number) => Some(Type::Number),
        (Operator::Add, Type::String, Type::String) => Some(Type::String),
        (Operator::Add | Operator::Subtract, Type::Timestamp, Type::Duration)
        | (Operator::Add, Type::Duration, Type::Timestamp) => Some(Type::Timestamp),
        (Operator::Subtract, Type::Timestamp, Type::Timestamp)
        | (Operator::Add | Operator::Subtract, Type::Duration, Type::Duration)
        | (Operator::Multiply, Type::Duration, Type::Number | Type::Json)
        | (Operator::Multiply, Type::Number | Type::Json, Type::Duration)
        | (Operator::Divide, Type::Duration, Type::Number | Type::Json) => Some(Type::Duration),
        (Operator::Divide, Type::Duration, Type::Duration) => Some(Type::Number),
        _ => None,
    }
}
