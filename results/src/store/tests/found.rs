//! What is found by its table, its row, its event, its time, and by the beginning of an id.

use contracts::{
    found::Found,
    ids::InvocationId,
    progress::{Fact, Progress},
};
use jiff::ToSpan;

use super::{
    behaviour::Fixture,
    facts::{self, EVENT, detected, done, occurrence, undetected},
};
use crate::store::{Filter, Kept};

/// An invocation of a table's row, in which that event was detected.
fn change(number: u64, table: &str, key: &str, event: &str) -> Progress {
    let mut fact = detected(&occurrence(&format!("c{number}"), number), &[]);
    if let Fact::Detected(detected) = &mut fact.fact {
        (detected.origin.table, detected.origin.key) = (Some(table.into()), Some(key.into()));
        detected.events[0].event = event.parse().expect("a name");
    }
    fact
}

fn filter(table: &str, key: Option<&str>) -> Filter {
    Filter { table: Some(table.into()), key: key.map(str::to_owned), ..Filter::default() }
}

fn of_event(name: &str) -> Filter {
    Filter { event: Some(name.parse().expect("a name")), ..Filter::default() }
}

#[test]
fn invocations_are_found_by_table_row_event_and_time_each_once_in_pages() {
    let mut store = Fixture::new();
    for number in 0..40 {
        let table = if number % 2 == 0 { "public.orders" } else { "shop.orders" };
        let key = format!("{}", number % 5);
        let event = if number % 4 == 0 { "order.paid" } else { "order.paid.v2" };
        store.apply(&[change(number, table, &key, event)]);
    }
    store.apply(&[undetected(&occurrence("none", 40))]);
    let which = |fits: &dyn Fn(u64) -> bool| (0..40).rev().filter(|number| fits(*number)).collect::<Vec<u64>>();
    assert_eq!(store.listed(&filter("shop.orders", None)), which(&|n| n % 2 == 1));
    assert_eq!(store.listed(&filter("public.orders", Some("4"))), which(&|n| n % 2 == 0 && n % 5 == 4));
    assert_eq!(store.listed(&of_event("order.paid")), which(&|n| n % 4 == 0));
    let both = Filter { event: of_event("order.paid").event, ..filter("public.orders", Some("0")) };
    assert_eq!(store.listed(&both), which(&|n| n % 20 == 0));
    let since = Some(facts::start() + 30.milliseconds());
    assert_eq!(store.listed(&Filter { since, ..of_event("order.paid") }), [36, 32]);
    let later = Some(facts::start() + 1.hour());
    assert_eq!(store.listed(&Filter { since: later, ..Filter::default() }), [0_u64; 0]);
    assert_eq!(store.listed(&Filter { eventless: true, ..filter("public.moves", None) }), [40]);
    assert_eq!(store.listed(&filter("public.order", None)), [0_u64; 0]);
}

#[test]
fn what_counts_later_is_found_and_what_counts_no_more_is_not() {
    let mut store = Fixture::new();
    // The earlier record of an invocation counts, whenever it is told.
    let late = change(7, "public.orders", "7", "order.paid");
    let mut early = late.clone();
    early.occurrence.received -= 1.second();
    early.occurrence.raw.offset = 3;
    if let Fact::Detected(detected) = &mut early.fact {
        detected.origin.table = Some("shop.orders".into());
        detected.events[0].event = "order.moved".parse().expect("a name");
    }
    store.apply(&[late]);
    assert_eq!(store.listed(&of_event("order.paid")), [7]);
    store.restart();
    store.apply(&[early]);
    assert_eq!(store.listed(&of_event("order.paid")), [0_u64; 0]);
    assert_eq!(store.listed(&of_event("order.moved")), [3]);
    assert_eq!(store.listed(&filter("shop.orders", Some("7"))), [3]);
    assert_eq!(store.listed(&filter("public.orders", None)), [0_u64; 0]);
    store
        .writer()
        .trim(Kept { since: jiff::Timestamp::MAX, count: 0, open_since: jiff::Timestamp::MAX })
        .expect("trimmed");
    assert_eq!(store.count("happened"), 0, "nothing is noted of what is deleted");
}

#[test]
fn what_was_received_long_ago_is_not_looked_through() {
    let mut store = Fixture::new();
    // Rows 1 to 4,095 are the first span, and one row is of the second.
    for chunk in (1..=4096_u64).collect::<Vec<_>>().chunks(512) {
        store.apply(&chunk.iter().map(|n| undetected(&occurrence("c", *n))).collect::<Vec<_>>());
    }
    let newest = facts::start() + 4096.milliseconds();
    let list = |store: &mut Fixture, since| store.listed(&Filter { since: Some(since), ..Filter::default() });
    assert_eq!(list(&mut store, newest), [4096]);
    assert_eq!(list(&mut store, newest - 1.millisecond()), [4096, 4095]);
    // What is told late of an early span is found there.
    let connection = &store.writer().connection;
    let newest_of_first: i64 =
        connection.query_row("SELECT newest FROM span WHERE number = 0", [], |row| row.get(0)).expect("a span");
    assert_eq!(newest_of_first, (newest - 1.millisecond()).as_microsecond());
    let kept = Kept { since: newest, count: u64::MAX, open_since: newest };
    while store.writer().trim(kept).expect("trimmed").more {}
    assert_eq!(store.count("span"), 1);
}

fn find(store: &mut Fixture, text: &str, most: usize) -> Found {
    store.writer().reader().find(text, "default", most).expect("read")
}

#[test]
fn an_id_is_found_by_its_beginning_and_a_whole_one_before_all_that_begin_so() {
    let mut store = Fixture::new();
    for (number, correlation) in ["order-7", "order-77", "order-78", "other"].into_iter().enumerate() {
        store.apply(&done(correlation, number as u64));
    }
    let shown = |found: &Found| -> Vec<String> {
        found.ids.iter().map(|one| format!("{:?} {}", one.kind, one.correlation)).collect()
    };
    assert_eq!(shown(&find(&mut store, "order-7", 9)), ["Correlation order-7"]);
    let found = find(&mut store, "orde", 9);
    assert_eq!(shown(&found), ["Correlation order-7", "Correlation order-77", "Correlation order-78"]);
    assert!(!found.more);
    let first = &found.ids[0];
    assert_eq!((first.events[0].to_string().as_str(), first.invocations), (EVENT, 1));
    assert_eq!(first.origin.as_ref().and_then(|origin| origin.table.as_deref()), Some("public.moves"));
    let cut = find(&mut store, "orde", 2);
    assert_eq!((cut.ids.len(), cut.more), (2, true), "what is cut is said");
    assert!(!find(&mut store, "orde", 3).more);
    assert_eq!(find(&mut store, "ord", 9).ids.len(), 0, "too short");
    assert_eq!(find(&mut store, "Orde", 9).ids.len(), 0, "another case");
    // An invocation by the beginning of its id, and by the id that its source gave it.
    let invocation = InvocationId::derived("default", "2");
    for text in [&invocation.to_string()[..8], &invocation.to_string(), &invocation.to_string().to_uppercase()] {
        let found = find(&mut store, text, 9);
        assert_eq!(shown(&found), ["Invocation order-78"], "{text}");
        assert_eq!(found.ids[0].invocation, Some(invocation));
    }
    assert_eq!(shown(&find(&mut store, "2", 9)), ["SourceEvent order-78"]);
    assert_eq!(store.writer().reader().find("2", "billing", 9).expect("read").ids.len(), 0);
    assert_eq!(find(&mut store, "é", 9).ids.len(), 0);
}
