//! A case for each kind of change, with what the Registry's rules say of it, and where ours are the more exact.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// What is found, as `place KIND`, in any order.
fn found(writer: &Value, reader: &Value) -> BTreeSet<String> {
    let changes = compare(writer, reader).expect("not too much");
    changes.iter().map(|change| format!("{} {}", change.place, change.kind)).collect()
}

fn schema(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `writer => reader: place KIND, place KIND`, a line each. Single quotes stand for double ones.
const CASES: &str = include_str!("cases.txt");

#[test]
fn every_kind_of_change_is_found_in_its_place() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (schemas, expected) = line.split_once(" : ").unwrap_or_else(|| panic!("no ` : ` in {line}"));
        let (writer, reader) = schemas.split_once(" => ").unwrap_or_else(|| panic!("no ` => ` in {line}"));
        let [writer, reader] = [writer, reader].map(|text| schema(&text.replace('\'', "\"")));
        let expected: BTreeSet<String> = expected
            .split(", ")
            .map(str::trim)
            .filter(|text| !text.is_empty() && *text != "same")
            .map(str::to_owned)
            .collect();
        let found = found(&writer, &reader);
        seen.extend(found.iter().filter_map(|change| change.split(' ').nth(1).map(str::to_owned)));
        if found != expected {
            wrong.push(format!("{line}\n    found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let untried: Vec<String> = Kind::ALL.iter().map(Kind::to_string).filter(|kind| !seen.contains(kind)).collect();
    assert!(untried.is_empty(), "no case for {untried:?}");
}

#[test]
fn a_schema_that_contains_itself_is_compared_once() {
    let tree = |value: Value| {
        json!({
            "type": "object",
            "properties": { "value": value, "children": { "type": "array", "items": { "$ref": "#" } } },
        })
    };
    assert!(found(&tree(json!({ "type": "string" })), &tree(json!({ "type": "string" }))).is_empty());
    let narrowed = found(&tree(json!({ "type": "number" })), &tree(json!({ "type": "integer" })));
    assert_eq!(narrowed.into_iter().collect::<Vec<_>>(), ["#/properties/value/type TYPE_NARROWED"]);
    let circle =
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } });
    assert!(found(&circle, &circle).is_empty());
}

#[test]
fn references_lead_within_their_own_document() {
    let of = |length: u64| {
        json!({
            "properties": { "to": { "$ref": "#/$defs/address" }, "back": { "$ref": "#back" } },
            "additionalProperties": false,
            "$defs": { "address": { "type": "string", "maxLength": length }, "other": { "$anchor": "back", "type": "string" } },
        })
    };
    let found = found(&of(10), &of(9));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["#/properties/to/maxLength MAX_LENGTH_DECREASED"]);
}

#[test]
fn what_grows_quickly_ends_with_an_error() {
    let mut forms = json!({ "type": "string" });
    for _ in 0..12 {
        forms = json!({ "anyOf": [forms.clone(), { "type": "array", "items": forms.clone() }, { "not": forms }] });
    }
    assert_eq!(compare(&forms, &forms), Err(TooMuch::Pairs));
    let mut deep = json!({ "type": "string" });
    for _ in 0..200 {
        deep = json!({ "type": "array", "items": deep });
    }
    assert_eq!(compare(&deep, &deep), Err(TooMuch::Depth));
}

#[test]
fn names_and_sentences_are_there() {
    assert_eq!(Kind::MaxLengthAdded.to_string(), "MAX_LENGTH_ADDED");
    assert!(Kind::ALL.iter().all(|kind| kind.text().starts_with("the ") || kind.text().starts_with("forms ")));
    let change = &compare(&json!({ "maxLength": 5 }), &json!({ "maxLength": 3 })).expect("not too much")[0];
    let json = serde_json::to_value(change).expect("JSON");
    assert_eq!(json, json!({ "place": "#/maxLength", "kind": "MAX_LENGTH_DECREASED", "writer": "5", "reader": "3" }));
}

/// Values of few shapes, so that many meet a schema.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2..9_i64).prop_map(Value::from),
        (0..9_i64).prop_map(|half| json!(half as f64 / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Some of these keywords.
fn some(of: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let pick = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        prop::option::weighted(0.4, value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let all: Vec<_> = of.into_iter().map(pick).collect();
    all.prop_map(|pairs| Value::Object(pairs.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

/// Schemas without `oneOf` and `default`, of which the Registry allows what a validator would not.
fn a_schema() -> impl Strategy<Value = Value> {
    let number = || (0..4_i64).prop_map(Value::from).boxed();
    let types =
        || prop::sample::subsequence(vec!["string", "number", "integer", "boolean", "null", "object", "array"], 1..3);
    let of_type = move || {
        let some_types = types().prop_map(|types| if types.len() == 1 { json!(types[0]) } else { json!(types) });
        prop::option::weighted(0.7, some_types)
    };
    let with_type = move |rest: BoxedStrategy<Value>| {
        (of_type(), rest).prop_map(|(of, mut rest)| {
            if let (Some(of), Some(rest)) = (of, rest.as_object_mut()) {
                rest.insert("type".into(), of);
            }
            rest
        })
    };
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        with_type(some(vec![
            ("minLength", number()),
            ("maxLength", number()),
            ("pattern", prop::sample::select(vec!["^a", "b$"]).prop_map(Value::from).boxed()),
            ("minimum", number()),
            ("exclusiveMaximum", number()),
            ("multipleOf", (1..4_i64).prop_map(|half| json!(half as f64 / 2.0)).boxed()),
            ("enum", prop::collection::vec(value(), 1..4).prop_map(Value::from).boxed()),
        ])),
    ];
    leaf.prop_recursive(3, 24, 3, move |inner| {
        let names = || prop::sample::subsequence(vec!["a", "b"], 0..3).prop_map(|names| json!(names));
        let forms = || prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from).boxed();
        let named = || {
            prop::collection::btree_map("[ab]", inner.clone(), 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        };
        with_type(some(vec![
            ("properties", named().boxed()),
            ("required", names().boxed()),
            ("additionalProperties", inner.clone().boxed()),
            ("patternProperties", inner.clone().prop_map(|schema| json!({ "^b": schema })).boxed()),
            ("maxProperties", number()),
            ("prefixItems", forms()),
            ("items", inner.clone().boxed()),
            ("minItems", number()),
            ("contains", inner.clone().boxed()),
            ("minContains", number()),
            ("anyOf", forms()),
            ("allOf", forms()),
            ("not", inner.clone().boxed()),
        ]))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn who_may_read_by_the_rules_takes_whatever_was_written(
        writer in a_schema(),
        reader in a_schema(),
        // Two that are unrelated seldom fit, so most of the time a part is exchanged.
        edit in prop::option::weighted(0.8, (any::<prop::sample::Index>(), any::<bool>())),
        values in prop::collection::vec(value(), 32),
    ) {
        let reader = match (&writer, &reader, edit) {
            (Value::Object(writer), _, Some((edit, true))) if !writer.is_empty() => {
                let mut edited = writer.clone();
                let name = writer.keys().nth(edit.index(writer.len())).expect("one of them");
                edited.remove(name);
                Value::Object(edited)
            }
            (Value::Object(writer), Value::Object(other), Some((edit, _))) if !other.is_empty() => {
                let mut edited = writer.clone();
                let (name, value) = other.iter().nth(edit.index(other.len())).expect("one of them");
                edited.insert(name.clone(), value.clone());
                Value::Object(edited)
            }
            _ => reader,
        };
        prop_assert!(compare(&writer, &writer).is_ok_and(|found| found.is_empty()), "it differs from itself");
        let Ok(found) = compare(&writer, &reader) else { return Ok(()) };
        if found.iter().any(Change::breaks) {
            return Ok(());
        }
        let takes = |schema: &Value, value: &Value| jsonschema::is_valid(schema, value);
        for value in values.iter().filter(|value| takes(&writer, value)) {
            prop_assert!(takes(&reader, value), "{value} is refused, after {found:?}");
        }
    }
}
