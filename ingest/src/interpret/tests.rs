use contracts::hasura::Op;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

const TIME: &str = "2026-01-02T03:04:05.678901Z";

struct Case<'a> {
    config: Config,
    headers: &'a [(&'static str, &'a str)],
    body: Value,
}

impl Case<'_> {
    fn run(&self) -> Interpreted {
        let headers: HeaderMap = self
            .headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        let body = self.body.to_string();
        let received = TIME.parse().expect("a time");
        let given = Given { source: "default", headers: &headers, body: body.as_bytes(), received };
        interpret(&self.config.compile().expect("settings"), &given).expect("a body that is taken")
    }
}

fn change(op: Op, old: Value, new: Value) -> Value {
    json!({ "id": "e1", "table": { "schema": "public", "name": "moves" },
            "event": { "op": op, "data": { "old": old, "new": new } } })
}

fn run(headers: &[(&'static str, &str)], body: Value) -> Interpreted {
    Case { config: Config::default(), headers, body }.run()
}

/// The correlation, the depth, and what is related.
fn correlation(headers: &[(&'static str, &str)], body: Value) -> (String, u32, Option<String>) {
    let headers = run(headers, body).headers;
    (headers.correlation.to_string(), headers.depth, headers.related_to.map(|id| id.to_string()))
}

fn derived() -> String {
    CorrelationId::derived("default", "e1").to_string()
}

#[test]
fn the_header_the_session_and_the_token_are_asked_in_this_order() {
    let mut body = change(Op::Insert, Value::Null, json!({ "id": 1, "updated_by": "portal|by-token|" }));
    assert_eq!(correlation(&[], body.clone()).0, "by-token");
    body["event"]["session_variables"] = json!({ "x-hasura-correlation-id": "by-session" });
    assert_eq!(correlation(&[], body.clone()).0, "by-session");
    assert_eq!(correlation(&[("x-correlation-id", "by-header")], body.clone()).0, "by-header");
    assert_eq!(correlation(&[], change(Op::Insert, Value::Null, json!({ "id": 1 }))).0, derived());
}

#[test]
fn a_candidate_that_is_none_is_passed_over_and_noticed() {
    let mut body = change(Op::Insert, Value::Null, json!({ "id": 1 }));
    body["event"]["session_variables"] = json!({ "x-hasura-correlation-id": "by-session" });
    let long = "x".repeat(129);
    for wrong in ["", "two words", "caf\u{e9}", long.as_str()] {
        let interpreted = run(&[("x-correlation-id", wrong)], body.clone());
        assert_eq!(interpreted.headers.correlation.as_str(), "by-session", "{wrong}");
        assert_eq!(interpreted.notices, [Notice::NoCorrelationId { place: "the request header" }], "{wrong}");
    }
    body["event"]["session_variables"] = json!({ "x-hasura-correlation-id": "two words" });
    let interpreted = run(&[], body);
    assert_eq!(interpreted.headers.correlation.as_str(), derived());
    assert_eq!(interpreted.notices, [Notice::NoCorrelationId { place: "the session variable" }]);
}

#[test]
fn a_token_counts_where_this_write_set_it() {
    let set = json!({ "id": 1, "updated_by": "herald-2|order-7|run-1" });
    let other = json!({ "id": 1, "updated_by": "herald-1|order-6|run-0" });
    let without = json!({ "id": 1 });
    for (op, old) in [
        (Op::Insert, Value::Null),
        (Op::Manual, Value::Null),
        (Op::Manual, set.clone()),
        (Op::Update, other),
        (Op::Update, without),
        (Op::Update, Value::Null),
        (Op::Update, json!({ "id": 1, "updated_by": null })),
    ] {
        let found = correlation(&[], change(op, old.clone(), set.clone()));
        assert_eq!(found, ("order-7".to_owned(), 3, None), "{op} {old}");
    }
}

#[test]
fn a_token_left_standing_or_on_a_deleted_row_is_only_related() {
    let row = json!({ "id": 1, "updatedby": "herald-2|order-7|run-1" });
    let touched = json!({ "id": 1, "a": 2, "updatedby": "herald-2|order-7|run-1" });
    for body in [change(Op::Update, row.clone(), touched), change(Op::Delete, row, Value::Null)] {
        assert_eq!(correlation(&[], body.clone()), (derived(), 0, Some("order-7".to_owned())));
        assert_eq!(correlation(&[("x-correlation-id", "order-7")], body.clone()), ("order-7".to_owned(), 0, None));
        let mut config = Config::default();
        config.correlation.join_standing_tokens = true;
        let joined = Case { config, headers: &[], body }.run().headers;
        assert_eq!((joined.correlation.as_str(), joined.depth, joined.related_to), ("order-7", 3, None));
    }
}

#[test]
fn what_is_no_token_is_a_name_like_any_other() {
    for value in [json!("me"), json!("a|"), json!("|b|c"), json!("a|b c|d"), json!(7), json!(null), json!({})] {
        let row = json!({ "id": 1, "updated_by": value });
        assert_eq!(correlation(&[], change(Op::Insert, Value::Null, row)), (derived(), 0, None));
    }
}

#[test]
fn a_write_of_herald_is_one_deeper_whoever_names_its_correlation() {
    let body = |writer: &str| {
        change(Op::Insert, Value::Null, json!({ "id": 1, "updated_by": format!("{writer}|order-7|run") }))
    };
    assert_eq!(correlation(&[], body("herald-0")).1, 1);
    assert_eq!(correlation(&[], body("portal")).1, 0);
    assert_eq!(correlation(&[("x-correlation-id", "mine")], body("herald-16")), ("mine".to_owned(), 17, None));
    assert_eq!(correlation(&[], body("herald-4294967295")).1, u32::MAX);
}

#[test]
fn a_token_is_read_wherever_an_id_is_and_the_deepest_counts() {
    let row = |by: &str| change(Op::Insert, Value::Null, json!({ "id": 1, "updated_by": by }));
    assert_eq!(
        correlation(&[("x-correlation-id", "herald-2|order-7|run")], row("me")),
        ("order-7".to_owned(), 3, None)
    );
    assert_eq!(correlation(&[("x-correlation-id", "portal|order-7||4")], row("me")), ("order-7".to_owned(), 5, None));
    assert_eq!(
        correlation(&[("x-correlation-id", "portal|order-7")], row("herald-1|x|r")),
        ("order-7".to_owned(), 2, None)
    );
    assert_eq!(correlation(&[("x-correlation-id", "a||c")], row("me")).0, "a||c", "no token, and an id all the same");
    let mut body = row("herald-1|x|r");
    body["event"]["session_variables"] = json!({ "x-hasura-correlation-id": "herald-5|order-7|run" });
    assert_eq!(correlation(&[], body.clone()), ("order-7".to_owned(), 6, None));
    assert_eq!(correlation(&[("x-correlation-id", "mine")], body), ("mine".to_owned(), 6, None));
}

#[test]
fn columns_may_hold_an_id_as_it_is() {
    let with = |op: Op, old: Value, new: Value| {
        let mut config = Config::default();
        config.correlation.columns = vec!["trace".to_owned(), "order_no".to_owned()];
        Case { config, headers: &[], body: change(op, old, new) }.run()
    };
    let found = |new: Value| with(Op::Insert, Value::Null, new).headers;
    assert_eq!(found(json!({ "trace": "order-7" })).correlation.as_str(), "order-7");
    assert_eq!(found(json!({ "trace": null, "order_no": 7 })).correlation.as_str(), "7");
    assert_eq!(found(json!({ "trace": "herald-1|order-7|run" })).depth, 2);
    let both = found(json!({ "trace": "mine", "updated_by": "herald-1|order-7|run" }));
    assert_eq!((both.correlation.as_str(), both.depth), ("order-7", 2), "a token comes first");
    let standing = with(Op::Update, json!({ "trace": "order-7" }), json!({ "trace": "order-7" })).headers;
    assert_eq!(
        (standing.correlation.to_string(), standing.related_to.map(|id| id.to_string())),
        (derived(), Some("order-7".into()))
    );
    for none in [json!("two words"), json!({}), json!(true), json!("x".repeat(129))] {
        let interpreted = with(Op::Insert, Value::Null, json!({ "trace": none }));
        assert_eq!(interpreted.headers.correlation.as_str(), derived());
        assert!(matches!(&interpreted.notices[..], [Notice::NoCorrelationId { .. }, Notice::TableAsKey { .. }]));
    }
}

#[test]
fn names_are_configurable() {
    let mut config = Config::default();
    config.correlation.header = "x-request-id".to_owned();
    config.correlation.session_variable = "X-Hasura-Trace".to_owned();
    config.correlation.token_columns = vec!["who".to_owned()];
    let mut body = change(Op::Insert, Value::Null, json!({ "id": 1, "who": "p|by-token|", "updated_by": "p|no|" }));
    let by = |headers: &[(&'static str, &str)], body: &Value| {
        Case { config: config.clone(), headers, body: body.clone() }.run().headers.correlation.as_str().to_owned()
    };
    assert_eq!(by(&[("x-correlation-id", "no")], &body), "by-token");
    body["event"]["session_variables"] = json!({ "x-hasura-trace": "by-session" });
    assert_eq!(by(&[], &body), "by-session");
    assert_eq!(by(&[("x-request-id", "by-header")], &body), "by-header");
}

#[test]
fn the_id_is_the_bodys_else_the_requests_else_drawn() {
    let mut body = change(Op::Insert, Value::Null, json!({ "id": 1 }));
    let headers = [("idempotency-key", "k"), ("webhook-id", "w"), ("ce-id", "c")];
    let id = |headers: &[(&'static str, &str)], body: &Value| run(headers, body.clone()).headers.source_id;
    assert_eq!(id(&headers, &body).as_deref(), Some("e1"));
    for missing in [Value::Null, json!(""), json!({}), json!(true)] {
        body["id"] = missing;
        assert_eq!(id(&headers, &body).as_deref(), Some("k"));
        assert_eq!(id(&headers[1..], &body).as_deref(), Some("w"));
        assert_eq!(id(&[("idempotency-key", " "), headers[2]], &body).as_deref(), Some("c"));
    }
    let (first, second) = (run(&[], body.clone()).headers, run(&[], body).headers);
    assert_eq!((first.source_id, first.invocation.0.get_version_num()), (None, 7));
    assert_ne!(first.invocation, second.invocation);
    assert_ne!(first.correlation, second.correlation);
}

#[test]
fn the_key_is_the_rows_before_the_change() {
    let key = |old: Value, new: Value| run(&[], change(Op::Update, old, new)).key;
    assert_eq!(key(json!({ "id": 7 }), json!({ "id": 8 })), "default|public.moves|7");
    assert_eq!(key(Value::Null, json!({ "id": 8 })), "default|public.moves|8");
    assert_eq!(key(json!({ "a": 1 }), json!({ "id": 8 })), "default|public.moves|8");
    assert_eq!(key(json!({ "id": "a|b" }), Value::Null), "default|public.moves|a|b");
    let number: Value = serde_json::from_str("1.3107e4").expect("a number");
    assert_eq!(key(json!({ "id": number }), Value::Null), "default|public.moves|13107");
    let exact: Value = serde_json::from_str("9007199254740993").expect("a number");
    assert_eq!(key(json!({ "id": exact }), Value::Null), "default|public.moves|9007199254740993");
}

#[test]
fn key_columns_are_configured_by_table_and_source() {
    let with = |table: &str| {
        let mut config = Config::default();
        config.keys.insert(table.to_owned(), vec!["tenant".to_owned(), "no".to_owned()]);
        Case { config, headers: &[], body: change(Op::Insert, Value::Null, json!({ "tenant": "t", "no": 1, "id": 9 })) }
    };
    assert_eq!(with("public.moves").run().key, "default|public.moves|t|1");
    assert_eq!(with("default/public.moves").run().key, "default|public.moves|t|1");
    assert_eq!(with("shop/public.moves").run().key, "default|public.moves|9");
}

#[test]
fn a_row_without_its_key_makes_the_table_the_key() {
    for new in [json!({ "a": 1 }), json!(7), json!(null), json!([])] {
        let interpreted = run(&[], change(Op::Insert, Value::Null, new));
        assert_eq!(interpreted.key, "default|public.moves");
        assert!(
            matches!(&interpreted.notices[..], [Notice::TableAsKey { table, missing, .. }] if table == "public.moves" && missing == "id")
        );
    }
}

#[test]
fn a_scheduled_body_is_keyed_by_its_trigger() {
    let cron = run(&[("x-correlation-id", "c")], json!({ "scheduled_time": "x", "name": "nightly", "id": "s1" }));
    assert_eq!((cron.key.as_str(), cron.headers.kind), ("default|nightly", Kind::Scheduled));
    assert_eq!((cron.headers.source_id.as_deref(), cron.headers.correlation.as_str()), (Some("s1"), "c"));
    let once = |headers: &[(&'static str, &str)], body: Value| run(headers, body).key;
    assert_eq!(once(&[], json!({ "scheduled_time": "x", "payload": {}, "id": "s2", "comment": "c" })), "default|s2");
    assert_eq!(once(&[("idempotency-key", "k")], json!({ "scheduled_time": "x", "payload": {} })), "default|k");
    let fresh = || json!({ "scheduled_time": "x", "payload": {} });
    assert_ne!(once(&[], fresh()), once(&[], fresh()), "one waits for no other");
}

#[test]
fn the_headers_of_a_raw_record_say_what_is_known() {
    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let row = json!({ "id": 1, "updated_by": "herald-2|order-7|run-1" });
    let encoded = run(&[trace], change(Op::Insert, Value::Null, row)).headers.encode();
    let text: String = encoded.iter().map(|(k, v)| format!("{k}: {}\n", String::from_utf8_lossy(v))).collect();
    insta::assert_snapshot!(text, @r"
    herald-kind: hasura
    herald-source: default
    herald-source-id: e1
    herald-received: 2026-01-02T03:04:05.678901Z
    herald-invocation: 1377cf7d-7297-527c-a7e7-7f8e32d191e5
    herald-correlation: order-7
    herald-depth: 3
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    ");
}

proptest! {
    /// Whatever stands where a correlation may, the record has headers that are read back as they are.
    #[test]
    fn nothing_that_names_a_correlation_makes_a_record_that_cannot_be_read(
        texts in prop::collection::vec("(herald-[0-9]{0,11}\\||[a-z]\\|)?[ -~\\PC]{0,140}(\\|[0-9]{0,12})?", 3),
        header in "(herald-[0-9]{0,11}\\|)?[!-~]{0,140}",
        op in 0..4_usize,
    ) {
        let op = [Op::Insert, Op::Update, Op::Delete, Op::Manual][op];
        let row = json!({ "id": 1, "updated_by": texts[0], "trace": texts[1] });
        let mut body = change(op, if op == Op::Delete { row.clone() } else { Value::Null }, row);
        body["event"]["session_variables"] = json!({ "x-hasura-correlation-id": texts[2] });
        let mut config = Config::default();
        config.correlation.columns = vec!["trace".to_owned()];
        let headers = Case { config, headers: &[("x-correlation-id", &header)], body }.run().headers;
        let encoded = headers.encode();
        let bytes: usize = encoded.iter().map(|(name, value)| name.len() + value.len()).sum();
        prop_assert!(bytes < 1024, "{} bytes", bytes);
        prop_assert_eq!(RawHeaders::decode(&encoded).expect("headers"), headers);
    }

    #[test]
    fn a_redelivery_gets_the_same_ids_and_key(id in "[ -~]{1,20}", row in 0_u64..1000, op in 0..4_usize) {
        let op = [Op::Insert, Op::Update, Op::Delete, Op::Manual][op];
        let mut body = change(op, json!({ "id": row, "v": 1 }), json!({ "id": row, "v": 2 }));
        body["id"] = json!(id);
        let first = run(&[], body.clone());
        body["delivery_info"] = json!({ "current_retry": 1 });
        let again = run(&[], body);
        prop_assert_eq!(&first.key, &again.key);
        prop_assert_eq!(first.headers.invocation, again.headers.invocation);
        prop_assert_eq!(first.headers.correlation, again.headers.correlation);
    }
}
