//! What is tried with inputs that nobody wrote: each function takes any bytes, and panics if something is wrong that is true of
//! all of them.

use std::{collections::BTreeMap, sync::LazyLock};

use catalog::{Catalog, Change, ChangeParts, Glance, Kinds, Operation, Sources, Template, Verdict};
use contracts::hasura;
use expressions::{Bindings, Columns, Effort, Expression, Room, Scope};
use serde_json::Value;

/// How many bytes a value may have here.
const ROOM: usize = 64 << 10;

/// Kinds of jobs that take any options.
struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &Value) -> Result<(), String> {
        Ok(())
    }

    fn names(&self) -> Vec<&str> {
        vec!["command", "log", "publish", "simulate"]
    }
}

/// A catalog whose events look at payloads from many sides.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let event = |(name, text): (&str, &str)| (format!("events/{name}.yaml"), format!("{text}\nsample: {{}}\n"));
    let files = [
        ("changed", "from: { table: \"*\" }\nwhen: changed(\"status\") || changedAny(\"a\", \"b\")"),
        (
            "became",
            "from: { table: \"*\" }\nwhen: became(\"status\", \"shipped\") && new.total > 1\ndata: { id: new.id }\nkey: new.id",
        ),
        (
            "deep",
            "from: { table: \"*\" }\nwhen: get(new, \"a.b.0\", 0) == 1 || session[\"x-hasura-role\"] == \"user\"\ndata: { a: old.a }",
        ),
        (
            "all",
            "from: { table: \"*\", operations: [insert, update, delete, manual] }\ndata: { name: table.name, user: user }",
        ),
    ];
    let outcome = Catalog::compile(&Sources::new(files.map(event)), &AnyKind);
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
});

/// A body as it comes to the webhook: recognised, read as a whole and in parts, and decided by every event.
pub fn payload(body: &[u8]) {
    let recognised = hasura::recognise(body);
    let (whole, partly) = (hasura::parse(body), hasura::parse_partly(body, &|_, _| true));
    assert!(recognised.is_err() || whole.is_ok(), "what is recognised can be read");
    let (Ok(whole), Ok((partly, print))) = (whole, partly) else { return };
    assert_eq!(hasura::print(body), print, "the print is of the body, however it is read");
    let of = |body| Change::new(ChangeParts { body, source: "default", received: jiff::Timestamp::UNIX_EPOCH });
    let (Ok(change), Ok(same)) = (of(hasura::unwrap(&whole)), of(hasura::unwrap(&partly))) else { return };
    assert_eq!((change.op(), change.schema(), change.table()), (same.op(), same.schema(), same.table()));
    let Ok((read, _)) = CATALOG.parse(body, "default") else { return };
    let Ok(read) = of(hasura::unwrap(&read)) else { return };
    let mut glance = Glance::new(&change);
    for event in CATALOG.events() {
        let verdict = event.evaluate(&change);
        assert_eq!(verdict, event.evaluate(&read), "{} looks at more than it names", event.name());
        assert!(
            !glance.rules_out(event) || matches!(verdict, Verdict::NotDetected(_)),
            "{} is passed over",
            event.name()
        );
        let _ = event.why_not(&change);
    }
}

/// A catalog's files, with `--- <path>` above each: checked, and each problem has its place.
pub fn catalog(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let files = text.split("\n--- ").map(|part| match part.split_once('\n') {
        Some((path, text))
            if path.starts_with("events/") || path.starts_with("jobs/") || path.starts_with("tables/") =>
        {
            (path.to_owned(), text.to_owned())
        }
        _ => ("events/a.yaml".to_owned(), part.to_owned()),
    });
    // A folder has each path once.
    let sources = Sources::new(files.collect::<BTreeMap<_, _>>());
    let outcome = Catalog::compile(&sources, &AnyKind);
    for problem in &outcome.report.problems {
        let lines = sources.text(&problem.place.file).map_or(usize::MAX, |text| text.lines().count() + 1);
        assert!(problem.place.line <= lines, "{problem}");
    }
    let Some(compiled) = outcome.catalog else { return };
    let again = Catalog::compile(&sources, &AnyKind).catalog.expect("as before");
    assert_eq!(compiled.events().len(), again.events().len());
    let mut body = body();
    for operation in catalog::OPERATIONS {
        body["event"]["op"] = operation.as_str().into();
        for event in compiled.candidates(&change(&body)) {
            let _ = (event.evaluate(&change(&body)), event.why_not(&change(&body)));
        }
    }
}

const BODY: &str = r#"{
    "table": { "schema": "public", "name": "orders" },
    "event": {
        "op": "UPDATE",
        "session_variables": { "x-hasura-role": "user" },
        "data": {
            "old": { "id": 1, "a": null, "t": "2024-05-06T07:08:09Z", "l": [1, "a"], "o": { "k": { "n": 2.50 } } },
            "new": { "id": 1, "a": "x", "t": "2024-05-06T07:08:09+02:00", "l": [], "o": { "k": [1] }, "n": 1e400 }
        }
    }
}"#;

fn body() -> Value {
    serde_json::from_str(BODY).expect("JSON")
}

fn change(body: &Value) -> Change<'_> {
    let received = jiff::Timestamp::UNIX_EPOCH;
    Change::new(ChangeParts { body, source: "default", received }).expect("a change")
}

/// An expression: refused with a place in it, or evaluated, explained, and held to what was said of it before.
pub fn expression(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let _ = Template::compile(text);
    for scope in [Scope::Key, Scope::Job] {
        let _ = Expression::compile(text, scope);
    }
    let compiled = match Expression::compile(text, Scope::Change) {
        Ok(compiled) => compiled,
        Err(errors) => {
            assert!(!errors.is_empty());
            let is_placed = |error: &expressions::CompileError| text.is_char_boundary(error.offset);
            assert!(errors.iter().all(is_placed), "{errors:?}");
            return;
        }
    };
    assert!(compiled.mistakes().iter().all(|mistake| text.is_char_boundary(mistake.offset)));
    let body = body();
    let of = |body| Bindings { change: Some(body), ..Bindings::default() };
    let whole = change(&body);
    let (holds, value) = (compiled.holds(&of(&whole)), compiled.value(&of(&whole), &Room::new(ROOM)));
    assert!(value.as_ref().map_or(0, |value| value.to_string().len()) <= ROOM);
    assert_eq!(compiled.why_not(&of(&whole), &Effort::default()).is_none(), holds == Ok(true));
    assert!(holds != Ok(true) || !compiled.never_holds(Operation::Update) && compiled.contradiction().is_none());
    let mut columns = Columns::none();
    compiled.columns(&mut columns);
    if columns != Columns::Any {
        let written = body.to_string();
        let (partly, _) = hasura::parse_partly(written.as_bytes(), &|row, name| columns.has(row, name)).expect("JSON");
        assert_eq!(compiled.holds(&of(&change(&partly))).ok(), holds.ok(), "it looks at more than it names");
    }
}
