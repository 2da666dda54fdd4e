//! Whatever is written, nothing panics, and every mistake has a place inside the text.

mod common;

use catalog::{MAX_DATA, Template};
use common::{change, compile};
use expressions::{Bindings, Effort, Expression, Room, Scope};
use proptest::prelude::*;

const TOKENS: &[&str] = &[
    "new",
    "old",
    ".",
    "price",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "\"ä\"",
    "'x'",
    "1",
    "-",
    "2.50",
    "1e9",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "*",
    "/",
    "%",
    "in",
    "?",
    ":",
    ",",
    "null",
    "true",
    "changed",
    "became",
    "has",
    "size",
    "matches",
    "all",
    "map",
    "x",
    " ",
    "\n",
    "#",
    "$",
    "\\",
    "\"",
    "'",
    "`",
    "//",
    "op",
    "coalesce",
    "date",
    "timestamp",
    "received",
    "ü",
    "r'",
    "b'",
    "'''",
    "${",
    "99999999999999999999",
    "|",
    "&",
    "=",
    "if",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(TOKENS), 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_expression_compiles_or_says_where_not(text in text()) {
        match Expression::compile(&text, Scope::Change) {
            Ok(expression) => {
                let body = serde_json::json!({
                    "table": { "name": "t" },
                    "event": { "op": "UPDATE", "data": { "old": { "price": null }, "new": { "price": 5, "x": [1, "a"] } } },
                });
                let change = change(&body, "s");
                let bindings = Bindings { change: Some(&change), ..Bindings::default() };
                let holds = expression.holds(&bindings);
                prop_assert_eq!(expression.why_not(&bindings, &Effort::default()).is_none(), holds == Ok(true));
                for limit in [20, 200, MAX_DATA] {
                    match expression.value(&bindings, &Room::new(limit)) {
                        Ok(value) => prop_assert!(value.to_string().len() <= limit, "{} > {}", value, limit),
                        Err(stop) => drop(expression.describe(&stop)),
                    }
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(text.is_char_boundary(error.offset), "{} in {:?}", error.offset, text);
                }
            }
        }
        let _ = Template::compile(&text);
    }

    #[test]
    fn any_file_compiles_or_says_where_not(text in text(), style in proptest::sample::select(&["|\n  ", "", "'", "\"", ">\n  "][..])) {
        let file = format!("from: {{ table: t }}\nwhen: {style}{text}\n");
        for problem in compile(&[("events/a.yaml", &file)]).report.problems {
            prop_assert!(problem.place.line <= file.lines().count() + 1);
            let _ = problem.to_string();
        }
        compile(&[("events/a.yaml", &text), ("jobs/b.yaml", &text)]);
    }
}
