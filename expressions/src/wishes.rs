//! What would make a condition hold: guesses of single values, for whoever makes up a change. They prove nothing, and what is made of
//! them has to be evaluated.

use serde_json::{Number, Value as Json};

use crate::{
    demands::turned,
    functions::Function,
    node::{Kind, Literal, Node, Relation, Var},
    opening::written,
};

/// A value that a term of a condition wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Whose value it is.
    pub of: WishOf,
    /// The column or the variable, and the way to what is within it.
    pub path: Vec<String>,
    /// What it has to be.
    pub wanted: Wanted,
}

/// Whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WishOf {
    /// Of the row before.
    Old,
    /// Of the row after.
    New,
    /// The row after, or where there is none, the row before.
    Row,
    /// Of who wrote.
    Session,
    /// Of what came with what is no change.
    Brought,
}

/// What it has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// One of these.
    OneOf(Vec<Json>),
    /// None of these, and not null.
    NoneOf(Vec<Json>),
    /// That number, or more.
    AtLeast(Number),
    /// That number, or less.
    AtMost(Number),
    /// Another than in the row before.
    Changed,
}

/// The wishes of all terms that have to hold, and of the first of those of which one has to.
pub(crate) fn of(root: &Node) -> Vec<Wish> {
    let mut out = Vec::new();
    term(root, true, &mut out);
    out
}

fn term(node: &Node, holds: bool, out: &mut Vec<Wish>) {
    match &node.kind {
        Kind::Not(inner) => term(inner, !holds, out),
        Kind::And(terms) | Kind::Or(terms) => {
            let is_all = matches!(node.kind, Kind::And(_)) == holds;
            let each = terms.iter().map(|one| {
                let mut wishes = Vec::new();
                term(one, holds, &mut wishes);
                wishes
            });
            if is_all {
                out.extend(each.flatten());
            } else {
                out.extend(each.into_iter().find(|wishes| !wishes.is_empty()).into_iter().flatten());
            }
        }
        Kind::Equal { negated, sides } => {
            if let Some((node, value, _)) = beside(sides) {
                wish(node, among(vec![value], holds != *negated), out);
            }
        }
        Kind::In(sides) => {
            if let Kind::List(items) = &sides[1].kind
                && let Some(values) = items.iter().map(written).collect::<Option<Vec<_>>>()
            {
                wish(&sides[0], among(values, holds), out);
            }
        }
        Kind::Compare(relation, sides) => {
            if let Some((node, Json::Number(limit), is_turned)) = beside(sides)
                && let Some(wanted) = beyond(if is_turned { turned(*relation) } else { *relation }, holds, limit)
            {
                wish(node, wanted, out);
            }
        }
        Kind::Has(row, name) if holds => {
            if let Some((of, mut path)) = place(row) {
                path.push(name.clone());
                out.push(Wish { of, path, wanted: Wanted::NoneOf(Vec::new()) });
            }
        }
        Kind::Call(function, arguments) if function.is_about_changes() => changes(*function, arguments, holds, out),
        Kind::Call(Function::StartsWith | Function::EndsWith | Function::Contains, arguments) => {
            if let [of, text] = arguments.as_slice()
                && let Some(text) = written(text)
            {
                wish(of, among(vec![text], holds), out);
            }
        }
        // A column that is true or false by itself.
        _ => wish(node, Wanted::OneOf(vec![holds.into()]), out),
    }
}

fn among(values: Vec<Json>, holds: bool) -> Wanted {
    if holds { Wanted::OneOf(values) } else { Wanted::NoneOf(values) }
}

fn changes(function: Function, arguments: &[Node], holds: bool, out: &mut Vec<Wish>) {
    let first = match arguments.first().map(|first| &first.kind) {
        Some(Kind::List(items)) => items.first(),
        _ => arguments.first(),
    };
    let Some(Json::String(column)) = first.and_then(written) else { return };
    let value = arguments.get(1).and_then(written);
    let mut push = |of, wanted| out.push(Wish { of, path: vec![column.clone()], wanted });
    match (function, value) {
        (Function::Was, Some(value)) => push(WishOf::Old, among(vec![value], holds)),
        (Function::Became, Some(value)) => {
            push(WishOf::New, among(vec![value], holds));
            if holds {
                push(WishOf::New, Wanted::Changed);
            }
        }
        (Function::Changed | Function::ChangedAny, _) if holds => push(WishOf::New, Wanted::Changed),
        _ => {}
    }
}

/// What is compared with a value that is written, and whether the value stands first.
fn beside(sides: &[Node; 2]) -> Option<(&Node, Json, bool)> {
    match (written(&sides[0]), written(&sides[1])) {
        (None, Some(value)) => Some((&sides[0], value, false)),
        (Some(value), None) => Some((&sides[1], value, true)),
        _ => None,
    }
}

/// A number that is in this relation to a limit, or that is not.
fn beyond(relation: Relation, holds: bool, limit: Number) -> Option<Wanted> {
    let moved = |step: i64| match limit.as_i64() {
        Some(whole) => whole.checked_add(step).map(Number::from),
        None => limit.as_f64().and_then(|limit| Number::from_f64(limit + step as f64)),
    };
    Some(match (relation, holds) {
        (Relation::Greater, true) | (Relation::LessOrEqual, false) => Wanted::AtLeast(moved(1)?),
        (Relation::GreaterOrEqual, true) | (Relation::Less, false) => Wanted::AtLeast(limit),
        (Relation::Less, true) | (Relation::GreaterOrEqual, false) => Wanted::AtMost(moved(-1)?),
        (Relation::LessOrEqual, true) | (Relation::Greater, false) => Wanted::AtMost(limit),
    })
}

fn wish(node: &Node, wanted: Wanted, out: &mut Vec<Wish>) {
    out.extend(place(node).filter(|(_, path)| !path.is_empty()).map(|(of, path)| Wish { of, path, wanted }));
}

/// Where a value comes from, through what only reads it in another way.
fn place(node: &Node) -> Option<(WishOf, Vec<String>)> {
    let within = |inner: &Node, name: &str| {
        let (of, mut path) = place(inner)?;
        path.push(name.to_owned());
        Some((of, path))
    };
    match &node.kind {
        Kind::Var(Var::Old) => Some((WishOf::Old, Vec::new())),
        Kind::Var(Var::New) => Some((WishOf::New, Vec::new())),
        Kind::Var(Var::Row) => Some((WishOf::Row, Vec::new())),
        Kind::Var(Var::Session) => Some((WishOf::Session, Vec::new())),
        Kind::Var(Var::Body("payload" | "input")) => Some((WishOf::Brought, Vec::new())),
        Kind::Var(Var::Role) => Some((WishOf::Session, vec!["x-hasura-role".to_owned()])),
        Kind::Var(Var::User) => Some((WishOf::Session, vec!["x-hasura-user-id".to_owned()])),
        Kind::Select(inner, name) => within(inner, name),
        Kind::Index(pair) => match &pair[1].kind {
            Kind::Literal(Literal::String(name)) => within(&pair[0], name),
            _ => None,
        },
        Kind::Call(Function::Get, arguments) => match arguments.get(1).and_then(written)? {
            Json::String(name) => name.split('.').try_fold(place(&arguments[0])?, |(of, mut path), name| {
                path.push(name.to_owned());
                Some((of, path))
            }),
            _ => None,
        },
        Kind::Call(
            Function::Num
            | Function::Int
            | Function::Double
            | Function::String
            | Function::Lower
            | Function::Upper
            | Function::LowerAscii
            | Function::UpperAscii
            | Function::Trim
            | Function::Coalesce,
            arguments,
        ) => place(arguments.first()?),
        _ => None,
    }
}
