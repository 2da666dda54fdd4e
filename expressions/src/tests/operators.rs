use serde_json::json;

use super::{all, all_false, all_true, body, evaluate, fails, value_of};

const ROW: &str = r#"{"status": "pickup successful", "price": 19.9, "id": 1, "tags": ["a", "b"], "n": null, "flag": true,
    "address": {"city": "Berlin", "a b": 1}, "items": [{"p": 1}, {"p": 7.5}], "my column": 3, "one": 1, "text": "1"}"#;

#[test]
fn changed_was_and_became_compare_old_and_new() {
    all_true(
        ROW,
        &[
            "changed(\"status\")",
            "was(\"status\", \"en route\")",
            "became(\"status\", \"pickup successful\")",
            "was(\"id\", 1)",
            "was(\"id\", 1.0)",
            "became(\"price\", 19.90)",
            "!changed(\"id\")",
            "[\"id\", \"status\"].exists(c, changed(c))",
            "was('status', 'en ' + 'route')",
        ],
    );
    all_false(
        ROW,
        &[
            "changed(\"id\")",
            "changed(\"tags\")",
            "changed(\"nope\")",
            "became(\"id\", 1)",
            "became(\"status\", \"x\")",
            "was(\"status\", \"pickup successful\")",
            "was(\"nope\", null)",
            "became(\"tags\", [\"a\", \"b\"])",
        ],
    );
}

#[test]
fn changes_compare_values_and_not_how_json_was_written() {
    let same = body(
        "UPDATE",
        r#"{"n": 1.00, "o": {"a": 1, "b": 2}, "x": 1e1}"#,
        r#"{"n": 1, "o": {"b": 2.0, "a": 1}, "x": 10}"#,
    );
    for column in ["n", "o", "x"] {
        assert_eq!(evaluate(&format!("changed(\"{column}\")"), &same), Ok(json!(false)), "{column}");
    }
    let differs = body("UPDATE", r#"{"n": 1, "l": [1, 2], "z": null}"#, r#"{"n": "1", "l": [2, 1], "z": 0}"#);
    for column in ["n", "l", "z"] {
        assert_eq!(evaluate(&format!("changed(\"{column}\")"), &differs), Ok(json!(true)), "{column}");
    }
}

#[test]
fn became_never_holds_on_an_insert() {
    let insert = body("INSERT", "null", r#"{"status": "new"}"#);
    assert_eq!(
        evaluate("became(\"status\", \"new\") || changed(\"status\") || was(\"status\", null)", &insert),
        Ok(json!(false))
    );
}

#[test]
fn variables_are_what_the_change_says() {
    all_true(
        ROW,
        &[
            "op == \"UPDATE\"",
            "table.schema == \"public\"",
            "table.name == \"moves\"",
            "table == {\"schema\": \"public\", \"name\": \"moves\"}",
            "source == \"default\"",
            "trigger == \"moves_changed\"",
            "session[\"x-hasura-role\"] == \"driver\"",
            "session[\"X-Hasura-Role\"] == \"driver\"",
            "\"X-Hasura-Role\" in session",
            "role == \"driver\"",
            "user == \"7\"",
            "received == timestamp(\"2024-05-06T07:08:09Z\")",
            "payload.event.op == op",
            "row.id == new.id",
            "new.address.city == \"Berlin\"",
            "new[\"my column\"] == 3",
            "new.`my column` == 3",
            "new.address[\"a b\"] == 1",
            "new.tags[1] == \"b\"",
            "has(new.address.city)",
            "!has(new.address.street)",
            "has(new.n)",
            "!has(new.nope.deeper)",
            "\"x-hasura-role\" in session",
            "!(\"x\" in session)",
        ],
    );
}

#[test]
fn the_row_is_the_old_one_where_there_is_no_new_one() {
    let delete = body("DELETE", r#"{"id": 9}"#, "null");
    assert_eq!(evaluate("row.id", &delete), Ok(json!(9)));
    assert_eq!(evaluate("op == \"DELETE\" && new == null && old != null", &delete), Ok(json!(true)));
}

#[test]
fn strings_and_numbers_do_not_mix() {
    all_false(
        ROW,
        &[
            "new.one == \"1\"",
            "new.text == 1",
            "new.one in [\"1\"]",
            "new.text in [1]",
            "new.tags == \"a\"",
            "true == 1",
        ],
    );
    all_true(
        ROW,
        &[
            "\"2024-01-01T00:00:00Z\" != \"2024-01-01T00:00:00+00:00\"",
            "\"a\" < \"b\"",
            "\"B\" < \"a\"",
            "[1, 2.0] == [1.0, 2]",
            "{\"a\": 1, \"b\": 2} == {\"b\": 2.0, \"a\": 1}",
            "[1, 2] != [2, 1]",
            "new.items[1] == {\"p\": 7.50}",
            "false < true",
        ],
    );
}

#[test]
fn in_looks_into_lists_and_keys() {
    all_true(
        ROW,
        &[
            "new.status in [\"x\", \"pickup successful\"]",
            "1.0 in [1]",
            "\"a\" in new.tags",
            "\"city\" in new.address",
            "{\"p\": 1} in new.items",
            "!(\"z\" in new.tags)",
            "new.n in [null]",
        ],
    );
    fails(ROW, "1 in new.status", "`in` wants a list or a map");
}

#[test]
fn macros_go_over_lists_and_keys() {
    all(
        ROW,
        &[
            ("new.items.all(i, i.p > 0)", json!(true)),
            ("new.items.exists(i, i.p > 7)", json!(true)),
            ("new.items.exists_one(i, i.p > 7)", json!(true)),
            ("new.items.exists_one(i, i.p > 0)", json!(false)),
            ("new.items.filter(i, i.p > 5)", json!([{"p": 7.5}])),
            ("new.items.map(i, i.p + 1)", json!([2, 8.5])),
            ("new.items.map(i, i.p > 5, i.p * 2)", json!([15])),
            ("new.address.all(k, k.size() > 2)", json!(true)),
            ("new.tags.map(x, new.tags.map(y, x + y))", json!([["aa", "ab"], ["ba", "bb"]])),
            ("[].all(x, false)", json!(true)),
            ("[].exists(x, true)", json!(false)),
        ],
    );
}

#[test]
fn a_decisive_term_wins_over_one_without_a_value() {
    all_true(
        ROW,
        &[
            "true || new.nope > 1",
            "new.nope > 1 || true",
            "1 / 0 > 1 || true",
            "!(false && 1 / 0 > 1)",
            "!(1 / 0 > 1 && false)",
            "!(new.nope && false)",
            "new.items.exists(i, i.nope > 1 || i.p == 1)",
            "[0, 1].exists(i, 1 / i == 1)",
        ],
    );
    all_false(ROW, &["[0, 2].all(i, 1 / i == 1)"]);
    fails(ROW, "1 / 0 > 1 || false", "division by zero");
    fails(ROW, "new.nope > 1 || 1 / 0 > 1", "division by zero");
    fails(ROW, "new.id && true", "a condition is true or false");
    fails(ROW, "new.status ? 1 : 2", "a condition is true or false");
}

#[test]
fn a_choice_evaluates_only_what_it_chooses() {
    all(ROW, &[("new.flag ? 1 : 1 / 0", json!(1)), ("!new.flag ? new.nope : \"no\"", json!("no"))]);
    assert_eq!(value_of("new.flag == true ? {\"a\": [1, \"x\"]} : {}", ROW), Ok(json!({"a": [1, "x"]})));
}

#[test]
fn wrong_types_are_failures() {
    fails(ROW, "new.status.city", "is a string, and has no `city`");
    fails(ROW, "new.id[0]", "is a number, and has no elements");
    fails(ROW, "new.tags[\"a\"]", "a list is indexed by a whole number");
    fails(ROW, "new.tags > 1", "has no order");
    fails(ROW, "!new.id", "true or false");
    fails(ROW, "new.id.startsWith(\"1\")", "a string is wanted");
    fails(ROW, "new.id.all(x, true)", "a list or a map is wanted");
    fails(ROW, "changed(new.address.city + 1)", "cannot compute");
}
