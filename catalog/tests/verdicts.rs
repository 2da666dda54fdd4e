//! Selectors, verdicts, keys, templates, and detectors written in Rust.

mod common;

use catalog::{Change, Detection, Event, JobContext, Operation, Reason, Selector, Stage, Table, Template, Verdict};
use common::{catalog, change};
use serde_json::{Value, json};

fn body(table: &str, op: &str, old: Value, new: Value) -> Value {
    json!({ "table": { "schema": "public", "name": table }, "trigger": { "name": "t" }, "event": { "op": op, "data": { "old": old, "new": new } } })
}

fn verdict(file: &str, body: &Value) -> Verdict {
    let catalog = catalog(&[("events/a.yaml", file)]);
    let event = &catalog.events()[0];
    let verdict = event.evaluate(&change(body, "default"));
    // What was not read decides nothing.
    let (partly, _) = catalog.parse(body.to_string().as_bytes(), "default").expect("JSON");
    assert_eq!(event.evaluate(&change(&partly, "default")), verdict);
    assert_eq!(event.why_not(&change(&partly, "default")), event.why_not(&change(body, "default")));
    verdict
}

#[test]
fn data_that_nobody_could_read_again_fails() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let file = "from: { table: moves }\ndata: { a: { b: new.x } }\n";
    let at = |levels| verdict(file, &body("moves", "INSERT", json!(null), json!({ "x": nested(levels) })));
    assert!(matches!(at(122), Verdict::Detected { .. }));
    let catalog = catalog(&[("events/a.yaml", "from: { table: moves }\ndata: { a: { b: [[[[[new.x]]]]] } }\n")]);
    let deep = body("moves", "INSERT", json!(null), json!({ "x": nested(122) }));
    let found = catalog.events()[0].evaluate(&change(&deep, "default"));
    assert!(
        matches!(&found, Verdict::Failed { stage: Stage::Data, error } if error.contains("128 levels")),
        "{found:?}"
    );
}

#[test]
fn without_data_an_event_carries_the_change() {
    let body = body("moves", "INSERT", json!(null), json!({"id": 1}));
    let expected = json!({"op": "INSERT", "old": null, "new": {"id": 1}});
    assert_eq!(verdict("from: { table: moves }\n", &body), Verdict::Detected { data: expected, key: None });
}

#[test]
fn a_manual_invocation_matches_only_where_it_is_listed() {
    let body = body("moves", "MANUAL", json!(null), json!({"id": 1}));
    assert!(matches!(verdict("from: { table: moves }\n", &body), Verdict::NotDetected(Reason::Selector(_))));
    assert!(matches!(verdict("from: { table: moves, operations: [manual] }\n", &body), Verdict::Detected { .. }));
}

#[test]
fn absent_is_not_detected_and_a_wrong_type_is_a_failure() {
    let body = body("moves", "INSERT", json!(null), json!({"id": 1, "price": null, "name": "x"}));
    let when = |when: &str| verdict(&format!("from: {{ table: moves }}\nwhen: |\n  {when}\n"), &body);
    assert_eq!(when("new.price > 5"), Verdict::NotDetected(Reason::Absent));
    assert_eq!(when("new.id > 5"), Verdict::NotDetected(Reason::False));
    assert!(matches!(when("new.name > 5"), Verdict::Failed { stage: Stage::When, .. }));
    assert!(matches!(when("new.id"), Verdict::Failed { stage: Stage::When, .. }));
}

#[test]
fn data_that_cannot_be_made_is_a_failure_that_names_the_leaf() {
    let body = body("moves", "INSERT", json!(null), json!({"id": 1, "note": null}));
    let data = |data: &str| verdict(&format!("from: {{ table: moves }}\ndata: {data}\n"), &body);
    assert_eq!(
        data("{ a: { b: new.nope } }"),
        Verdict::Failed { stage: Stage::Data, error: "a: b: new.nope is missing".into() }
    );
    let detected = |data| Verdict::Detected { data, key: None };
    assert_eq!(
        data("{ a: new.note, b: [new.id, 2], c: , d: \"'text'\" }"),
        detected(json!({"a": null, "b": [1, 2], "c": null, "d": "text"}))
    );
    assert_eq!(data("new"), detected(json!({"id": 1, "note": null})));
}

#[test]
fn a_key_is_canonical_text_of_its_parts() {
    let body: Value = serde_json::from_str(
        r#"{"table": {"name": "moves"}, "event": {"op": "INSERT", "data": {"old": null, "new": {"id": 1.31070e4, "city": "Berlin"}}}}"#,
    )
    .expect("JSON");
    let key =
        |key: &str| match verdict(&format!("from: {{ table: moves }}\ndata: {{ id: new.id }}\nkey: {key}\n"), &body) {
            Verdict::Detected { key, .. } => key,
            other => panic!("{other:?}"),
        };
    assert_eq!(key("new.id").as_deref(), Some("13107"));
    assert_eq!(key("[new.city, data.id, data.id + 1]").as_deref(), Some("Berlin|13107|13108"));
    let missing = verdict("from: { table: moves }\nkey: new.nope\n", &body);
    assert_eq!(missing, Verdict::Failed { stage: Stage::Key, error: "new.nope is missing".into() });
}

#[test]
fn candidates_come_by_table_and_operation_in_the_order_of_names() {
    let mut files: Vec<(String, String)> = (0..200)
        .map(|index| (format!("events/other-{index}.yaml"), format!("from: {{ table: table{index} }}\n")))
        .collect();
    for (name, from) in [
        ("b", "table: moves, operations: [update]"),
        ("a", "table: [moves, orders]"),
        ("c", "table: \"*\", operations: [update]"),
        ("d", "table: sales.moves"),
        ("e", "table: moves, source: berlin"),
        ("f", "table: moves, trigger: other"),
    ] {
        files.push((format!("events/{name}.yaml"), format!("from: {{ {from} }}\n")));
    }
    files.push(("events/named.yaml".into(), "description: by name\n".into()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let catalog = catalog(&files);
    let names = |source: &str, schema: &str, table: &str, operation: Operation| {
        let mut body = body(table, operation.as_str(), json!({}), json!({}));
        body["table"]["schema"] = schema.into();
        let change = change(&body, source);
        catalog.candidates(&change).map(|event| event.name().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("default", "public", "moves", Operation::Update), "a b c f");
    assert_eq!(names("berlin", "public", "moves", Operation::Insert), "a e f");
    assert_eq!(names("default", "sales", "moves", Operation::Delete), "d");
    assert_eq!(names("default", "public", "orders", Operation::Update), "a c");
    assert_eq!(names("default", "x", "y", Operation::Manual), "");
    let update = body("moves", "UPDATE", json!({}), json!({}));
    let named = catalog.event(&"named".parse().expect("a name")).expect("it is there");
    assert_eq!(named.evaluate(&change(&update, "default")), Verdict::NotDetected(Reason::NamedOnly));
    let other_trigger = catalog.event(&"f".parse().expect("a name")).expect("it is there");
    assert_eq!(
        other_trigger.why_not(&change(&update, "default")),
        "the change comes from the trigger t, not from other"
    );
}

#[test]
fn a_function_detects_with_the_same_index_and_explanations() {
    let selector = Selector::table(Table::parse("moves").expect("a table"));
    let detector = |change: &Change<'_>| match change.new_row().get("id").and_then(Value::as_i64) {
        Some(id) if id > 5 => Detection::Detected(json!({ "id": id })),
        Some(_) => Detection::NotDetected("the id is small".into()),
        None => Detection::Failed("there is no id".into()),
    };
    let event = Event::detected_by("rust.one".parse().expect("a name"), selector, detector);
    let catalog =
        catalog(&[("events/a.yaml", "from: { table: moves }\n")]).with_event(event.clone()).expect("it is new");
    assert!(catalog.clone().with_event(event).is_err());
    let inserted = body("moves", "INSERT", json!(null), json!({}));
    let names: Vec<String> =
        catalog.candidates(&change(&inserted, "s")).map(|event| event.name().to_string()).collect();
    assert_eq!(names, ["a", "rust.one"]);
    let event = catalog.event(&"rust.one".parse().expect("a name")).expect("it is there");
    let (large, small, none) = (json!({"id": 7}), json!({"id": 1}), json!({}));
    let body = |row: &Value| body("moves", "INSERT", json!(null), row.clone());
    assert_eq!(event.evaluate(&change(&body(&large), "s")), Verdict::Detected { data: large, key: None });
    assert_eq!(event.evaluate(&change(&body(&small), "s")), Verdict::NotDetected(Reason::False));
    assert_eq!(event.why_not(&change(&body(&small), "s")), "the id is small");
    assert!(matches!(event.evaluate(&change(&body(&none), "s")), Verdict::Failed { .. }));
}

#[test]
fn templates_give_typed_values_or_text() {
    let (data, event) = (json!({"id": 7, "name": "x", "none": null, "list": [1]}), json!({"name": "a.b", "depth": 0}));
    let render = |text: &str| {
        let template = Template::compile(text).expect(text);
        template.render(&JobContext { data: &data, event: &event, payload: None }).map_err(|error| error.message)
    };
    assert_eq!(render("${data.id}"), Ok(json!(7)));
    assert_eq!(render("${data.list}"), Ok(json!([1])));
    assert_eq!(render("${ {\"a\": data.id} }"), Ok(json!({"a": 7})));
    assert_eq!(render("/moves/${data.id}?e=${event.name}"), Ok(json!("/moves/7?e=a.b")));
    assert_eq!(render("${\"}\" + data.name}!"), Ok(json!("}x!")));
    assert_eq!(render("no holes $5 {x}"), Ok(json!("no holes $5 {x}")));
    assert_eq!(render("$${data.id} ${data.id}"), Ok(json!("${data.id} 7")));
    assert_eq!(render("${data.none}"), Ok(json!(null)));
    assert!(render("a${data.none}").is_err_and(|message| message.contains("coalesce")));
    assert!(render("a${data.list}").is_err_and(|message| message.contains("write json(data.list)")));
    let whole = r#"a.b: {"id":7,"list":[1],"name":"x","none":null}, null, "x""#;
    assert_eq!(render("${event.name}: ${json(data)}, ${json(data.none)}, ${json(data.name)}"), Ok(json!(whole)));
    assert_eq!(render("${data.nope}"), Err("data.nope is missing".into()));
    assert!(Template::compile("${data.id").is_err());
    assert_eq!(Template::compile("ab ${foo(1)}").expect_err("unknown")[0].offset, 5);
}

#[test]
fn a_body_without_what_selects_an_event_is_no_change() {
    let parts = |body: &Value| {
        Change::new(catalog::ChangeParts { body, source: "s", received: jiff::Timestamp::UNIX_EPOCH }).map(|_| ())
    };
    assert!(parts(&json!({"table": {"name": "a"}, "event": {"op": "INSERT", "data": {}}})).is_ok());
    assert!(parts(&json!({"table": {"name": ""}, "event": {"op": "INSERT", "data": {}}})).is_err());
    assert!(parts(&json!({"table": {"name": "a"}, "event": {"op": "insert", "data": {}}})).is_err());
    assert!(parts(&json!({"table": {"name": "a"}, "event": {"op": "INSERT", "data": null}})).is_err());
    let odd = json!({"table": {"name": "a", "schema": null}, "trigger": 5, "event": {"op": "INSERT", "data": {"new": 5}, "session_variables": "x"}});
    let change = change(&odd, "s");
    assert_eq!((change.schema(), change.trigger(), change.user()), ("public", None, None));
}

#[test]
fn a_test_expects_jobs_with_the_options_that_matter_filled_in() {
    let event = |expected: &str| {
        format!(
            "from: {{ table: orders }}\ndata: {{ id: new.id }}\nsample: {{ id: 1 }}\njobs:\n  - id: note\n    log: {{ message: \"{}\", \
             data: \"${{data}}\" }}\ntests:\n  - name: x\n    change: {{ op: insert, new: {{ id: 7 }}, session: {{ x-hasura-user-id: eve }} }}\n    \
             expect: detected\n    jobs: [{expected}]\n",
            "${event.name} of ${event.subject} by ${event.userId}"
        )
    };
    let ran = |expected: &str| {
        let catalog = catalog(&[("events/order.made.yaml", &event(expected))]);
        let event = &catalog.events()[0];
        catalog.test(event, &event.tests()[0])
    };
    assert_eq!(ran("note"), Ok(()));
    assert_eq!(ran("{ note: { message: order.made of default|public.orders|7 by eve } }"), Ok(()));
    assert_eq!(ran("{ note: { data: { id: 7.0 } } }"), Ok(()));
    let differs = ran("{ note: { data: { id: 8 } } }").expect_err("it is 7");
    assert_eq!(differs, "the job `note`: expected data.id 8, filled in 7");
    let absent = ran("{ note: { mesage: x } }").expect_err("there is no such option");
    assert_eq!(absent, "the job `note`: expected mesage \"x\", filled in null");
}
