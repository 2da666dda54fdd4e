//! What `check` finds, rule by rule, each at its place.

mod common;

use catalog::{Catalog, Rule, Severity, Sources};
use common::{TestKinds, compile, problems, problems_of};

/// One problem, with its place, a part of its message and a part of its help.
#[track_caller]
fn finds(text: &str, place: (usize, usize), message: &str, help: &str) {
    finds_in(&[("events/a.yaml", text)], place, message, help);
}

#[track_caller]
fn finds_in(files: &[(&str, &str)], place: (usize, usize), message: &str, help: &str) {
    let found = problems_of(files);
    assert_eq!(found.len(), 1, "{found:#?}");
    let problem = &found[0];
    assert!(problem.message.contains(message), "{problem:#?}");
    assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{problem:#?}");
    assert_eq!((problem.place.line, problem.place.column), place, "{problem:#?}");
}

const FROM: &str = "from: { table: moves }\n";

#[test]
fn a_fine_file_has_no_problems() {
    assert_eq!(problems("from: { table: moves, operations: Update }\nwhen: changed(\"a\")\nsample: {}\n"), []);
    assert_eq!(problems("description: published by name\njobs: []\n"), []);
    assert_eq!(problems("\u{feff}from: { table: \"*\" }\r\nwhen: op == \"INSERT\"\r\n"), []);
}

#[test]
fn the_quotes_of_a_text_are_those_that_its_place_wants() {
    for (written, place, help) in [
        ("when: new.status == paid\n", (2, 21), "a text in quotes: `\"paid\"`"),
        ("when: |\n  new.status == paid\n", (3, 17), "a text in quotes: `\"paid\"`"),
        ("when: 'new.status == paid'\n", (2, 22), "a text in quotes: `\"paid\"`"),
        ("when: \"new.status == paid\"\n", (2, 22), "a text in quotes: `'paid'`"),
        ("data:\n  status: paid\n", (3, 11), "a text in quotes: `\"'paid'\"`"),
        ("data:\n  status: \"paid\"\n", (3, 12), "a text in quotes: `\"'paid'\"`"),
        ("data:\n  status: |\n    paid\n", (4, 5), "a text in quotes: `\"paid\"`"),
        ("key: [new.id, paid]\n", (2, 15), "a text in quotes: `\"'paid'\"`"),
        ("when: \"new.status = 1 && new.a == paid\"\n", (2, 19), "write `==`"),
    ] {
        finds(&format!("{FROM}{written}"), place, "", help);
    }
    let written = "when: |\n  new.status == \"'paid'\"\n";
    finds(&format!("{FROM}{written}"), (3, 17), "a text with quotes in it", "write \"paid\"");
    assert_eq!(problems(&format!("{FROM}data:\n  status: \"'paid'\"\n")), []);
}

#[test]
fn what_is_never_true_or_false_is_no_condition() {
    for (when, message, help) in [
        ("'\"true\"'", "\"true\" is a text, and a condition is true or false", "write true, without quotes"),
        ("'new.paid ? 1 : true'", "a number is no condition", "new.total != 0"),
        ("size(new.tags)", "a number is no condition", "new.total != 0"),
    ] {
        let found = problems(&format!("{FROM}when: {when}\n"));
        assert!(found.len() == 1 && found[0].message == message, "{when}: {found:#?}");
        assert!(
            found[0].severity == Severity::Error && found[0].help.as_deref().is_some_and(|told| told.contains(help))
        );
    }
    assert_eq!(problems(&format!("{FROM}when: new.paid || coalesce(new.a, false)\n")), []);
}

#[test]
fn a_key_of_another_name_is_one_mistake_and_leads_to_ours() {
    finds("from: { tabel: moves }\n", (1, 9), "the key `tabel` is unknown", "did you mean `table`?");
    finds("form: { table: moves }\nwhen: new.a == 1\n", (1, 1), "the key `form` is unknown", "did you mean `from`?");
    finds("table: moves\nwhen: new.a == 1\n", (1, 1), "the key `table` is unknown", "As in `from: { table: orders }`");
    finds(&format!("{FROM}if: new.a == 1\n"), (2, 1), "the key `if` is unknown", "did you mean `when`?");
    for (key, help) in [("retries", "of three retries it is 4"), ("max_retries", "`attempts`"), ("retry", "`attempts`")]
    {
        let text = format!("{FROM}jobs:\n  - id: a\n    log: {{ message: x }}\n    {key}: 3\n");
        finds(&text, (5, 5), &format!("`{key}` is no kind of job and no option"), help);
    }
}

#[test]
fn a_part_of_a_condition_in_a_comment_of_yaml_is_an_error() {
    let text = format!("{FROM}when: new.a == 1 # && new.b == 2\n");
    finds(&text, (2, 7), "YAML takes `# && …` for a comment", "block style");
    assert_eq!(problems(&format!("{FROM}when: new.a == 1 # one alone\n")), []);
}

#[test]
fn a_table_with_its_database_before_it_is_warned_of() {
    let from = "from: { table: default.public.moves }\n";
    finds(from, (1, 1), "is read as the table `public.moves` of the schema `default`", "`source: default`");
    let described = ("tables/default.public.moves.yaml", "columns: { id: integer }\n");
    assert_eq!(problems_of(&[("events/a.yaml", from), described]), []);
}

#[test]
fn of_one_cause_one_thing_is_said() {
    let table = ("tables/public.orders.yaml", "columns:\n  id: integer\n  status: text\n");
    for (when, message) in [
        ("changed('new.status')", "no column is called"),
        ("became(status, 'paid')", "`status` is not known here"),
        ("new.statsu.getHours() > 3", "comes as a text"),
    ] {
        let event = format!("from: {{ table: orders }}\nwhen: {when}\n");
        let found = problems_of(&[("events/a.yaml", &event), table]);
        assert!(
            found.iter().filter(|problem| problem.place.column == found[0].place.column).count() == 1,
            "{found:#?}"
        );
        assert!(found[0].message.contains(message), "{found:#?}");
    }
}

#[test]
fn a_key_is_made_of_data_that_there_are() {
    let data = format!("{FROM}data: {{ orderId: new.id }}\n");
    finds(&format!("{data}key: data.oderId\n"), (3, 11), "the event's data have no `oderId`", "`orderId`");
    finds(&format!("{data}key: [new.tenant, data.oops]\n"), (3, 24), "have no `oops`", "add it to `data`");
    finds(&format!("{FROM}key: data.id\n"), (2, 11), "have no `id`", "`new.id`");
    assert_eq!(problems(&format!("{data}key: coalesce(data.oops, data.orderId)\n")), []);
    assert_eq!(problems(&format!("{FROM}key: data.new.id\n")), []);
}

#[test]
fn a_sample_shows_what_the_data_have() {
    let data = format!("{FROM}data: {{ orderId: new.id, total: new.total }}\n");
    finds(&format!("{data}sample: {{ oderId: 7 }}\n"), (3, 11), "which the data do not", "`orderId`");
    assert_eq!(problems(&format!("{data}sample: {{ orderId: 7 }}\n")), []);
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    finds("form: { table: moves }\n", (1, 1), "`form` is unknown", "`from`");
    finds("from: { table: moves, opertions: [insert] }\n", (1, 23), "`opertions` is unknown", "`operations`");
    finds("deprecated: true\npersonal: [a]\nemitter: x\nwhatever: 1\n", (4, 1), "`whatever` is unknown", "known here");
    finds("jobs:\n  - id: a\n    log: {}\n    timout: 3s\n", (4, 5), "`timout` is no kind of job", "`timeout`");
    finds(
        "jobs:\n  - id: a\n    log: {}\n    backoff: { initail: 1s }\n",
        (4, 16),
        "`initail` is unknown",
        "`initial`",
    );
    finds("from: { table: a }\nfrom: { table: b }\n", (2, 1), "there twice", "");
}

#[test]
fn the_selector_is_checked() {
    finds("from: {}\n", (1, 7), "names no table", "\"*\"");
    finds("from: { table: * }\n", (1, 16), "no YAML", "`table: \"*\"`, with the quotes");
    finds("from:\n  table: *\n", (2, 10), "no YAML", "`table: \"*\"`, with the quotes");
    finds("from: moves\n", (1, 7), "a map", "");
    finds("from: { table: moves, operations: [] }\n", (1, 35), "lists none", "leave");
    finds("from: { table: moves, operations: [upsert] }\n", (1, 36), "`upsert` is no operation", "insert");
    finds("from: { table: moves, operations: [insert, INSERT] }\n", (1, 44), "listed twice", "");
    finds("from: { table: .moves }\n", (1, 16), "no table's name", "public.moves");
    finds("when: new.a == 1\n", (1, 7), "only published by name", "from");
    finds("from: { table: 'public.\"Order\"' }\n", (1, 16), "quotes in its name", "`public.Order`");
    finds("from: { table: '\"a.b\".\"c\"' }\n", (1, 16), "quotes in its name", "table.schema == \"a.b\"");
}

#[test]
fn what_yaml_makes_of_an_expression_is_said() {
    let folded = |when: &str| format!("{FROM}when: {when}\n");
    for (style, line, column) in [(">\n  ", 3, 14), ("", 2, 18), ("'", 2, 19)] {
        let close = if style == "'" { "'" } else { "" };
        let text = folded(&format!("{style}new.a == 1 // only paid\n  && new.b > 1{close}"));
        finds(&text, (line, column), "behind `//` would be a comment", "block style");
    }
    assert_eq!(problems(&folded("|\n  new.a == 1 // only paid\n  && new.b > 1")), []);
    assert_eq!(problems(&folded("new.a == 1 // only paid")), []);
    finds(&folded(""), (2, 5), "`when` is empty", "leave the key out");
    let pattern = "|\n  new.plate.matches('^[A-Z]+-\\d+$')";
    finds(&folded(pattern), (3, 30), r"`\d` is no escape of a text", r"r'\d'");
    finds("a: 1\n---\nb: 2\n", (2, 1), "more than one document", "");
}

#[test]
fn mistakes_in_expressions_are_placed_inside_the_file() {
    finds(
        &format!("{FROM}when: |\n  changed(\"a\")\n  && chnaged(\"b\")\n"),
        (4, 6),
        "no function `chnaged`",
        "`changed`",
    );
    finds(&format!("{FROM}when: new.a == foo(1)\n"), (2, 16), "no function `foo`", "");
    finds(&format!("{FROM}when: 'new.a == foo(1)'\n"), (2, 17), "no function `foo`", "");
    finds(&format!("{FROM}data:\n  x:\n    - new.id\n    - nwe.id\n"), (5, 7), "`nwe` is not known", "`new`");
    finds(&format!("{FROM}key: [new.id, dta.x]\n"), (2, 15), "`dta` is not known", "`data`");
    finds(&format!("{FROM}when: |\n  \"ä\" == new.ü\n"), (3, 14), "has no meaning", "");
    finds("jobs:\n  - id: a\n    log:\n      message: \"x ${daat.y}\"\n", (4, 21), "`daat` is not known", "`data`");
    finds("jobs:\n  - id: a\n    log: { message: \"${data.x\" }\n", (3, 22), "is not closed", "$${");
}

#[test]
fn advice_can_be_followed() {
    let said = |when: &str| {
        let found = problems(&format!("{FROM}when: |\n  {when}\n"));
        assert_eq!(found.len(), 1, "{when}: {found:#?}");
        format!("{}; {}", found[0].message, found[0].help.as_deref().unwrap_or_default())
    };
    for (when, part) in [
        ("LOWER(new.x) == \"a\"", "`lower`"),
        ("new.x.toLowerCase() == \"a\"", "lower(new.name)"),
        ("new.x.length() > 1", "size(new.tags)"),
        ("new.x < now()", "`received`"),
        ("\"${new.id}\" == new.x || ${new.id} == 1", "leave out `${`"),
        ("(new.a ?? \"x\") == \"x\"", "coalesce"),
        ("changed(\"a\", \"b\")", "changedAny("),
        ("became(\"a\")", "became(\"status\", \"shipped\")"),
        ("session.x-hasura-role == \"a\"", "session[\"x-hasura-role\"]"),
        ("new.x in (\"a\", \"b\")", "`new.status in [\"paid\", \"shipped\"]`"),
        ("new.x not in [1]", "!"),
        ("new.x is null", "== null"),
    ] {
        let said = said(when);
        assert!(said.contains(part) && !said.contains("block style"), "{when}: {said}");
        for inner in ["ExprContext", "Unicode {", "expecting", "token recognition", "input"] {
            assert!(!said.contains(inner), "{when}: {said}");
        }
    }
    assert!(!said("new.a == \"\\ud800\"").contains("Unicode {"));
    finds(&format!("{FROM}data: {{ kind: paid }}\n"), (2, 15), "`paid` is not known", "`\"'paid'\"`");
    assert_eq!(problems(&format!("{FROM}data: {{ kind: \"'paid'\" }}\n")), []);
}

#[test]
fn advice_about_yaml_fits_what_is_wrong() {
    let conditions = "when:\n  - new.a == 1\n  - new.b == 2\n";
    finds(&format!("{FROM}{conditions}"), (3, 3), "`when` is a list", "join them with `&&`");
    finds(
        &format!("{FROM}when: {{ status: {{ _eq: paid }} }}\n"),
        (2, 7),
        "`when` is a map",
        "`when: new.status == \"paid\"`",
    );
    finds("jobs: { audit-log: {} }\n", (1, 7), "`jobs` is a map", "write `- audit-log`");
    finds("jobs: audit-log\n", (1, 7), "`jobs` is a single value", "write `- audit-log`");
    finds("from: { table: a\nwhen: new.a == 1\n", (2, 5), "no YAML", "the `{` of line 1, column 7, is not closed");
    let nested = "sample: { a: 1, b: { c: 2 }\njobs: []\n";
    finds(nested, (2, 1), "no YAML", "the `{` of line 1, column 9, is not closed");
    let list = "from: { table: a, operations: [update }\n";
    finds(list, (1, 31), "no YAML", "the `[` of line 1, column 31, is not closed");
    finds(&format!("{FROM}data:\n  a: new.x + \"a: b\"\n"), (3, 16), "no YAML", "block style");
    finds("sample: { a: b: c }\n", (1, 15), "no YAML", "a text with `: ` in it");
    finds("description: it is: so\n", (1, 19), "no YAML", "`description: \"it is: so\"`");
    finds("from: { table: a }\n   when: new.a == 1\n", (2, 4), "no YAML", "begin in one column");
    finds("jobs:\n  - id: a\n     log: {}\n", (3, 9), "no YAML", "begin in one column");
    let job = |message: &str| format!("jobs:\n  - id: a\n    log: {{ message: {message} }}\n");
    finds(&job("Stock of ${data.x}"), (3, 31), "no YAML", "stands in quotes");
    assert_eq!(problems(&job("\"Stock of ${data.x}\"")), []);
    finds(&job("\"{{ data.x }}\""), (3, 21), "`{{data.` is written as it stands", "`${data.id}`");
    finds(&job("\"of $event.name\""), (3, 21), "`$event.` is written as it stands", "`${event.name}`");
    assert_eq!(problems(&job("\"5 $ ${data.x} $${data.x} {{x}} $data\"")), []);
    finds(&format!("{FROM}data: {{ a: get(new, \"x.y\", 0) }}\n"), (2, 7), "at its commas", "one entry on each line");
    assert_eq!(problems(&format!("{FROM}data:\n  a: get(new, \"x.y\", 0)\n")), []);
}

#[test]
fn one_cause_is_told_once() {
    let event = ("events/a.yaml", "jobs: [mail]\n");
    finds_in(&[event, ("jobs/x/mail.yaml", "lgo: {}\n")], (1, 1), "`lgo` is no kind of job", "`log`");
    finds_in(&[event, ("jobs/mali.yaml", "log: {}\n")], (1, 8), "there is no job `mail`", "`mali`");
    finds_in(
        &[("events/order_paid.yaml", "jobs: []\n")],
        (0, 0),
        "has the character '_'",
        "`order.paid.yaml` or `order-paid.yaml`",
    );
}

#[test]
fn a_file_without_content_hides_no_other_error() {
    let text = r#"[{"path":"events/a.yaml","text":"","unreadable":"the file is not UTF-8"},{"path":"events/b.yaml","text":"x: 1"}]"#;
    let sources: Sources = serde_json::from_str(text).expect("sources");
    let found = Catalog::compile(&sources, &TestKinds).report.to_string();
    assert!(found.contains("not UTF-8") && found.contains("`x` is unknown"), "{found}");
}

#[test]
fn every_mistake_of_a_file_is_found_at_once() {
    let found = problems("from: { table: a }\nwhen: foo(1)\ndata: { a: bar(1), b: baz(1) }\njobs: [nope]\nextra: 1\n");
    let lines: Vec<usize> = found.iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [2, 3, 3, 4, 5]);
}

#[test]
fn what_yaml_does_to_expressions_is_explained() {
    let block = "block style";
    finds(&format!("{FROM}when: !changed(\"x\")\n"), (2, 7), "tag", block);
    let found = problems(&format!("{FROM}when: \"a\" in new.tags\n"));
    assert!(found[0].help.as_deref().is_some_and(|help| help.contains(block)), "{found:#?}");
    finds(&format!("{FROM}when: new.note != \"a #1\"\n"), (2, 19), "comment", block);
    finds(
        &format!("{FROM}data: {{ a: coalesce(new.a, new.b) }}\n"),
        (2, 7),
        "splits an expression",
        "one entry on each line",
    );
    finds(&format!("{FROM}when: [new.a == 1]\n"), (2, 7), "a list", block);
    let found = problems(&format!("{FROM}when: new.a == {{\"b\": 1}}\n"));
    assert!(found[0].help.as_deref().is_some_and(|help| help.contains(block)), "{found:#?}");
}

#[test]
fn a_condition_that_can_never_hold_is_an_error() {
    for (from, when) in [
        ("moves", "false"),
        ("moves", "1 > 2"),
        ("moves", "op == \"INSERT\" && op == \"UPDATE\""),
        ("moves, operations: [insert]", "became(\"status\", \"x\")"),
        ("moves, operations: [insert, delete]", "changed(\"a\") && new.b > 1"),
        ("moves, operations: [insert]", "was(\"a\", 1)"),
        ("moves, operations: [insert]", "op == \"UPDATE\""),
        ("moves, operations: [insert]", "old.a > 1"),
        ("moves, operations: [insert]", "old.a == new.a"),
        ("moves, operations: [delete]", "new.a > 1 || false"),
        ("moves, operations: [manual]", "changed(\"a\")"),
        ("moves", "op != \"MANUAL\" && op in [\"MANUAL\"]"),
    ] {
        let found = problems(&format!("from: {{ table: {from} }}\nwhen: |\n  {when}\n"));
        assert_eq!(
            found.iter().map(|problem| problem.rule).collect::<Vec<_>>(),
            [Rule::NeverHolds],
            "{when}: {found:#?}"
        );
    }
    for (from, when) in [
        ("moves", "true"),
        ("moves", "became(\"status\", \"x\")"),
        ("moves, operations: [insert, update]", "became(\"a\", 1) || op == \"INSERT\""),
        ("moves, operations: [insert]", "!changed(\"a\")"),
        ("moves, operations: [delete]", "was(\"a\", 1) && old.b > 1"),
        ("moves, operations: [insert]", "old == null && old.a == null"),
    ] {
        assert_eq!(problems(&format!("from: {{ table: {from} }}\nwhen: |\n  {when}\n")), [], "{when}");
    }
}

#[test]
fn conditions_that_exclude_one_another_are_a_warning() {
    for (when, warned) in [
        ("new.a == 1 && new.b == 3 && new.a == 2", true),
        ("'x' == new.a.b && new.a.b in ['y', 'z']", true),
        ("became('a', 'x') && new.a == 'y'", true),
        ("was('a', 1) && old.a == null", true),
        ("new['a'] == 1 && new.a == 2", true),
        ("became('a', 1) && was('a', 1)", true),
        ("new.a > 5 && new.a < 3", true),
        ("new.a == 1 && new.a == 1.0", false),
        ("new.a == 1 && old.a == 2", false),
        ("new.a == 1 && new.a != 2", false),
        ("new.a == 1 && new.a == new.b", false),
        ("was('a', 1) && became('a', 2)", false),
        ("new.a in [1, 2] && new.a in [2, 3]", false),
        ("new.a == 1 || new.a == 2", false),
    ] {
        let found = problems(&format!("{FROM}when: |\n  {when}\n"));
        let told: Vec<_> = found.iter().map(|problem| (problem.rule, problem.severity, problem.place.line)).collect();
        assert_eq!(told, vec![(Rule::NeverHolds, Severity::Warning, 3); usize::from(warned)], "{when}: {found:#?}");
    }
}

#[test]
fn what_fails_for_every_change_is_an_error_in_its_place() {
    finds(
        &format!("{FROM}when: |\n  true &&\n  received > timestamp(\"2024-01-02\")\n"),
        (4, 24),
        "no time zone",
        "date(",
    );
    finds(&format!("{FROM}data: {{ a: received + 3600 }}\n"), (2, 12), "cannot compute", "duration(");
    let job = "jobs:\n  - id: a\n    log:\n      message: \"x ${int('y')}\"\n";
    finds(job, (4, 25), "`int` always fails here: \"y\" is no whole number", "");
    let found = problems(job);
    assert_eq!((found[0].rule, found[0].severity), (Rule::AlwaysFails, Severity::Error));
}

#[test]
fn what_a_key_can_be_is_said() {
    let can_be = "a list of some, `key: [new.tenant, new.id]`";
    finds(&format!("{FROM}key: {{ id: new.id }}\n"), (2, 6), "`key` is a map", can_be);
    finds(&format!("{FROM}key: [[new.id], new.a]\n"), (2, 7), "`key` is a list", can_be);
    finds(&format!("{FROM}key:\n"), (2, 4), "`key` is empty", "write an expression");
    for part in ["'[new.tenant, new.id]'", "[new.id, \"{'a': 1}\"]", "new", "new.l.map(x, x)", "new.l.filter(x, true)"]
    {
        let found = problems(&format!("{FROM}key: {part}\n"));
        let told: Vec<_> = found.iter().map(|it| (it.severity, it.help.as_deref().unwrap_or_default())).collect();
        assert!(matches!(told.as_slice(), [(Severity::Warning, help)] if help.contains(can_be)), "{part}: {found:#?}");
    }
    assert_eq!(problems(&format!("{FROM}key: [new.id, 'new.l.exists(x, x > 1)']\n")), []);
}

#[test]
fn a_schema_is_one_or_the_name_of_one() {
    for (schema, fine) in
        [("{}", true), ("true", true), ("Move", true), ("'5'", true), ("5", false), ("[]", false), ("~", false)]
    {
        assert_eq!(problems(&format!("{FROM}schema: {schema}\n")).is_empty(), fine, "{schema}");
    }
}

#[test]
fn names_are_those_of_files() {
    finds_in(&[("events/a_b.yaml", FROM)], (0, 0), "no name", "named after");
    finds_in(&[("events/a.v1.yaml", FROM)], (0, 0), "version", "");
    finds_in(&[("events/a.yaml", FROM), ("events/sub/A.yml", "from: { table: b }\n")], (0, 0), "already", "");
    finds_in(&[("events/a.yaml", FROM), ("events/notes.txt", "")], (0, 0), "not read", "");
    assert_eq!(problems_of(&[("events/a.yaml", FROM), ("events/deep/er/a.v2.yaml", "from: { table: b }\n")]), []);
    finds_in(&[("jobs/a.b.yaml", "log: {}\n"), ("events/a.yaml", FROM)], (0, 0), "no name", "");
}

#[test]
fn jobs_are_checked() {
    finds("jobs: [publish]\n", (1, 8), "no job `publish`", "jobs/publish.yaml");
    finds("jobs: publish\n", (1, 7), "a list", "");
    finds("jobs:\n  - log: {}\n", (2, 5), "needs an `id`", "id: name");
    finds("jobs:\n  - id: a\n", (2, 5), "what it does", "simulate");
    finds("jobs:\n  - id: a\n    log: {}\n    http: {}\n", (4, 5), "of one kind", "");
    finds("jobs:\n  - id: a\n    lgo: {}\n", (3, 5), "`lgo` is no kind", "`log`");
    finds("jobs:\n  - id: a b\n    log: {}\n", (2, 9), "character", "");
    finds("jobs:\n  - id: a\n    log:\n  - id: A\n    log:\n", (4, 5), "already", "");
    finds("jobs:\n  - id: a\n    simulate: { dealy: 3s }\n", (3, 5), "simulate: `dealy` is unknown", "");
    for (option, message) in [
        ("timeout: 30", "no duration"),
        ("timeout: 0s", "`timeout` is nothing"),
        ("attempts: 0", "from 1 to"),
        ("concurrency: many", "from 1 to"),
        ("order: random", "`key` or `none`"),
        ("finalExitCodes: 3", "a list"),
        ("finalExitCodes: [0]", "1 to 255"),
        ("backoff: { factor: 0.5 }", "from 1 to 1000"),
        ("backoff: { initial: 1h }", "above its `max`"),
        ("backoff: 3s", "a map"),
        ("rate: 10", "says no time"),
        ("rate: 10/d", "no time `d`"),
        ("rate: 10/second", "no time `second`"),
        ("rate: 0/s", "never let the job run"),
        ("rate: 0.5/s", "a whole number"),
        ("rate: +5/s", "a whole number"),
        ("rate: 1000000/s", "from 1 to 100000"),
        ("rate: [10/s]", "a text"),
        ("rate: { burst: 3 }", "no `limit`"),
        ("rate: { limit: 10/s, burst: 0 }", "from 1 to"),
        ("rate: { limit: 10/s, bye: event.id }", "`bye` is unknown"),
        ("rate: { limit: 10/s, by: [event.id] }", "an expression is wanted"),
        ("rate: { limit: 10/s, by: '[event.id]' }", "a list or a map"),
        ("rate: { limit: 10/s, by: event.di }", "`event` has no `di`"),
        ("rate: { limit: 10/s, by: params.x }", "params"),
        ("concurrency: { limit: 4 }", "wants a `limit` and a `by`"),
        ("concurrency: { limit: 40, by: event.id }", "no more than 16"),
        ("concurrency: { limit: 0, by: event.id }", "from 1 to"),
        ("circuit: of", "`on`, `off` or a map"),
        ("circuit: { failures: 0 }", "from 1 to"),
        ("circuit: { pause: 0s }", "`pause` is nothing"),
        ("circuit: { pause: 1h, most: 1m }", "above its `most`"),
        ("circuit: { faillures: 3 }", "`faillures` is unknown"),
    ] {
        let found = problems(&format!("jobs:\n  - id: a\n    log:\n    {option}\n"));
        assert_eq!(found.len(), 1, "{option}: {found:#?}");
        assert!(found[0].message.contains(message), "{option}: {found:#?}");
    }
}

#[test]
fn windows_are_checked() {
    let job = |debounce: &str| {
        format!(
            "data: {{ id: new.id }}\nfrom: {{ table: a }}\nsample: {{ id: 1 }}\njobs:\n  - id: a\n    log:\n    {debounce}\n"
        )
    };
    for fine in [
        "debounce: { quiet: 30s, most: 30s, by: data.id, deliver: last }",
        "debounce: { quiet: 30s, by: [data.id, event.userId] }",
        "debounce: { quiet: 30s, most: ~, by: ~, deliver: ~ }",
        "debounce: ~",
    ] {
        assert_eq!(problems(&job(fine)), [], "{fine}");
    }
    for (wrong, column, message, help) in [
        ("debounce: {}", 15, "has no `quiet`", "`debounce: { quiet: 30s }`"),
        ("debounce: { most: 5m }", 15, "has no `quiet`", ""),
        ("debounce: { quiet: ~ }", 15, "has no `quiet`", ""),
        ("debounce: 30s", 15, "a map, `{ quiet: 30s", ""),
        ("debounce: { quiet: 0s }", 24, "`quiet` is nothing", "without `debounce`"),
        ("debounce: { quiet: 1s, most: 0s }", 34, "`most` is nothing", "ten times"),
        ("debounce: { quiet: 2s, most: 1s }", 34, "`most` is shorter", "the longer one"),
        ("debounce: { quiet: 2 }", 24, "`quiet`: ", ""),
        ("debounce: { quite: 2s, quiet: 1s }", 17, "`quite` is unknown", "`quiet`"),
        ("debounce: { quiet: 2s, deliver: first }", 37, "`deliver` is `last`", ""),
        ("debounce: { quiet: 2s, by: data.ix }", 37, "no `ix`", "`id`"),
        ("debounce: { quiet: 2s, by: event.key }", 38, "no `key`", ""),
        ("debounce: { quiet: 2s, by: new.id }", 32, "`new` is not known", "`data`"),
        ("debounce: { quiet: 2s, by: [] }", 32, "an expression is wanted", ""),
        ("debounce: { quiet: 2s, by: \"[data.id]\" }", 32, "texts, numbers", "list of some"),
    ] {
        finds(&job(wrong), (7, column), message, help);
    }
}

#[test]
fn a_mistaken_rate_is_told_with_the_one_that_is_meant() {
    for (rate, help) in [
        ("10", "`10/s`"),
        ("10/sec", "`10/s`"),
        ("100/min", "`100/m`"),
        ("7/Hour", "`7/h`"),
        ("0/s", "herald jobs pause"),
        ("0.5/s", "`30/m`"),
    ] {
        let found = problems(&format!("jobs:\n  - id: a\n    log:\n    rate: {rate}\n"));
        let told = found[0].help.as_deref().unwrap_or_default();
        assert!(found.len() == 1 && told.contains(help), "{rate}: {found:#?}");
    }
}

#[test]
fn shared_definitions_are_checked_and_take_no_overrides() {
    let job = ("jobs/publish.yaml", "log: {}\n");
    assert_eq!(problems_of(&[job, ("events/a.yaml", "jobs: [publish]\n")]), []);
    finds_in(&[job, ("events/a.yaml", "jobs: [pubish]\n")], (1, 8), "no job `pubish`", "`publish`");
    finds_in(&[job, ("events/a.yaml", "jobs: [publish, publish]\n")], (1, 17), "already", "");
    finds_in(&[job, ("events/a.yaml", "description: x\n")], (0, 0), "no event lists the job publish", "");
    let found = problems_of(&[job, ("events/a.yaml", "jobs:\n  - publish: { timeout: 3s }\n  - publish\n")]);
    assert!(found[0].message.contains("takes no options here"), "{found:#?}");
    let with_id = [("jobs/publish.yaml", "id: x\nlog: {}\n"), ("events/a.yaml", "jobs: [publish]\n")];
    finds_in(&with_id, (1, 1), "no `id`", "file's name");
}

#[test]
fn tests_are_checked_for_their_shape() {
    let test =
        |change: &str, expect: &str| format!("{FROM}tests:\n  - name: x\n    change: {change}\n    expect: {expect}\n");
    assert_eq!(problems(&test("{ op: update, old: {}, new: {} }", "none")), []);
    finds(&test("{ op: upsert }", "none"), (4, 19), "`op` is insert", "");
    finds(&test("{ new: {} }", "none"), (4, 13), "the change has no `op`", "`op: update`");
    finds(&test("{ op: insert, old: {}, new: {} }", "none"), (4, 32), "an insert has no `old` row", "`new` alone");
    finds(
        &test("{ op: delete, old: {}, new: { id: 1 } }", "none"),
        (4, 41),
        "a delete has no `new` row",
        "`old` alone",
    );
    assert_eq!(problems(&test("{ op: delete, old: {}, new: null }", "none")), []);
    let with_jobs = |expect: &str, jobs: &str| {
        format!(
            "{}    jobs: {jobs}\njobs: [{{ id: mail, log: {{ message: \"${{data.op}}\" }} }}]\n",
            test("{ op: insert, new: {} }", expect)
        )
    };
    assert_eq!(problems(&with_jobs("detected", "[mail, { mail: { message: 1 } }]")), []);
    finds(&with_jobs("detected", "[mial]"), (6, 12), "the event has no job `mial`", "`mail`");
    finds(&with_jobs("none", "[mail]"), (6, 11), "asks for no job", "leave `jobs` out");
    finds(&with_jobs("detected", "[[mail]]"), (6, 12), "a job's name", "");
    finds(&test("{ op: insert }", "nothing"), (5, 13), "not understood", "`none`");
    finds(&test("{ op: insert, odl: {} }", "none"), (4, 27), "`odl` is unknown", "`old`");
    finds(&test("{ op: insert, received: 2024-01-02 }", "none"), (4, 37), "a timestamp with a zone", "");
    finds(&format!("{FROM}tests:\n  - name: x\n    expect: none\n"), (3, 5), "no `change`", "");
}

#[test]
fn a_missing_sample_is_a_warning_that_check_makes_an_error() {
    let mut report = compile(&[("events/a.yaml", FROM)]).report;
    assert_eq!((report.count(Severity::Warning), report.has_errors()), (1, false));
    report.promote(Rule::Sample);
    assert!(report.has_errors());
}

#[test]
fn twins_and_empty_folders_are_warnings() {
    let twin = "from: { table: moves }\nwhen: new.a  == 1\n";
    let files = [("events/a.yaml", twin), ("events/b.yaml", "from: { table: public.moves }\nwhen: |\n  new.a == 1\n")];
    let found = problems_of(&files);
    assert_eq!(
        found.iter().map(|problem| (problem.rule, problem.severity)).collect::<Vec<_>>(),
        [(Rule::Twin, Severity::Warning)]
    );
    let versions = [("events/a.yaml", twin), ("events/a.v2.yaml", twin)];
    assert_eq!(problems_of(&versions), [], "a new version stands beside the old one");
    assert_eq!(problems_of(&[("events/a.yaml", FROM), ("events/b.yaml", FROM)]), [], "neither has a condition");
    let outcome = Catalog::compile(&Sources::default(), &TestKinds);
    assert_eq!(outcome.report.problems[0].rule, Rule::Empty);
    assert!(outcome.catalog.is_some_and(|catalog| catalog.events().is_empty()));
}

#[test]
fn files_that_are_no_catalog_are_refused() {
    finds("- a\n", (1, 1), "a list", "");
    finds("", (0, 0), "empty", "");
    finds("a: 1\n---\nb: 2\n", (2, 1), "more than one document", "");
    let found = problems("from: { table: moves\n");
    assert_eq!(found[0].rule, Rule::File, "{found:#?}");
    let bomb = format!(
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n{}",
        (0..8)
            .map(|i| {
                let (name, of) = (b'b' + i, b'a' + i);
                format!("{0}: &{0} [{1}]\n", name as char, vec![format!("*{}", of as char); 10].join(","))
            })
            .collect::<String>()
    );
    assert!(problems(&bomb)[0].message.contains("the aliases of the file"));
}

#[test]
fn a_report_shows_the_line_and_points_at_the_place() {
    let report =
        compile(&[("events/a.yaml", "from: { table: moves }\nwhen: |\n  chnaged(\"a\")\nsample: {}\n")]).report;
    assert_eq!(
        report.to_string(),
        "error: there is no function `chnaged`\n --> events/a.yaml:3:3\n  |\n3 |   chnaged(\"a\")\n  |   ^\n  help: did you mean `changed`?\n"
    );
    let json = serde_json::to_value(&report).expect("a report is JSON");
    assert_eq!(json["problems"][0]["line"], 3);
    assert_eq!(json["problems"][0]["severity"], "error");
    assert_eq!(json["problems"][0]["rule"], "expression");
    assert_eq!(serde_json::from_value::<catalog::Report>(json).expect("and back"), report);
}

#[test]
fn what_a_jobs_options_name_and_no_event_has_is_said() {
    let event = |data: &str, jobs: &str| format!("{FROM}{data}jobs:\n{jobs}");
    let inline = "  - id: a\n    log: { message: \"Order ${data.orderid} of ${data.b}\" }\n";
    finds(&event("data: { orderId: new.id, b: new.b }\n", inline), (5, 35), "have no `orderid`", "`orderId`");
    finds(&event("", "  - id: a\n    log: { message: \"${data.id}\" }\n"), (4, 29), "have no `id`", "coalesce(data.id");
    finds(
        &event("", "  - id: a\n    log: { message: \"${event.nmae}\" }\n"),
        (4, 30),
        "`event` has no `nmae`",
        "`name`",
    );
    // What may be missing, what is not known, and what is there.
    for (data, message) in [
        ("data: { a: new.a }\n", "${data.a} ${coalesce(data.b, event.id)} ${has(data.c) ? data.c : ''}"),
        ("", "${data.op} ${data.new.whatever}"),
        ("data: new.payload\n", "${data.whatever}"),
    ] {
        assert_eq!(
            problems(&event(data, &format!("  - id: a\n    log: {{ message: \"{message}\" }}\n"))),
            [],
            "{message}"
        );
    }
    // A shared job: said once, where it stands.
    let shared = ("jobs/mail.yaml", "command:\n  run: [mail, \"${data.to}\"]\n");
    let of = |data: &str| format!("{FROM}when: changed(\"{data}\")\ndata: {{ {data}: new.x }}\njobs: [mail]\n");
    let (fine, without, other) = (of("to"), of("too"), of("other"));
    let found =
        problems_of(&[("events/a.yaml", &fine), ("events/b.yaml", &without), ("events/c.yaml", &other), shared]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].message, "the data of b (and 1 more) have no `to`");
    assert_eq!((found[0].place.file.as_str(), found[0].place.line, found[0].place.column), ("jobs/mail.yaml", 2, 23));
    assert_eq!(found[0].severity, Severity::Error);
}
