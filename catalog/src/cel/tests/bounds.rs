use serde_json::{Value as Json, json};

use super::{Expression, Scope, fails, value_of};

fn list(count: usize) -> String {
    json!({ "l": (0..count).collect::<Vec<_>>(), "s": "x".repeat(100_000) }).to_string()
}

#[test]
fn an_evaluation_ends_when_its_steps_are_spent() {
    let row = list(1000);
    fails(&row, "new.l.all(a, new.l.all(b, new.l.all(c, a + b + c >= 0)))", "more than 100000 steps");
    fails(&row, "new.l.map(a, new.l.map(b, new.l))", "more than 100000 steps");
    fails(&row, "new.l.all(a, new.s.contains(\"y\") || true)", "more than 100000 steps");
    fails(&row, "new.l.all(a, a in new.l)", "more than 100000 steps");
    // Comparing is paid for by what is compared, however it is nested.
    let long = (0..30_000).map(|n| json!([[n]])).collect::<Vec<_>>();
    let deep =
        json!({ "l": (0..1000).collect::<Vec<_>>(), "d": { "a": long.clone() }, "e": { "a": long } }).to_string();
    for compared in
        ["new.d == new.e", "changed(\"d\") || new.d == new.e", "new.d in [new.e]", "[{'k': new.d}] == [{'k': new.e}]"]
    {
        assert_eq!(value_of(compared, &deep), Ok(Json::Bool(true)), "{compared}");
    }
    fails(&deep, "new.l.all(a, new.d == new.e)", "more than 100000 steps");
    assert_eq!(value_of("new.l.all(a, a >= 0)", &row), Ok(Json::Bool(true)));
}

#[test]
fn texts_cannot_grow_without_limit() {
    for growing in [
        "new.s.replace(\"x\", new.s)",
        "new.s.replace(\"\", new.s)",
        "size(new.l.map(x, new.s + new.s))",
        "size(new.l.map(x, new.s.upperAscii()).map(x, new.s.split(\"\")))",
        "new.l.map(x, new.s).join(new.s)",
        "size(new.l.map(x, string(bytes(new.s))))",
        "size(new.l.map(x, new.s.substring(1)))",
    ] {
        fails(&list(200), growing, "more than 1");
    }
}

#[test]
fn what_is_only_passed_on_is_bounded_too() {
    let row = list(100);
    for large in ["new.l.map(x, new.s)", "new.l.map(x, {\"item\": x, \"order\": new})", "new.l.map(x, [new])"] {
        fails(&row, large, "with this it would have more than 4194304 bytes");
    }
    assert!(value_of("new.l.map(x, new.s).filter(x, x == \"\")", &row).is_ok());
}

#[test]
fn a_pattern_that_was_computed_is_compiled_once_and_paid_for() {
    let row = |pattern: &str| {
        let contacts = vec!["someone@elsewhere.example"; 2000];
        json!({ "c": contacts, "p": pattern, "l": (0..300).collect::<Vec<_>>() }).to_string()
    };
    let mail = row(r"^[\w.-]{1,64}@[\w.-]{1,255}$");
    fails(&mail, "new.c.exists(c, c.matches(new.p))", "the pattern is too large");
    let small = row("^[a-z]+$");
    assert_eq!(value_of("new.c.exists(c, c.matches(new.p))", &small), Ok(json!(false)));
    fails(&small, "new.l.exists(l, 'a'.matches(string(l)))", "more than 100000 steps");
    let literal = "new.c.all(c, c.matches(r'^[\\w.-]{1,64}@[\\w.-]{1,255}$'))";
    assert_eq!(value_of(literal, &small), Ok(json!(true)));
}

#[test]
fn a_map_has_each_key_once() {
    fails("{}", "{\"a\": 1, \"a\": 2}.a", "the map has this key already");
    fails("{}", "{1: 1, 1.0: 2}", "the map has this key already");
    fails("{}", "{[1]: 1}", "the key of a map is a scalar");
}

#[test]
fn an_expression_may_only_be_so_deep_and_so_long() {
    let refused = |text: String, part: &str| {
        let errors = Expression::compile(&text, Scope::Change).expect_err("it is refused");
        assert!(errors[0].message.contains(part), "{errors:?}");
    };
    refused(format!("{}true{}", "(".repeat(1000), ")".repeat(1000)), "nests deeper");
    refused(format!("{}1{}", "[".repeat(100), "]".repeat(100)), "nests deeper");
    refused(vec!["new.a"; 1000].join(" + "), "operators");
    refused(format!("new{}", ".a".repeat(1000)), "operators");
    refused(format!("new{} == 1", ".a1".repeat(1000)), "operators");
    refused(format!("new.l{} == 1", "[0]".repeat(1000)), "operators");
    refused(format!("1{}", " in x".repeat(1000)), "operators");
    refused(format!("new.`a//b` == 1 || {}1 == 1", "1+".repeat(1000)), "operators");
    refused(format!("new.a == 'a//b' || {}1 == 1", "1+".repeat(1000)), "operators");
    refused(format!("rb\"\\\" == b || {}1 == 1 // \"", "1+".repeat(1000)), "operators");
    refused(format!("'\\d{}1'", "+1".repeat(1000)), "no escape");
    refused(format!("\"\"\"{}1", "1+".repeat(1000)), "closing quote");
    refused(format!("{}new.a", "!".repeat(1000)), "operators");
    refused(format!("{}1", "true ? 1 : ".repeat(300)), "nests deeper");
    refused("true && ".repeat(10_000) + "true", "longer than");
    for fits in [
        format!("{}true{}", "(".repeat(60), ")".repeat(60)),
        vec!["1"; 390].join(" + "),
        format!("new{}", ".a".repeat(390)),
        format!("new.l{} == 1", "[0]".repeat(390)),
        format!("1{}", " in new.l".repeat(190)),
        format!("new.a == 1{}", " || new.a == 1".repeat(190)),
        format!("{}true", "! ".repeat(390)),
        format!("op in [{}]", vec!["\"INSERT\""; 2000].join(", ")),
        vec!["true"; 3000].join(" && "),
    ] {
        assert!(Expression::compile(&fits, Scope::Change).is_ok(), "{}", &fits[..20]);
    }
    assert_eq!(value_of(&vec!["1"; 390].join(" + "), "{}"), Ok(json!(390)));
    assert_eq!(value_of(&format!("{}true", "! ".repeat(390)), "{}"), Ok(Json::Bool(true)));
}
