//! Events that are detected in what scheduled triggers send.

mod common;

use catalog::{Catalog, Change, ChangeParts, Occasion, Rule, Verdict};
use common::{catalog, problems, problems_of};
use serde_json::{Value, json};

const NIGHTLY: &str = "\
from: { scheduled: nightly, source: shop }
when: payload.kind == \"full\"
data: { kind: payload.kind, due: scheduled_time, of: name, why: comment }
key: payload.kind
sample: { kind: full, due: \"2026-01-01T00:00:00Z\", of: nightly, why: ~ }
tests:
  - name: full
    scheduled: { payload: { kind: full }, scheduled_time: 2026-01-02T03:04:05Z, id: 7, created_at: 2026-01-01 }
    expect: { kind: full, due: 2026-01-02T03:04:05Z, of: nightly, why: ~ }
  - name: of another kind
    scheduled: { payload: { kind: partial } }
    expect: none
  - name: of another trigger
    scheduled: { name: hourly, payload: { kind: full } }
    expect: none
  - name: a scheduled event without a name
    scheduled: { comment: nightly, payload: { kind: full }, received: 2026-01-02T03:04:05Z }
    expect: { kind: full, due: \"2000-01-01T00:00:00Z\", of: ~, why: nightly }
";

fn body(rest: Value) -> Value {
    let mut body = json!({ "id": "s1", "scheduled_time": "2026-01-01T00:00:00Z", "payload": { "kind": "full" } });
    body.as_object_mut().expect("a map").extend(rest.as_object().expect("a map").clone());
    body
}

fn asked<T>(body: &Value, source: &str, ask: impl FnOnce(&Change<'_>) -> T) -> T {
    let parts = ChangeParts { body, source, received: jiff::Timestamp::UNIX_EPOCH };
    ask(&Change::of(Occasion::Scheduled, parts).expect("it is none of a table"))
}

fn detected(catalog: &Catalog, body: &Value, source: &str) -> Vec<String> {
    asked(body, source, |change| {
        let found = catalog.candidates(change).filter(|it| matches!(it.evaluate(change), Verdict::Detected { .. }));
        found.map(|event| event.name().to_string()).collect()
    })
}

#[test]
fn an_event_is_detected_by_the_triggers_name_or_else_the_comment() {
    let catalog = catalog(&[
        ("events/a.yaml", NIGHTLY),
        ("events/b.yaml", "from: { scheduled: nightly }\n"),
        ("events/c.yaml", "from: { table: \"*\" }\n"),
        ("events/d.yaml", "description: by name\n"),
    ]);
    let found = |rest: Value, source: &str| detected(&catalog, &body(rest), source).join(" ");
    assert_eq!(found(json!({ "name": "nightly" }), "shop"), "a b");
    assert_eq!(found(json!({ "name": "nightly" }), "default"), "b");
    assert_eq!(found(json!({ "name": "nightly", "payload": null }), "shop"), "b");
    assert_eq!(found(json!({ "comment": "nightly" }), "shop"), "a b");
    assert_eq!(found(json!({ "name": "", "comment": "nightly" }), "shop"), "a b");
    for none in [json!({}), json!({ "name": "hourly", "comment": "nightly" }), json!({ "name": ["nightly"] })] {
        assert_eq!(found(none, "shop"), "");
    }
    let a = catalog.event(&"a".parse().expect("a name")).expect("it is there");
    for test in a.tests() {
        assert_eq!(catalog.test(a, test), Ok(()), "{}", test.name);
    }
    let of = |rest: Value| asked(&body(rest), "shop", |change| a.evaluate(change));
    let Verdict::Detected { data, key } = of(json!({ "name": "nightly" })) else { panic!("it is detected") };
    let told = json!({ "kind": "full", "due": "2026-01-01T00:00:00Z", "of": "nightly", "why": null });
    assert_eq!((data, key.as_deref()), (told, Some("full")));
}

#[test]
fn without_data_an_event_carries_the_payload() {
    let catalog = catalog(&[("events/b.yaml", "from: { scheduled: nightly }\nkey: [name, payload.none]\n")]);
    let event = &catalog.events()[0];
    for payload in [json!({ "a": [1.50, null] }), json!(null), json!(7)] {
        let body = body(json!({ "name": "nightly", "payload": payload }));
        let verdict = asked(&body, "default", |change| event.evaluate(change));
        let Verdict::Failed { error, .. } = &verdict else { panic!("{verdict:?}") };
        assert!(error.contains("payload"), "{error}");
    }
    let event = common::catalog(&[(
        "events/b.yaml",
        "from: { scheduled: nightly }\nkey: [comment, \"coalesce(payload.none, null)\"]\n",
    )]);
    let body = body(json!({ "name": "nightly", "payload": { "a": 1 } }));
    let verdict = asked(&body, "default", |change| event.events()[0].evaluate(change));
    assert_eq!(verdict, Verdict::Detected { data: json!({ "a": 1 }), key: None }, "a key of nothing is none");
}

#[test]
fn what_is_not_detected_is_explained() {
    let of = |files: &[(&str, &str)], rest: Value| {
        let catalog = catalog(files);
        asked(&body(rest), "default", |change| catalog.why_not(change))
    };
    let files = [("events/a.yaml", NIGHTLY), ("events/c.yaml", "from: { table: \"*\" }\n")];
    let nothing = |rest: Value| of(&files, rest).nothing.unwrap_or_default();
    assert_eq!(
        nothing(json!({ "name": "nihgtly" })),
        "no event is about the scheduled trigger nihgtly; closest: nightly"
    );
    assert_eq!(
        nothing(json!({ "name": "weekly" })),
        "no event is about the scheduled trigger weekly; the catalog is about nightly"
    );
    assert!(nothing(json!({})).contains("with neither a name nor a comment"));
    let told = "no event is about the scheduled trigger nightly of the source default; a wants the source shop";
    assert_eq!(nothing(json!({ "name": "nightly" })), told);
    let told =
        "no event is about the scheduled trigger nightly: the catalog has no event that is about a scheduled trigger";
    assert_eq!(of(&files[1..], json!({ "name": "nightly" })).nothing.as_deref(), Some(told));
    let anywhere = NIGHTLY.replace(", source: shop", "");
    let why = of(&[("events/a.yaml", &anywhere)], json!({ "name": "nightly", "payload": { "kind": "partial" } }));
    assert_eq!(why.nothing, None);
    assert_eq!(why.events[0].because, "payload.kind == \"full\" is false (payload.kind = \"partial\")");
}

#[test]
fn what_would_be_sent_is_made_of_the_sample_and_the_condition() {
    let of = |text: &str| {
        let catalog = catalog(&[("events/a.yaml", text)]);
        let now = "2026-05-06T07:08:09.5Z".parse().expect("a time");
        catalog.events()[0].likely(now).expect("it can be made").body
    };
    let plain = of("from: { scheduled: nightly }\nsample: { a: 1 }\n");
    assert_eq!(plain["payload"], json!({ "a": 1 }));
    assert_eq!((&plain["name"], &plain["scheduled_time"]), (&json!("nightly"), &json!("2026-05-06T07:08:09Z")));
    let made = of(
        "from: { scheduled: nightly }\nwhen: payload.kind == \"full\" && payload.size > 3\ndata: { s: payload.size, d: scheduled_time }\nsample: { s: 9, d: x }\n",
    );
    assert_eq!(made["payload"], json!({ "kind": "full", "size": 9 }));
    assert_eq!(of(NIGHTLY)["scheduled_time"], "2026-01-02T03:04:05Z", "as its test has it");
}

#[test]
fn what_is_wrong_is_told_without_rows() {
    for (text, place, message, help) in [
        ("from: { scheduled: \"\" }\n", (1, 20), "`scheduled` is empty", "write `scheduled: nightly-report`"),
        ("from: { scheduled: ~ }\n", (1, 20), "`scheduled` is empty", "write `scheduled: nightly-report`"),
        ("from: { scheduled: [a] }\n", (1, 20), "`scheduled` is a list", "nightly-report"),
        ("from: { scheduled: a, table: b }\n", (1, 23), "both `scheduled` and `table`", "a second event"),
        ("from: { scheduled: a, operations: insert }\n", (1, 23), "`operations` goes with `table`", "leave it out"),
        ("from: { scheduled: a, trigger: t }\n", (1, 23), "`trigger` goes with `table`", "leave it out"),
        ("from: { scheduled: a }\nwhen: new.kind == 1\n", (2, 7), "`new` is not known here", "what came is `payload`"),
        (
            "from: { scheduled: a }\nwhen: changed(\"kind\")\n",
            (2, 7),
            "no function `changed`",
            "what came is `payload`",
        ),
        ("from: { scheduled: a }\nwhen: false\n", (2, 7), "the condition can never hold", ""),
        (
            "from: { scheduled: a }\nwhen: [payload.a == 1]\n",
            (2, 7),
            "`when` is a list",
            "`when: payload.a == 1 && payload.b == 2`",
        ),
        ("from: { scheduled: a }\nkey: payload\n", (2, 6), "is no single value", "`key: payload.id`"),
        ("from: { scheduled: a }\nkey: []\n", (2, 6), "`key` is a list", ""),
        ("from: { scheduled: a }\nwhen: payload.a == 1 && payload.a == 2\n", (2, 7), "can never hold", ""),
        (
            "from: { scheduled: a }\ndata: { a: status }\n",
            (2, 12),
            "`status` is not known here",
            "known here are `payload`",
        ),
        (
            "from: { scheduled: a }\ntests: [{ name: x, change: { op: insert }, expect: none }]\n",
            (2, 20),
            "not detected in a `change`",
            "write `scheduled:`",
        ),
        (
            "from: { table: a }\ntests: [{ name: x, scheduled: {}, expect: none }]\n",
            (2, 20),
            "not detected in a `scheduled`",
            "write `change:`",
        ),
        ("from: { scheduled: a }\ntests: [{ name: x, expect: none }]\n", (2, 9), "the test has no `scheduled`", ""),
        (
            "from: { scheduled: a }\ntests: [{ name: x, scheduled: { pyload: 1 }, expect: none }]\n",
            (2, 33),
            "the key `pyload` is unknown",
            "did you mean `payload`?",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}{found:#?}");
        let problem = &found[0];
        assert!(problem.message.contains(message), "{text}{problem:#?}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{text}{problem:#?}");
        assert_eq!((problem.place.line, problem.place.column), place, "{text}{problem:#?}");
        assert!(!problem.help.as_deref().unwrap_or_default().contains("`new"), "{text}{problem:#?}");
    }
}

#[test]
fn two_events_of_one_trigger_and_condition_are_told_and_samples_are_held_against_schemas() {
    let one = "from: { scheduled: a }\nwhen: payload.x == 1\n";
    let found = problems_of(&[("events/a.yaml", one), ("events/b.yaml", one)]);
    assert_eq!(found.iter().map(|problem| problem.rule).collect::<Vec<_>>(), [Rule::Twin], "{found:#?}");
    let other = "from: { scheduled: b }\nwhen: payload.x == 1\n";
    assert_eq!(problems_of(&[("events/a.yaml", one), ("events/b.yaml", other)]), []);
    let catalog =
        common::compile(&[("events/a.yaml", "from: { scheduled: a }\nschema: { required: [x] }\nsample: { y: 1 }\n")]);
    assert!(catalog.report.problems.iter().any(|problem| problem.rule == Rule::Sample), "{}", catalog.report);
}
