//! What is decided about one raw record: everything fits the bus, whatever the catalog and the body, and what repeats a
//! record or reuses its id is recognised.

use bus::{MAX_RECORD, Offset, Partition, Record};
use catalog::MAX_KEY;
use catalog::{Catalog, Kinds, Sources};
use contracts::{
    ids::{CorrelationId, InvocationId},
    progress::{Detected, Fact, Progress},
    raw::{Kind, RawHeaders},
    rejected::Rejected,
    topics,
};
use detector::{Config, Decider, Decision, MAX_OUTPUTS, Seen};
use proptest::prelude::*;
use serde_json::{Value, json};

struct AnyKind;

impl Kinds for AnyKind {
    fn check(&self, _: &str, _: &Value) -> Result<(), String> {
        Ok(())
    }
    fn names(&self) -> Vec<&str> {
        vec!["log"]
    }
}

/// A catalog of these files.
fn catalog(events: impl IntoIterator<Item = (String, String)>) -> Catalog {
    let files = events.into_iter().map(|(name, text)| (format!("events/{name}.yaml"), text));
    let outcome = Catalog::compile(&Sources::new(files), &AnyKind);
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
}

fn one(text: &str) -> Catalog {
    catalog([("big".to_owned(), format!("from: {{ table: \"*\" }}\n{text}"))])
}

fn body(table: &str, new: &Value) -> Value {
    json!({ "event": { "op": "INSERT", "data": { "old": null, "new": new } }, "table": { "name": table } })
}

/// A raw record of the invocation of that number; with an id of its own, if it has one.
fn record(offset: u64, invocation: u64, source_id: Option<&str>, body: &Value) -> Record {
    let headers = RawHeaders {
        kind: Kind::Hasura,
        source: "default".into(),
        source_id: source_id.map(str::to_owned),
        received: jiff::Timestamp::UNIX_EPOCH,
        invocation: InvocationId::derived("default", &invocation.to_string()),
        correlation: CorrelationId::derived("default", &invocation.to_string()),
        depth: 0,
        related_to: None,
        traceparent: None,
        named: None,
    };
    Record {
        topic: topics::RAW.into(),
        partition: Partition(0),
        offset: Offset(offset),
        published: jiff::Timestamp::UNIX_EPOCH,
        key: Some("default|public.t|1".into()),
        value: Some(body.to_string().into()),
        headers: headers.encode(),
    }
}

fn memory() -> Seen {
    Seen::new(std::time::Duration::from_secs(3600), 100)
}

fn decide(catalog: &Catalog, record: &Record, seen: &mut Seen) -> Decision {
    Decider { catalog, number: 1, config: &Config::default() }.decide(record, seen)
}

fn decided(catalog: &Catalog, body: &Value) -> Decision {
    decide(catalog, &record(1, 1, Some("1"), body), &mut memory())
}

fn of<'d>(decision: &'d Decision, topic: &str) -> Vec<&'d [u8]> {
    let here = decision.outputs.iter().filter(|output| output.topic.as_str() == topic);
    here.map(|output| output.value.as_deref().unwrap_or_default()).collect()
}

fn facts(decision: &Decision) -> Vec<Fact> {
    of(decision, topics::PROGRESS).iter().map(|value| Progress::decode(value).expect("progress").fact).collect()
}

fn detected(decision: &Decision) -> Detected {
    match facts(decision).pop() {
        Some(Fact::Detected(detected)) => detected,
        other => panic!("{other:?}"),
    }
}

fn rejections(decision: &Decision) -> Vec<Rejected> {
    of(decision, topics::REJECTED).iter().map(|value| serde_json::from_slice(value).expect("a rejection")).collect()
}

fn fits(decision: &Decision) {
    for output in &decision.outputs {
        assert!(output.size() <= MAX_RECORD, "{}: {}", output.topic, output.size());
    }
    let all: usize = decision.outputs.iter().map(bus::Outgoing::size).sum();
    // Beside the events there are rejections and progress, which are bounded by counts.
    assert!(all <= MAX_OUTPUTS + 2 * MAX_RECORD, "{all}");
    assert!(!of(decision, topics::PROGRESS).is_empty());
}

#[test]
fn an_event_that_is_too_large_fails_alone_and_names_its_largest_leaf() {
    let doc = "x".repeat(2_600_000);
    let cases = [
        ("data: { a: new.doc, b: new.doc, c: 1 }\nsample: {}", body("t", &json!({ "doc": doc })), "`b`", "data"),
        (
            "data: { row: { small: 1, both: [new.doc, new.doc] } }\nsample: {}",
            body("t", &json!({ "doc": doc })),
            "`row.both.1`",
            "data",
        ),
        (
            "data: { id: new.id }\nkey: new.doc\nsample: {}",
            body("t", &json!({ "id": 1, "doc": doc })),
            "2600000",
            "key",
        ),
    ];
    for (rule, body, named, stage) in cases {
        let small = "from: { table: t }\ndata: { id: 1 }\nsample: {}\n".to_owned();
        let events = [("big".to_owned(), format!("from: {{ table: t }}\n{rule}")), ("small".to_owned(), small)];
        let decision = decided(&catalog(events), &body);
        fits(&decision);
        let fact = detected(&decision);
        assert_eq!(fact.events.iter().map(|event| event.event.to_string()).collect::<Vec<_>>(), ["small"]);
        assert_eq!(of(&decision, "event.small").len(), 1);
        let rejected = rejections(&decision).pop().expect("a rejection");
        assert_eq!((rejected.reason.as_str(), fact.failed[0].stage.as_str()), ("too-large", stage));
        assert!(rejected.detail.contains(named), "{}", rejected.detail);
        assert!(fact.failed[0].error.contains(named), "{}", fact.failed[0].error);
        assert_eq!(decision.counts.failed, 1);
    }
}

#[test]
fn a_key_has_at_most_a_kibibyte() {
    let rule = one("data: { id: 1 }\nkey: new.key\nsample: {}");
    for (length, events) in [(MAX_KEY, 1), (MAX_KEY + 1, 0)] {
        let decision = decided(&rule, &body("t", &json!({ "key": "k".repeat(length) })));
        assert_eq!(decision.counts.events, events, "{length}");
    }
}

#[test]
fn an_attribute_that_is_too_large_is_named() {
    let mut body = body("t", &json!({ "id": 1 }));
    body["event"]["session_variables"] = json!({ "x-hasura-user-id": "u".repeat(4_300_000) });
    let decision = decided(&one("data: { id: 1 }\nsample: {}"), &body);
    fits(&decision);
    let fact = detected(&decision);
    assert_eq!(fact.failed[0].stage, "userid");
    assert!(fact.origin.user.is_some_and(|user| user.len() < 1100));
}

#[test]
fn thousands_that_fail_or_do_not_happen_are_counted_beyond_the_first() {
    let rule = |number: u32, when: &str, data: &str| {
        let name = format!("{}.{number}", "long-name".repeat(8));
        (name, format!("from: {{ table: t }}\nwhen: {when}\ndata: {{ id: {data} }}\nsample: {{}}\n"))
    };
    let failing = (0..3000).map(|number| rule(number, "\"true\"", "new.missing.part"));
    let catalog = catalog(failing.chain((3000..6000).map(|number| rule(number, "new.id == 7", "1"))));
    let decision = decided(&catalog, &body("t", &json!({ "id": 1 })));
    fits(&decision);
    let fact = detected(&decision);
    assert_eq!((fact.failed.len() as u64 + fact.failed_more, decision.counts.failed), (3000, 3000));
    assert_eq!(fact.undetected.len() as u64 + fact.undetected_more, 3000);
    assert!(fact.undetected.iter().all(|not| not.because.is_empty()), "no reason is made while deciding");
    assert!(of(&decision, topics::PROGRESS)[0].len() < 100_000);
    let rejected = rejections(&decision);
    assert!(rejected.len() <= 101, "{}", rejected.len());
    assert!(rejected.last().is_some_and(|last| last.detail == "2900 more events of this change failed"));
}

#[test]
fn more_events_than_one_record_can_name_fail_beyond_it() {
    let jobs: String = (0..90).map(|job| format!("  - id: {}{job:03}\n    log: {{}}\n", "j".repeat(37))).collect();
    let rule = |number| {
        (format!("e{number}"), format!("from: {{ table: t }}\ndata: {{ id: 1 }}\nsample: {{}}\njobs:\n{jobs}"))
    };
    let decision = decided(&catalog((0..400).map(rule)), &body("t", &json!({ "id": 1 })));
    fits(&decision);
    let fact = detected(&decision);
    assert_eq!(fact.events.len() as u64 + decision.counts.failed, 400);
    assert!(decision.counts.failed > 0 && fact.failed[0].stage == "jobs");
}

#[test]
fn where_there_is_no_room_no_more_data_are_made() {
    let doc = "x".repeat(4_000_000);
    let rule = |name: &str, rule: &str| (name.to_owned(), format!("from: {{ table: t }}\n{rule}\nsample: {{}}\n"));
    for each in ["[new.doc]", "[new.doc, new.doc]"] {
        let large = (0..20).map(|number| rule(&format!("e{number:02}"), &format!("data: {{ doc: {each} }}")));
        let last = [rule("y", "data: { id: new.missing.part }"), rule("z", "when: new.doc == ''\ndata: { id: 1 }")];
        let decision = decided(&catalog(large.chain(last)), &body("t", &json!({ "doc": doc })));
        fits(&decision);
        let rejected: Vec<_> =
            rejections(&decision).into_iter().filter_map(|it| Some((it.event?.to_string(), it.reason))).collect();
        let of = |name: &str| rejected.iter().find(|(event, _)| event == name).map(|(_, reason)| reason.as_str());
        assert_eq!(of("y"), Some("too-large"), "its data were made");
        assert_eq!(of("z"), None, "it did not happen, and is said to have failed");
    }
}

#[test]
fn a_record_is_recognised_by_its_invocation_whether_or_not_its_body_had_an_id() {
    let (catalog, body) = (one("data: { id: 1 }\nsample: {}"), body("t", &json!({ "id": 1 })));
    for id in [None, Some("1")] {
        let mut seen = memory();
        let first = record(3, 9, id, &body);
        assert_eq!(decide(&catalog, &first, &mut seen).counts.events, 1);
        // Read again, it is no duplicate of itself.
        assert_eq!(decide(&catalog, &first, &mut seen).counts.events, 1);
        let again = decide(&catalog, &record(4, 9, id, &body), &mut seen);
        assert_eq!((again.counts.events, again.counts.duplicates), (0, 1), "{id:?}");
        assert!(
            matches!(&facts(&again)[..], [Fact::Duplicate(duplicate)] if duplicate.of.offset == 3 && !duplicate.reused)
        );
        assert_eq!(decide(&catalog, &record(5, 10, id, &body), &mut seen).counts.events, 1);
    }
}

#[test]
fn the_same_id_with_another_change_is_not_run_and_says_so() {
    let catalog = one("data: { id: 1 }\nsample: {}");
    let mut seen = memory();
    let mut first = body("t", &json!({ "id": 1.0, "a": 2 }));
    first["delivery_info"] = json!({ "current_retry": 0 });
    decide(&catalog, &record(1, 1, Some("x"), &first), &mut seen);
    let mut again = body("t", &json!({ "a": 2, "id": 1 }));
    again["delivery_info"] = json!({ "current_retry": 1 });
    let counts = decide(&catalog, &record(2, 1, Some("x"), &again), &mut seen).counts;
    assert_eq!((counts.duplicates, counts.reused), (1, 0));
    for other in [body("u", &json!({ "id": 1, "a": 2 })), body("t", &json!({ "id": 1, "a": 3 }))] {
        let decision = decide(&catalog, &record(3, 1, Some("x"), &other), &mut seen);
        let counts = decision.counts;
        assert_eq!((counts.events, counts.duplicates, counts.refused, counts.reused), (0, 0, 1, 1));
        let rejected = rejections(&decision).pop().expect("a rejection");
        assert_eq!(rejected.reason, "id-reused");
        assert!(rejected.detail.contains("raw record 0/1") && rejected.detail.contains("`x`"), "{}", rejected.detail);
        assert!(matches!(&facts(&decision)[..], [Fact::Duplicate(duplicate)] if duplicate.reused));
    }
    // Under another correlation it is refused there.
    let mut elsewhere = record(4, 1, Some("x"), &body("u", &json!({ "id": 1 })));
    let headers = RawHeaders::decode(&elsewhere.headers).expect("headers");
    elsewhere.headers = RawHeaders { correlation: "other".parse().expect("an id"), ..headers }.encode();
    let decision = decide(&catalog, &elsewhere, &mut seen);
    assert!(matches!(&facts(&decision)[..], [Fact::Refused(refused)] if refused.reason == "id-reused"));
}

#[test]
fn a_kind_of_a_newer_herald_is_refused_with_its_name() {
    let mut newer = record(1, 1, None, &json!({}));
    let headers = RawHeaders::decode(&newer.headers).expect("headers");
    newer.headers = RawHeaders { kind: "walrus".parse().expect("any kind"), ..headers }.encode();
    let decision = decide(&one("data: { id: 1 }\nsample: {}"), &newer, &mut memory());
    assert!(rejections(&decision)[0].detail.contains("`walrus`"));
}

/// Expressions whose values may be anything from nothing to far too much.
fn an_expression() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "new.doc",
        "new.id",
        "new",
        "[new, new.doc]",
        "new.missing",
        "new.items.map(x, new.doc)",
        "new.items.map(x, {\\\"i\\\": x, \\\"row\\\": new})",
        "new.items.map(x, new.items)",
        "new.doc + new.doc",
        "string(new.id)",
    ])
}

fn a_rule() -> impl Strategy<Value = String> {
    let leaves = prop::collection::vec(an_expression(), 1..4);
    let key = prop::option::of(an_expression());
    let when = prop::sample::select(vec!["true", "new.id == 1", "new.id > 5", "new.missing.deep == 1"]);
    (leaves, key, when, 0..40usize).prop_map(|(leaves, key, when, jobs)| {
        let leaves: String =
            leaves.iter().enumerate().map(|(index, leaf)| format!("  leaf-{index}: \"{leaf}\"\n")).collect();
        let key = key.map_or(String::new(), |key| format!("key: \"{key}\"\n"));
        let jobs: String = (0..jobs).map(|job| format!("  - id: job-{job}\n    log: {{}}\n")).collect();
        let jobs = if jobs.is_empty() { jobs } else { format!("jobs:\n{jobs}") };
        // `true` alone is no expression that looks at anything, so it is left out.
        let when = if when == "true" { String::new() } else { format!("when: {when}\n") };
        format!("from: {{ table: \"*\" }}\n{when}data:\n{leaves}{key}sample: {{}}\n{jobs}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_catalog_and_the_body_every_output_fits(
        rules in prop::collection::vec(a_rule(), 1..12),
        (doc, items) in prop::sample::select(vec![(0, 700), (1000, 60), (100_000, 3), (1_400_000, 3), (4_000_000, 1)]),
        odd in prop::sample::select(vec!["x", "\u{1}", "ü", "\""]),
        name in prop::sample::select(vec![1, 300, 2_000_000]),
    ) {
        let events = rules.into_iter().enumerate().map(|(index, rule)| (format!("e{index}"), rule));
        let catalog = catalog(events);
        let items: Vec<_> = (0..items).collect();
        let mut body = body(&"t".repeat(name), &json!({ "id": 1, "doc": odd.repeat(doc / odd.len()), "items": items }));
        body["event"]["session_variables"] = json!({ "x-hasura-user-id": odd.repeat(name) });
        body["trigger"] = json!({ "name": odd.repeat(name) });
        fits(&decided(&catalog, &body));
        prop_assert!(peak() < MEMORY, "{} MiB were needed", peak() >> 20);
    }
}

/// What the tests of this file may need together, in bytes.
const MEMORY: u64 = 512 << 20;

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn data_that_the_schema_refuses_are_not_published_and_other_events_of_the_change_are() {
    let event = |schema: &str| format!("from: {{ table: t }}\ndata: {{ total: new.total }}\nschema: {schema}\n");
    let number = event("{ properties: { total: { type: number } } }");
    let catalog = catalog([("strict".into(), number), ("lenient".into(), event("{ required: [total] }"))]);
    let decision = decided(&catalog, &body("t", &json!({ "total": "12.50" })));
    let fact = detected(&decision);
    assert_eq!(fact.events.iter().map(|event| event.event.to_string()).collect::<Vec<_>>(), ["lenient"]);
    let [failed] = &fact.failed[..] else { panic!("{fact:?}") };
    assert_eq!((failed.event.to_string().as_str(), failed.stage.as_str()), ("strict", "schema"));
    let [rejected] = &rejections(&decision)[..] else { panic!("it is recorded") };
    assert_eq!(rejected.reason, "refused-by-schema");
    assert_eq!(rejected.detail, "schema: `total` is a text, and a number is wanted");
    assert!(of(&decision, "event.strict").is_empty() && of(&decision, "event.lenient").len() == 1);
    assert!(detected(&decided(&catalog, &body("t", &json!({ "total": 12.50 })))).failed.is_empty());
}
