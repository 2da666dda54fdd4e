//! Programs as they are: noisy, deaf, hanging, and with children of their own.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use contracts::{ids::JobRunId, names::GroupName};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    kind::{Held, Then},
    steps::tests::event,
};

pub(super) fn run_of(options: Value, data: &str) -> Run {
    let event = event("move.new", 1);
    let job = "job".parse().expect("a name");
    Run {
        group: GroupName::of_definition(&job),
        id: JobRunId::derived(event.id, &job),
        job,
        event: Arc::new(event),
        data: data.to_owned().into(),
        options: Arc::new(options),
        params: Arc::new(json!({})),
        timeout: Duration::from_secs(30),
        attempt: 2,
        cancelled: CancellationToken::new(),
        held: Held::default(),
    }
}

pub(super) fn commands(folder: impl AsRef<Path>) -> Command {
    Command::new(folder.as_ref(), &["CARGO_PKG_NAME".to_owned()])
}

async fn shell(script: &str) -> Outcome {
    shell_with(script, "{\"price\":1.10}").await
}

async fn shell_with(script: &str, data: &str) -> Outcome {
    commands(".").run(run_of(json!(["sh", "-c", script]), data)).await
}

pub(super) fn result(outcome: Outcome) -> String {
    outcome.expect("success").result.expect("a result").get().to_owned()
}

/// Waits until a file holds a number: what a program wrote about itself.
pub(super) async fn pid_in(path: &Path) -> i32 {
    loop {
        match std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
            Some(pid) => return pid,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Waits until a process is gone, or only its parent's knowledge of it is left.
pub(super) async fn gone(pid: i32) {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z") {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_argument_that_no_system_takes_is_not_tried_again() {
    for (argument, told) in [("a\0b".to_owned(), "zero byte"), ("x".repeat(4 << 20), "are too long")] {
        let failure = commands(".").run(run_of(json!(["echo", argument]), "{}")).await.expect_err(told);
        assert!(failure.error.contains(told), "{}", failure.error);
        assert_eq!(failure.then, Then::GiveUp, "{told}");
    }
    let missing = commands(".").run(run_of(json!(["no-such-program"]), "{}")).await.expect_err("there is none");
    assert_eq!(missing.then, Then::Retry, "it may be there next time");
}

#[tokio::test]
async fn the_event_comes_on_stdin_as_one_document_with_its_digits() {
    let printed = result(shell("cat").await);
    let document: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!((&document["specversion"], &document["type"]), (&json!("1.0"), &json!("move.new")));
    assert_eq!(document["correlationid"], json!("c-1"));
    assert!(printed.ends_with(r#""datacontenttype":"application/json","data":{"price":1.10}}"#), "{printed}");
}

#[tokio::test]
async fn the_environment_says_which_attempt_of_which_run_it_is() {
    let printed = result(
        shell(r#"printf '["%s","%s","%s","%s","%s","%s"]' $HERALD_EVENT_NAME $HERALD_CORRELATION_ID $HERALD_RUN_ID $HERALD_ATTEMPT "$HERALD_TOKEN" $TRACEPARENT"#).await,
    );
    let run = run_of(Value::Null, "").id;
    assert_eq!(
        serde_json::from_str::<Value>(&printed).expect("JSON"),
        json!([
            "move.new",
            "c-1",
            run.to_string(),
            "2",
            format!("herald-2|c-1|{run}"),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ])
    );
}

#[tokio::test]
async fn a_program_runs_in_its_folder_with_its_own_variables() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("inner")).expect("a folder");
    std::fs::write(folder.path().join("inner/here"), "").expect("a file");
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("inner/shell")).expect("a link");
    let options =
        json!({ "run": ["./shell", "-c", "ls here; echo \"{\\\"a\\\":$A}\""], "env": { "A": 7 }, "dir": "inner" });
    let outcome = commands(folder.path()).run(run_of(options, "{}")).await;
    assert_eq!(result(outcome), "{\"a\":7}");
}

#[tokio::test]
async fn a_failure_names_the_exit_status_and_the_last_line_of_stderr() {
    let failure = shell("echo first >&2; echo no such move >&2; exit 3").await.expect_err("a failure");
    assert_eq!(failure.error, "exit status 3: no such move");
    assert_eq!(failure.stderr.as_deref(), Some("first\nno such move\n"));
    assert_eq!(shell("exit 1").await.expect_err("a failure").error, "exit status 1");
    assert_eq!(shell("kill -SEGV $$").await.expect_err("a failure").error, "killed by SIGSEGV");
}

#[tokio::test]
async fn of_heralds_own_environment_a_program_gets_what_is_listed_and_named_and_no_more() {
    let printed = result(shell("env | cut -d= -f1 | grep -v '^_$' | sort | tr '\\n' ' '; echo").await);
    let given: Vec<&str> = printed.trim_matches('"').split_whitespace().collect();
    let own = |name: &&str| !name.starts_with("HERALD_") && !["TRACEPARENT", "PWD", "SHLVL", "OLDPWD"].contains(name);
    let mut expected: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    assert!(expected.iter().any(|name| name.starts_with("CARGO_MANIFEST")), "a variable that must not be given");
    expected.retain(|name| {
        ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "CARGO_PKG_NAME"].contains(&name.as_str()) || name.starts_with("LC_")
    });
    expected.sort();
    assert_eq!(given.into_iter().filter(own).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_file_that_a_program_wrote_is_its_result_and_goes_with_the_run() {
    let commands = commands(".");
    let run = async |script: &str| commands.run(run_of(json!(["sh", "-c", script]), "{}")).await;
    let written =
        r#"printf '{\n "n": 1.10\n}\n' > "$HERALD_RESULT"; echo '{"printed":true}'; echo "$HERALD_RESULT" >&2"#;
    assert_eq!(result(run(written).await), r#"{"n":1.10}"#);
    assert_eq!(result(run(r#"echo done > "$HERALD_RESULT""#).await), r#""done""#);
    let place = result(run(r#"echo "\"$HERALD_RESULT\"""#).await);
    let place = Path::new(place.trim_matches('"')).to_owned();
    let folder = place.parent().expect("a folder");
    assert_eq!(std::fs::read_dir(folder).expect("it is there").count(), 0, "something is left");
    let failure = run(r#"mkfifo "$HERALD_RESULT""#).await.expect_err("no file");
    assert!(failure.error.starts_with("the file of HERALD_RESULT cannot be read: it is no file"), "{}", failure.error);
    // Whoever tidies up may take the folder.
    std::fs::remove_dir_all(folder).expect("deleted");
    assert_eq!(result(run(r#"echo 1 > "$HERALD_RESULT""#).await), "1");
    assert_eq!(run(r#"echo 1 > "$HERALD_RESULT"; exit 3"#).await.expect_err("a failure").error, "exit status 3");
    drop(commands);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
    };
    write("plain.sh", "echo 1\n", 0o644);
    write("bare", "echo 1\n", 0o755);
    write("odd", "#!/no/such/shell\n", 0o755);
    std::fs::create_dir(folder.path().join("inner")).expect("a folder");
    for (options, begins, remedy) in [
        (json!(["no-such-program"]), "cannot start `no-such-program`: No such file", "no folder of PATH has it"),
        (json!(["./plain.sh"]), "cannot start `", "Permission denied (os error 13); make it executable (chmod +x)"),
        (json!(["./bare"]), "cannot start `", "begin it with a line like #!/bin/sh"),
        (json!(["./odd"]), "cannot start `", "which is no file; install that, or correct the first line"),
        (json!(["./inner"]), "cannot start `", "it is a folder"),
        (json!(["./none"]), "cannot start `", "No such file"),
        (json!({ "run": ["sh"], "dir": "nodir" }), "cannot start `sh`: its `dir`, ", "/nodir, is no folder"),
        (json!(["sh", "-c", "x".repeat(200_000)]), "cannot start `sh`: ", "the event is on stdin"),
        (json!(["sh", "a\0b"]), "cannot start `sh`: ", "a zero byte"),
    ] {
        let error = commands(folder.path()).run(run_of(options, "{}")).await.expect_err("a failure").error;
        assert!(error.starts_with(begins) && error.contains(remedy), "{error}");
    }
}

#[tokio::test]
async fn what_a_program_complains_of_on_stdout_is_kept_if_it_says_nothing_on_stderr() {
    let failure = shell("echo first; echo no such move; exit 3").await.expect_err("a failure");
    assert_eq!(failure.error, "exit status 3: no such move");
    assert_eq!((failure.stdout.as_deref(), failure.stderr), (Some("first\nno such move\n"), None));
}

#[tokio::test]
async fn both_streams_of_a_failure_are_kept_and_heard_by_whoever_listens() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let to = heard.clone();
    let hears: Hears = Arc::new(move |job, line| to.lock().expect("a lock").push(format!("{job}: {line}")));
    let folder = tempfile::tempdir().expect("a folder");
    let options = json!(["sh", "-c", "echo step one; echo oops >&2; exit 3"]);
    let commands = Command::new(folder.path(), &[]).heard(Some(hears));
    let failure = commands.run(run_of(options, "{}")).await.expect_err("a failure");
    assert_eq!((failure.stdout.as_deref(), failure.stderr.as_deref()), (Some("step one\n"), Some("oops\n")));
    let mut heard = heard.lock().expect("a lock").clone();
    heard.sort();
    let [oops, step] = &heard[..] else { panic!("{heard:?}") };
    assert!(oops.ends_with(": oops") && step.ends_with(": step one"), "{heard:?}");
}

#[test]
fn a_run_shows_neither_its_data_nor_its_options() {
    let shown = format!("{:?}", run_of(json!({ "run": ["a", "hush"] }), "{\"pin\":\"hush\"}"));
    assert!(shown.contains("attempt: 2") && !shown.contains("hush"), "{shown}");
}

#[test]
fn a_row_does_not_choose_what_is_executed() {
    for wrong in [
        json!(["${data.tool}", "x"]),
        json!({ "run": ["scripts/${data.tool}.sh"] }),
        json!({ "run": ["./go"], "dir": "${data.dir}" }),
    ] {
        let error = commands(".").check(&wrong).expect_err("wrong");
        assert!(error.contains("a row would choose the program"), "{error}");
    }
    for good in [json!(["sh", "-c", "${data.x}"]), json!({ "run": ["/bin/ls"], "dir": "${data.dir}" })] {
        assert_eq!(commands(".").check(&good), Ok(()));
    }
}

#[test]
fn a_row_is_no_part_of_a_program() {
    let safe = r#"["sh","-c","echo \"$1\" to \"$2\"!","sh","${data.name}","${data.to}"]"#;
    let error = commands(".").check(&json!("echo ${data.name} to ${data.to}!")).expect_err("a line");
    assert!(error.ends_with(safe), "{error}");
    let danger = |options: &Value| commands(".").danger(options);
    for shell in [
        json!(["sh", "-c", "echo ${data.name} to ${data.to}!"]),
        json!(["/bin/bash", "-e", "-uc", "echo ${data.name} to ${data.to}!", "bash", "more"]),
    ] {
        let (message, help) = danger(&shell).expect("a danger");
        assert!(message.contains("is run as a part of it") && help.ends_with(safe), "{message}; {help}");
    }
    for other in [json!(["node", "--eval", "${data.x}"]), json!(["python3", "-c", "print(${data.x})"])] {
        assert!(danger(&other).expect("a danger").1.ends_with("a further argument"));
    }
    let safe: Value = serde_json::from_str(safe).expect("JSON");
    for good in [
        safe,
        json!(["sh", "-c", "echo $${HOME}"]),
        json!(["python3", "script.py", "-c", "${data.x}"]),
        json!(["grep", "-c", "${data.x}"]),
    ] {
        assert_eq!((commands(".").check(&good), danger(&good)), (Ok(()), None), "{good}");
    }
}

#[test]
fn what_is_not_there_is_told_where_it_would_run() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("inner")).expect("a folder");
    let go = folder.path().join("inner/go");
    std::fs::write(&go, "#!/bin/sh\n").expect("written");
    std::fs::write(folder.path().join("inner/plain"), "").expect("written");
    std::fs::set_permissions(&go, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    for (name, text) in [
        ("bare", "echo hi\n"),
        ("windows", "#!/bin/sh\r\necho hi\r\n"),
        ("marked", "\u{feff}#!/bin/sh\necho hi\n"),
        ("readerless", "#!/no/such/reader -x\n"),
    ] {
        let path = folder.path().join("inner").join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    }
    let absent =
        |options: &Value| commands(folder.path()).absent(options).map(|(what, help)| format!("{what}; {help}"));
    for there in [
        json!(["sh", "-c", "true"]),
        json!(["inner/go"]),
        json!(["sh", "inner/plain"]),
        json!(["sh", "${data.script}"]),
        json!({ "run": ["sh", "plain"], "dir": "inner" }),
        json!(["/bin/sh"]),
        json!({ "run": ["./go"], "dir": "inner" }),
        json!({ "run": ["sh"], "dir": "${data.dir}" }),
        json!({ "run": ["own"], "env": { "PATH": "${data.path}" } }),
    ] {
        assert_eq!(absent(&there), None, "{there}");
    }
    for (options, told) in [
        (json!({ "run": ["sh"], "dir": "nodir" }), "/nodir, is no folder"),
        (json!({ "run": ["sh"], "dir": "inner/go" }), "/inner/go, is no folder"),
        (json!({ "run": ["./none"], "dir": "inner" }), "/inner/./none, is no file"),
        (json!(["./inner"]), "/./inner, is no file"),
        (json!(["inner/plain"]), "/inner/plain, is not executable; chmod +x "),
        (json!(["inner/bare"]), "/inner/bare, does not begin with #!; begin it with a line like #!/bin/sh"),
        (
            json!(["inner/windows"]),
            "/inner/windows, ends with CR LF, and the system takes CR for a part of it; save it with LF",
        ),
        (
            json!(["sh", "inner/windows"]),
            "/inner/windows, has lines that end with CR LF, and sh takes CR for a part of them",
        ),
        (json!(["inner/marked"]), "/inner/marked, begins with a byte order mark"),
        (json!(["inner/readerless"]), "/inner/readerless, is run by /no/such/reader, which is no file"),
        (json!(["sh", "scripts/missing.sh"]), "its script, "),
        (json!(["/no/such/program"]), "its program, /no/such/program, is no file"),
        (json!(["no-such-program"]), "no folder of PATH has its program, `no-such-program`"),
    ] {
        let said = absent(&options).unwrap_or_default();
        assert!(said.contains(told), "{options}: {said}");
    }
}

#[tokio::test]
async fn a_program_may_ignore_an_event_of_megabytes() {
    let large = format!("\"{}\"", "x".repeat(8 * 1024 * 1024));
    assert_eq!(result(shell_with("echo 1", &large).await), "1");
    assert_eq!(result(shell_with("exec <&-; echo 2", &large).await), "2");
    assert_eq!(result(shell_with("wc -c", &large).await), format!("{}", large.len() + 1 + structured_overhead()));
}

fn structured_overhead() -> usize {
    document::structured(&event("move.new", 1), b"1").expect("a document").len() - 2
}

#[tokio::test]
async fn a_flood_is_drained_and_only_its_end_is_kept() {
    let flood =
        "yes | head -c 50000000; yes no | head -c 50000000 >&2; echo last >&2; echo; echo '{\"end\":true}'; exit";
    assert_eq!(result(shell(flood).await), "{\"end\":true}");
    let failure = shell("yes no | head -c 21000000 >&2; echo last >&2; exit 9").await.expect_err("a failure");
    assert_eq!(failure.error, "exit status 9: last");
    assert!(failure.stderr.expect("stderr").len() <= crate::MAX_TEXT);
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_up_its_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let begun = Instant::now();
    let outcome = shell(&format!("sleep 300 & echo $! > {}; echo '\"done\"'", file.display())).await;
    assert_eq!(result(outcome), "\"done\"");
    assert!(begun.elapsed() < Duration::from_secs(60));
    let left = rustix::process::Pid::from_raw(pid_in(&file).await).expect("a pid");
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("it still runs");
}

#[tokio::test]
async fn cancelling_and_dropping_kill_the_whole_process_group() {
    for how in ["cancelled", "dropped", "killed"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, child) = (folder.path().join("own"), folder.path().join("child"));
        let script = format!(
            "trap '' TERM; (trap '' TERM; sleep 300) & echo $! > {}; echo $$ > {}; echo dying >&2; wait; sleep 300",
            child.display(),
            own.display()
        );
        let run = run_of(json!(["sh", "-c", script]), "{}");
        let (cancelled, command) = (run.cancelled.clone(), Arc::new(commands(".")));
        let kind = command.clone();
        let task = tokio::spawn(async move { command.run(run).await });
        let (own, child) = (pid_in(&own).await, pid_in(&child).await);
        if how == "dropped" {
            task.abort();
            assert!(task.await.expect_err("aborted").is_cancelled());
        } else {
            if how == "killed" {
                kind.kill()
            } else {
                cancelled.cancel()
            }
            let failure = task.await.expect("no panic").expect_err("a failure");
            assert_eq!(failure.error, "killed by SIGKILL: dying");
        }
        gone(own).await;
        gone(child).await;
    }
}

#[test]
fn options_that_are_wrong_are_named() {
    let command = commands(".");
    for (wrong, named) in [
        (json!([]), "list of texts"),
        (json!([""]), "list of texts"),
        (json!("echo hello"), r#"for a shell: ["sh","-c","echo hello"]"#),
        (json!({ "env": {} }), "wants a list"),
        (json!({ "run": ["a"], "cwd": "x" }), "cwd"),
        (json!({ "run": ["a", {}] }), "element 2 of `command` is {}, and each is a text"),
        (json!(["a", "b", null]), "element 3 of `command` is null"),
        (json!([{ "x": "y".repeat(9000) }]), "yyy…, and each is a text"),
        (json!({ "run": ["a"], "env": { "A=B": "x" } }), "env"),
        (json!({ "run": ["a"], "env": ["A"] }), "env"),
        (json!({ "run": ["a"], "dir": 7 }), "dir"),
    ] {
        let error = command.check(&wrong).expect_err("wrong");
        assert!(error.contains(named), "{wrong}: {error}");
    }
    let good = json!({ "run": ["notify", "${data.id}", 7], "env": { "A": true }, "dir": "scripts" });
    assert_eq!(command.check(&good), Ok(()));
}
