//! Events that are detected in Hasura's actions, and what their callers are answered.

mod common;

use catalog::{Answer, Catalog, Change, ChangeParts, Occasion};
use common::{catalog, problems};
use serde_json::{Value, json};

const PLACED: &str = "\
from: { action: placeOrder }
when: input.total > 0
data: { total: input.total, by: user }
schema: { properties: { total: { type: number, maximum: 100 } } }
answer: { orderEvent: event.id, correlation: event.correlationId, total: data.total, of: action.name }
otherwise: { message: '\"nothing to order, \" + coalesce(user, \"stranger\")', code: '\"empty\"' }
sample: { total: 7, by: me }
tests:
  - name: placed
    action: { input: { total: 7 }, session: { X-Hasura-User-Id: \"42\" } }
    expect: { total: 7, by: \"42\" }
    answer: { orderEvent: 00000000-0000-0000-0000-000000000000, correlation: test, total: 7, of: placeOrder }
  - name: empty
    action: { input: { total: 0 } }
    expect: none
    answer: { message: \"nothing to order, stranger\", code: empty }
  - name: another
    action: { name: cancelOrder, input: { total: 7 } }
    expect: none
";

fn answer(catalog: &Catalog, name: &str, input: Value) -> Option<Answer> {
    let body = json!({ "action": { "name": name }, "input": input, "session_variables": {}, "request_query": null });
    let parts = ChangeParts { body: &body, source: "default", received: jiff::Timestamp::UNIX_EPOCH };
    let change = Change::of(Occasion::Action, parts).expect("it is no change of a table");
    catalog.answer(&change, &|event| json!({ "id": format!("id of {event}"), "correlationId": "c" }))
}

fn refused(answer: Option<Answer>) -> (String, String) {
    match answer {
        Some(Answer::Refused { code, message }) => (code, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_caller_is_answered_what_the_file_says_or_why_not() {
    let catalog = catalog(&[("events/order.placed.yaml", PLACED)]);
    let event = &catalog.events()[0];
    for test in event.tests() {
        assert_eq!(catalog.test(event, test), Ok(()), "{}", test.name);
    }
    let given = json!({ "orderEvent": "id of order.placed", "correlation": "c", "total": 1.50, "of": "placeOrder" });
    assert_eq!(answer(&catalog, "placeOrder", json!({ "total": 1.50 })), Some(Answer::Given(given)));
    assert_eq!(answer(&catalog, "placeorder", json!({ "total": 1 })), None);
    let told = refused(answer(&catalog, "placeOrder", json!({ "total": 0 })));
    assert_eq!(told, ("empty".to_owned(), "nothing to order, stranger".to_owned()));
    let (code, message) = refused(answer(&catalog, "placeOrder", json!({ "total": 101 })));
    assert_eq!((code.as_str(), message.contains("`total` is 101")), ("invalid-input", true), "{message}");
    let (code, message) = refused(answer(&catalog, "placeOrder", json!({ "total": "many" })));
    assert!(code == "invalid-input" && message.contains("is no number"), "{message}");
}

#[test]
fn without_words_of_its_own_the_ids_are_answered_and_the_first_event_answers() {
    let plain = "from: { action: a }\nwhen: input.x == 1\n";
    let catalog = catalog(&[
        ("events/a.yaml", plain),
        ("events/b.yaml", "from: { action: a }\n"),
        ("events/c.yaml", "from: { action: a }\nanswer: input.none\n"),
        ("events/d.yaml", "from: { action: d, source: shop }\n"),
        ("events/e.yaml", "from: { action: e }\nanswer: input.none\n"),
    ]);
    let given = |event: &str| Some(Answer::Given(json!({ "id": format!("id of {event}"), "correlationId": "c" })));
    assert_eq!(answer(&catalog, "a", json!({ "x": 1 })), given("a"));
    assert_eq!(answer(&catalog, "a", json!({ "x": 2 })), given("b"));
    assert_eq!(answer(&catalog, "d", json!({})), None, "it is for another source");
    assert_eq!(refused(answer(&catalog, "e", json!({}))).0, "answer-failed");
    let only = common::catalog(&[("events/a.yaml", plain)]);
    assert_eq!(refused(answer(&only, "a", json!({ "x": 2 }))), ("not-accepted".into(), "this is not accepted".into()));
    let words = common::catalog(&[("events/a.yaml", &format!("{plain}otherwise: '\"no\"'\n"))]);
    assert_eq!(refused(answer(&words, "a", json!({ "x": 2 }))), ("not-accepted".into(), "no".into()));
}

#[test]
fn an_action_that_is_an_event_can_be_made_up() {
    let catalog = catalog(&[(
        "events/a.yaml",
        "from: { action: a }\nwhen: input.total > 3 && role == \"user\"\ndata: { t: input.total, n: input.note }\nsample: { t: 9, n: x }\n",
    )]);
    let made = catalog.events()[0].likely(jiff::Timestamp::UNIX_EPOCH).expect("it can be made").body;
    assert_eq!((&made["input"], &made["action"]["name"]), (&json!({ "total": 9, "note": "x" }), &json!("a")));
    assert_eq!(made["session_variables"]["x-hasura-role"], "user");
}

#[test]
fn what_is_wrong_is_told() {
    for (text, place, message, help) in [
        ("from: { action: \"\" }\n", (1, 17), "`action` is empty", "write `action: placeOrder`"),
        ("from: { action: a, scheduled: b }\n", (1, 20), "both `action` and `scheduled`", "a second event"),
        ("from: { action: a, trigger: b }\n", (1, 20), "and this is about an action", "leave it out"),
        ("from: { table: a }\nanswer: 1\n", (2, 9), "`answer` is for the caller of an action", "from: { action: … }"),
        ("from: { scheduled: a }\notherwise: \"'x'\"\n", (2, 12), "`otherwise` is for the caller of an action", ""),
        ("from: { action: a }\nwhen: new.x == 1\n", (2, 7), "`new` is not known here", "what came is `input`"),
        (
            "from: { action: a }\nanswer: { id: evnt.id }\n",
            (2, 15),
            "`evnt` is not known here",
            "did you mean `event`?",
        ),
        (
            "from: { action: a }\nanswer: { id: event.correlationid }\n",
            (2, 21),
            "`event` has no `correlationid`",
            "correlationId",
        ),
        (
            "from: { action: a }\notherwise: { mesage: \"'x'\" }\n",
            (2, 14),
            "the key `mesage`",
            "did you mean `message`?",
        ),
        ("from: { action: a }\notherwise: [x]\n", (2, 12), "`otherwise` is a list", ""),
        (
            "from: { scheduled: a }\ntests: [{ name: x, scheduled: {}, expect: none, answer: 1 }]\n",
            (2, 49),
            "`answer` goes with `action`",
            "leave it out",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}{found:#?}");
        let problem = &found[0];
        assert!(problem.message.contains(message), "{text}{problem:#?}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{text}{problem:#?}");
        assert_eq!((problem.place.line, problem.place.column), place, "{text}{problem:#?}");
    }
}
