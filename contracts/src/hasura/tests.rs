use super::*;

const EVENT: &str = r#"{"created_at":"2023-04-05T12:26:57.393668Z","delivery_info":{"current_retry":0,"max_retries":0},
    "event":{"data":{"new":null,"old":{"id":1}},"op":"DELETE","session_variables":{"x-hasura-role":"admin"},
    "trace_context":null},"id":"afcd8c6c","table":{"name":"follower","schema":"public"},"trigger":{"name":"follow"}}"#;

fn event(body: &str) -> EventBody<'_> {
    match recognise(body.as_bytes()) {
        Ok(Body::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn refusal(body: &str) -> Refusal {
    recognise(body.as_bytes()).expect_err(body)
}

#[test]
fn an_event_is_recognised_with_its_keys_in_any_order() {
    let body = event(EVENT);
    assert_eq!(
        (body.id.as_deref(), body.op, body.qualified_table().as_str(), body.trigger.as_deref()),
        (Some("afcd8c6c"), Op::Delete, "public.follower", Some("follow"))
    );
    assert_eq!(body.session_variable("x-hasura-role").as_deref(), Some("admin"));
    let in_capitals = EVENT.replace("x-hasura-role", "X-Hasura-Role");
    assert_eq!(event(&in_capitals).session_variable("x-hasura-role").as_deref(), Some("admin"));
    for body in [in_capitals.clone(), format!(r#"{{"payload":{in_capitals}}}"#)] {
        let (partly, _) = parse_partly(body.as_bytes(), &|_, _| true).expect("JSON");
        for parsed in [parse(body.as_bytes()).expect("JSON"), partly] {
            assert_eq!(unwrap(&parsed)["event"]["session_variables"]["x-hasura-role"], "admin", "{body}");
        }
    }
    assert_eq!(body.old.map(RawValue::get), Some(r#"{"id":1}"#));
}

#[test]
fn what_no_detector_needs_may_be_missing_or_odd() {
    let body = event(r#"{"id":77,"event":{"op":"INSERT","data":{}},"table":{"name":"t","schema":null},"trigger":[]}"#);
    assert_eq!((body.id.as_deref(), body.schema.as_str(), body.trigger.as_deref()), (Some("77"), "public", None));
    assert!(body.old.is_none() && body.session_variable("x").is_none());
    let body =
        event(r#"{"id":null,"event":{"op":"MANUAL","data":{"new":7},"session_variables":3},"table":{"name":"t"}}"#);
    assert!(body.id.is_none() && body.session_variable("x").is_none());
}

#[test]
fn no_column_hides_the_change_of_its_row() {
    let body = |column: &str| {
        format!(r#"{{"event":{{"op":"INSERT","data":{{"new":{{"id":1,"meta":{column}}}}}}},"table":{{"name":"t"}}}}"#)
    };
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for column in [
        r#"{"$serde_json::private::Number":"abc"}"#,
        r#"{"$serde_json::private::RawValue":"[1,2"}"#,
        r#"{"\u0024serde_json::private::Number":5}"#,
        &deep(MAX_NESTING - 4),
    ] {
        let body = body(column);
        assert_eq!(event(&body).table, "t");
        let whole = parse(body.as_bytes()).expect(column);
        let (partly, _) = parse_partly(body.as_bytes(), &|_, _| true).expect(column);
        assert_eq!(whole["event"], partly["event"]);
        assert_eq!(whole["event"]["data"]["new"]["id"], 1);
        assert!(print(body.as_bytes()) != 0 || column.starts_with('['));
    }
    let too_deep = body(&deep(MAX_NESTING - 3));
    assert!(matches!(refusal(&too_deep), Refusal::Malformed(_)));
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let body = event(r#"{"id":"a","id":"b","event":{"op":"DELETE","op":"INSERT","data":{}},"table":{"name":"t"}}"#);
    assert_eq!((body.id.as_deref(), body.op), (Some("b"), Op::Insert));
}

#[test]
fn the_console_form_is_read_through_its_wrapper() {
    let wrapped = format!(r#"{{"headers":[],"payload":{EVENT},"version":"2"}}"#);
    assert_eq!(event(&wrapped).id.as_deref(), Some("afcd8c6c"));
    let value: Value = serde_json::from_str(&wrapped).expect("JSON");
    assert_eq!(unwrap(&value)["id"], "afcd8c6c");
    assert_eq!(event(&format!("\u{feff}{EVENT}")).table, "follower");
}

#[test]
fn scheduled_bodies_are_known() {
    let body = r#"{"scheduled_time":"2026-01-01T00:00:00Z","name":"nightly","id":"s1","payload":{"event":{}}}"#;
    assert!(matches!(recognise(body.as_bytes()), Ok(Body::Scheduled(s)) if s.name.as_deref() == Some("nightly")));
    let body = r#"{"scheduled_time":"2026-01-01T00:00:00Z","id":"s1","payload":{}}"#;
    assert!(matches!(recognise(body.as_bytes()), Ok(Body::Scheduled(s)) if s.name.is_none()));
}

#[test]
fn actions_are_known_with_their_session() {
    let body = r#"{"action":{"name":"placeOrder"},"input":{"event":{}},"session_variables":{"X-Hasura-User-Id":"7"},"request_query":null}"#;
    for body in [body.to_owned(), format!(r#"{{"payload":{body}}}"#)] {
        let Ok(Body::Action(action)) = recognise(body.as_bytes()) else { panic!("an action") };
        assert_eq!(
            (action.name.as_str(), action.session_variable("x-hasura-user-id").as_deref()),
            ("placeOrder", Some("7"))
        );
        assert_eq!(unwrap(&parse(body.as_bytes()).expect("JSON"))["session_variables"]["x-hasura-user-id"], "7");
    }
    assert!(matches!(recognise(br#"{"action":{"name":"x"},"scheduled_time":"x"}"#), Ok(Body::Scheduled(_))));
    let scheduled = br#"{"scheduled_time":"x","payload":{"session_variables":{"A":1},"action":{"name":"x"}}}"#;
    assert_eq!(parse(scheduled).expect("JSON")["payload"]["session_variables"]["A"], 1, "a payload stays as it is");
}

#[test]
fn each_refusal_names_what_is_wrong() {
    for action in ["1", "{}", r#"{"name":""}"#, r#"{"name":7}"#] {
        assert!(matches!(refusal(&format!(r#"{{"action":{action},"input":{{}}}}"#)), Refusal::Action(_)), "{action}");
    }
    assert_eq!(refusal(r#"{"hello":1}"#), Refusal::Unknown);
    assert_eq!(refusal("[]"), Refusal::Unknown);
    for (body, part) in [
        (r#"{"event":1}"#, "`event` is not an object"),
        (r#"{"event":{"data":{}},"table":{"name":"t"}}"#, "`event.op` is missing"),
        (r#"{"event":{"op":"update","data":{}},"table":{"name":"t"}}"#, "not INSERT, UPDATE, DELETE or MANUAL"),
        (r#"{"event":{"op":"UPDATE"},"table":{"name":"t"}}"#, "`event.data` is missing"),
        (r#"{"event":{"op":"UPDATE","data":[]},"table":{"name":"t"}}"#, "`event.data` is not an object"),
        (r#"{"event":{"op":"UPDATE","data":{}}}"#, "`table` is missing"),
        (r#"{"event":{"op":"UPDATE","data":{}},"table":{"name":""}}"#, "`table.name` is missing or empty"),
    ] {
        assert!(refusal(body).to_string().contains(part), "{body}: {}", refusal(body));
    }
}

#[test]
fn malformed_json_is_refused_with_its_place() {
    assert!(refusal("{\"a\":\n x}").to_string().contains("line 2"));
    assert!(recognise(b"\xff{}").is_err());
    let with = |new: &str| format!(r#"{{"event":{{"op":"INSERT","data":{{"new":{new}}}}},"table":{{"name":"t"}}}}"#);
    assert!(matches!(refusal(&with(r#""\ud800""#)), Refusal::Malformed(_)));
    assert!(recognise(with(r#""\ud83d\ude00""#).as_bytes()).is_ok());
    assert!(matches!(refusal(&with(&("[".repeat(200) + &"]".repeat(200)))), Refusal::Malformed(_)));
    assert!(recognise(with(&("[".repeat(100) + &"]".repeat(100))).as_bytes()).is_ok());
    assert!(recognise(with(&format!("[{}[]]", "[],".repeat(500))).as_bytes()).is_ok());
}
