//! Conditions that can never hold, as far as that is cheap to prove: without looking at any row.

use contracts::hasura::{Change, ChangeParts, Op};
use serde_json::{Value as Json, json};

use crate::{
    context::Bindings,
    eval::Evaluator,
    functions::Function,
    node::{Kind, Literal, Node, Var},
    value::Value,
};

/// What a condition may turn out to be; anything else (absent, failed) does not hold either.
#[derive(Clone, Copy)]
struct Possible {
    holds: bool,
    fails: bool,
}

const ANYTHING: Possible = Possible { holds: true, fails: true };
const NEVER: Possible = Possible { holds: false, fails: true };

/// Whether the condition cannot be true for this operation.
pub(crate) fn never(node: &Node, operation: Op) -> bool {
    !possible(node, operation).holds
}

fn possible(node: &Node, operation: Op) -> Possible {
    if depends_only_on_operation(node) {
        return fixed(node, operation);
    }
    match &node.kind {
        Kind::And(terms) => {
            let terms: Vec<Possible> = terms.iter().map(|term| possible(term, operation)).collect();
            Possible { holds: terms.iter().all(|term| term.holds), fails: terms.iter().any(|term| term.fails) }
        }
        Kind::Or(terms) => {
            let terms: Vec<Possible> = terms.iter().map(|term| possible(term, operation)).collect();
            Possible { holds: terms.iter().any(|term| term.holds), fails: terms.iter().all(|term| term.fails) }
        }
        Kind::Not(inner) => {
            let inner = possible(inner, operation);
            Possible { holds: inner.fails, fails: inner.holds }
        }
        Kind::Call(Function::Changed | Function::Became, _) if operation != Op::Update => NEVER,
        Kind::Call(Function::Was, _) if !operation.has_old() => NEVER,
        Kind::Has(inner, _) if absent(inner, operation) || is_no_row(inner, operation) => NEVER,
        // A column of a row that this operation does not have is absent, and so is what is computed from it.
        Kind::Compare(_, sides) if sides.iter().any(|side| absent(side, operation)) => {
            Possible { holds: false, fails: false }
        }
        Kind::Equal { sides, .. } => match sides.as_ref() {
            [left, right] if lost(left, right, operation) || lost(right, left, operation) => {
                Possible { holds: false, fails: false }
            }
            _ => ANYTHING,
        },
        _ if absent(node, operation) => Possible { holds: false, fails: false },
        _ => ANYTHING,
    }
}

/// Whether one side of an equation is absent; beside a written null it would count as null.
fn lost(side: &Node, other: &Node, operation: Op) -> bool {
    absent(side, operation) && !matches!(other.kind, Kind::Literal(Literal::Null))
}

fn absent(node: &Node, operation: Op) -> bool {
    match &node.kind {
        Kind::Select(inner, _) => is_no_row(inner, operation) || absent(inner, operation),
        Kind::Index(pair) => is_no_row(&pair[0], operation) || pair.iter().any(|part| absent(part, operation)),
        Kind::Matches(inner, _) => is_no_row(inner, operation) || absent(inner, operation),
        Kind::Negate(inner) => absent(inner, operation),
        Kind::Arithmetic(_, sides) => sides.iter().any(|side| absent(side, operation)),
        // What has a value where an argument has none.
        Kind::Call(Function::Coalesce | Function::Get, _) => false,
        Kind::Call(function, arguments) => {
            !function.is_about_changes() && arguments.iter().any(|argument| absent(argument, operation))
        }
        _ => false,
    }
}

/// Whether a node is the variable of a row that this operation does not have.
fn is_no_row(node: &Node, operation: Op) -> bool {
    match node.kind {
        Kind::Var(Var::Old) => !operation.has_old(),
        Kind::Var(Var::New) => operation == Op::Delete,
        _ => false,
    }
}

fn depends_only_on_operation(node: &Node) -> bool {
    match &node.kind {
        Kind::Var(var) => *var == Var::Op,
        Kind::Call(function, _) if function.is_about_changes() => false,
        _ => node.children().into_iter().all(depends_only_on_operation),
    }
}

/// Evaluates what depends on no row.
fn fixed(node: &Node, operation: Op) -> Possible {
    let body: Json = json!({ "event": { "op": operation.as_str(), "data": {} }, "table": { "name": "-" } });
    let parts = ChangeParts { body: &body, source: "-", received: jiff::Timestamp::UNIX_EPOCH };
    let Ok(change) = Change::new(parts) else { return ANYTHING };
    let result = Evaluator::new(&Bindings { change: Some(&change), ..Bindings::default() }).eval(node);
    match result {
        Ok(Value::Bool(holds)) => Possible { holds, fails: !holds },
        Ok(_) | Err(_) => Possible { holds: false, fails: false },
    }
}
