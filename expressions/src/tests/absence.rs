use serde_json::json;

use super::{absent, all_false, all_true, body, evaluate, value_of};

const ROW: &str = r#"{"price": null, "name": "x", "address": null, "tags": [1]}"#;

#[test]
fn null_equals_only_null() {
    all_true(
        ROW,
        &[
            "new.price == null",
            "new.name != null",
            "null == null",
            "new.price != 1",
            "1 != new.price",
            "new.price == new.address",
        ],
    );
    all_false(
        ROW,
        &["new.price == 1", "1 == new.price", "new.price == \"\"", "new.price != null", "new.price in [1, 2]"],
    );
}

#[test]
fn a_missing_column_is_null_beside_a_written_null_and_absent_elsewhere() {
    all_true(
        ROW,
        &["new.nope == null", "null == new.nope", "!(new.nope != null)", "!has(new.nope)", "new.address.city == null"],
    );
    absent(ROW, "new.nope == 1", "new.nope is missing");
    absent(ROW, "1 != new.nope", "new.nope is missing");
    absent(ROW, "new.nope", "new.nope is missing");
    absent(ROW, "new.tags[5] == 1", "new.tags[5] is missing");
    absent(ROW, "session[\"x-nope\"] == \"a\"", "session[\"x-nope\"] is missing");
}

#[test]
fn an_operation_on_null_is_absent() {
    absent(ROW, "new.price > 5", "new.price is null");
    absent(ROW, "5 < new.price", "new.price is null");
    absent(ROW, "new.price + 1", "new.price is null");
    absent(ROW, "-new.price", "new.price is null");
    absent(ROW, "new.address.city == \"Berlin\"", "new.address is null");
    absent(ROW, "new.price.startsWith(\"a\")", "new.price is null");
    absent(ROW, "new.name.contains(new.price)", "new.price is null");
    absent(ROW, "size(new.price)", "new.price is null");
    absent(ROW, "1 in new.price", "new.price is null");
    absent(ROW, "new.price ? 1 : 2", "new.price is null");
    absent(ROW, "new.price && true", "new.price is null");
    absent(ROW, "new.price.all(x, true)", "new.price is null");
    absent(ROW, "[new.nope]", "new.nope is missing");
    absent(ROW, "int(new.price)", "new.price is null");
    absent(ROW, "(new.price + 1) * 2 > 3", "new.price is null");
}

#[test]
fn rows_that_are_not_there_have_no_columns() {
    let insert = body("INSERT", "null", r#"{"a": 1}"#);
    assert_eq!(evaluate("old.a == 1", &insert), Err("absent: old is null".into()));
    assert_eq!(evaluate("has(old.a)", &insert), Ok(json!(false)));
    assert_eq!(evaluate("old.a == null", &insert), Ok(json!(true)));
    let manual = body("MANUAL", "null", "[1, 2]");
    assert_eq!(evaluate("new.a == 1", &manual), Err("absent: new.a is missing".into()));
    assert_eq!(evaluate("changed(\"a\")", &manual), Ok(json!(false)));
    assert_eq!(evaluate("new[0]", &manual), Ok(json!(1)));
}

#[test]
fn coalesce_takes_the_first_that_is_there() {
    assert_eq!(value_of("coalesce(new.nope, new.price, new.name)", ROW), Ok(json!("x")));
    assert_eq!(value_of("coalesce(new.price + 1, 0)", ROW), Ok(json!(0)));
    assert_eq!(value_of("coalesce(new.nope)", ROW), Ok(json!(null)));
    assert!(value_of("coalesce(1 / 0, 1)", ROW).is_err());
}

#[test]
fn a_session_that_is_null_is_empty() {
    let mut insert = body("INSERT", "null", "{}");
    insert["event"]["session_variables"] = json!(null);
    assert_eq!(evaluate("size(session)", &insert), Ok(json!(0)));
    assert_eq!(evaluate("user == null && role == null", &insert), Ok(json!(true)));
    insert["event"]["session_variables"] = json!({"x-hasura-role": "admin"});
    assert_eq!(evaluate("user", &insert), Ok(json!("system")));
    insert["event"]["session_variables"] = json!({"x-hasura-role": "admin", "x-hasura-user-email": "a@b"});
    assert_eq!(evaluate("user", &insert), Ok(json!("a@b")));
}
