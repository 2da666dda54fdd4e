use std::fs;

use catalog::{Catalog, Rule, Sources};
use job_runner::{Config, Registry};
use serde_json::Value;

use crate::hasura;

use super::{
    choose, example,
    files::Plan,
    joined, metadata, schedule, stub,
    table::{Column, Table},
};

#[test]
fn what_is_of_another_database_is_sent_as_of_that() {
    let of = |source: &str, schema: &str, name: &str| Table {
        source: source.into(),
        ..table(schema, name, vec![column("id", "integer")])
    };
    let tables = [of("default", "public", "orders"), of("crm", "crm", "people"), of("crm", "public", "orders")];
    let plan = stub::plan(&tables, false, Vec::new());
    is_green(&plan);
    let next = super::next("my".as_ref(), &plan, false);
    let sends: Vec<&str> = next.lines().filter_map(|line| line.trim().split_once(" send ").map(|(_, it)| it)).collect();
    assert_eq!(
        sends,
        ["my/payloads/orders.created.json --wait", "my/payloads/crm.people.created.json --source crm --wait"]
    );
    let next = super::next("my".as_ref(), &plan, true);
    for line in [
        " dev my --listen 127.0.0.1:8082",
        " send my/payloads/orders.created.json --url http://127.0.0.1:8082 --wait",
        " hasura triggers --catalog my --url http://127.0.0.1:8082",
    ] {
        assert!(next.lines().any(|have| have.ends_with(line)), "{line}: {next}");
    }
}

/// Whether `check` and `test` are green, and each payload is one of the event that is called like it.
fn is_green(plan: &Plan) -> Catalog {
    let all = plan.files().iter().filter(|(path, _)| !path.starts_with("schemas/"));
    let (catalog, payloads): (Vec<_>, Vec<_>) = all.partition(|(path, _)| path.ends_with(".yaml"));
    let sources = Sources::new(catalog.iter().map(|(path, text)| (path.clone(), text.clone())));
    let mut outcome = Catalog::compile(&sources, &Registry::standard(&Config::default()));
    outcome.report.promote(Rule::Sample);
    assert!(outcome.report.problems.is_empty(), "{}", outcome.report);
    let catalog = outcome.catalog.expect("a catalog");
    for event in catalog.events() {
        assert!(!event.tests().is_empty(), "{}", event.name());
        event
            .tests()
            .iter()
            .for_each(|test| catalog.test(event, test).unwrap_or_else(|why| panic!("{}: {why}", event.name())));
    }
    assert_eq!(payloads.len(), catalog.events().len());
    for (path, text) in payloads {
        let source = catalog.events().iter().find(|it| *path == format!("payloads/{}.json", it.name()));
        let source = source.unwrap_or_else(|| panic!("{path} is of no event")).source().map(str::to_owned);
        let source = source.unwrap_or_else(|| "default".to_owned());
        let mut body = contracts::hasura::parse(text.as_bytes()).expect("JSON");
        catalog.read(&mut body, &source);
        let parts = catalog::ChangeParts { body: &body, source: &source, received: jiff::Timestamp::UNIX_EPOCH };
        let change = catalog::Change::of(catalog::Occasion::of(&body), parts).expect("a body");
        let candidates = catalog.candidates(&change);
        let found: Vec<String> = candidates
            .filter(|event| matches!(event.evaluate(&change), catalog::Verdict::Detected { .. }))
            .map(|event| format!("payloads/{}.json", event.name()))
            .collect();
        assert_eq!(found, [path.as_str()]);
    }
    catalog
}

fn column(name: &str, written: &str) -> Column {
    Column {
        name: name.into(),
        written: Some(written.into()),
        nullable: false,
        values: Vec::new(),
        comment: None,
        is_key: name == "id",
    }
}

fn table(schema: &str, name: &str, columns: Vec<Column>) -> Table {
    Table {
        source: "default".into(),
        schema: schema.into(),
        name: name.into(),
        comment: None,
        columns,
        is_complete: true,
    }
}

#[test]
fn the_example_is_green() {
    is_green(&example::plan());
    let plan = example::plan().with_schemas();
    is_green(&plan);
    let text = |path: &str| {
        plan.files()
            .iter()
            .find(|(known, _)| known == path)
            .map_or("", |(_, text)| text.lines().next().unwrap_or_default())
    };
    assert_eq!(text("events/order.shipped.yaml"), "# yaml-language-server: $schema=../schemas/event.json");
    assert_eq!(text("tables/public.orders.yaml"), "# yaml-language-server: $schema=../schemas/table.json");
}

#[test]
fn whatever_tables_are_called_and_have_their_stubs_are_green() {
    const TYPES: [&str; 22] = [
        "bigint",
        "numeric(10,2)",
        "double precision",
        "text",
        "character varying(20)",
        "uuid",
        "date",
        "time without time zone",
        "time(3) with time zone",
        "timestamp without time zone",
        "timestamp(3) with time zone",
        "interval",
        "boolean",
        "jsonb",
        "bytea",
        "inet",
        "money",
        "integer[]",
        "order_status[]",
        "shop.mood",
        "int4range",
        "\"char\"",
    ];
    let mut status = column("status", "order_status");
    status.values = vec!["say \"hi\"".into(), "no".into(), "1".into(), "on its way".into()];
    status.comment = Some("two\nlines: # {\t\u{85}\u{2028}\u{feff}\u{7f}\u{1b}[2J".into());
    let odd = ["in", "my column", "größe", "it's", "a\"b", "var", "null", "x.y", "9lives", "new", "true", "#", "- a"];
    let mut keys = vec![column("id", "bigint"), column("my key", "text"), column("v", "jsonb")];
    keys[1].is_key = true;
    let mut tables = vec![
        table(
            "public",
            "orders",
            [vec![column("id", "bigint"), status], TYPES.map(|of| column(of, of)).to_vec()].concat(),
        ),
        table("public", "odd", odd.map(|name| column(name, "text")).to_vec()),
        table("public", "keys", keys),
        table("public", "order_items", vec![column("id", "bigint")]),
        table("public", "order-items", vec![column("id", "bigint")]),
        table("public", "ORDER ITEMS", vec![column("id", "bigint")]),
        table("größe", "ü", vec![column("v", "json")]),
        table("shop", "orders", vec![column("id", "uuid")]),
        table(&"s".repeat(63), &"t".repeat(63), vec![column(&"c".repeat(63), "text")]),
    ];
    tables.push(Table { source: "billing.eu".into(), ..tables[0].clone() });
    tables[0].comment = Some("What customers order: all of it".into());
    tables[1].columns.iter_mut().for_each(|column| column.nullable = true);
    // What Hasura alone knows.
    let mut unknown = table("public", "unknown", Vec::new());
    unknown.is_complete = false;
    let mut known_partly =
        table("public", "partly", vec![Column { written: None, nullable: true, ..column("id", "") }]);
    known_partly.is_complete = false;
    tables.extend([unknown, known_partly]);
    // What no catalog can name, or no file.
    tables.extend([
        table("public", "a\"b", Vec::new()),
        table("a.b", "c", Vec::new()),
        table("public", "a/b", Vec::new()),
    ]);
    let plan = stub::plan(&tables, false, Vec::new());
    let catalog = is_green(&plan);
    assert_eq!((catalog.events().len(), catalog.described().count()), (12, 10));
    let names: Vec<String> = catalog.events().iter().map(|event| event.name().to_string()).collect();
    for name in [
        "orders.created",
        "shop.orders.created",
        "billing-eu.orders.created",
        "order-items-2.created",
        "ORDER-ITEMS-3.created",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    assert_eq!(plan.notes.len(), 4, "{:?}", plan.notes);
    assert!(plan.notes.iter().any(|note| note.contains("public.unknown and 1 more")), "{:?}", plan.notes);
    let only = stub::plan(&tables, true, Vec::new());
    assert!(only.files().iter().all(|(path, _)| path.starts_with("tables/")) && only.payloads.is_empty());
}

#[test]
fn the_tables_of_a_metadata_folder_are_those_that_are_tracked() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    };
    write(
        "metadata/databases/databases.yaml",
        "- name: default\n  kind: postgres\n  tables: \"!include default/tables/tables.yaml\"\n- name: shop\n  kind: postgres\n  tables:\n    - table: { name: parcels, schema: out }\n",
    );
    write(
        "metadata/databases/default/tables/tables.yaml",
        "- !include public_orders.yaml\n- !include public_states.yaml\n",
    );
    write(
        "metadata/databases/default/tables/public_states.yaml",
        "table: { name: states, schema: public }\nis_enum: true\n",
    );
    write(
        "metadata/databases/default/tables/public_orders.yaml",
        "table: { name: orders, schema: public }
configuration: { column_config: { note: { custom_name: remark } } }
object_relationships:
  - { name: customer, using: { foreign_key_constraint_on: customer_id } }
  - { name: place, using: { foreign_key_constraint_on: [country, zip] } }
select_permissions:
  - { role: user, permission: { columns: [id, total], filter: {} } }
  - { role: staff, permission: { columns: \"*\", filter: {} } }
event_triggers:
  - { name: t, definition: { update: { columns: [status], payload: [id, paid] } } }
",
    );
    let cron = "[{ name: Nightly report, payload: { a: 1.50 }, comment: \"At night: all\" }, { name: nightly-report, payload: ~ }, { name: ü, payload: [x] }]";
    fs::write(folder.path().join("metadata/cron_triggers.yaml"), cron).expect("it is written");
    let known = hasura::metadata::read(folder.path()).expect("metadata");
    let tables = metadata::tables(known.tables);
    let mut schedules = Plan::default();
    schedule::add(&mut schedules, &known.schedules);
    let made = is_green(&schedules);
    let names: Vec<String> = made.events().iter().map(|event| event.name().to_string()).collect();
    assert_eq!(names, ["Nightly-report.due", "nightly-report-2.due", "schedule.due"]);
    let shown = |table: &Table| {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        format!("{} {}: {}", table.source, table.full_name(), columns.join(" "))
    };
    let expected = ["default public.orders: country customer_id id note paid status total zip", "shop out.parcels: "];
    assert_eq!(tables.iter().map(shown).collect::<Vec<_>>(), expected);
    is_green(&stub::plan(&tables, false, Vec::new()));
    // With the database beside it, what that has counts.
    let found = vec![
        table("public", "orders", vec![column("id", "uuid")]),
        table("public", "other", vec![column("id", "uuid")]),
    ];
    let mut notes = Vec::new();
    let both = joined(tables.clone(), found.clone(), "default", &mut notes);
    assert_eq!(both.iter().map(shown).collect::<Vec<_>>(), ["default public.orders: id", "shop out.parcels: "]);
    assert!(notes.is_empty() && both[0].is_complete && !both[1].is_complete);
    // What is no table of that database is a view, or gone.
    let both = joined(tables, found, "shop", &mut notes);
    assert_eq!(both.iter().map(Table::full_name).collect::<Vec<_>>(), ["public.orders"]);
    assert!(notes[0].contains("out.parcels") && notes[0].contains("a view"), "{notes:?}");
}

#[test]
fn tables_are_chosen_by_name() {
    let all = || vec![table("public", "orders", Vec::new()), table("shop", "orders", Vec::new())];
    let chosen = |wanted: &str| {
        let mut tables = all();
        choose(&mut tables, &[wanted.to_owned()]).map(|()| tables.iter().map(Table::full_name).collect::<Vec<_>>())
    };
    assert_eq!(chosen("orders").expect("it is there"), ["public.orders"]);
    assert_eq!(chosen("shop.orders").expect("it is there"), ["shop.orders"]);
    let error = chosen("ordres").expect_err("it is not there").to_string();
    assert_eq!(error, "there is no table public.ordres; did you mean public.orders?");
    // The schema alone makes no two names alike.
    for (wanted, told) in [
        ("order", "public.order; did you mean public.orders?"),
        ("mood", "public.mood; there are public.orders, shop.orders"),
        ("hop.orders", "hop.orders; did you mean public.orders or shop.orders?"),
        ("Orders", "public.Orders; did you mean public.orders or shop.orders?"),
        ("", "no table's name"),
    ] {
        let error = chosen(wanted).expect_err("it is not there").to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn the_database_is_one_that_hasura_has() {
    let chosen = |said, names: &[&str]| {
        let known: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        super::database(said, &known).map_err(|error| error.to_string())
    };
    assert_eq!(chosen(Some("x"), &[]), Ok("x".to_owned()));
    assert_eq!(chosen(None, &["main"]), Ok("main".to_owned()));
    assert_eq!(chosen(None, &["default", "shop"]), Ok("default".to_owned()));
    assert!(chosen(None, &["main", "shop"]).is_err_and(|error| error.ends_with("which of them --from-postgres is")));
    assert_eq!(chosen(Some("shop"), &["default", "shop"]), Ok("shop".to_owned()));
    let refused = chosen(Some("nope"), &["main", "shop"]).expect_err("it is not there");
    assert!(refused.ends_with("no database of that name; there are main, shop"), "{refused}");
}

#[test]
fn a_description_of_a_table_that_is_gone_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let tables = [table("public", "orders", vec![column("id", "integer")])];
    let mut plan = stub::plan(&tables, true, Vec::new());
    plan.write(folder.path(), false).expect("written");
    plan.described = Some("default".into());
    assert_eq!(plan.gone(folder.path()), None);
    fs::write(folder.path().join("tables/public.dropped.yaml"), "columns: { id: integer }\n").expect("written");
    let told = plan.gone(folder.path()).expect("one is gone");
    assert!(told.contains("tables/public.dropped.yaml;") && !told.contains("orders"), "{told}");
}

#[test]
fn nothing_is_written_over_unless_that_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = example::plan();
    let mine = folder.path().join("tables/public.orders.yaml");
    fs::create_dir_all(mine.parent().expect("a folder")).expect("a folder");
    fs::write(&mine, "mine").expect("written");
    let error = plan.write(folder.path(), false).expect_err("a file is in the way").to_string();
    assert!(error.contains("tables/public.orders.yaml") && error.contains("nothing is written"), "{error}");
    assert!(!folder.path().join("events").exists() && fs::read(&mine).expect("it is there") == b"mine");
    let told = plan.write(folder.path(), true).expect("written").told(folder.path());
    assert!(told.contains("public.orders.yaml  (written over)"), "{told}");
    let again = plan.write(folder.path(), false).expect("nothing is new").told(folder.path());
    assert!(again.contains("0 files") && again.contains("3 as they were"), "{again}");
    let read: Value =
        serde_json::from_slice(&fs::read(folder.path().join("payloads/order.shipped.json")).expect("it is there"))
            .expect("JSON");
    assert_eq!(read["event"]["op"], "UPDATE");
}
