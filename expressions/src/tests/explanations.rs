use serde_json::json;

use super::{Bindings, Effort, Expression, Scope, body, change};

#[track_caller]
fn why_not(expression: &str, op: &str, old: &str, new: &str, expected: &str) {
    let body = body(op, old, new);
    let change = change(&body);
    let compiled = Expression::compile(expression, Scope::Change).expect(expression);
    let explained = compiled.why_not(&Bindings { change: Some(&change), ..Bindings::default() }, &Effort::default());
    assert_eq!(explained.map(|why| why.to_string()).as_deref(), Some(expected), "{expression}");
}

const OLD: &str = r#"{"status": "new", "price": 3, "name": "x"}"#;
const NEW: &str = r#"{"status": "en route", "price": 3, "name": null, "tags": ["a"]}"#;

#[test]
fn the_part_that_was_false_is_named_with_its_values() {
    for (expression, expected) in [
        ("changed(\"price\")", "price did not change"),
        (
            "became(\"status\", \"pickup successful\")",
            "became(\"status\", \"pickup successful\"): status changed to \"en route\"",
        ),
        ("became(\"price\", 3)", "became(\"price\", 3): price did not change (it is 3)"),
        ("was(\"status\", \"lost\")", "was(\"status\", \"lost\"): status was \"new\""),
        ("new.price > 5", "new.price > 5 is false (new.price = 3)"),
        ("true && new.price + 1 > 5 && false", "new.price + 1 > 5 is false (new.price = 3)"),
        (
            "(new.price > 5 || new.price < 2) && true",
            "new.price > 5 is false (new.price = 3), and new.price < 2 is false (new.price = 3)",
        ),
        ("new.name > \"a\"", "new.name is null"),
        ("new.nope == 1", "new.nope is missing"),
        ("changed(\"nope\")", "neither row has a column nope"),
        ("changed(\"tags\")", "the old row has no column tags"),
        ("!(new.price == 3)", "!(new.price == 3) is false (new.price = 3)"),
        ("\"z\" in new.tags", "\"z\" in new.tags is false (new.tags = [\"a\"])"),
        (
            "became(\"status\", \"enroute\")",
            "became(\"status\", \"enroute\"): status changed to \"en route\"; did you mean \"enroute\"?",
        ),
        (
            "became(\"status\", [\"done\", \"En Route\"])",
            "became(\"status\", [\"done\", \"En Route\"]): status changed to \"en route\"; \"en route\" is not \"En Route\": they differ by case",
        ),
        ("was(\"status\", \"ned\")", "was(\"status\", \"ned\"): status was \"new\"; did you mean \"ned\"?"),
        (
            "new.status == \"En route\"",
            "new.status == \"En route\" is false (new.status = \"en route\", \"en route\" is not \"En route\": they differ by case)",
        ),
        ("new.tags[0] == \"b\"", "new.tags[0] == \"b\" is false (new.tags[0] = \"a\")"),
        (
            "new.status == \"en_route\"",
            "new.status == \"en_route\" is false (new.status = \"en route\"); did you mean \"en_route\"?",
        ),
        (
            "new.status in [\"enroute\", \"lost\"]",
            "new.status in [\"enroute\", \"lost\"] is false (new.status = \"en route\"); did you mean \"enroute\"?",
        ),
        ("op == \"INSERT\"", "op == \"INSERT\" is false (op = \"UPDATE\")"),
        ("new.price / 0 == 1", "new.price / 0: division by zero (new.price = 3)"),
        (
            "true && new.status > 5",
            "new.status > 5: a string has no order with an int; \"en route\" is no number (new.status = \"en route\")",
        ),
        ("new.tags.exists(t,\n  t == \"q\")", "new.tags.exists(t, t == \"q\") is false (new.tags = [\"a\"])"),
        ("false", "false never holds"),
        ("new.price / 2 > 3 && true", "new.price / 2 > 3 is false (new.price / 2 = 1.5, new.price = 3)"),
        ("changedAny(\"price\", \"nope\")", "price did not change, and neither row has a column nope"),
        (
            "get(new, \"tags.1\", \"none\") == \"a\"",
            "get(new, \"tags.1\", \"none\") == \"a\" is false (get(new, \"tags.1\", \"none\") = \"none\")",
        ),
        (
            "upper(new.status) == \"ENROUTE\"",
            "upper(new.status) == \"ENROUTE\" is false (upper(new.status) = \"EN ROUTE\", new.status = \"en route\"); did you mean \"ENROUTE\"?",
        ),
        ("num(\"4\") > new.price + 1", "num(\"4\") > new.price + 1 is false (new.price = 3)"),
        (
            "json(new.tags) == \"[]\"",
            "json(new.tags) == \"[]\" is false (json(new.tags) = \"[\\\"a\\\"]\", new.tags = [\"a\"])",
        ),
        (
            "received - timestamp(\"2024-05-06T07:00:00Z\") > duration(\"1h\")",
            "received - timestamp(\"2024-05-06T07:00:00Z\") > duration(\"1h\") is false (received - timestamp(\"2024-05-06T07:00:00Z\") = \"489s\", received = \"2024-05-06T07:08:09Z\")",
        ),
        ("new.status.matches(\"^x\")", "new.status.matches(\"^x\") is false (new.status = \"en route\")"),
        ("7 / 2 > 3", "7 / 2 > 3 is false (7 / 2 = 3)"),
        ("new.tags.all(t, size(t) / 2 > 3)", "new.tags.all(t, size(t) / 2 > 3) is false (new.tags = [\"a\"])"),
    ] {
        why_not(expression, "UPDATE", OLD, NEW, expected);
    }
}

#[test]
fn a_condition_that_held_names_its_terms_with_their_values() {
    let body = body("UPDATE", OLD, NEW);
    let change = change(&body);
    let told = |expression: &str| -> Vec<String> {
        let compiled = Expression::compile(expression, Scope::Change).expect(expression);
        let why = compiled.why(&Bindings { change: Some(&change), ..Bindings::default() }, &Effort::default());
        why.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        told("became(\"status\", \"en route\") && new.price + 1 < 5"),
        [
            "became(\"status\", \"en route\") is true (old.status = \"new\", new.status = \"en route\")",
            "new.price + 1 < 5 is true (new.price = 3)",
        ]
    );
    assert_eq!(
        told("new.price > 5 || changed(\"name\")"),
        ["changed(\"name\") is true (old.name = \"x\", new.name = null)"]
    );
    assert_eq!(told("true"), ["true is true"]);
}

#[test]
fn a_row_that_is_not_there_is_named() {
    why_not("old.status == \"a\"", "INSERT", "null", NEW, "old is null: INSERT has no old row");
    why_not("new.status == \"a\"", "DELETE", OLD, "null", "new is null: DELETE has no new row");
    why_not(
        "changed(\"status\")",
        "INSERT",
        "null",
        NEW,
        "INSERT has no old row, so status has nothing to differ from",
    );
    why_not("became(\"status\", 1)", "DELETE", OLD, "null", "DELETE has no new row, so status has no new value");
}

#[test]
fn what_holds_needs_no_explanation() {
    let body = body("UPDATE", OLD, NEW);
    let change = change(&body);
    let compiled = Expression::compile("changed(\"status\")", Scope::Change).expect("it compiles");
    assert_eq!(compiled.why_not(&Bindings { change: Some(&change), ..Bindings::default() }, &Effort::default()), None);
}

#[test]
fn an_explanation_is_a_tree_of_texts_and_values() {
    let body = body("UPDATE", OLD, NEW);
    let change = change(&body);
    let why = |condition: &str| {
        let compiled = Expression::compile(condition, Scope::Change).expect("it compiles");
        let bindings = Bindings { change: Some(&change), ..Bindings::default() };
        let why = compiled.why_not(&bindings, &Effort::default()).expect("it does not hold");
        serde_json::to_value(&why).expect("JSON")
    };
    assert_eq!(
        why("op == 'UPDATE' && (changed('price') || new.price / 2 > 3)"),
        json!({
            "text": "changed('price') || new.price / 2 > 3",
            "value": "false",
            "anyOf": true,
            "parts": [
                { "text": "changed('price')", "value": "false", "because": "price did not change" },
                { "text": "new.price / 2 > 3", "value": "false", "parts": [
                    { "text": "new.price / 2", "value": "1.5", "parts": [{ "text": "new.price", "value": "3" }] },
                ]},
            ],
        })
    );
    let absent = json!({ "text": "new.name", "because": "new.name is null" });
    assert_eq!(why("op == 'UPDATE' && new.name > 'a'"), absent);
}
