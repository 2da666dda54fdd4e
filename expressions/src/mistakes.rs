//! Parts of an expression that fail for every change: conversions of literals, and types that do not fit. Such an expression can
//! be evaluated all the same; whoever writes it is told before.

use crate::{
    arguments::Arguments,
    calls,
    context::{Bindings, Context},
    error::{CompileError, Stop},
    functions::{FUNCTIONS, Function},
    node::{Kind, Node},
    types,
    value::Value,
};

/// Those of a text, in its order.
pub(crate) fn of(root: &Node, source: &str) -> Vec<CompileError> {
    let mut found = Vec::new();
    look(root, source, &mut found);
    found
}

fn look(node: &Node, source: &str, found: &mut Vec<CompileError>) {
    let here = match &node.kind {
        Kind::Call(function, arguments) => conversion(*function, arguments, source),
        _ => misfit(node),
    };
    found.extend(here);
    node.children().into_iter().for_each(|child| look(child, source, found));
}

fn misfit(node: &Node) -> Option<CompileError> {
    let (left, right) = types::misfit(node)?;
    let (left_kind, right_kind) = (left.kind(), right.kind());
    let message = match node.kind {
        Kind::Compare(..) => format!("{left_kind} has no order with {right_kind}"),
        _ => format!("cannot compute with {left_kind} and {right_kind}"),
    };
    Some(CompileError::new(node.span.start as usize, message, types::advice(left, right)))
}

/// A conversion of literals fails for every change or for none.
fn conversion(function: Function, arguments: &[Node], source: &str) -> Option<CompileError> {
    let help = match function {
        Function::Timestamp => Some(
            "write `timestamp(\"2024-01-31T12:00:00Z\")`, or `date(\"2024-01-31\", \"Europe/Berlin\")` for what has no zone",
        ),
        Function::Date => Some("write `date(\"2024-01-31\", \"Europe/Berlin\")`"),
        Function::Duration => Some("its units are h, m, s, ms, us and ns, and a day is `24h`"),
        Function::Int | Function::Uint | Function::Double | Function::Bool => None,
        _ => return None,
    };
    let values = arguments.iter().map(Value::written).collect::<Option<Vec<_>>>()?;
    // That of null is null.
    if values.iter().any(|value| matches!(value, Value::Null)) {
        return None;
    }
    let (context, at) = (Context::new(&Bindings::default()), arguments.first()?.span);
    let made = Arguments::new(&context, at, arguments, values);
    let Err(Stop::Failed(failure)) = made.and_then(|arguments| calls::call(function, &arguments)) else { return None };
    let why = match failure.message.strip_prefix("is ") {
        Some(kind) => format!("{} is {kind}", at.of(source)),
        None => failure.message,
    };
    let name = FUNCTIONS.iter().find(|known| known.function == function)?.name;
    Some(CompileError::new(at.start as usize, format!("`{name}` always fails here: {why}"), help))
}
