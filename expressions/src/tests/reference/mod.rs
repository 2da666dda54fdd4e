//! A second evaluator, as plain as it can be: it owns every value, computes every operand before it looks at the operator, knows no
//! budget and shares no code with the real one. Over generated expressions and rows both have to say the same.

mod compute;
mod evaluate;
mod expression;
mod generate;

use contracts::hasura::Op;
use proptest::prelude::*;

use super::*;
use evaluate::{Plain, Reference, Without};

/// Whether a value is what the reference says.
fn is_same(found: &Json, expected: &Plain) -> bool {
    match (found, expected) {
        (Json::Null, Plain::Null) => true,
        (Json::Bool(found), Plain::Bool(expected)) => found == expected,
        (Json::Number(found), Plain::Number(expected)) => evaluate::decimal(found.as_str()) == expected.value,
        (Json::String(found), Plain::Text(expected)) => found == expected,
        (Json::String(found), Plain::Time(_) | Plain::Span(_)) => *found == expected.text(),
        (Json::Array(found), Plain::List(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| is_same(found, expected))
        }
        (Json::Object(found), Plain::Map(expected)) => {
            found.len() == expected.len()
                && expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| is_same(found, value)))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn an_expression_means_what_the_reference_says(
        written in generate::expression(), op in generate::operation(), old in generate::row(), new in generate::row(),
    ) {
        let (name, operation): (&str, Op) = op;
        let old = if operation.has_old() { old } else { Json::Null };
        let new = if operation == Op::Delete { Json::Null } else { new };
        let text = written.text();
        let compiled = Expression::compile(&text, Scope::Change);
        prop_assert!(compiled.is_ok(), "{}: {:?}", text, compiled);
        let compiled = compiled.expect("it compiles");
        let body = body(name, &old.to_string(), &new.to_string());
        let change = change(&body);
        let bindings = Bindings { change: Some(&change), ..Bindings::default() };

        let expected = Reference { old: &old, new: &new, operation: name }.value(&written, &[]);
        let found = compiled.value(&bindings, &Room::new(ROOM));
        let agree = match (&found, &expected) {
            (Ok(found), Ok(expected)) => is_same(found, expected),
            (Err(Stop::Absent(_)), Err(Without::Absent)) | (Err(Stop::Failed(_)), Err(Without::Failed)) => true,
            _ => false,
        };
        prop_assert!(agree, "{}\nof {} {}\n  {:?}\n  {:?}", text, old, new, found, expected);

        let is_true = matches!(expected, Ok(Plain::Bool(true)));
        prop_assert_eq!(compiled.holds(&bindings) == Ok(true), is_true, "{}", text);
        prop_assert_eq!(compiled.why_not(&bindings, &Effort::default()).is_none(), is_true, "{}", text);
        prop_assert!(!is_true || !compiled.never_holds(operation), "{} never holds for {}", text, name);
        prop_assert!(!is_true || compiled.contradiction().is_none(), "{}: {:?}", text, compiled.contradiction());
        // And of a body of which only the columns were read that it names.
        prop_assert_eq!(evaluate(&text, &body).ok(), found.ok(), "{}", text);
    }
}
