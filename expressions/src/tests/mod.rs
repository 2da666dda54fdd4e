//! What expressions mean, case by case.

mod absence;
mod advice;
mod bounds;
mod changes;
mod conformance;
mod described;
mod errors;
mod explanations;
mod functions;
mod never;
mod numbers;
mod operators;
mod page;
mod parse;
mod reference;

use contracts::hasura::{Change, ChangeParts, parse_partly};
use serde_json::{Value as Json, json};

use super::{Bindings, Columns, Effort, Expression, Room, Scope, Stop};

/// The room that an output has here.
const ROOM: usize = 4 << 20;

/// A change of `public.moves` with these rows.
fn body(op: &str, old: &str, new: &str) -> Json {
    let row = |text: &str| serde_json::from_str::<Json>(text).expect("test JSON");
    json!({
        "id": "1",
        "table": { "schema": "public", "name": "moves" },
        "trigger": { "name": "moves_changed" },
        "event": {
            "op": op,
            "data": { "old": row(old), "new": row(new) },
            "session_variables": { "x-hasura-role": "driver", "x-hasura-user-id": "7" },
        },
    })
}

fn change(body: &Json) -> Change<'_> {
    let received = "2024-05-06T07:08:09Z".parse().expect("a timestamp");
    Change::new(ChangeParts { body, source: "default", received }).expect("a change")
}

fn evaluate(expression: &str, body: &Json) -> Result<Json, String> {
    let compiled = Expression::compile(expression, Scope::Change)
        .unwrap_or_else(|errors| panic!("{expression} does not compile: {errors:?}"));
    let value = value(&compiled, body);
    let mut columns = Columns::none();
    compiled.columns(&mut columns);
    if columns != Columns::Any {
        let (partly, _) = parse_partly(body.to_string().as_bytes(), &|row, name| columns.has(row, name)).expect("JSON");
        assert_eq!(self::value(&compiled, &partly), value, "{expression} looks at more than {columns:?}");
    }
    value
}

fn value(compiled: &Expression, body: &Json) -> Result<Json, String> {
    let change = change(body);
    let bindings = Bindings { change: Some(&change), ..Bindings::default() };
    compiled.value(&bindings, &Room::new(ROOM)).map_err(|stop| match &stop {
        Stop::Absent(_) => format!("absent: {}", compiled.describe(&stop)),
        Stop::Failed(_) | Stop::TooLarge(..) => format!("failed: {}", compiled.describe(&stop)),
    })
}

/// The value of an expression over an update with this new row.
fn value_of(expression: &str, new: &str) -> Result<Json, String> {
    evaluate(expression, &body("UPDATE", r#"{"status":"en route","price":3,"id":1}"#, new))
}

#[track_caller]
fn all_true(new: &str, expressions: &[&str]) {
    for expression in expressions {
        assert_eq!(value_of(expression, new), Ok(json!(true)), "{expression}");
    }
}

#[track_caller]
fn all_false(new: &str, expressions: &[&str]) {
    for expression in expressions {
        assert_eq!(value_of(expression, new), Ok(json!(false)), "{expression}");
    }
}

#[track_caller]
fn all(new: &str, cases: &[(&str, Json)]) {
    for (expression, expected) in cases {
        assert_eq!(value_of(expression, new).as_ref(), Ok(expected), "{expression}");
    }
}

#[track_caller]
fn absent(new: &str, expression: &str, what: &str) {
    assert_eq!(value_of(expression, new), Err(format!("absent: {what}")), "{expression}");
}

#[track_caller]
fn fails(new: &str, expression: &str, part: &str) {
    match value_of(expression, new) {
        Err(message) if message.starts_with("failed: ") && message.contains(part) => {}
        other => panic!("{expression}: expected a failure with {part:?}, got {other:?}"),
    }
}
