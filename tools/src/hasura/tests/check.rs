//! What is said of triggers that there are.

use std::{fs, path::Path};

use runtime::finding::{Finding, Level};

use super::{catalog, folder, of, shop, target};
use crate::hasura::{
    check::{Wanted, check},
    metadata::{self, Metadata},
    write::Address,
};

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
}

const DATABASES: &str = "
- name: default
  kind: postgres
  tables: \"!include default/tables/tables.yaml\"
- name: billing
  kind: postgres
  tables:
  - table: { name: invoices, schema: public }
";

/// A metadata folder with these files for the tables of the database `default`.
fn metadata(tables: &[&str]) -> Metadata {
    let root = tempfile::tempdir().expect("a folder");
    let home = "metadata/databases/default/tables";
    let mut list = String::new();
    for (number, text) in tables.iter().enumerate() {
        write(root.path(), &[(&format!("{home}/{number}.yaml"), text)]);
        let include =
            if number % 2 == 0 { format!("\"!include {number}.yaml\"") } else { format!("!include {number}.yaml") };
        list.push_str(&format!("- {include}\n"));
    }
    write(root.path(), &[("metadata/databases/databases.yaml", DATABASES), (&format!("{home}/tables.yaml"), &list)]);
    let of_project = metadata::read(root.path()).expect("it reads");
    assert_eq!(of_project, metadata::read(&root.path().join("metadata")).expect("it reads"));
    of_project
}

fn told(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let places =
            if finding.places.is_empty() { String::new() } else { format!(" [{}]", finding.places.join(", ")) };
        format!("{} {}: {}{places}\n", finding.level.as_str(), finding.check, finding.what)
    };
    findings.iter().map(line).collect()
}

const WANTED: Wanted<'_> = Wanted { address: None, secret: Some("x-herald-secret"), database: None };

#[test]
fn what_is_printed_is_complete() {
    let needs = of(&shop());
    let text = folder(&needs.triggers, &target());
    let files: Vec<&str> = text.split("---\n").collect();
    let mut found = metadata(&files[1..]);
    let billing = metadata(&files[..1]);
    found.triggers.extend(billing.triggers);
    assert_eq!(
        told(&check(&shop(), &found, &WANTED)),
        "ok triggers: 6 of the catalog's events are about tables, and nothing of that is missing, if http://herald:8080 is Herald (--url says who is)\n"
    );
    // Elsewhere is another Herald.
    let address = Address::Base("http://other:8080".into());
    let findings = check(&shop(), &found, &Wanted { address: Some(&address), ..WANTED });
    assert!(findings.iter().all(|finding| finding.check == "missing"), "{}", told(&findings));
    assert_eq!(findings.len(), 4, "{}", told(&findings));
}

#[test]
fn what_is_missing_unwanted_or_risky_is_said() {
    let orders = "
table: { name: orders, schema: public }
event_triggers:
- name: to_herald
  definition:
    enable_manual: true
    update: { columns: [payment_status, city], payload: [id] }
    delete: { columns: '*' }
  webhook: '{{HERALD_URL}}/hasura'
  headers: [{ name: X-Herald-Secret, value: written }]
  request_transform: { version: 2, body: { action: transform, template: '{{$body.event}}' } }
- name: also
  definition: { update: { columns: '*', payload: '*' } }
  retry_conf: { num_retries: 3 }
  webhook_from_env: HERALD_HOOK
- name: for_others
  definition: { insert: { columns: '*' } }
  webhook: https://example.com/orders
";
    let other = "table: customers\nevent_triggers:\n- { name: c, definition: { insert: { columns: '*' } }, webhook: 'http://h/hasura' }";
    let catalog = catalog(&[
        ("order.placed", "from: { table: orders, operations: [insert] }\n"),
        (
            "order.paid",
            "from: { table: orders }\nwhen: became('payment_status', 'paid')\ndata: { id: new.id, total: new.total }\n",
        ),
        ("order.moved", "from: { table: orders, trigger: to_herald }\nwhen: changed('city') || changed('street')\n"),
        ("order.any", "from: { table: orders, operations: [update], trigger: to_herald }\n"),
        ("stock.low", "from: { table: shop.stock, operations: [update] }\n"),
        ("invoice.gone", "from: { table: invoices, operations: [delete], source: billing }\n"),
    ]);
    let findings = check(&catalog, &metadata(&[orders, other]), &WANTED);
    insta::assert_snapshot!(told(&findings));
    assert!(findings.iter().all(|finding| finding.level != Level::Ok && !finding.advice.is_empty()));
}

#[test]
fn a_url_is_held_against_what_herald_answers() {
    let trigger = |name: &str, webhook: &str, more: &str| {
        format!(
            "- name: {name}\n  definition: {{ update: {{ columns: '*' }} }}\n  retry_conf: {{ num_retries: 3 }}\n  \
             webhook: {webhook}\n  headers: [{{ name: x-herald-secret, value_from_env: S }}]\n{more}"
        )
    };
    let paid = catalog(&[("order.paid", "from: { table: orders }\nwhen: became('status', 'paid')\n")]);
    let of = |triggers: &[String]| {
        let orders = format!("table: orders\nevent_triggers:\n{}", triggers.concat());
        told(&check(&paid, &metadata(&[&orders]), &WANTED))
    };
    // The wrong path is the cause, not that no trigger tells.
    assert_eq!(
        of(&[trigger("t", "http://herald:8080/hasura/", "")]),
        "problem webhook: Herald answers 404 to all that t on public.orders sends: it has no webhook at /hasura/\n"
    );
    let (once, waits) = (
        trigger("once", "http://herald:8080/hasura", ""),
        trigger("waits", "HTTP://u:p@herald:8080/hasura?wait=30s", ""),
    );
    let said = of(&[once, waits]);
    for line in [
        "ok triggers: 1 of",
        "warning wait: waits on public.orders waits with each delivery",
        "warning secret: waits on public.orders has a user and a password",
        "warning twice: once and waits both tell of public.orders",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    let transform = "  request_transform: { version: 2, url: '{{$base_url}}/x', query_params: {}, method: PUT }\n";
    let said = of(&[trigger("t", "'{{HERALD_HOOK}}'", transform)]);
    assert!(said.contains("another URL than its webhook") && said.contains("another method"), "{said}");
}

#[test]
fn columns_that_are_not_sent_are_missing() {
    let orders = "
table: orders
event_triggers:
- name: t
  definition: { update: { columns: '*', payload: [id, status] } }
  retry_conf: { num_retries: 3 }
  webhook: http://herald:8080/hasura
  headers: [{ name: x-herald-secret, value_from_env: HERALD_SECRET }]
";
    let data = |data: &str| {
        format!("from: {{ table: orders, operations: [update] }}\nwhen: changed('status')\ndata: {data}\n")
    };
    let (some, all, more) = (data("{ id: new.id, was: old.status }"), data("new"), data("{ id: new.id, at: new.at }"));
    let of = |text: &str| told(&check(&catalog(&[("a.a", text)]), &metadata(&[orders]), &WANTED));
    // Whoever passes on the whole row passes on what there is of it.
    for text in [&some, &all] {
        assert_eq!(
            of(text),
            "ok triggers: 1 of the catalog's events is about tables, and nothing of that is missing, if http://herald:8080 is Herald (--url says who is)\n"
        );
    }
    let leaves = "t leaves columns out of what it sends of UPDATE on public.orders (`payload`)";
    assert_eq!(of(&more), format!("problem missing: {leaves} [a.a (wants at)]\n"));
}

#[test]
fn an_exported_file_says_the_same_as_a_folder() {
    let root = tempfile::tempdir().expect("a folder");
    let table = r#"{"table": {"name": "orders", "schema": "public"}, "event_triggers": [{"name": "t",
        "definition": {"insert": {"columns": "*"}}, "webhook": "http://herald:8080/hasura", "retry_conf": {"num_retries": 1}}]}"#;
    let sources = format!(
        r#"[{{"name": "default", "tables": [{table}]}}, {{"name": "billing", "tables": [{{"table": "invoices"}}]}}]"#
    );
    let export = format!(r#"{{"resource_version": 8, "metadata": {{"version": 3, "sources": {sources}}}}}"#);
    write(root.path(), &[("whole.json", &export), ("list.json", &sources)]);
    let read = |name: &str| metadata::read(&root.path().join(name)).expect("it reads");
    assert_eq!(read("whole.json"), metadata(&[table]));
    assert_eq!(read("list.json"), metadata(&[table]));

    write(
        root.path(),
        &[("databases/databases.yaml", "- tables: \"!include gone.yaml\"\n"), ("broken.yaml", "a: [\n")],
    );
    let refused = |name: &str| metadata::read(&root.path().join(name)).expect_err("refused").to_string();
    assert!(refused("").contains("databases/gone.yaml: No such file"), "{}", refused(""));
    assert!(refused("broken.yaml").contains("broken.yaml: line 1"), "{}", refused("broken.yaml"));
    assert!(refused("nowhere").contains("no metadata of Hasura's"), "{}", refused("nowhere"));
}
