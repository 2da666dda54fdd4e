use super::*;
use crate::{
    ids::{EventId, InvocationId, JobRunId},
    names::EventRef,
};

const AT: &str = "2026-01-02T03:04:05Z";

fn group() -> GroupName {
    GroupName::of_definition(&"charge".parse().expect("a name"))
}

fn said(because: Option<&str>) -> Said {
    Said { by: "ann@ops-1".into(), at: AT.parse().expect("a time"), because: because.map(str::to_owned) }
}

fn id() -> OrderId {
    OrderId::derived(&group(), "k")
}

fn event() -> EventRef {
    "move.new".parse().expect("a name")
}

fn event_id() -> EventId {
    EventId::derived(InvocationId::derived("default", "1"), &event())
}

fn run() -> JobRunId {
    JobRunId::derived(event_id(), &"charge".parse().expect("a name"))
}

fn control(what: What) -> Control {
    Control { group: group(), said: said(None), what }
}

fn letters(filter: Filter) -> Letters {
    Letters { until: [(0, 7), (1, 9)].into(), filter, definition: None }
}

fn golden() -> Vec<Control> {
    let time = AT.parse().expect("a time");
    let filter = Filter {
        runs: vec![run()],
        event: Some(event()),
        correlation: Some("order-7".parse().expect("an id")),
        reason: Some("attempts".into()),
        since: Some(time),
        before: Some(time),
    };
    let origin = "event.move.new/1/8".parse().expect("an origin");
    vec![
        Control { said: said(Some("billing is down")), ..control(What::Pause) },
        control(What::Resume),
        control(What::Order(id(), Order::Redrive(Letters { definition: Some(3), ..letters(filter) }))),
        control(What::Order(id(), Order::Discard(letters(Filter::default())))),
        control(What::Order(
            id(),
            Order::Rerun(Rerun { run: run(), event_id: event_id(), origin, attempts: 2, definition: None }),
        )),
    ]
}

#[test]
fn every_kind_reads_as_it_was_written() {
    let lines: Vec<String> = golden()
        .iter()
        .map(|control| format!("{} {}", control.key(), String::from_utf8(control.encode()).expect("JSON is UTF-8")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    for control in golden() {
        assert_eq!(Control::decode(&control.encode()).expect("what was written"), control);
    }
}

#[test]
fn the_last_state_of_a_job_counts_and_one_that_is_not_known_holds_it() {
    let mut standing = Standing::default();
    let mut take = |control: &Control| {
        standing.take(control.key().as_bytes(), Some(&control.encode())).expect("a record");
        standing.hold_of(&group()).cloned()
    };
    let paused = take(&golden()[0]).expect("it is paused");
    assert_eq!((paused.said.by.as_str(), &paused.unknown), ("ann@ops-1", &None));
    assert_eq!(take(&golden()[1]), None);
    let newer = take(&control(What::Unknown("throttle".into(), None))).expect("it is held");
    assert_eq!(newer.unknown.as_deref(), Some("throttle"));
    standing.take(group().as_str().as_bytes(), None).expect("a deletion");
    assert_eq!(standing.hold_of(&group()), None);
    standing.take(group().as_str().as_bytes(), Some(b"{")).expect_err("no JSON");
    assert!(standing.hold_of(&group()).is_some(), "nothing runs by accident");
}

#[test]
fn orders_are_in_the_order_of_the_log_until_they_are_deleted_or_expire() {
    let mut standing = Standing::default();
    let given = |number: u64, at: &str| Control {
        said: Said { at: at.parse().expect("a time"), ..said(None) },
        ..control(What::Order(
            OrderId::derived(&group(), &number.to_string()),
            Order::Discard(letters(Filter::default())),
        ))
    };
    for (number, at) in [(2, AT), (1, AT), (3, "2026-01-05T00:00:00Z")] {
        let order = given(number, at);
        standing.take(order.key().as_bytes(), Some(&order.encode())).expect("a record");
    }
    let of = |standing: &Standing, now: &str| {
        let now = now.parse().expect("a time");
        standing.orders_of(&group(), now).map(|given| given.id).collect::<Vec<_>>()
    };
    let ids = [2, 1, 3].map(|number| OrderId::derived(&group(), &number.to_string()));
    assert_eq!(of(&standing, "2026-01-09T03:04:05Z"), ids);
    assert_eq!(of(&standing, "2026-01-09T03:04:06Z"), ids[2..]);
    let now = "2026-01-09T03:04:06Z".parse().expect("a time");
    assert_eq!(standing.expired(now).collect::<Vec<_>>(), ids[..2]);
    standing.take(order_key(ids[2]).as_bytes(), None).expect("a deletion");
    assert_eq!(standing.order(ids[2]), None);
    let other = GroupName::of_definition(&"other".parse().expect("a name"));
    assert_eq!(standing.orders_of(&other, said(None).at).count(), 0);
}

#[test]
fn a_record_that_is_none_is_refused_by_name() {
    let order = |text: &str| Control::decode(text.as_bytes()).expect_err(text).to_string();
    let without = r#"{"v":1,"kind":"redrive","group":"job.charge","by":"ann","at":"2026-01-02T03:04:05Z"}"#;
    assert_eq!(order(without), "no order of Herald: a `redrive` has an `id` and a `body`");
    assert!(order("{}").starts_with("no order of Herald: missing field"));
    let newer = without.replace("redrive", "drain");
    assert_eq!(Control::decode(newer.as_bytes()).expect("it is kept").what, What::Unknown("drain".into(), None));
}

#[test]
fn letters_are_chosen_by_everything_that_is_said() {
    let (event, correlation) = (event(), "order-7".parse().expect("an id"));
    let died = AT.parse().expect("a time");
    let letter = Letter { run: run(), event: &event, correlation: &correlation, reason: "attempts", died };
    assert!(Filter::default().is_any() && Filter::default().takes(&letter));
    let all = match &golden()[2].what {
        What::Order(_, Order::Redrive(letters)) => letters.filter.clone(),
        other => panic!("{other:?}"),
    };
    let fitting = Filter { before: None, ..all.clone() };
    assert!(fitting.takes(&letter));
    let later = died.checked_add(SignedDuration::from_secs(1)).expect("a time");
    for other in [
        all,
        Filter { runs: vec![JobRunId::derived(event_id(), &"other".parse().expect("a name"))], ..fitting.clone() },
        Filter { event: Some("move.old".parse().expect("a name")), ..fitting.clone() },
        Filter { correlation: Some("order-8".parse().expect("an id")), ..fitting.clone() },
        Filter { reason: Some("gave-up".into()), ..fitting.clone() },
        Filter { since: Some(later), ..fitting.clone() },
    ] {
        assert!(!other.takes(&letter), "{other:?}");
    }
    let letters = letters(fitting);
    assert!(letters.takes(0, 6, &letter) && !letters.takes(0, 7, &letter), "what died later is not meant");
    assert!(!letters.takes(2, 0, &letter), "nor is a partition that was not there");
}
