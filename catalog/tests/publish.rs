//! The kind `publish`: its data and key are expressions, what it publishes is there, and nothing goes in circles unasked.

mod common;

use catalog::{JobContext, Severity};
use common::{catalog, problems_of};
use contracts::names::GroupName;
use serde_json::{Value, json};

const FROM: &str = "from: { table: moves }\ndata: { id: new.id, total: new.total }\n";

/// An event that publishes another, as those options say.
fn publishing(options: &str) -> String {
    format!("{FROM}jobs:\n  - id: announce\n    publish: {options}\n")
}

fn found(files: &[(&str, &str)]) -> Vec<(String, Option<String>, usize, usize)> {
    let found = problems_of(files).into_iter();
    found.map(|it| (it.message, it.help, it.place.line, it.place.column)).collect()
}

fn filled(options: &str) -> Result<Value, String> {
    let event = publishing(options);
    let catalog = catalog(&[("events/a.yaml", &event), ("events/b.yaml", "sample: {}\n")]);
    let group = GroupName::of_inline(&"a".parse().expect("a name"), &"announce".parse().expect("a name"));
    let job = catalog.job(&group).expect("a job");
    assert_eq!(job.published().map(ToString::to_string).as_deref(), Some("b"));
    let (data, event) = (json!({ "id": 7, "total": "12.50" }), json!({ "correlationId": "c" }));
    job.options().render(&JobContext { data: &data, event: &event, payload: None }).map_err(|error| error.to_string())
}

#[test]
fn data_and_key_are_expressions_over_the_event() {
    assert_eq!(filled("b"), Ok(json!("b")));
    assert_eq!(filled("{ event: b }"), Ok(json!({ "event": "b" })));
    let options = "\n      event: b\n      data: { order: data.id, of: [event.correlationId, \"'text'\"], none: null }\n      key: [data.id, data.total]";
    let expected =
        json!({ "event": "b", "data": { "order": 7, "of": ["c", "text"], "none": null }, "key": [7, "12.50"] });
    assert_eq!(filled(options), Ok(expected));
    assert_eq!(filled("{ event: b, data: data, key: data.id }").map(|it| it["data"]["id"].clone()), Ok(json!(7)));
}

#[test]
fn what_is_wrong_in_them_is_told_at_its_place() {
    let b = ("events/b.yaml", "sample: {}\n");
    for (options, column, message, help) in [
        ("{ event: b, data: { order: dat.id } }", 41, "`dat` is not known here", "did you mean `data`?"),
        ("{ event: b, data: { order: data.idd } }", 46, "the data of a have no `idd`", "did you mean `id`?"),
        ("{ event: b, key: event.idd }", 37, "`event` has no `idd`", "did you mean `id`?"),
        ("{ event: b, data: { order: new.id } }", 41, "`new` is not known here", "`data`, `event`"),
    ] {
        let event = publishing(options);
        let found = found(&[("events/a.yaml", &event), b]);
        let [(said, advice, line, at)] = &found[..] else { panic!("{options}: {found:#?}") };
        assert!(said.contains(message), "{options}: {said}");
        assert!(advice.as_deref().unwrap_or_default().contains(help), "{options}: {advice:?}");
        assert_eq!((*line, *at), (5, column), "{options}");
    }
}

#[test]
fn an_event_that_is_not_there_is_an_error_and_one_with_an_error_is_there() {
    let event = publishing("{ event: order.payd }");
    let files = [("events/a.yaml", event.as_str()), ("events/order.paid.yaml", "sample: {}\n")];
    let expected = ("there is no event `order.payd`".to_owned(), Some("did you mean `order.paid`?".to_owned()), 5, 23);
    assert_eq!(found(&files), [expected]);
    let event = publishing("order.paid");
    let broken = [("events/a.yaml", event.as_str()), ("events/order.paid.yaml", "whn: true\n")];
    assert_eq!(found(&broken).len(), 1);
}

#[test]
fn a_circle_is_refused_with_its_chain_unless_one_of_its_jobs_may_repeat() {
    let to = |event: &str, may: &str| {
        format!("sample: {{}}\njobs:\n  - id: to-{event}\n    publish: {{ event: {event}{may} }}\n")
    };
    let (a, b, c) = (to("b", ""), to("c", ""), to("a", ""));
    let files = [("events/a.yaml", a.as_str()), ("events/b.yaml", b.as_str()), ("events/c.yaml", c.as_str())];
    let circle = &found(&files)[..];
    let [(message, help, 4, 23)] = circle else { panic!("{circle:#?}") };
    assert_eq!(message, "what is published goes in a circle: a → to-b → b → to-c → c → to-a → a");
    assert!(help.as_deref().unwrap_or_default().contains("`mayRepeat: true`"), "{help:?}");
    assert!(problems_of(&files).iter().all(|problem| problem.severity == Severity::Error));
    let may = to("a", ", mayRepeat: true");
    assert_eq!(found(&[files[0], files[1], ("events/c.yaml", &may)]), []);
    let own = to("a", "");
    assert_eq!(found(&[("events/a.yaml", &own)])[0].0, "what is published goes in a circle: a → to-a → a");
    // Two events that publish the same are no circle.
    let (one, other) = (to("c", ""), to("c", ""));
    assert_eq!(found(&[("events/a.yaml", &one), ("events/b.yaml", &other), ("events/c.yaml", "sample: {}\n")]), []);
}

#[test]
fn a_shared_definition_goes_in_a_circle_by_each_event_that_lists_it() {
    let files = [
        ("events/a.yaml", "sample: {}\njobs: [announce]\n"),
        ("events/b.yaml", "sample: {}\njobs: [announce]\n"),
        ("jobs/announce.yaml", "publish: b\n"),
    ];
    assert_eq!(found(&files)[0].0, "what is published goes in a circle: b → announce → b");
}
