//! What is called impossible never happens.

use contracts::hasura::Op;
use proptest::prelude::*;

use super::*;

fn literal() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["1", "1.0", "2", "2.5", "'1'", "true", "null"][..])
}

fn column() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "new.a",
            "new['a']",
            "new.a",
            "old.a",
            "row.a",
            "new.a.b",
            "lower(new.a)",
            "num(old['a'])",
            "get(new, 'a.b', 1)",
            "get(old, 'a', 2)",
            "coalesce(old.a, 1)",
            "size(new.a)",
            "json(old.a)",
            "-old.a",
        ][..],
    )
}

fn term() -> impl Strategy<Value = String> {
    let relation = || prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    prop_oneof![
        4 => (column(), relation(), literal()).prop_map(|(column, is, value)| format!("{column} {is} {value}")),
        2 => (column(), relation(), literal()).prop_map(|(column, is, value)| format!("{value} {is} {column}")),
        2 => (column(), literal(), literal()).prop_map(|(column, a, b)| format!("{column} in [{a}, {b}]")),
        2 => literal().prop_map(|value| format!("was('a', {value})")),
        2 => literal().prop_map(|value| format!("became('a', {value})")),
        1 => Just("changed('a')".to_owned()),
        1 => Just("op == 'UPDATE'".to_owned()),
        1 => Just("changedAny('a', 'b')".to_owned()),
        1 => column().prop_filter("a selection", |column| !column.contains(['(', '[', '-'])).prop_map(|column| format!("has({column})")),
        1 => column().prop_map(|column| format!("{column}.matches('1')")),
        1 => column().prop_map(|column| format!("{column}.startsWith('1')")),
        1 => (term_of_two(), term_of_two()).prop_map(|(a, b)| format!("({a} || {b})")),
        1 => term_of_two().prop_map(|a| format!("!({a})")),
    ]
}

fn term_of_two() -> impl Strategy<Value = String> {
    (column(), literal()).prop_map(|(column, value)| format!("{column} == {value}"))
}

#[test]
fn columns_values_and_ranges_exclude_one_another() {
    for (condition, excluded) in [
        ("new['a'] == 1 && new.a == 2", true),
        ("became('a', 1) && was('a', 1)", true),
        ("became('a', 1) && old.a == 1.0", true),
        ("new.a > 5 && new.a < 3", true),
        ("5 < new.a && new['a'] <= 5", true),
        ("new.a >= 5 && new.a < 5", true),
        ("new.a > -3 && new.a < -5", true),
        ("new.a > 5 && new.a == 5", true),
        ("new.a > 5 && new.a in [1, 'x']", true),
        ("new.a > 5 && new.a < 'x'", true),
        ("lower(new.a) == 'x' && new.a.lower() == 'y'", true),
        ("num(new.a) > 5 && num(new.a) < 5", true),
        ("get(new, 'a.b', 0) == 1 && get(new, 'a.b', 0) == 2", true),
        ("get(new, 'a.b', 0) == 1 && get(new, 'a.b', 1) == 2", false),
        ("get(new, 'a.b', 0) == 1 && get(new, 'a.c', 0) == 2", false),
        ("new.a == 1 && new.a != 1", true),
        ("new.a >= 5 && new.a <= 5", false),
        ("new.a > 5 && new.a < 6", false),
        ("new.a > 5 && new.a > 7", false),
        ("new.a > 5 && new.b < 3", false),
        ("became('a', 1) && was('a', 2)", false),
        ("became('a', 1) && new.a == 1", false),
        ("new.a == null && new.a != 1", false),
    ] {
        let compiled = Expression::compile(condition, Scope::Change).expect(condition);
        assert_eq!(compiled.contradiction().is_some(), excluded, "{condition}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn what_is_called_impossible_never_happens(terms in prop::collection::vec(term(), 2..5)) {
        const ROWS: [&str; 10] = [
            "null", "{}", "5", r#"{"a":null}"#, r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":2.5}"#, r#"{"a":"1"}"#,
            r#"{"a":{"b":1}}"#, r#"{"a":true}"#,
        ];
        let condition = terms.join(" && ");
        let compiled = Expression::compile(&condition, Scope::Change).expect("an expression");
        let excluded = compiled.contradiction().is_some();
        for (name, op) in [("INSERT", Op::Insert), ("UPDATE", Op::Update), ("DELETE", Op::Delete), ("MANUAL", Op::Manual)] {
            if !excluded && !compiled.never_holds(op) {
                continue;
            }
            for old in ROWS.iter().filter(|row| op.has_old() || **row == "null") {
                for new in ROWS.iter().filter(|row| op != Op::Delete || **row == "null") {
                    let body = body(name, old, new);
                    let change = change(&body);
                    let bindings = Bindings { change: Some(&change), ..Bindings::default() };
                    prop_assert_ne!(compiled.holds(&bindings), Ok(true), "{} of {}", condition, body);
                }
            }
        }
    }
}
