//! What a condition begins with, where that is a demand on one column: it changed, or has one of the values that are written.

use serde_json::Value as Json;

use crate::{
    functions::Function,
    node::{Kind, Literal, Node, Var},
};

/// The first of the terms that all have to hold. While a scalar column does not meet it, the condition is false.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// The column.
    pub column: String,
    /// Whether both rows have to have it, with values that differ.
    pub changes: bool,
    /// What it is to be in the new row; anything, where there is none.
    pub one_of: Option<Vec<Json>>,
}

/// The opening of a condition, if it begins like this.
pub(crate) fn of(root: &Node) -> Option<Opening> {
    of_term(if let Kind::And(terms) = &root.kind { &terms[0] } else { root })
}

fn of_term(term: &Node) -> Option<Opening> {
    match &term.kind {
        Kind::Call(function @ (Function::Changed | Function::Became), arguments) => {
            let Json::String(column) = written(&arguments[0])? else { return None };
            let is = if *function == Function::Became { written(&arguments[1]) } else { None };
            Some(Opening { column, changes: true, one_of: is.map(|value| vec![value]) })
        }
        Kind::Equal { negated: false, sides } => {
            let is = written(&sides[1])?;
            Some(Opening { column: new_column(&sides[0])?, changes: false, one_of: Some(vec![is]) })
        }
        Kind::In(pair) => {
            let Kind::List(items) = &pair[1].kind else { return None };
            let values = items.iter().map(written).collect::<Option<_>>()?;
            Some(Opening { column: new_column(&pair[0])?, changes: false, one_of: Some(values) })
        }
        _ => None,
    }
}

fn new_column(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Select(row, column) if matches!(row.kind, Kind::Var(Var::New)) => Some(column.clone()),
        _ => None,
    }
}

/// A value that is written, and that JSON has.
pub(crate) fn written(node: &Node) -> Option<Json> {
    match &node.kind {
        Kind::Literal(Literal::Null) => Some(Json::Null),
        Kind::Literal(Literal::Bool(value)) => Some(Json::Bool(*value)),
        Kind::Literal(Literal::Int(value)) => Some((*value).into()),
        Kind::Literal(Literal::Number(digits)) => digits.parse().ok().map(Json::Number),
        Kind::Literal(Literal::String(text)) => Some(Json::String(text.clone())),
        _ => None,
    }
}
