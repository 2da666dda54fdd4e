use serde_json::{Value as Json, json};

use super::{Bindings, Effort, Expression, Scope, body, change, evaluate, fails, value_of};

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
    fails(&row, "new.l.all(a, new.l.all(b, get(new, 'x.y.z', 1) == 1))", "more than 100000 steps");
    let many = json!({ "l": (0..1000).collect::<Vec<_>>(), "m": vec![json!(1); 5000] }).to_string();
    fails(&many, "new.l.all(a, json(new.m) != '')", "more than 1");
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
        "size(new.l.map(x, lower(new.s)))",
        "size(new.l.map(x, json(new.s)))",
        "size(new.l.map(x, json([new.s, new])))",
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

/// Compiles, evaluates and explains on a stack that is smaller than any thread of ours has.
fn within_a_small_stack(text: String) -> Result<Result<Json, String>, String> {
    let work = move || {
        let compiled = Expression::compile(&text, Scope::Change).map_err(|errors| errors[0].message.clone())?;
        let body = body("UPDATE", "{}", "{}");
        let change = change(&body);
        compiled.why_not(&Bindings { change: Some(&change), ..Bindings::default() }, &Effort::default());
        Ok(evaluate(&text, &body))
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread").join().expect("it ends")
}

const STACK: usize = 1536 << 10;

#[test]
fn nesting_and_what_works_on_one_another_are_bounded() {
    let refused = |text: String, part: &str| {
        let error = within_a_small_stack(text.clone()).expect_err(&text);
        assert!(error.contains(part), "{error}");
    };
    let nested = |open: &str, inner: &str, close: &str, levels| open.repeat(levels) + inner + &close.repeat(levels);
    let deeper = "nests deeper than 128";
    refused(nested("(", "true", ")", 129), deeper);
    refused(nested("(", "true", ")", 100_000), deeper);
    refused(nested("[", "1", "]", 100_000), deeper);
    refused(nested("{1: ", "1", "}", 100_000), deeper);
    refused(nested("size(", "'a'", ")", 100_000), deeper);
    refused(nested("new[", "'a'", "]", 100_000), deeper);
    refused(nested("[1].all(x, ", "true", ")", 100_000), deeper);
    refused("true ? 1 : ".repeat(100_000) + "1", deeper);
    let one_another = "work on the result of one another";
    refused(vec!["new.a"; 100_000].join(" + "), one_another);
    refused(format!("new{}", ".a".repeat(100_000)), one_another);
    refused(format!("new.l{} == 1", "[0]".repeat(100_000)), one_another);
    refused(format!("1{}", " in x".repeat(100_000)), one_another);
    refused(format!("{}new.a", "!".repeat(100_000)), one_another);
    refused(vec!["true"; 100_000].join(" && "), "more than 10000 parts");
    refused(format!("[{}]", "1, ".repeat(100_000)), "more than 10000 parts");
    refused(format!("'\\d{}1'", "+1".repeat(1000)), "no escape");
    refused(format!("\"\"\"{}1", "1+".repeat(1000)), "closing quote");
    for fits in [
        nested("(", "true", ")", 127),
        nested("false || true && true == (", "true", ")", 127),
        nested("0 + 1 * (", "0", ")", 127),
        nested("[1].all(x, ", "true", ")", 127),
        "false ? 1 : ".repeat(127) + "1",
        vec!["1"; 500].join(" + "),
        format!("new{} == null", ".a".repeat(500)),
        format!("has(new.l{}.a)", "[0]".repeat(500)),
        format!("{}true", "! ".repeat(500)),
        format!("op in [{}]", vec!["\"INSERT\""; 9000].join(", ")),
        vec!["true"; 5000].join(" && "),
        vec!["new.a == 1"; 2000].join(" || "),
    ] {
        let evaluated = within_a_small_stack(fits.clone()).expect(&fits);
        let absent = |error: &String| error.starts_with("absent");
        assert!(evaluated.as_ref().map_or_else(absent, |_| true), "{fits}: {evaluated:?}");
    }
}
