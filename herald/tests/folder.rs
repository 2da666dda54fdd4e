//! The commands that need a catalog's folder and nothing else.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

const MOVES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/moves");

/// The exit code, and what it says on stdout and stderr.
fn herald(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_herald")).args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

fn catalog(event: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events/order.shipped.yaml");
    std::fs::create_dir_all(file.parent().expect("its folder")).expect("a folder");
    std::fs::write(&file, event).expect("written");
    (folder, file)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

const SHIPPED: &str = r#"from: { table: orders, operations: [update] }
when: became("status", "shipped") || new.urgent == true
sample: { id: 1 }
data: { id: new.id }
tests:
  - name: it is shipped
    change: { op: update, old: { id: 1, status: new }, new: { id: 1, status: shipped } }
    expect: { id: 1 }
"#;

#[test]
fn check_finds_what_is_wrong_in_every_form_and_ends_with_1_only_for_errors() {
    let (code, stdout, _) = herald(&["check", MOVES]);
    assert_eq!((code, stdout.as_str()), (0, "✅ no errors, no warnings\n"));
    let (folder, _) = catalog(&SHIPPED.replace("new.id }", "nwe.id }"));
    let path = text(folder.path());
    let (code, stdout, _) = herald(&["check", path]);
    assert!(code == 1 && stdout.contains("events/order.shipped.yaml:4:13"), "{code}: {stdout}");
    assert!(stdout.ends_with("❌ 1 error, no warnings\n"), "{stdout}");
    let (code, json, _) = herald(&["check", path, "--format", "json"]);
    assert!(code == 1 && json.contains(r#""errors": 1"#) && json.contains(r#""line": 4"#), "{code}: {json}");
    let (code, sarif, _) = herald(&["check", path, "--format", "sarif"]);
    assert!(code == 1 && sarif.contains(r#""startLine": 4"#), "{code}: {sarif}");
    let (code, github, _) = herald(&["check", path, "--format", "github"]);
    assert!(code == 1 && github.contains("/events/order.shipped.yaml,line=4,"), "{code}: {github}");
    let (folder, _) = catalog(&SHIPPED.replace("sample: { id: 1 }\n", ""));
    assert_eq!(herald(&["check", text(folder.path())]).0, 1, "an event has a sample");
    let nothing = tempfile::tempdir().expect("a folder");
    let (code, stdout, _) = herald(&["check", text(nothing.path())]);
    assert!(code == 1 && stdout.contains("is no catalog: it has no folder `events`"), "{code}: {stdout}");
    std::fs::write(nothing.path().join("order.paid.yaml"), SHIPPED).expect("written");
    let (_, stdout, _) = herald(&["test", text(nothing.path())]);
    assert!(stdout.contains("order.paid.yaml lies beside it: move it into events/"), "{stdout}");
    let (code, _, stderr) = herald(&["check", "no/such/folder"]);
    assert!(code == 2 && stderr.contains("no/such/folder is no folder"), "{code}: {stderr}");
}

#[test]
fn what_lies_where_nobody_reads_is_warned_of() {
    let (folder, file) = catalog(SHIPPED);
    for stray in ["order.paid.yaml", "event/order.late.yaml"] {
        let path = folder.path().join(stray);
        std::fs::create_dir_all(path.parent().expect("its folder")).expect("a folder");
        std::fs::copy(&file, path).expect("written");
    }
    std::fs::write(folder.path().join("compose.yaml"), "services: {}\n").expect("written");
    let (code, told, _) = herald(&["check", text(folder.path())]);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("order.paid.yaml is not read") && told.contains("event/order.late.yaml is not read"),
        "{told}"
    );
    assert!(!told.contains("compose.yaml"), "{told}");
}

#[test]
fn a_secret_in_plain_text_is_warned_of_and_not_shown() {
    let job = "jobs:\n  - id: mail\n    command: { run: [sh], env: { SMTP_PASSWORD: hunter2 } }\n";
    let (folder, _) = catalog(&format!("{SHIPPED}{job}"));
    let (code, told, _) = herald(&["check", text(folder.path())]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("`SMTP_PASSWORD` looks like a secret") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_row_that_would_be_a_part_of_a_program_is_warned_of() {
    let job = "jobs:\n  - id: greet\n    command: [sh, -c, 'echo ${data.id}']\n";
    let (folder, _) = catalog(&format!("{SHIPPED}{job}"));
    let (code, stdout, _) = herald(&["check", text(folder.path())]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("is run as a part of it, whatever a row holds"), "{stdout}");
    assert!(stdout.contains(r#"give it beside it: ["sh","-c","echo \"$1\"","sh","${data.id}"]"#), "{stdout}");
}

#[test]
fn what_a_job_calls_is_checked_and_the_names_of_its_secrets() {
    let job = |options: &str| {
        let (folder, _) = catalog(&format!("{SHIPPED}jobs:\n  - id: call\n    http: {options}\n"));
        let (code, told, _) = herald(&["check", text(folder.path())]);
        (code, told, folder)
    };
    let (code, told, _) = job("https://billing.example/${data.id}");
    assert_eq!((code, told.as_str()), (0, "✅ no errors, no warnings\n"));
    let (code, told, _) = job("billing.example");
    assert!(code == 1 && told.contains("http: `url`: it begins with neither https:// nor http://"), "{told}");
    assert!(told.contains("events/order.shipped.yaml:"), "{told}");
    let (_, told, _) = job("{ url: https://a.example/, auth: { bearer: hunter2 } }");
    assert!(told.contains("`auth.bearer` is a secret of the configuration, by its name"), "{told}");
    let (code, told, folder) = job("{ url: https://a.example/, auth: { bearer: { secret: billing-key } } }");
    assert!(code == 0 && told.contains("it names the secret `billing-key`, which `job-runner.secrets`"), "{told}");
    assert!(!told.contains("plain text"), "its name is no secret: {told}");
    let config = folder.path().join("herald.toml");
    std::fs::write(&config, "[job-runner.secrets]\nbilling-key = { env = \"NOT_SET_HERE\" }\n").expect("written");
    let (code, told, _) = herald(&["check", text(folder.path()), "--config", text(&config)]);
    assert_eq!((code, told.as_str()), (0, "✅ no errors, no warnings\n"));
}

#[test]
fn a_test_of_another_table_is_warned_of() {
    let of = |table: &str| {
        let change =
            format!("change: {{ op: update, table: {table}, old: {{ status: new }}, new: {{ status: new }} }}");
        let (head, _) = SHIPPED.split_once("  - name").expect("a test");
        let (folder, _) = catalog(&format!("{head}  - {{ name: t, {change}, expect: none }}\n"));
        herald(&["check", text(folder.path())]).1
    };
    let told = of("ordres");
    assert!(told.contains("the test's change is of public.ordres") && told.contains("about public.orders"), "{told}");
    assert!(!of("public.orders").contains("the test's change"));
}

#[test]
fn the_tests_beside_the_rules_are_run_and_say_what_came_instead() {
    let (code, stdout, _) = herald(&["test", MOVES]);
    assert!(code == 0 && stdout.ends_with(" tests, 0 failed\n"), "{code}: {stdout}");
    let (folder, _) = catalog(&SHIPPED.replace("expect: { id: 1 }", "expect: none"));
    let (code, stdout, _) = herald(&["test", text(folder.path())]);
    assert!(code == 1 && stdout.contains("it is shipped  events/order.shipped.yaml:6"), "{code}: {stdout}");
    assert!(stdout.contains(r#"detected with {"id":1}"#) && stdout.ends_with("❌ 1 test, 1 failed\n"), "{stdout}");
    let (code, _, stderr) = herald(&["test", text(folder.path()), "another"]);
    assert!(code == 2 && stderr.contains("no event of the catalog has `another` in its name"), "{code}: {stderr}");
}

#[test]
fn detect_says_what_a_change_would_be_and_which_clause_decided() {
    let (folder, _) = catalog(SHIPPED);
    let path = text(folder.path());
    let change =
        |new| ["detect", path, "--table", "orders", "--op", "update", "--old", r#"{"status":"new"}"#, "--new", new];
    let (code, stdout, _) = herald(&change(r#"{"id":1.10,"status":"shipped"}"#));
    assert!(
        code == 0 && stdout.starts_with("✓ order.shipped ") && stdout.contains(r#"{"id":1.10}"#),
        "{code}: {stdout}"
    );
    let (code, stdout, _) = herald(&change(r#"{"id":1,"status":"shiped","urgent":false}"#));
    assert!(code == 0 && stdout.starts_with("✗ order.shipped "), "{code}: {stdout}");
    assert!(stdout.contains(r#"became("status", "shipped")"#) && stdout.contains("new.urgent == true"), "{stdout}");
    assert!(stdout.contains(r#"did you mean "shipped"?"#), "{stdout}");
    let (code, json, _) = herald(&[&change(r#"{"id":1,"status":"shipped"}"#)[..], &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &found["detected"][0]["event"]), (0, &"order.shipped".into()));
    let (wrong, _) = catalog(&SHIPPED.replace("table: orders", "table: orders, source: a/b"));
    let (code, json, _) = herald(&["detect", text(wrong.path()), "--table", "orders", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(
        (code, &found["problems"][0]["help"]),
        (1, &"a source is 1 to 64 letters, digits, `.`, `_` or `-`".into())
    );
    let (code, stdout, _) = herald(&["detect", path, "--table", "orders", "--set", "new.id=1"]);
    assert!(
        code == 0 && stdout.starts_with("✗ order.shipped ") && stdout.matches("order.shipped ").count() == 1,
        "{stdout}"
    );
    // What fails is told once.
    let fails = ["detect", path, "--table", "orders", "--set", "old.status=new", "--set", "new.status=shipped"];
    let (code, stdout, _) = herald(&fails);
    assert!(code == 1 && stdout.starts_with("❌ order.shipped ") && !stdout.contains("✗"), "{code}: {stdout}");
    let (_, json, _) = herald(&[&fails[..], &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((found["failed"].as_array().map(Vec::len), &found["undetected"]), (Some(1), &serde_json::json!([])));
    let (code, _, stderr) = herald(&["detect", path, "no/such/file"]);
    assert!(code == 2 && stderr.contains("cannot read no/such/file"), "{code}: {stderr}");
    let (code, _, stderr) = herald(&change("[1]"));
    assert!(code == 2 && stderr.contains("a row is a JSON object"), "{code}: {stderr}");
}

#[test]
fn detect_takes_single_columns() {
    let (folder, _) = catalog(SHIPPED);
    let set = ["--set", "old.status=new", "--set", "new.status=shipped", "--set", "id=7"];
    let (code, stdout, _) = herald(&[&["detect", text(folder.path()), "--table", "orders"][..], &set].concat());
    assert!(code == 0 && stdout.starts_with("✓ order.shipped ") && stdout.contains(r#"{"id":7}"#), "{code}: {stdout}");
    let (code, _, stderr) = herald(&["detect", text(folder.path()), "--table", "orders", "--set", "status"]);
    assert!(code == 2 && stderr.contains("new.status=shipped"), "{code}: {stderr}");
}

#[test]
fn send_makes_up_a_change_that_is_an_event() {
    let (folder, _) = catalog(SHIPPED);
    let path = text(folder.path());
    let dry = ["--catalog", path, "--dry-run"];
    let (code, stdout, stderr) = herald(&[&["send", "--event", "order.shipped"][..], &dry].concat());
    assert_eq!((code, stderr.as_str()), (0, "sends the change of its test `it is shipped` as order.shipped\n"));
    let file = folder.path().join("body.json");
    std::fs::write(&file, stdout).expect("written");
    let (code, stdout, _) = herald(&["detect", path, text(&file)]);
    assert!(code == 0 && stdout.starts_with("✓ order.shipped "), "{code}: {stdout}");
    for (arguments, code, told) in [
        (&["send", "--event", "order.shiped"][..], 2, "did you mean order.shipped?"),
        (&["send", "--event", "order.shipped", "--same-id"], 2, "--same-id goes with a file"),
        (&["send"], 2, "--set new.status=shipped"),
        (&["send", "--table", "orders", "--set", "status"], 2, "new.status=shipped"),
        (&["send", "x.json", "--table", "orders"], 2, "cannot be used with"),
    ] {
        let dry = if arguments.contains(&"--event") { &dry[..] } else { &[] };
        let (found, _, stderr) = herald(&[arguments, dry].concat());
        assert!(found == code && stderr.contains(told), "{arguments:?}: {found}: {stderr}");
    }
    let (folder, _) = catalog(&SHIPPED.replace("when: ", "whem: "));
    let (code, stdout, _) = herald(&["send", "--event", "order.shipped", "--catalog", text(folder.path())]);
    assert!(code == 1 && stdout.contains("❌ The catalog has 1 error"), "{code}: {stdout}");
}

#[test]
fn eval_shows_a_value_or_why_a_condition_does_not_hold() {
    let payload = format!("{MOVES}/payloads/pickup-successful.json");
    for (arguments, code, told) in [
        (&["1 + 2 * 3"][..], 0, "7\n"),
        (&["new.n / 2", "--new", r#"{"n": 7}"#], 0, "3.5\n"),
        (&["-new.n", "--new", r#"{"n": 7}"#], 0, "-7\n"),
        (
            &["op + \" \" + table.name", "--old", "{}", "--new", "{}", "--table", "shop.orders"],
            0,
            "\"UPDATE orders\"\n",
        ),
        (&["became(\"status\", \"pickup successful\")", &payload], 0, "true\n"),
        (
            &["new.status == \"shipped\"", "--new", r#"{"status": "Shipped"}"#],
            1,
            "false\n    new.status == \"shipped\" → false\n      new.status = \"Shipped\", \"Shipped\" is not \"shipped\": they differ by case\n",
        ),
        (&["new.statsu", "--new", "{}"], 1, "no value: new.statsu is missing\n"),
    ] {
        let (found, stdout, stderr) = herald(&[&["eval"], arguments].concat());
        assert_eq!((found, stdout.as_str(), stderr.as_str()), (code, told, ""), "{arguments:?}");
    }
    let (code, _, stderr) = herald(&["eval", "chnaged(\"a\")"]);
    assert!(code == 2 && stderr.contains("| chnaged(\"a\")\n  | ^") && stderr.contains("changed"), "{code}: {stderr}");
}

/// Writes the files that a page shows, each under the path in its first line; returns how many there are.
/// Ends as `eval` of what is piped in does.
fn piped(lines: &str) -> i32 {
    use std::{io::Write as _, process::Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
        .arg("eval")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("stdin").write_all(lines.as_bytes()).expect("written");
    child.wait().expect("it ends").code().expect("an exit code")
}

#[test]
fn eval_of_lines_ends_as_the_worst_of_them_would() {
    for (lines, code) in [
        ("1\n\n:set new.a=1\nnew.a == 1\n", 0),
        ("1 == 2\n1\n", 1),
        ("new.b\n1\n", 1),
        ("new.a ==\n1 == 2\n1\n", 2),
        (":nonsense\n", 2),
        ("1\n:quit\nnew.a ==\n", 0),
    ] {
        assert_eq!(piped(lines), code, "{lines:?}");
    }
}

fn write_files_of(page: &str, folder: &Path) -> usize {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let files = blocks.filter_map(|block| {
        let (_, text) = block.split_once('\n')?;
        let path = text.lines().next()?.trim_start_matches(['#', '/', ' ']);
        let is_file = ["events/", "jobs/", "scripts/"].iter().any(|folder| path.starts_with(folder));
        is_file.then(|| (path.to_owned(), text))
    });
    let write = |(path, text): (String, &str)| {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().expect("its folder")).expect("a folder");
        std::fs::write(file, text).expect("written");
    };
    files.map(write).count()
}

#[test]
fn the_page_about_event_modules_is_a_catalog_whose_tests_pass() {
    let page = include_str!("../../docs/from-hasura-event-detector.md");
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(write_files_of(page, folder.path()), 9);
    let path = text(folder.path());
    let (_, stdout, _) = herald(&["check", path]);
    assert!(stdout.contains("no errors"), "{stdout}");
    let (code, stdout, stderr) = herald(&["test", path]);
    assert_eq!((code, stdout.as_str()), (0, "✅ 12 tests, 0 failed\n"), "{stderr}");
    assert!(!stderr.contains("without a test"), "{stderr}");
}

#[test]
fn tests_are_written_for_continuous_integration_also_where_none_could_run() {
    let jobs = "    jobs: [{ note: { message: shipped 2 } }]\njobs: [{ id: note, log: { message: \"shipped ${data.id}\" } }]\n";
    let (folder, file) = catalog(&format!("{SHIPPED}{jobs}"));
    let out = folder.path().join("out.xml");
    let (path, xml) = (text(folder.path()), text(&out));
    let (code, stdout, _) = herald(&["test", path, "--junit", xml]);
    let why = r#"the job `note`: expected message "shipped 2", filled in "shipped 1""#;
    assert!(code == 1 && stdout.contains(why), "{code}: {stdout}");
    let written = std::fs::read_to_string(&out).expect("it is written");
    assert!(written.contains(r#"<testsuites name="herald test" tests="1" failures="1" errors="0">"#), "{written}");
    assert!(written.contains("events/order.shipped.yaml:6: the job `note`: expected"), "{written}");
    std::fs::write(file, "x: 1").expect("written");
    assert_eq!(herald(&["test", path, "--junit", xml]).0, 1);
    let written = std::fs::read_to_string(&out).expect("it is written");
    assert!(written.contains(r#"errors="1""#) && written.contains("`x` is unknown"), "{written}");
    let (code, _, stderr) = herald(&["test", path, "--junit", "no/such/folder/x.xml"]);
    assert!(code == 2 && stderr.contains("cannot write no/such/folder/x.xml"), "{code}: {stderr}");
    let (code, _, stderr) = herald(&["test", MOVES, "--from-log", "10", "--api", "http://127.0.0.1:1"]);
    assert!(code == 3 && stderr.contains("cannot reach"), "{code}: {stderr}");
}
