//! Parts of an expression that fail for every change, or never hold: conversions of literals, and types that do not fit. Such an expression can
//! be evaluated all the same; whoever writes it is told before.

use crate::{
    arguments::Arguments,
    calls,
    context::{Bindings, Context},
    error::{CompileError, Stop},
    functions::{FUNCTIONS, Function},
    literal,
    node::{Kind, Literal, Node},
    types::{self, Type},
    value::Value,
};

/// Those of a text, in its order.
pub(crate) fn of(root: &Node, source: &str) -> Vec<CompileError> {
    let mut found = Vec::new();
    look(root, source, &mut found);
    found
}

fn look(node: &Node, source: &str, found: &mut Vec<CompileError>) {
    match &node.kind {
        Kind::Call(function, arguments) if function.is_about_changes() => found.extend(column(arguments)),
        Kind::Call(Function::Field(_), arguments) if types::of(&arguments[0]) == Some(Type::Json) => {
            found.extend(no_time(node, &arguments[0], source));
        }
        Kind::Call(function, arguments) => found.extend(conversion(*function, arguments, source)),
        Kind::And(terms) | Kind::Or(terms) => {
            let is_or = matches!(node.kind, Kind::Or(_));
            found.extend(terms.iter().filter_map(|term| no_condition(term, is_or)).take(1));
        }
        Kind::Not(inner) => found.extend(no_condition(inner, false)),
        Kind::If(parts) => found.extend(no_condition(&parts[0], false)),
        Kind::Equal { sides, .. } => found.extend(unequal(&sides[0], &sides[1], source)),
        Kind::In(sides) => {
            if let Kind::List(items) = &sides[1].kind {
                found.extend(items.iter().filter_map(|item| unequal(&sides[0], item, source)).take(1));
            }
        }
        _ => found.extend(misfit(node, source)),
    }
    node.children().into_iter().for_each(|child| look(child, source, found));
}

/// Of `1 < new.total < 9` each half is a comparison of its own.
fn chained(left: &Node, right: &Node, source: &str) -> Option<String> {
    let (Kind::Compare(_, inner) | Kind::Equal { sides: inner, .. }) = &left.kind else { return None };
    let rest = source.get(inner[1].span.start as usize..right.span.end as usize)?;
    Some(format!("write `{} && {rest}`", left.span.of(source)))
}

/// A number that was written as a text.
fn without_quotes(sides: &[Node; 2]) -> Option<String> {
    sides.iter().find_map(literal::unquoted).map(|number| format!("write {number}, without quotes"))
}

fn misfit(node: &Node, source: &str) -> Option<CompileError> {
    let (left, right) = types::misfit(node)?;
    let (left_kind, right_kind) = (left.kind(), right.kind());
    let at = node.span.start as usize;
    let (Kind::Compare(_, sides) | Kind::Arithmetic(_, sides)) = &node.kind else { return None };
    if !matches!(node.kind, Kind::Compare(..)) {
        let message = format!("cannot compute with {left_kind} and {right_kind}");
        return Some(CompileError::new(at, message, types::advice(left, right)));
    }
    let message = format!("{left_kind} has no order with {right_kind}");
    let help = chained(&sides[0], &sides[1], source).or_else(|| without_quotes(sides));
    Some(CompileError::new(at, message, help.as_deref().or_else(|| types::advice(left, right))))
}

/// What is a value of another type where something is to be true or false.
fn no_condition(node: &Node, is_or: bool) -> Option<CompileError> {
    let of = types::of(node).filter(|of| !matches!(of, Type::Bool | Type::Json))?;
    let help = match of {
        Type::String if is_or => {
            "texts are joined with `+`; for a value that may be missing write `coalesce(new.carrier, \"unknown\")`"
        }
        Type::String => "compare it: `new.name != \"\"`",
        Type::Number => "compare it: `new.total != 0`",
        _ => "compare it: `received > timestamp(new.created_at)`",
    };
    Some(CompileError::new(node.span.start as usize, format!("{} is no condition", of.kind()), Some(help)))
}

/// Two values that are never equal, since they are of different types.
fn unequal(left: &Node, right: &Node, source: &str) -> Option<CompileError> {
    if let Some(error) = other_case(left, right, source).or_else(|| other_case(right, left, source)) {
        return Some(error);
    }
    let (one, other) = types::of(left).zip(types::of(right))?;
    if !types::never_equal(one, other) {
        return None;
    }
    let help = match (&left.kind, one, other) {
        (Kind::Not(_), ..) => Some("`!` binds more strongly: write `!(new.status in [\"paid\"])`, `!(new.total == 1)`"),
        (_, Type::Number, Type::String) | (_, Type::String, Type::Number) => {
            Some("write both as numbers, `num(new.total) == 1`, or both as texts, `string(new.id) == \"1\"`")
        }
        _ => types::advice(one, other),
    };
    let message = format!("{} is never equal to {}", one.kind(), other.kind());
    let chained = (one == Type::Bool).then(|| chained(left, right, source)).flatten();
    Some(CompileError::new(left.span.start as usize, message, chained.as_deref().or(help)))
}

/// A text that was made lower-case is compared with one that is not.
fn other_case(made: &Node, text: &Node, source: &str) -> Option<CompileError> {
    let Kind::Call(function, _) = &made.kind else { return None };
    let Kind::Literal(Literal::String(text_of)) = &text.kind else { return None };
    let cased = match function {
        Function::Lower | Function::LowerAscii => text_of.to_lowercase(),
        Function::Upper | Function::UpperAscii => text_of.to_uppercase(),
        _ => return None,
    };
    if cased == *text_of || matches!(function, Function::LowerAscii | Function::UpperAscii) && !text_of.is_ascii() {
        return None;
    }
    let message = format!("{} is never {}", made.span.of(source), text.span.of(source));
    Some(CompileError::new(text.span.start as usize, message, Some(&format!("write {cased:?}"))))
}

/// The name of a column with a dot in it: almost always that of a row before it, or of something within JSON behind it.
fn column(arguments: &[Node]) -> Option<CompileError> {
    let Kind::Literal(Literal::String(name)) = &arguments.first()?.kind else { return None };
    let (first, rest) = name.split_once('.')?;
    let help = match first {
        "new" | "old" | "row" => format!("write the name of the column alone: `changed(\"{rest}\")`"),
        _ => format!("within JSON values are compared: `get(old, \"{name}\", null) != get(new, \"{name}\", null)`"),
    };
    let message = format!("no column is called {name:?}");
    Some(CompileError::new(arguments[0].span.start as usize, message, Some(&help)))
}

/// A part of a time is asked for of what comes as a text.
fn no_time(node: &Node, of: &Node, source: &str) -> Option<CompileError> {
    let call = source.get(of.span.end as usize..node.span.end as usize).filter(|call| call.starts_with('.'))?;
    let (text, at) = (of.span.of(source), of.span.start as usize);
    let help =
        format!("write `timestamp({text}){call}`, or `date({text}, \"Europe/Berlin\"){call}` where it has no zone");
    Some(CompileError::new(at, format!("{text} comes as a text, and a timestamp is wanted here"), Some(&help)))
}

/// What a whole condition is where it is never true or false; of a choice, each of its ends.
pub(crate) fn no_whole(root: &Node, source: &str) -> Vec<CompileError> {
    match &root.kind {
        Kind::If(parts) => parts[1..].iter().flat_map(|part| no_whole(part, source)).collect(),
        Kind::Literal(Literal::String(text)) => {
            let help = match text.trim() {
                truth @ ("true" | "false") => format!("write {truth}, without quotes"),
                _ => format!("compare it: `new.status == {}`", root.span.of(source)),
            };
            let message = format!("{} is a text, and a condition is true or false", root.span.of(source));
            vec![CompileError::new(root.span.start as usize, message, Some(&help))]
        }
        _ => no_condition(root, false).into_iter().collect(),
    }
}

/// A conversion of literals fails for every change or for none.
fn conversion(function: Function, arguments: &[Node], source: &str) -> Option<CompileError> {
    let help = match function {
        Function::Timestamp => Some(
            "write `timestamp(\"2024-01-31T12:00:00Z\")`, or `date(\"2024-01-31\", \"Europe/Berlin\")` for what has no zone",
        ),
        Function::Date => Some("write `date(\"2024-01-31\", \"Europe/Berlin\")`"),
        Function::Duration => Some("its units are h, m, s, ms, us and ns, and a day is `24h`"),
        Function::Int | Function::Uint | Function::Double | Function::Num | Function::Bool => None,
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
