//! Shared jobs with parameters, and jobs with an input: what is checked, what travels, and what an event is filled in with.

mod common;

use catalog::{
    Catalog, JobContext, Severity, Sources,
    wire::{CatalogRecord, KEEP_RETIRED, Plan, plan_next},
};
use common::{TestKinds, catalog, compile, problems_of};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const MAIL: (&str, &str) = (
    "jobs/mail.yaml",
    "parameters:\n  template: Which mail.\n  to:\n  copies: { description: How many., default: 1 }\n\
     log: { message: \"${params.template} ${params.to} ${params.copies}\" }\n",
);

fn event(jobs: &str) -> (&'static str, String) {
    (
        "events/a.yaml",
        format!("from: {{ table: t }}\ndata: {{ id: new.id, email: new.email }}\nsample: {{}}\njobs:\n{jobs}"),
    )
}

/// What is said of an event that lists jobs like this, beside the shared job.
fn said(job: (&str, &str), jobs: &str) -> Vec<(usize, usize, String, String)> {
    let (path, text) = event(jobs);
    let told = problems_of(&[(path, &text), job]).into_iter();
    told.map(|it| (it.place.line, it.place.column, it.message, it.help.unwrap_or_default())).collect()
}

#[track_caller]
fn finds(job: (&str, &str), jobs: &str, place: (usize, usize), message: &str, help: &str) {
    let found = said(job, jobs);
    let [(line, column, told, advice)] = &found[..] else { panic!("{found:#?}") };
    assert!((*line, *column) == place && told.contains(message) && advice.contains(help), "{found:#?}");
}

fn filled(catalog: &Catalog, event: &str, data: Value) -> Result<Value, String> {
    let job = catalog.jobs().chain(catalog.retired()).find(|job| job.name().as_str() == "mail").expect("the job");
    let context = JobContext { data: &data, event: &json!({ "id": "e" }), payload: None };
    let filled = job.filling().fill(&event.parse().expect("a name"), &context);
    filled.map(|filled| filled.options["message"].clone()).map_err(|error| error.to_string())
}

#[test]
fn an_event_gives_values_of_any_shape_and_what_it_leaves_out_has_its_default() {
    let with =
        "  - use: mail\n    with:\n      template: \"'hello'\"\n      to: data.email\n      copies: data.id + 1\n";
    let (a, b) = (event(with), event("  - use: mail\n    with: { template: event.id, to: upper(data.email) }\n"));
    let catalog = catalog(&[(a.0, &a.1), ("events/b.yaml", &b.1), MAIL]);
    let data = json!({ "id": 7, "email": "a@b" });
    assert_eq!(filled(&catalog, "a", data.clone()), Ok(json!("hello a@b 8")));
    assert_eq!(filled(&catalog, "b", data), Ok(json!("e A@B 1")));
    assert_eq!(filled(&catalog, "a", json!({ "id": 7 })), Err("with.to: data.email is missing".into()));
    let job = catalog.jobs().next().expect("a job");
    assert_eq!((catalog.jobs().count(), job.events().len(), job.full_name()), (1, 2, "mail"), "it is one group");
}

#[test]
fn what_an_event_gives_is_held_against_what_the_job_declares() {
    finds(MAIL, "  - mail\n", (5, 5), "the job mail needs `template`, `to`", "- use: mail");
    finds(MAIL, "  - use: mail\n    with: { to: data.email }\n", (5, 5), "needs `template`", "`\"'welcome'\"`");
    let with = |rest: &str| format!("  - use: mail\n    with:\n      template: \"'x'\"\n      to: data.email\n{rest}");
    assert_eq!(said(MAIL, &with("")), []);
    finds(MAIL, &with("      copeis: 1\n"), (9, 7), "no parameter `copeis`", "`copies`");
    finds(MAIL, &with("      other: 1\n"), (9, 7), "no parameter `other`", "it has template, to, copies");
    finds(MAIL, &with("    timeout: 3s\n"), (9, 5), "the key `timeout` is unknown", "use, with");
    let misspelt = "  - use: mail\n    with:\n      tmplate: \"'x'\"\n      to: data.email\n";
    finds(MAIL, misspelt, (7, 7), "no parameter `tmplate`", "`template`");
    finds(MAIL, "  - use: mial\n", (5, 10), "no job `mial`", "`mail`");
    finds(MAIL, "  - with: {}\n", (5, 5), "`use` is a map", "");
    finds(MAIL, "  - use: mail\n    with: [data.email]\n", (6, 11), "`with` is a list, and a map", "");
    let twice = with("  - use: mail\n    with: { template: \"'y'\", to: data.email }\n");
    finds(MAIL, &twice, (9, 5), "the event has a job mail already", "an event lists a job once");
    // Expressions are those of `data` and `event`.
    let to = |to: &str| format!("  - use: mail\n    with:\n      template: \"'x'\"\n      to: {to}\n");
    finds(MAIL, &to("welcome"), (8, 11), "`welcome` is not known", "`\"'welcome'\"`");
    finds(MAIL, &to("new.email"), (8, 11), "`new` is not known", "`data`");
    finds(MAIL, &to("params.to"), (8, 11), "`params` is not known", "");
    finds(MAIL, &to("data.emial"), (8, 16), "the event's data have no `emial`", "`email`");
    finds(MAIL, &to("event.nam"), (8, 17), "`event` has no `nam`", "`name`");
    let none = ("jobs/mail.yaml", "log: {}\n");
    finds(none, "  - use: mail\n    with: { to: data.id }\n", (6, 13), "no parameter `to`", "declares no `parameters`");
}

#[test]
fn what_a_definition_declares_is_what_it_uses() {
    let listed = "  - use: mail\n    with: { to: data.email }\n";
    let job =
        |parameters: &str, message: &str| format!("parameters: {parameters}\nlog: {{ message: \"{message}\" }}\n");
    let find =
        |text: &str, place, message: &str, help: &str| finds(("jobs/mail.yaml", text), listed, place, message, help);
    assert_eq!(said(("jobs/mail.yaml", &job("{ to: Whom }", "${json(params)}")), listed), []);
    assert_eq!(said(("jobs/mail.yaml", &job("{ to: }", "${coalesce(params.to, '')}")), listed), []);
    find(
        &job("{ to: x, cc: { default: 1 } }", "${params.to}"),
        (1, 22),
        "the parameter `cc` is not used",
        "${params.cc}",
    );
    find(&job("{ to: x }", "${params.to} ${params.too}"), (2, 40), "no parameter `too`", "`to`");
    find(&job("{ to: x }", "${params.to} ${has(params.cc)}"), (2, 44), "no parameter `cc`", "declare it");
    find(&job("{ to: x, a-b: y }", "${params.to}"), (1, 22), "`a-b` is no name", "letters, digits");
    find(&job("{ to: { defualt: 1 } }", "${params.to}"), (1, 21), "`defualt` is unknown", "`default`");
    find(&job("{ to: { default: \"${data.x}\" } }", "${params.to}"), (1, 30), "nothing is filled in", "coalesce");
    find("parameters: [to]\nlog: {}\n", (1, 13), "`parameters` is a list", "");
    let inline = "  - id: own\n    parameters: { to: x }\n    log: {}\n  - use: mail\n    with: { template: \"'x'\", to: data.id }\n";
    finds(MAIL, inline, (6, 17), "defined in an event has no parameters", "jobs/");
    let inline = "  - id: own\n    log: { message: \"${params.to}\" }\n  - use: mail\n    with: { template: \"'x'\", to: data.id }\n";
    finds(MAIL, inline, (6, 31), "defined in an event has no parameters", "the value itself");
}

#[test]
fn a_job_works_on_what_its_input_makes_of_the_event() {
    let own = "  - id: own\n    input: { old: payload.event.data.old, id: data.id }\n    log: { message: \"${input.old.a} ${input.id}\" }\n";
    let (path, text) = event(own);
    let catalog = catalog(&[(path, &text)]);
    let filling = catalog.jobs().next().expect("a job").filling();
    assert!(filling.takes_payload());
    let (data, payload) = (json!({ "id": 7 }), json!({ "event": { "data": { "old": { "a": 1 } } } }));
    let context = JobContext { data: &data, event: &json!({}), payload: Some(&payload) };
    let filled = filling.fill(&"a".parse().expect("a name"), &context).expect("it is filled in");
    assert_eq!(filled.input, Some(json!({ "old": { "a": 1 }, "id": 7 })));
    assert_eq!(filled.options["message"], json!("1 7"));
    let find = |job: &str, place, message: &str, help: &str| finds(MAIL_LESS, job, place, message, help);
    find("  - id: own\n    input: data.oid\n    log: {}\n", (6, 17), "the data of a have no `oid`", "`id`");
    find("  - id: own\n    input: new.id\n    log: {}\n", (6, 12), "`new` is not known", "`payload`");
    find(
        "  - id: own\n    log: { message: \"${payload.id}\" }\n",
        (6, 24),
        "`payload` is not known",
        "`input: payload`",
    );
    find("  - id: own\n    input: params.x\n    log: {}\n", (6, 19), "has no parameters", "");
}

/// No shared job that would want something.
const MAIL_LESS: (&str, &str) = ("payloads/none.json", "{}");

fn next(previous: Option<&CatalogRecord>, files: &[(&str, &str)], hour: i64) -> CatalogRecord {
    let compiled = catalog(files);
    plan_next(Plan {
        previous,
        sources: Sources::new(files.iter().copied()),
        folder: None,
        catalog: &compiled,
        ends: &|_| vec![(0, 10)],
        now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour),
        keep_retired: KEEP_RETIRED,
        drained: &|_| true,
    })
}

#[test]
fn what_an_event_gave_last_travels_for_as_long_as_it_may_be_asked_for() {
    let listed = |to: &str| event(&format!("  - use: mail\n    with: {{ template: \"'x'\", to: \"{to}\" }}\n")).1;
    let (one, two) = (listed("data.email"), listed("upper(data.email)"));
    let without = "from: { table: t }\ndata: { id: new.id, email: new.email }\nsample: {}\n";
    let other = ("events/b.yaml", one.as_str());
    let first = next(None, &[("events/a.yaml", &one), other, MAIL], 0);
    let second = next(Some(&first), &[("events/a.yaml", &two), other, MAIL], 1);
    // The event lists it no more, and then no event does.
    let third = next(Some(&second), &[("events/a.yaml", without), other, MAIL], 2);
    let fourth = next(Some(&third), &[("events/a.yaml", without)], 3);
    for (record, expected) in [(&first, "x a@b 1"), (&second, "x A@B 1"), (&third, "x A@B 1"), (&fourth, "x A@B 1")] {
        let read = CatalogRecord::decode(&record.encode()).expect("it is read");
        let outcome = read.compile(&TestKinds);
        assert!(outcome.report.problems.iter().all(|problem| problem.severity == Severity::Warning));
        let catalog = outcome.catalog.expect("a catalog");
        assert_eq!(filled(&catalog, "a", json!({ "email": "a@b" })), Ok(json!(expected)), "{}", record.number);
    }
    // Records of before have none.
    let mut json = serde_json::to_value(&third).expect("JSON");
    json["starts"]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .for_each(|start| drop(start.as_object_mut().map(|it| it.remove("with"))));
    let old: CatalogRecord = serde_json::from_value(json).expect("a record");
    let catalog = old.compile(&TestKinds).catalog.expect("a catalog");
    assert!(filled(&catalog, "a", json!({})).expect_err("nothing is given").contains("params.template is missing"));
    assert_eq!(filled(&catalog, "b", json!({ "email": "a@b" })), Ok(json!("x a@b 1")));
}

#[test]
fn the_page_about_parameters_is_right() {
    let page = include_str!("../../docs/catalog.md");
    let from = &page[page.find("### Parameters").expect("it is there")..];
    let block = |begin: &str| {
        let at = from.find(begin).unwrap_or_else(|| panic!("{begin} is in the page")) + begin.len();
        from[at..].split("```").next().expect("it ends")
    };
    let (job, event) = (block("# jobs/send-mail.yaml\n"), block("# events/order.shipped.yaml\n"));
    let audit = block("# jobs/audit.yaml\n");
    let files = [("jobs/send-mail.yaml", job), ("events/order.shipped.yaml", event)];
    let catalog = catalog(&files);
    let found = &catalog.events()[0];
    found.tests().iter().for_each(|test| catalog.test(found, test).expect("as the page says"));
    let listed = event.replace("jobs:\n  - use", "jobs:\n  - audit\n  - use");
    let all = [files[0], ("events/order.shipped.yaml", listed.as_str()), ("jobs/audit.yaml", audit)];
    assert_eq!(compile(&all).report.problems, []);
    let misspelt = event.replace("template: ", "tmplate: ");
    let report = compile(&[files[0], ("events/order.shipped.yaml", &misspelt)]).report.to_string();
    let told = format!("error: {}", block("error: "));
    assert_eq!(report.trim_end(), told.trim_end());
}
