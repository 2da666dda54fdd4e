//! Expressions and rows: mostly of types that fit, so that most have a value, and small, so that the budget never ends one.

use contracts::hasura::Op;
use proptest::{
    prelude::*,
    sample::select,
    strategy::{BoxedStrategy, Union},
};
use serde_json::{Value as Json, json};

use super::expression::Written;

/// The names of columns: of each the values are of one type mostly.
const COLUMNS: [&str; 8] = ["n", "m", "t", "u", "l", "o", "b", "at"];

pub(super) fn operation() -> impl Strategy<Value = (&'static str, Op)> {
    prop_oneof![
        6 => Just(("UPDATE", Op::Update)),
        1 => Just(("INSERT", Op::Insert)),
        1 => Just(("DELETE", Op::Delete)),
    ]
}

/// A row, in which some columns are null, missing, or of another type.
pub(super) fn row() -> impl Strategy<Value = Json> {
    let exact = |text: &str| serde_json::from_str::<Json>(text).expect("JSON");
    let any = vec![json!(null), json!(1), json!("a"), json!(true), json!([1]), json!({ "k": 1 })];
    let column = move |usual: Vec<Json>| prop_oneof![8 => select(usual).prop_map(Some), 1 => select(any.clone()).prop_map(Some), 1 => Just(None)];
    (
        column(vec![json!(0), json!(1), json!(-7), exact("2.50"), exact("1e2"), exact("9223372036854775807")]),
        column(vec![json!(3), exact("1.0"), exact("-0.1")]),
        column(vec![json!("a"), json!("Abc"), json!("ä"), json!(""), json!("12.50"), json!("7")]),
        column(vec![json!("a"), json!(" b a "), json!("x.y"), json!(null)]),
        column(vec![json!([]), json!([1, exact("2.50"), 3]), json!(["a", "b"]), json!([null, [1]])]),
        column(vec![json!({}), json!({ "k": "a", "n": 1 }), json!({ "k": { "l": [exact("1.50"), { "n": null }] } })]),
        column(vec![json!(true), json!(false)]),
        column(vec![
            json!("2024-05-06T07:08:09Z"),
            json!("2024-05-05T07:08:09.5+02:00"),
            json!("1969-12-31T23:59:59.5Z"),
        ]),
    )
        .prop_map(|(n, m, t, u, l, o, b, at)| {
            let values = [n, m, t, u, l, o, b, at];
            COLUMNS.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
}

/// What can be part of something larger, by its type.
#[derive(Clone)]
struct Parts {
    truth: BoxedStrategy<Written>,
    number: BoxedStrategy<Written>,
    text: BoxedStrategy<Written>,
    list: BoxedStrategy<Written>,
    map: BoxedStrategy<Written>,
    time: BoxedStrategy<Written>,
    span: BoxedStrategy<Written>,
    any: BoxedStrategy<Written>,
}

/// An expression of any type.
pub(super) fn expression() -> impl Strategy<Value = Written> {
    let parts = (0..3).fold(leaves(), |inner, _| larger(&inner));
    prop_oneof![3 => parts.truth, 1 => parts.number, 1 => parts.any]
}

fn literals(texts: &'static [&'static str]) -> BoxedStrategy<Written> {
    select(texts).prop_map(Written::Literal).boxed()
}

fn column(names: &'static [&'static str]) -> BoxedStrategy<Written> {
    let row = select(&["new", "new", "old", "row"][..]);
    (row, select(names)).prop_map(|(row, name)| Written::Member(Box::new(Written::Variable(row)), name)).boxed()
}

fn texts(all: &'static [&'static str]) -> BoxedStrategy<Written> {
    select(all).prop_map(Written::Text).boxed()
}

fn leaves() -> Parts {
    let op = between(&Just(Written::Variable("op")).boxed(), &["==", "!="], &texts(&["INSERT", "UPDATE"]));
    let truth = prop_oneof![2 => literals(&["true", "false"]), 2 => column(&["b"]), 1 => op].boxed();
    let number = prop_oneof![
        literals(&["0", "1", "2", "3", "-7", "1.0", "2.50", "1e2", "0.125", "9223372036854775807"]),
        column(&["n", "m", "n"]),
    ]
    .boxed();
    let text = prop_oneof![texts(&["a", "b", "Abc", "ä", "", "12.50"]), column(&["t", "u"])].boxed();
    let list = column(&["l"]);
    let map = column(&["o"]);
    let time = prop_oneof![
        Just(Written::Variable("received")),
        column(&["at"]).prop_map(|at| Written::Call("timestamp", vec![at])),
    ]
    .boxed();
    let span = texts(&["1h", "90s", "-1.5s", "0s"]).prop_map(|text| Written::Call("duration", vec![text])).boxed();
    let any = Union::new([
        truth.clone(),
        number.clone(),
        text.clone(),
        list.clone(),
        map.clone(),
        column(&COLUMNS),
        literals(&["null"]),
    ])
    .boxed();
    Parts { truth, number, text, list, map, time, span, any }
}

fn between(
    left: &BoxedStrategy<Written>,
    operators: &'static [&'static str],
    right: &BoxedStrategy<Written>,
) -> BoxedStrategy<Written> {
    (left.clone(), select(operators), right.clone())
        .prop_map(|(left, operator, right)| Written::Between(Box::new(left), operator, Box::new(right)))
        .boxed()
}

fn call<const N: usize>(
    names: &'static [&'static str],
    arguments: [&BoxedStrategy<Written>; N],
) -> BoxedStrategy<Written> {
    (select(names), arguments.map(Clone::clone))
        .prop_map(|(name, arguments)| Written::Call(name, arguments.into()))
        .boxed()
}

fn method<const N: usize>(
    names: &'static [&'static str],
    arguments: [&BoxedStrategy<Written>; N],
) -> BoxedStrategy<Written> {
    (select(names), arguments.map(Clone::clone))
        .prop_map(|(name, arguments)| Written::Method(name, arguments.into()))
        .boxed()
}

/// A macro, whose test looks at its variable mostly.
fn go_over(inner: &Parts, names: &'static [&'static str], is_condition: bool) -> BoxedStrategy<Written> {
    let over = prop_oneof![4 => inner.list.clone(), 1 => inner.map.clone()];
    let variable = Just(Written::Variable("x")).boxed();
    let test = match is_condition {
        true => prop_oneof![
            between(&variable, &["==", "!=", "in"], &inner.any),
            between(&variable, &[">", "<="], &inner.number),
            between(&inner.truth, &["&&", "||"], &between(&variable, &["=="], &inner.any)),
        ]
        .boxed(),
        false => {
            prop_oneof![variable.clone(), between(&variable, &["+", "*"], &inner.number), inner.any.clone()].boxed()
        }
    };
    (over, select(names), test)
        .prop_map(|(over, name, test)| Written::Macro(Box::new(over), name, "x", Box::new(test)))
        .boxed()
}

fn larger(inner: &Parts) -> Parts {
    let Parts { truth, number, text, list, map, time, span, any } = inner;
    let choice = |of: &BoxedStrategy<Written>| {
        (truth.clone(), of.clone(), of.clone())
            .prop_map(|(condition, one, other)| Written::Choice(Box::new([condition, one, other])))
            .boxed()
    };
    let name = texts(&COLUMNS);
    let path = texts(&["k", "k.l", "k.l.0", "k.l.1.n", "0", "n", "x.y", "1.0"]);
    let from = prop_oneof![map.clone(), list.clone(), any.clone()].boxed();
    let member =
        (map.clone(), select(&["k", "n", "x"][..])).prop_map(|(of, name)| Written::Member(Box::new(of), name)).boxed();
    let element = (prop_oneof![list.clone(), map.clone()], any.clone())
        .prop_map(|(of, key)| Written::Element(Box::new(of), Box::new(key)))
        .boxed();
    let leaf = column(&COLUMNS);

    let truths = Union::new_weighted(vec![
        (2, truth.clone()),
        (2, truth.clone().prop_map(|of| Written::Not(Box::new(of))).boxed()),
        (5, between(truth, &["&&", "||"], truth)),
        (4, between(number, &["<", "<=", ">", ">=", "==", "!="], number)),
        (3, between(text, &["<", ">", "==", "!="], text)),
        (2, between(any, &["==", "!=", "<", "in", "&&"], any)),
        (2, between(any, &["in"], list)),
        (1, between(text, &["in"], map)),
        (2, between(any, &["==", "!="], &literals(&["null"]))),
        (1, between(&literals(&["null"]), &["==", "!="], any)),
        (2, between(time, &["<", "<=", "==", "!="], time)),
        (2, between(span, &[">", "=="], span)),
        (2, call(&["changed"], [&name])),
        (1, call(&["changedAny"], [&name, &name])),
        (2, call(&["was", "became"], [&name, any])),
        (1, member.clone().prop_map(|member| Written::Call("has", vec![member])).boxed()),
        (1, leaf.clone().prop_map(|member| Written::Call("has", vec![member])).boxed()),
        (2, method(&["contains", "startsWith"], [text, text])),
        (1, call(&["matches"], [text, &texts(&["a", "^[0-9.]+$"])])),
        (2, go_over(inner, &["all", "exists", "exists_one"], true)),
        (1, choice(truth)),
    ])
    .boxed();
    let numbers = Union::new_weighted(vec![
        (3, number.clone()),
        (4, between(number, &["+", "-", "*", "/", "%"], number)),
        (1, number.clone().prop_map(|of| Written::Minus(Box::new(of))).boxed()),
        (2, call(&["size"], [&prop_oneof![text.clone(), list.clone(), map.clone()].boxed()])),
        (2, call(&["num", "int"], [&prop_oneof![text.clone(), number.clone()].boxed()])),
        (1, call(&["int"], [&prop_oneof![time.clone(), span.clone()].boxed()])),
        (1, between(span, &["/"], span)),
        (1, choice(number)),
    ])
    .boxed();
    let all_texts = Union::new_weighted(vec![
        (3, text.clone()),
        (2, between(text, &["+"], text)),
        (2, call(&["lower", "upper"], [text])),
        (1, method(&["trim", "lower"], [text])),
        (1, call(&["json"], [&leaf])),
        (1, choice(text)),
    ])
    .boxed();
    let lists = Union::new_weighted(vec![
        (3, list.clone()),
        (2, prop::collection::vec(any.clone(), 0..3).prop_map(Written::List).boxed()),
        (1, between(list, &["+"], list)),
        (1, method(&["split"], [text, &texts(&[".", "b"])])),
        (1, go_over(inner, &["filter"], true)),
        (1, go_over(inner, &["map"], false)),
    ])
    .boxed();
    let maps = Union::new_weighted(vec![
        (3, map.clone()),
        (1, (any.clone(), any.clone()).prop_map(|(k, n)| Written::Map(vec![("k", k), ("n", n)])).boxed()),
    ])
    .boxed();
    let times = Union::new_weighted(vec![(2, time.clone()), (2, between(time, &["+", "-"], span))]).boxed();
    let spans = Union::new_weighted(vec![
        (2, span.clone()),
        (2, between(time, &["-"], time)),
        (1, between(span, &["+", "-"], span)),
        (1, between(span, &["*", "/"], number)),
        (1, between(number, &["*"], span)),
        (1, span.clone().prop_map(|of| Written::Minus(Box::new(of))).boxed()),
    ])
    .boxed();
    let anything = Union::new_weighted(vec![
        (2, any.clone()),
        (1, truths.clone()),
        (1, numbers.clone()),
        (1, all_texts.clone()),
        (1, lists.clone()),
        (1, maps.clone()),
        (1, times.clone()),
        (1, spans.clone()),
        (2, call(&["coalesce"], [any, any])),
        (2, call(&["get"], [&from, &path, any])),
        (1, member),
        (1, element),
        (1, choice(any)),
    ])
    .boxed();
    Parts {
        truth: truths,
        number: numbers,
        text: all_texts,
        list: lists,
        map: maps,
        time: times,
        span: spans,
        any: anything,
    }
}
