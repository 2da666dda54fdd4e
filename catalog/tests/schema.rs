//! The schema of an event's data: what is said of one that is none, and what is held against it.

mod common;

use catalog::{Catalog, Event, Outcome, Problem, Rule, Severity, Stage, Verdict};
use common::{catalog, change, compile};
use serde_json::{Value, json};

const FROM: &str = "from: { table: orders }\ndata: { orderId: new.id, total: new.total }\n";

fn found(text: &str) -> Vec<Problem> {
    let mut problems = compile(&[("events/a.yaml", text)]).report.problems;
    problems.retain(|problem| !problem.message.contains("has no sample"));
    problems
}

/// What is said of a schema: where, what, and what to write.
#[track_caller]
fn says(schema: &str, severity: Severity, place: (usize, usize), message: &str, help: &str) {
    let found = found(&format!("{FROM}schema: {schema}\n"));
    assert_eq!(found.len(), 1, "{found:#?}");
    let problem = &found[0];
    assert_eq!(
        (problem.severity, problem.place.line, problem.place.column),
        (severity, place.0, place.1),
        "{problem:#?}"
    );
    assert!(problem.message.contains(message), "{problem:#?}");
    assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{problem:#?}");
}

#[test]
fn what_is_no_schema_is_an_error_at_its_place() {
    let error = |schema: &str, place, message, help| says(schema, Severity::Error, place, message, help);
    error("{ type: objekt }", (3, 17), "\"objekt\" is no type of JSON Schema", "`object`");
    error("{ type: money }", (3, 17), "\"money\" is no type", "the types are array, boolean");
    error("\n  properties:\n    orderId: integer", (5, 14), "`properties.orderId` is a text", "{ type: integer }");
    error(
        "{ properties: { orderId: { type: integer, required: true } } }",
        (3, 61),
        "`properties.orderId.required` is true, and a list is wanted",
        "beside `properties`",
    );
    error("{ minLength: many }", (3, 22), "`minLength` is a text, and a whole number is wanted", "");
    error(
        "{ properties: { orderId: { items: [{}] } } }",
        (3, 43),
        "true or false or an object is wanted",
        "prefixItems",
    );
    error("{ properties: { orderId: { pattern: \"(a\" } } }", (3, 45), "the pattern cannot be used", "linear time");
    error(
        "{ properties: { orderId: { pattern: \"^(?=a)b\" } } }",
        (3, 45),
        "the pattern cannot be used",
        "look-around",
    );
    let doubled = |level: u32| {
        format!("a{level}: {{ allOf: [{{ $ref: \"#/$defs/a{0}\" }}, {{ $ref: \"#/$defs/a{0}\" }}] }}", level + 1)
    };
    let defs: Vec<String> = (0..40).map(doubled).collect();
    let doubled = format!("{{ $ref: \"#/$defs/a0\", $defs: {{ {}, a40: {{}} }} }}", defs.join(", "));
    error(&doubled, (3, 9), "more than 100000 parts", "");
    error("{ $ref: other.json }", (3, 17), "`other.json` leads out of this file", "$defs");
    error("{ properties: { a: { $ref: \"https://example.com/a\" } } }", (3, 36), "leads out of this file", "$defs");
    error("{ $ref: \"#/$defs/nope\" }", (3, 17), "`#/$defs/nope` leads to nothing", "$defs");
    error("{ $schema: \"https://example.com/my\" }", (3, 9), "no draft of JSON Schema", "2020-12");
    error("5", (3, 9), "`schema` is a single value", "");
}

#[test]
fn what_every_event_would_be_refused_for_is_an_error() {
    let error = |schema: &str, place, message, help| says(schema, Severity::Error, place, message, help);
    error("{ required: [orderId, totl] }", (3, 31), "requires `totl`, which the data never have", "`total`");
    let closed = "{ properties: { orderId: {}, totl: {} }, additionalProperties: false }";
    error(closed, (3, 72), "the data have `total`, which the schema does not allow", "`totl`");
    assert_eq!(found(&format!("{FROM}schema: {{ required: [orderId], properties: {{ more: {{}} }} }}\n")), []);
    assert_eq!(found("schema: { required: [whatever] }\n"), [], "of what is published by name nobody knows");
}

#[test]
fn a_keyword_that_nobody_knows_and_is_nearly_one_is_a_warning() {
    let warning = |schema: &str, place, message, help| says(schema, Severity::Warning, place, message, help);
    warning("{ requried: [orderId] }", (3, 11), "`requried` is no keyword", "`required`");
    warning("{ properties: { orderId: { nullable: true } } }", (3, 36), "no `nullable`", "\"null\"");
    for fine in [
        "{ properties: { requried: { type: string } } }",
        "{ $defs: { a: { type: string } }, properties: { orderId: { $ref: \"#/$defs/a\" } } }",
        "{ x-owner: me, title: An order, examples: [{ requried: 1 }], unit: EUR }",
        "{ $schema: \"http://json-schema.org/draft-07/schema#\", definitions: { a: {} } }",
        "{ $id: \"https://example.com/order\", $ref: \"https://example.com/order#/$defs/a\", $defs: { a: { type: object } } }",
        "true",
        "moves::Requested",
    ] {
        assert_eq!(found(&format!("{FROM}schema: {fine}\n")), [], "{fine}");
    }
}

const SCHEMA: &str = "schema:\n  type: object\n  required: [orderId]\n  properties: { orderId: { type: integer }, total: { minimum: 0 } }\n";

#[test]
fn a_sample_that_its_schema_refuses_is_told_with_every_reason() {
    let text = format!("{FROM}{SCHEMA}sample: {{ orderId: seven, total: -1 }}\n");
    let found = found(&text);
    let told: Vec<_> =
        found.iter().map(|problem| (problem.place.line, problem.place.column, &*problem.message)).collect();
    assert_eq!(
        told,
        [
            (7, 20, "the schema refuses the sample: `orderId` is a text, and a whole number is wanted"),
            (7, 34, "the schema refuses the sample: `total` is -1, which is below 0"),
        ]
    );
    assert!(found.iter().all(|problem| (problem.rule, problem.severity) == (Rule::Sample, Severity::Warning)));
    let Outcome { catalog, mut report } = compile(&[("events/a.yaml", &text)]);
    report.promote(Rule::Sample);
    assert!(catalog.is_some() && report.has_errors(), "`dev` goes on, and `check` does not");
}

#[test]
fn a_test_that_its_schema_refuses_is_told_where_it_expects() {
    let test = |expect: &str| {
        let change = "{ op: insert, new: { id: 7, total: \"12\" } }";
        format!("tests:\n  - name: x\n    change: {change}\n    expect: {expect}\n")
    };
    let schema = "schema: { properties: { total: { type: number } } }\nsample: { orderId: 7 }\n";
    let of = |expect: &str| found(&format!("{FROM}{schema}{}", test(expect)));
    let told = of("{ orderId: 7, total: x }");
    assert!(told.len() == 1 && told[0].message.contains("what the test expects: `total` is a text"), "{told:#?}");
    assert_eq!((told[0].place.line, told[0].place.column), (8, 34));
    for expect in ["detected", "{ orderId: 7, total: 12 }"] {
        let told = of(expect);
        assert!(told.len() == 1 && told[0].message.contains("come of this change: `total` is a text"), "{told:#?}");
        assert_eq!((told[0].rule, told[0].place.line, told[0].place.column), (Rule::Sample, 8, 13));
    }
    assert_eq!(of("failed"), []);
}

fn one(schema: &Value) -> Catalog {
    catalog(&[("events/a.yaml", &format!("from: {{ table: t }}\ndata: new\nschema: {schema}\nsample: {{}}\n"))])
}

fn event(catalog: &Catalog) -> &Event {
    &catalog.events()[0]
}

/// Why a row is refused, if it is.
fn refused(schema: &Value, new: &Value) -> Option<String> {
    let catalog = one(schema);
    let body = json!({ "table": { "name": "t" }, "event": { "op": "INSERT", "data": { "old": null, "new": new } } });
    match event(&catalog).evaluate(&change(&body, "default")) {
        Verdict::Detected { .. } => None,
        Verdict::Failed { stage: Stage::Schema, error } => Some(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_that_the_schema_refuses_fail_with_what_and_where() {
    let line = json!({ "type": "object", "required": ["sku"] });
    for (schema, new, told) in [
        (json!({ "required": ["id"] }), json!({}), "`id` is missing"),
        (
            json!({ "properties": { "lines": { "items": line } } }),
            json!({ "lines": [{ "sku": 1 }, {}] }),
            "`lines[1].sku` is missing",
        ),
        (
            json!({ "properties": { "a b": { "type": ["string", "null"] } } }),
            json!({ "a b": 1.5 }),
            "`[\"a b\"]` is 1.5, and null or a text is wanted",
        ),
        (
            json!({ "properties": { "n": { "type": "integer" } } }),
            json!({ "n": 1.5 }),
            "`n` is 1.5, and a whole number is wanted",
        ),
        (
            json!({ "additionalProperties": false }),
            json!({ "x": 1 }),
            "the data have members, and the schema allows none",
        ),
        (
            json!({ "properties": { "y": {} }, "additionalProperties": false }),
            json!({ "x": 1 }),
            "`x` is not in the schema, which allows nothing else",
        ),
        (
            json!({ "properties": { "s": { "enum": ["paid", "open"] } } }),
            json!({ "s": "payd" }),
            "`s` is \"payd\", which is none of \"paid\", \"open\"",
        ),
        (json!({ "properties": { "s": { "const": 1 } } }), json!({ "s": 2 }), "`s` is 2, and only 1 is allowed"),
        (
            json!({ "properties": { "s": { "maxLength": 2 } } }),
            json!({ "s": "äöü" }),
            "`s` has 3 characters, and at most 2 are allowed",
        ),
        (
            json!({ "properties": { "s": { "pattern": "^[A-Z]+$" } } }),
            json!({ "s": "a" }),
            "`s` is \"a\", which does not match `^[A-Z]+$`",
        ),
        (
            json!({ "properties": { "s": { "format": "date-time" } } }),
            json!({ "s": "2026-03-02T09:41:07" }),
            "`s` is \"2026-03-02T09:41:07\", which is no `date-time`: it has a zone",
        ),
        (json!({ "properties": { "l": { "uniqueItems": true } } }), json!({ "l": [1, 1.0] }), "`l` has an item twice"),
        (
            json!({ "properties": { "l": { "minItems": 1 } } }),
            json!({ "l": [] }),
            "`l` has 0 items, and at least 1 are wanted",
        ),
        (json!({ "type": "array" }), json!({ "x": 1 }), "the data are an object, and a list is wanted"),
        (
            json!({ "properties": { "of": { "anyOf": [{ "type": "null" }, line] } } }),
            json!({ "of": {} }),
            "`of` is none of what `anyOf` allows; the nearest: `of.sku` is missing",
        ),
        (json!(false), json!({}), "the data are not allowed"),
    ] {
        let error = refused(&schema, &new).unwrap_or_else(|| panic!("{schema} takes {new}"));
        assert!(error.starts_with(told), "{schema}: {error}");
    }
    assert_eq!(refused(&json!({ "properties": { "n": { "format": "whatever" } } }), &json!({ "n": "x" })), None);
}

#[test]
fn numbers_are_compared_with_all_their_digits() {
    let at_most = |limit: &str| -> Value {
        serde_json::from_str(&format!("{{\"properties\":{{\"n\":{{\"maximum\":{limit}}}}}}}")).expect("JSON")
    };
    let n = |digits: &str| -> Value { serde_json::from_str(&format!("{{\"n\":{digits}}}")).expect("JSON") };
    assert!(refused(&at_most("9007199254740992"), &n("9007199254740993")).is_some());
    assert_eq!(refused(&at_most("9007199254740993"), &n("9007199254740993")), None);
    assert!(refused(&at_most("0.1"), &n("0.1000000000000000000001")).is_some());
    let cents = json!({ "properties": { "n": { "multipleOf": 0.01 } } });
    assert_eq!(refused(&cents, &n("19.99")), None);
    assert!(refused(&cents, &n("19.999")).is_some());
    let whole = json!({ "properties": { "n": { "type": "integer" } } });
    assert_eq!(refused(&whole, &n("1.0")), None);
}

#[test]
fn what_is_told_is_short_whatever_was_sent() {
    let text = "x".repeat(100_000);
    let keys: Value =
        (0..10_000).map(|index| (format!("{index}{text:.50}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    for (schema, new) in [
        (json!({ "properties": { "s": { "enum": [1] } } }), json!({ "s": text })),
        (json!({ "properties": { "s": { "pattern": text } } }), json!({ "s": "y" })),
        (json!({ "additionalProperties": false }), keys.clone()),
        (json!({ "propertyNames": { "maxLength": 1 } }), keys),
        (json!({ "additionalProperties": { "type": "null" } }), json!({ text.clone(): 1 })),
        (
            json!({ "properties": { "s": { "anyOf": [{ "const": text }, { "enum": [text] }] } } }),
            json!({ "s": text[1..] }),
        ),
    ] {
        let error = refused(&schema, &new).expect("refused");
        assert!(error.len() < 1000, "{}: {error:.2000}", error.len());
    }
}

#[test]
fn a_schema_that_contains_itself_takes_no_longer_the_deeper_the_data_nest() {
    let node = json!({ "$ref": "#/$defs/node" });
    for any in ["anyOf", "oneOf"] {
        // Each level fits neither form, and either looks at all that is below.
        let forms = json!([{ "properties": { "a": node }, "required": ["a"] }, { "properties": { "a": node }, "required": ["a", "b"] }]);
        let schema = json!({ "$ref": "#/$defs/node", "$defs": { "node": { any: forms } } });
        let nested = |levels| (0..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        let told = format!("the data are none of what `{any}` allows; the nearest: `a.a.a.a.a` is missing");
        assert_eq!(refused(&schema, &nested(4)), Some(told));
        let error = refused(&schema, &nested(100)).expect("refused");
        assert!(error.contains("too deeply"), "{error}");
    }
}
