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
    fails(&row, "new.l.all(a, new.l == new.l)", "more than 100000 steps");
    assert_eq!(value_of("new.l.all(a, a >= 0)", &row), Ok(Json::Bool(true)));
}

#[test]
fn texts_cannot_grow_without_limit() {
    fails(&list(1), "new.s.replace(\"x\", new.s)", "longer than");
    fails(&list(1), "new.s.replace(\"\", new.s)", "longer than");
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
    refused(format!("{}new.a", "!".repeat(1000)), "operators");
    refused(format!("{}1", "true ? 1 : ".repeat(300)), "nests deeper");
    refused("true && ".repeat(10_000) + "true", "longer than");
    for fits in [
        format!("{}true{}", "(".repeat(60), ")".repeat(60)),
        vec!["1"; 390].join(" + "),
        format!("new{}", ".a".repeat(390)),
        format!("{}true", "! ".repeat(390)),
        format!("op in [{}]", vec!["\"INSERT\""; 2000].join(", ")),
        vec!["true"; 3000].join(" && "),
    ] {
        assert!(Expression::compile(&fits, Scope::Change).is_ok(), "{}", &fits[..20]);
    }
    assert_eq!(value_of(&vec!["1"; 390].join(" + "), "{}"), Ok(json!(390)));
    assert_eq!(value_of(&format!("{}true", "! ".repeat(390)), "{}"), Ok(Json::Bool(true)));
}
