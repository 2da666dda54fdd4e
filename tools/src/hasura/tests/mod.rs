//! What is written for a catalog.

mod check;

use catalog::{Catalog, Sources, json_of_yaml};
use job_runner::Registry;
use serde_json::Value;

use super::{
    needs::{self, Needs},
    write::{Address, Secret, Target, api, folder},
};

fn catalog(events: &[(&str, &str)]) -> Catalog {
    let files = events.iter().map(|(name, text)| (format!("events/{name}.yaml"), (*text).to_owned()));
    let outcome = Catalog::compile(&Sources::new(files), &Registry::standard(&job_runner::Config::default()));
    outcome.catalog.unwrap_or_else(|| panic!("{}", outcome.report))
}

fn shop() -> Catalog {
    catalog(&[
        ("order.placed", "from: { table: orders, operations: [insert] }\n"),
        ("order.paid", "from: { table: orders }\nwhen: |\n  became('payment_status', 'paid')\n"),
        ("order.moved", "from: { table: orders }\nwhen: |\n  changed('city') || changed('street')\n"),
        ("stock.low", "from: { table: shop.stock, operations: [update] }\nwhen: new.count < 3\n"),
        ("stock.lost", "from: { table: shop.stock, operations: [update, manual] }\nwhen: changed('count')\n"),
        ("invoice.gone", "from: { table: invoices, operations: [delete], source: billing }\n"),
        ("said.by.name", "description: Nobody detects it.\n"),
    ])
}

fn target() -> Target {
    let secret = Secret { header: "x-herald-secret".into(), variable: "HERALD_SECRET".into() };
    Target { address: Some(Address::Base("http://herald:8080".into())), secret: Some(secret) }
}

fn of(catalog: &Catalog) -> Needs {
    needs::of(catalog, "default", true)
}

#[test]
fn a_metadata_folder_has_one_trigger_for_each_table() {
    let needs = of(&shop());
    assert_eq!(needs.notes, [""; 0]);
    insta::assert_snapshot!(folder(&needs.triggers, &target()));
}

#[test]
fn the_api_creates_each_trigger_or_replaces_it() {
    let needs = of(&shop());
    let body = serde_json::to_string_pretty(&api(&needs.triggers[1..2], &target())).expect("JSON");
    insta::assert_snapshot!(body);
    assert_eq!(api(&[], &target()).yaml(), "type: bulk_keep_going\nargs: []\n");
}

#[test]
fn both_forms_say_the_same() {
    let Needs { triggers, .. } = of(&shop());
    let read = |yaml: &str| json_of_yaml(yaml).unwrap_or_else(|error| panic!("{error}:\n{yaml}"));
    let text = folder(&triggers, &target());
    let files: Vec<Value> = text.split("---\n").map(read).collect();
    let body = serde_json::to_value(api(&triggers, &target())).expect("JSON");
    let commands = body["args"].as_array().expect("a list");
    assert_eq!((files.len(), commands.len()), (3, 6));
    for (file, pair) in files.iter().zip(commands.chunks(2)) {
        let entry = &file["event_triggers"][0];
        for (command, replace) in pair.iter().zip([false, true]) {
            let arguments = &command["args"];
            assert_eq!((&arguments["replace"], &arguments["table"]), (&replace.into(), &file["table"]));
            for key in ["name", "webhook", "headers", "retry_conf"] {
                assert_eq!(arguments[key], entry[key], "{key}");
            }
            for key in ["enable_manual", "insert", "update", "delete"] {
                assert_eq!(arguments.get(key), entry["definition"].get(key), "{key}");
            }
        }
    }
}

#[test]
fn what_an_update_is_told_of_can_be_everything() {
    let needs = needs::of(&shop(), "default", false);
    let text = folder(&needs.triggers, &target());
    assert_eq!(text.matches("update:\n        columns: \"*\"").count(), 2, "{text}");
    let plain = Target { address: Some(Address::Variable("HOOK".into())), secret: None };
    let text = folder(&needs.triggers[1..], &plain);
    assert!(text.contains("webhook_from_env: HOOK") && !text.contains("headers"), "{text}");
}

#[test]
fn events_that_name_a_trigger_get_it_and_what_does_not_go_together_is_said() {
    let one = of(&catalog(&[
        ("a.a", "from: { table: things, operations: [insert], trigger: on_things }\n"),
        ("b.b", "from: { table: things, operations: [delete] }\n"),
    ]));
    let [trigger] = one.triggers.as_slice() else { panic!("{one:?}") };
    assert_eq!((trigger.name.as_str(), trigger.insert, trigger.delete), ("on_things", true, true));
    assert_eq!(one.notes, [""; 0]);

    let needs = of(&catalog(&[
        ("a.a", "from: { table: [things, others], operations: [insert], trigger: 1st }\n"),
        ("b.b", "from: { table: things, operations: [delete], trigger: second }\n"),
        ("c.c", "from: { table: \"*\", operations: [manual] }\n"),
    ]));
    let made: Vec<_> =
        needs.triggers.iter().map(|made| (made.table.name.as_str(), made.name.as_str(), made.manual)).collect();
    assert_eq!(made, [("others", "1st", true), ("things", "1st", true), ("things", "second", false)]);
    insta::assert_snapshot!(needs.notes.join("\n"));
}

#[test]
fn a_url_and_a_variable_that_hasura_could_not_use_are_refused() {
    for odd in ["http://h:1?x=1", "http://h:1/#a", "http://h :1", "http://h:1/a b"] {
        assert!(super::base(odd).is_err_and(|error| error.contains("no query, no fragment")), "{odd}");
    }
    assert_eq!(super::base("{{HERALD}}/x/hasura").as_deref(), Ok("{{HERALD}}/x"));
    for odd in ["", "A B", "1A", "A-B"] {
        assert!(super::variable(odd).is_err(), "{odd}");
    }
    assert!(super::variable("HERALD_SECRET_2").is_ok());
}

#[test]
fn metadata_that_is_a_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("databases")).expect("a folder");
    let list = "- name: default\n  tables: \"!include default/tables/tables.yaml\"\n";
    std::fs::write(folder.path().join("databases/databases.yaml"), list).expect("written");
    let tables = folder.path().join("databases/default/tables");
    std::fs::create_dir_all(&tables).expect("a folder");
    rustix::fs::mkfifoat(rustix::fs::CWD, tables.join("tables.yaml"), rustix::fs::Mode::RUSR).expect("a pipe");
    let error = super::metadata::read(folder.path()).expect_err("a pipe").to_string();
    assert!(error.contains("tables.yaml: it is no regular file"), "{error}");
}
