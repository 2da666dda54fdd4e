//! Terms of one condition that exclude one another, as far as that is cheap to prove: by what each demands of one column.

use std::{borrow::Cow, cmp::Ordering};

use crate::{
    compare::{equal_scalars, order},
    error::Span,
    functions::Function,
    node::{Kind, Literal, Node, Relation, Var},
    value::Value,
};

/// The row, the column's name, and the way to what is within it, or made of it.
type Path<'n> = Vec<Cow<'n, str>>;

/// What a column has to be for a term to hold.
enum Demand<'n> {
    OneOf(Vec<Value<'n>>),
    NoneOf(Value<'n>),
    /// On that side of a value, and so of its type.
    Order(Relation, Value<'n>),
}

/// Two terms of the condition that exclude one another, as in `new.a == 1 && new.a == 2`: without either it might hold.
pub(crate) fn contradiction(node: &Node) -> Option<(Span, Span)> {
    let Kind::And(terms) = &node.kind else { return None };
    let each = |term| demands(term).into_iter().map(|(path, demand)| (term.span, path, demand));
    let all: Vec<(Span, Path<'_>, Demand<'_>)> = terms.iter().flat_map(each).collect();
    all.iter().enumerate().find_map(|(at, (span, path, demand))| {
        let excludes = |(_, of, other): &&(Span, Path<'_>, Demand<'_>)| of == path && exclude(demand, other);
        all[at + 1..].iter().find(excludes).map(|(other, ..)| (*span, *other))
    })
}

fn demands(term: &Node) -> Vec<(Path<'_>, Demand<'_>)> {
    match &term.kind {
        Kind::Equal { negated, sides } => {
            let demand =
                |(path, value, _)| (path, if *negated { Demand::NoneOf(value) } else { Demand::OneOf(vec![value]) });
            beside_literal(sides).map(demand).into_iter().collect()
        }
        Kind::Compare(relation, sides) => {
            let demand = |(path, value, is_turned): (_, _, bool)| {
                (path, Demand::Order(if is_turned { turned(*relation) } else { *relation }, value))
            };
            beside_literal(sides).map(demand).into_iter().collect()
        }
        Kind::In(sides) => match sides.as_ref() {
            [value, Node { kind: Kind::List(items), .. }] => {
                let values: Option<Vec<_>> = items.iter().map(Value::written).collect();
                path(value).zip(values.map(Demand::OneOf)).into_iter().collect()
            }
            _ => Vec::new(),
        },
        Kind::Call(function @ (Function::Was | Function::Became), arguments) => match arguments.as_slice() {
            [Node { kind: Kind::Literal(Literal::String(name)), .. }, value] => {
                let Some(value) = Value::written(value) else { return Vec::new() };
                let is = |row: &'static str| (vec![row.into(), name.into()], Demand::OneOf(vec![value.clone()]));
                if *function == Function::Was {
                    return vec![is("old")];
                }
                // What became a value was another before.
                vec![is("new"), (vec!["old".into(), name.into()], Demand::NoneOf(value.clone()))]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A column beside a literal, and whether the literal stands first.
fn beside_literal(sides: &[Node; 2]) -> Option<(Path<'_>, Value<'_>, bool)> {
    let [left, right] = sides;
    let (column, value, is_turned) = match (Value::written(left), Value::written(right)) {
        (None, Some(value)) => (left, value, false),
        (Some(value), None) => (right, value, true),
        _ => return None,
    };
    path(column).map(|path| (path, value, is_turned))
}

fn path<'n>(node: &'n Node) -> Option<Path<'n>> {
    let within = |inner, name: Cow<'n, str>| {
        let mut path = path(inner)?;
        path.push(name);
        Some(path)
    };
    match &node.kind {
        Kind::Var(Var::Old) => Some(vec!["old".into()]),
        Kind::Var(Var::New) => Some(vec!["new".into()]),
        Kind::Var(Var::Row) => Some(vec!["row".into()]),
        Kind::Var(Var::Body(name)) => Some(vec![(*name).into()]),
        Kind::Select(inner, name) => within(inner, name.into()),
        Kind::Index(pair) => match pair.as_ref() {
            [inner, Node { kind: Kind::Literal(Literal::String(name)), .. }] => within(inner, name.into()),
            _ => None,
        },
        // The same function of the same is the same value.
        Kind::Call(function, arguments) if !function.is_about_changes() => {
            let (of, others) = arguments.split_first()?;
            let others = others.iter().map(|other| match &other.kind {
                Kind::Literal(literal) => Some(literal),
                _ => None,
            });
            let others = others.collect::<Option<Vec<_>>>()?;
            within(of, format!("{function:?}{others:?}").into())
        }
        _ => None,
    }
}

pub(crate) fn turned(relation: Relation) -> Relation {
    match relation {
        Relation::Less => Relation::Greater,
        Relation::LessOrEqual => Relation::GreaterOrEqual,
        Relation::Greater => Relation::Less,
        Relation::GreaterOrEqual => Relation::LessOrEqual,
    }
}

/// Whether no value meets both.
fn exclude(one: &Demand<'_>, other: &Demand<'_>) -> bool {
    match (one, other) {
        (Demand::OneOf(values), demand) | (demand, Demand::OneOf(values)) => {
            !values.iter().any(|value| meets(value, demand))
        }
        (Demand::Order(relation, limit), Demand::Order(another, other)) => match order(limit, other) {
            // No value is of both their types.
            None => true,
            Some(ordering) => apart(*relation, *another, ordering) || apart(*another, *relation, ordering.reverse()),
        },
        _ => false,
    }
}

fn meets(value: &Value<'_>, demand: &Demand<'_>) -> bool {
    match demand {
        Demand::OneOf(values) => values.iter().any(|one| equal_scalars(one, value)),
        Demand::NoneOf(one) => !equal_scalars(one, value),
        Demand::Order(relation, limit) => order(value, limit).is_some_and(|ordering| relation.holds(ordering)),
    }
}

/// Whether nothing is above a first limit and below a second, to which the first is in this order.
fn apart(above: Relation, below: Relation, order: Ordering) -> bool {
    match (above, below) {
        (Relation::GreaterOrEqual, Relation::LessOrEqual) => order.is_gt(),
        (Relation::Greater | Relation::GreaterOrEqual, Relation::Less | Relation::LessOrEqual) => order.is_ge(),
        _ => false,
    }
}
