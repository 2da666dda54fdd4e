//! Tables whose columns are known: what is said of files, and how rows are read.

mod common;

use catalog::{Catalog, Rule, Severity, Sources, Verdict, wire::CatalogRecord};
use common::{TestKinds, catalog, change, compile, problems_of};
use proptest::{prop_assert_eq, proptest};
use serde_json::{Value, json};

const ORDERS: (&str, &str) = (
    "tables/public.orders.yaml",
    "description: What customers order.
columns:
  id: { type: bigint, nullable: false }
  status: { type: order_status, nullable: false, values: [placed, paid, shipped] }
  amount: numeric(10,2)
  active: smallint
  note: { type: text }
",
);

/// Place, message and help of each problem of an event beside the described table.
fn said(event: &str) -> Vec<String> {
    let found = problems_of(&[("events/a.yaml", event), ORDERS]).into_iter();
    found
        .map(|it| format!("{}:{} {}; {}", it.place.line, it.place.column, it.message, it.help.unwrap_or_default()))
        .collect()
}

#[test]
fn expressions_are_held_against_the_columns_at_their_place_in_the_file() {
    let event = "from: { table: orders }
when: |
  became(\"status\", \"shiped\")
  && new.statsu == \"paid\" && new.active == true && new.amount > 1000
data:
  noted: [new.id, new.nte]
  active: new.active
key: [new.id, data.noted, old.ide]
";
    assert_eq!(
        said(event),
        [
            "3:20 `status` is never \"shiped\"; did you mean \"shipped\"?",
            "4:10 public.orders has no column `statsu`; did you mean `status`?",
            "4:44 `active` is smallint, a number: 0 and 1 are no truth values; write 1 instead of true",
            "6:23 public.orders has no column `nte`; did you mean `note`?",
            "8:31 public.orders has no column `ide`; did you mean `id`?",
        ]
    );
    let found = problems_of(&[("events/a.yaml", event), ORDERS]);
    assert!(found.iter().all(|it| (it.rule, it.severity) == (Rule::Column, Severity::Error)), "{found:#?}");
    // What is not described works as ever, and so does what may be of a table that is not.
    for from in ["parcels", "[orders, parcels]", "\"*\""] {
        assert_eq!(said(&event.replace("orders", from)), [] as [String; 0], "{from}");
    }
}

#[test]
fn the_rows_of_tests_are_held_against_the_columns() {
    let test = |new: &str| {
        said(&format!(
            "from: {{ table: orders }}\ntests:\n  - name: x\n    change: {{ op: insert, new: {{ {new} }} }}\n    expect: detected\n"
        ))
    };
    for (new, expected) in [
        ("statsu: paid", "4:34 public.orders has no column `statsu`; did you mean `status`?"),
        ("status: Paid", "4:42 `status` is never \"Paid\"; did you mean \"paid\"?"),
        ("id: null", "4:38 `id` is never null; write a value, or leave the column out"),
        ("active: true", "4:42 `active` is smallint, and never true; its value is a number"),
        ("amount: much", "4:42 `amount` is numeric(10,2), and never \"much\"; its value is a number"),
        ("note: 5", "4:40 `note` is text, and never 5; its value is a text; write it in quotes"),
    ] {
        assert_eq!(test(new), [expected], "{new}");
    }
    for new in ["note: null, amount: '12.50', id: 7", "amount: NaN", ""] {
        assert_eq!(test(new), [] as [String; 0], "{new}");
    }
}

#[test]
fn a_number_that_is_sent_as_a_text_is_read_as_the_number_it_is() {
    let event = "from: { table: orders }
when: new.amount > 1000 && new.id == 50755254975729665 && changed(\"amount\")
data: { total: new.amount, half: new.amount / 2, note: new.note }
key: new.id
tests:
  - name: as Hasura sends it where it makes texts of large numbers
    change: { op: update, old: { amount: '1' }, new: { id: '50755254975729665', amount: '1000.50', note: '5' } }
    expect: { total: 1000.50, half: 500.25, note: '5' }
";
    let files = [("events/a.yaml", event), ORDERS];
    let catalog = catalog(&files);
    let row = |id: Value, amount: Value| json!({ "id": id, "amount": amount, "note": "5" });
    let evaluate = |old: Value, new: Value, schema: &str, is_wrapped: bool| {
        let body = json!({ "table": { "schema": schema, "name": "orders" }, "event": { "op": "UPDATE", "data": { "old": old, "new": new } } });
        let body = if is_wrapped { json!({ "payload": body }) } else { body };
        let (body, _) = catalog.parse(body.to_string().as_bytes(), "default").expect("JSON");
        let change = change(contracts::hasura::unwrap(&body), "default");
        let event = &catalog.events()[0];
        assert_eq!(event.evaluate(&change), event.evaluate(&change));
        event.evaluate(&change)
    };
    let id = json!("50755254975729665");
    for is_wrapped in [false, true] {
        let verdict = evaluate(row(id.clone(), json!("1")), row(id.clone(), json!("1000.50")), "public", is_wrapped);
        let Verdict::Detected { data, key } = verdict else { panic!("{verdict:?}") };
        assert_eq!(data.to_string(), r#"{"half":500.25,"note":"5","total":1000.50}"#);
        assert_eq!(key.as_deref(), Some("50755254975729665"));
    }
    // The same number, written otherwise, is no change; what is no number stays what it is.
    let verdict = evaluate(row(id.clone(), json!("2000.0")), row(id.clone(), json!(2000)), "public", false);
    assert!(matches!(verdict, Verdict::NotDetected(_)), "{verdict:?}");
    let verdict = evaluate(row(id.clone(), json!("1")), row(id, json!("NaN")), "public", false);
    assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    catalog.test(&catalog.events()[0], &catalog.events()[0].tests()[0]).expect("the test passes");
}

#[test]
fn a_table_is_described_once_for_each_source() {
    let shop = ("tables/shop/public.orders.yaml", "source: shop\ncolumns: { number: text }\n");
    let event = |from: &str| format!("from: {{ table: orders{from} }}\nwhen: has(new.number)\n");
    let problems = |from: &str, files: &[(&str, &str)]| {
        let event = event(from);
        let all: Vec<_> = [("events/a.yaml", event.as_str())].into_iter().chain(files.iter().copied()).collect();
        problems_of(&all).len()
    };
    assert_eq!(problems(", source: shop", &[ORDERS, shop]), 0);
    assert_eq!(
        problems(", source: other", &[ORDERS, shop]),
        1,
        "what no file is about is described by the one without source"
    );
    assert_eq!(problems("", &[ORDERS, shop]), 0, "it may be either");
    assert_eq!(problems("", &[shop]), 0, "it may be of another source");
    assert_eq!(problems(", source: shop", &[shop, ("tables/public.orders.yml", shop.1)]), 1, "twice");
    let catalog = catalog(&[shop]);
    assert_eq!(
        catalog.described().map(|it| (it.table().to_string(), it.source())).collect::<Vec<_>>(),
        [("public.orders".to_owned(), Some("shop"))]
    );
}

#[test]
fn a_tables_file_is_checked() {
    let said = |file: &str| {
        let found = problems_of(&[("events/a.yaml", "from: { table: t }\nwhen: new.x\n"), ("tables/t.yaml", file)]);
        let found = found.into_iter();
        found.map(|it| format!("{}:{} {}", it.place.line, it.place.column, it.message)).collect::<Vec<_>>()
    };
    for (file, expected) in [
        ("", "0:0 the file is empty"),
        ("colums: {}\n", "1:1 the key `colums` is unknown"),
        ("columns: [a]\n", "1:10 `columns` is a list, and a map of columns and their types, `id: integer`, is wanted"),
        ("columns: {}\n", "1:10 `columns` is empty"),
        ("columns: { x: bolean }\n", "1:15 the type `bolean` is not known"),
        ("columns: { x: { type: boolean, nulable: true } }\n", "1:32 the key `nulable` is unknown"),
        ("columns: { x: { nullable: true } }\n", "1:12 the column `x` has no type"),
        (
            "columns: { x: { type: jsonb, nullable: maybe } }\n",
            "1:40 `nullable` is a single value, and true or false is wanted",
        ),
        ("columns: { x: { type: integer, values: [a] } }\n", "1:40 only a column of texts has `values`"),
        ("columns: { x: { type: custom, values: [] } }\n", "1:39 `values` lists none"),
        ("columns: { x: { type: custom, values: [1] } }\n", "1:40 a value is a text"),
        ("columns: { x: { type: custom, values: [a, a] } }\n", "1:43 the value \"a\" is listed twice"),
        ("source: a b\ncolumns: { x: boolean }\n", "1:9 no webhook has a source of that name"),
    ] {
        assert!(said(file).contains(&expected.to_owned()), "{file}: {:#?}", said(file));
    }
    let type_of = |file: &str| problems_of(&[("events/a.yaml", "from: { table: t }\n"), ("tables/t.yaml", file)]);
    let unknown = type_of("columns: { x: bolean, y: { type: mood } }\n");
    assert_eq!(
        unknown.iter().map(|it| it.severity).collect::<Vec<_>>(),
        [Severity::Warning],
        "it may be the database's own"
    );
    assert_eq!(type_of("columns: { x: { type: bolean, values: [a] } }\n"), [], "an enum may have any name");
    let slip = problems_of(&[("events/a.yaml", "from: { table: orderz }\n"), ORDERS]);
    assert_eq!(slip[0].message, "public.orderz is not described");
    assert_eq!((slip[0].rule, slip[0].severity), (Rule::Table, Severity::Warning));
}

#[test]
fn descriptions_travel_with_the_catalog_and_a_stricter_reader_goes_on() {
    let files = [("events/a.yaml", "from: { table: orders }\nwhen: new.amount > 1\n"), ORDERS];
    let record = |files: &[(&str, &str)]| {
        let sources = Sources::new(files.iter().copied());
        let catalog = catalog(&files[..1]);
        let plan = catalog::wire::Plan {
            previous: None,
            catalog: &catalog,
            sources,
            folder: None,
            ends: &|_| Vec::new(),
            now: jiff::Timestamp::UNIX_EPOCH,
            keep_retired: catalog::wire::KEEP_RETIRED,
            drained: &|_| true,
        };
        CatalogRecord::decode(&catalog::wire::plan_next(plan).encode()).expect("it is read")
    };
    let read = record(&files).compile(&TestKinds).catalog.expect("a catalog");
    assert_eq!(read.described().count(), 1);
    let old = record(&files[..1]).compile(&TestKinds).catalog.expect("a catalog of before");
    assert_eq!(old.described().count(), 0);
    // What a later version finds in a catalog that is on the bus already stops nobody.
    let bad = [("events/a.yaml", "from: { table: orders }\nwhen: new.amuont > 1\n"), ORDERS];
    assert!(Catalog::compile(&Sources::new(bad), &TestKinds).catalog.is_none());
    assert!(record(&bad).compile(&TestKinds).catalog.is_some());
    assert!(compile(&bad).report.has_errors());
}

#[test]
fn the_page_about_described_tables_is_right() {
    let page = include_str!("../../docs/catalog.md");
    let block = |begin: &str| {
        let at = page.find(begin).unwrap_or_else(|| panic!("{begin} is in the page"));
        page[at..].split("```").next().expect("it ends")
    };
    let table = block("# tables/public.orders.yaml\n");
    let event = "from: { table: orders }\nwhen: |\n  became(\"status\", \"shiped\")\nsample: {}\n";
    let report = |event: &str| {
        compile(&[("events/order.shipped.yaml", event), ("tables/public.orders.yaml", table)]).report.to_string()
    };
    assert_eq!(report(event).trim_end(), block("error: `status` is never \"shiped\"").trim_end());
    for (expression, part) in [
        ("new.express == true", "no truth values"),
        ("new.express && true", "no truth values"),
        ("new.total == \"5\"", "without quotes"),
        ("new.note == 5", "\"5\""),
    ] {
        assert!(page.contains(expression.trim_end_matches("true")), "{expression}");
        let event = format!("from: {{ table: orders }}\nwhen: {expression}\nsample: {{}}\n");
        let said = report(&event);
        assert!(said.contains(part), "{said}");
    }
}

proptest! {
    /// However a number is sent, conditions, data and keys are the same.
    #[test]
    fn a_number_and_its_text_are_the_same(
        old in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
        new in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
    ) {
        let event = "from: { table: orders }
when: changed(\"amount\") && new.amount != 7 && (new.amount > old.amount || new.amount < 1000)
data: { amount: new.amount, old: old.amount }
key: new.amount
";
        let catalog = catalog(&[("events/a.yaml", event), ORDERS]);
        let verdict = |quote: &str| {
            let body = format!(
                r#"{{ "table": {{ "name": "orders" }}, "event": {{ "op": "UPDATE", "data": {{ "old": {{ "amount": {quote}{old}{quote} }}, "new": {{ "amount": {quote}{new}{quote} }} }} }} }}"#
            );
            let (body, _) = catalog.parse(body.as_bytes(), "default").expect("JSON");
            catalog.events()[0].evaluate(&change(&body, "default"))
        };
        prop_assert_eq!(verdict("\""), verdict(""));
    }
}
