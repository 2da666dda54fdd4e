use proptest::prelude::*;

use super::{
    super::{
        error::Span,
        node::{Kind, Node},
        parse::parse,
    },
    Scope,
};

/// Every node lies within the one around it, and is no higher than that.
fn check(node: &Node, around: Span, source: &str) {
    let Span { start, end } = node.span;
    assert!(around.start <= start && start < end && end <= around.end, "{:?} of {around:?} in {source}", node.span);
    assert!(source.get(start as usize..end as usize).is_some(), "{:?} in {source}", node.span);
    for child in node.children() {
        assert!(child.height < node.height, "{source}");
        check(child, node.span, source);
    }
}

fn parse_any(source: &str) {
    match parse(source, Scope::Change) {
        Ok(root) => check(&root, Span { start: 0, end: source.len() as u32 }, source),
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| source.is_char_boundary(error.offset)), "{source}: {errors:?}");
        }
    }
}

/// Texts that mean something, mostly.
fn expression() -> impl Strategy<Value = String> {
    const LEAVES: &[&str] =
        &["new.a", "old.b.c", "1", "-2.5e3", r"'ä\n'", "b'x'", "null", "table.name", "[]", "{ }", "x", "op"];
    const SIGNS: &[&str] = &["+", "&&", "||", "==", "in", " / ", "<"];
    prop::sample::select(LEAVES).prop_map(str::to_owned).prop_recursive(6, 40, 3, |inner| {
        let pair = (inner.clone(), prop::sample::select(SIGNS), inner.clone());
        prop_oneof![
            pair.prop_map(|(left, sign, right)| format!("{left} {sign} {right}")),
            inner.clone().prop_map(|inner| format!("({inner}) // ü\n")),
            inner.clone().prop_map(|inner| format!("!-{inner}.size()")),
            inner.clone().prop_map(|inner| format!("{inner}.map(x, has({inner}.`a b`))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {{{a}: {b}, }}][{b}]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("(({a}) ? {b} : coalesce({a}, {b}))")),
        ]
    })
}

proptest! {
    #[test]
    fn every_part_has_its_place_in_the_text(source in expression()) {
        parse_any(&source);
    }

    #[test]
    fn any_text_is_read_or_has_a_mistake_in_it(source in r#"\PC{0,30}|[a-z0-9.'"\\(){}\[\]?:,&|!= \n-]{0,40}"#) {
        parse_any(&source);
    }
}

/// An expression with all the brackets that its reading implies.
fn grouped(node: &Node, source: &str) -> String {
    let parts: Vec<String> = node.children().into_iter().map(|child| grouped(child, source)).collect();
    match &node.kind {
        Kind::And(_) => format!("({})", parts.join(" && ")),
        Kind::Or(_) => format!("({})", parts.join(" || ")),
        Kind::Not(_) => format!("!{}", parts[0]),
        Kind::Negate(_) => format!("-{}", parts[0]),
        Kind::If(_) => format!("({} ? {} : {})", parts[0], parts[1], parts[2]),
        Kind::Equal { .. } => format!("({} == {})", parts[0], parts[1]),
        Kind::In(_) => format!("({} in {})", parts[0], parts[1]),
        Kind::Compare(..) => format!("({} < {})", parts[0], parts[1]),
        Kind::Arithmetic(operator, _) => format!("({} {operator:?} {})", parts[0], parts[1]),
        Kind::Index(_) => format!("{}[{}]", parts[0], parts[1]),
        Kind::Select(_, field) => format!("{}.{field}", parts[0]),
        _ => node.span.of(source).to_owned(),
    }
}

#[test]
fn operators_bind_as_cel_has_them() {
    for (source, expected) in [
        ("1 + 2 * 3 - 4", "((1 Add (2 Multiply 3)) Subtract 4)"),
        ("1 * 2 + 3 * 4", "((1 Multiply 2) Add (3 Multiply 4))"),
        ("8 / 4 / 2 % 3", "(((8 Divide 4) Divide 2) Remainder 3)"),
        ("1 - (2 - 3)", "(1 Subtract (2 Subtract 3))"),
        ("1 < 2 == true", "((1 < 2) == true)"),
        ("1 == 2 in [3]", "((1 == 2) in [3])"),
        ("1 + 1 in [2] && true", "(((1 Add 1) in [2]) && true)"),
        ("true || false && true || false", "(true || (false && true) || false)"),
        ("true && false || true && false && true", "((true && false) || (true && false && true))"),
        ("true && (false && (true && false))", "(true && false && true && false)"),
        ("(true || false) && true", "((true || false) && true)"),
        ("!true == false", "(!true == false)"),
        ("- new.a.b[0] * -2", "(-new.a.b[0] Multiply -2)"),
        ("!!true", "!!true"),
        ("- -1", "--1"),
        ("true ? 1 : false ? 2 : 3", "(true ? 1 : (false ? 2 : 3))"),
        ("true || false ? 1 + 1 : 2", "((true || false) ? (1 Add 1) : 2)"),
        (".new.a[.1 < 2]", "new.a[(.1 < 2)]"),
    ] {
        let root = parse(source, Scope::Change).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
        assert_eq!(grouped(&root, source), expected, "{source}");
    }
}

#[test]
fn an_expression_that_cannot_be_read_says_what_should_stand_where() {
    for (source, at, message) in [
        ("", 0, "the expression is empty"),
        ("// only a comment", 0, "the expression is empty"),
        ("new.a ==", 8, "the expression ends too early, where a value should be"),
        ("new.", 4, "the expression ends too early, where a name should be"),
        ("new.a[1", 7, "the expression ends too early, where an operator or `]` should be"),
        ("size(new.a", 10, "the expression ends too early, where an operator, `,` or `)` should be"),
        ("new.a == * 2", 9, "unexpected `*` where a value should be"),
        ("(1 2)", 3, "unexpected `2` where an operator or `)` should be"),
        ("[1, 2 3]", 6, "unexpected `3` where an operator, `,` or `]` should be"),
        ("{'a' 1}", 5, "unexpected `1` where an operator or `:` should be"),
        ("coalesce(1, )", 12, "unexpected `)` where a value should be"),
        ("true ? 1, 2", 8, "unexpected `,` where `:` should be"),
        ("true ? true ? 1 : 2 : 3", 12, "unexpected `?` where `:` should be"),
        ("1 +* 2)", 3, "unexpected `*` where a value should be"),
        ("1)", 1, "unexpected `)` where an operator or the end should be"),
        ("new.in", 4, "unexpected `in` where a name should be"),
        ("`a` == 1", 0, "a name in backticks stands behind a dot"),
        ("1.5u", 0, "`1.5u` is no number that can be read"),
        ("0x", 0, "`0x` is no number that can be read"),
        ("12ab", 0, "`12ab` is no number that can be read"),
        (r"'a\n\ud800'", 4, "the text has an escape that stands for no letter"),
        ("new.a ?? 1", 6, "`??` is no operator"),
        ("new.l.exists(1, true)", 6, "`exists` is not called like this"),
        ("new.l.exists(x, true, true)", 6, "`exists` is not called like this"),
        ("has(new['a'])", 0, "`has` is not called like this"),
    ] {
        let errors = parse(source, Scope::Change).expect_err(source);
        assert_eq!((errors[0].offset, errors[0].message.as_str()), (at, message), "{source}");
    }
}
