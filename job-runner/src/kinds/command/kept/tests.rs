//! Kept programs as they are: quick, and in every way wrong.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::super::{
    Command,
    tests::{commands, gone, pid_in, result, run_of},
};
use crate::{
    kind::{Failure, Kind as _, Outcome, Run, Then},
    registry::Hears,
};

/// Python is slow to start on a busy machine; a shell is not, and its `read` takes a line.
const READY: &str = "read -r hello; echo '{\"protocol\":1}';";
/// The id of the message that was read into `$message`.
const ID: &str = r#"id=${message#*\"id\":\"}; id=${id%%\"*};"#;

/// A program that answers each message by a piece of shell, which sees `$message` and `$id`.
fn each(answer: &str) -> Value {
    script(&format!("{READY} while IFS= read -r message; do {ID} {answer}\ndone"))
}

fn script(text: &str) -> Value {
    json!({ "run": ["sh", "-c", text], "keep": true })
}

fn run(options: &Value) -> Run {
    run_of(options.clone(), "{\"price\":1.10}")
}

async fn ask(commands: &Command, options: &Value) -> Outcome {
    commands.run(run(options)).await
}

async fn failure(options: &Value) -> Failure {
    ask(&commands("."), options).await.expect_err("a failure")
}

/// Cancels a run as soon as a file is there, and tells how it ended.
async fn cut(options: Value, file: &Path) -> (Failure, i32) {
    let run = run(&options);
    let cancelled = run.cancelled.clone();
    let task = tokio::spawn(async move { commands(".").run(run).await });
    let pid = pid_in(file).await;
    cancelled.cancel();
    (task.await.expect("no panic").expect_err("a failure"), pid)
}

const ECHO: &str = r#"echo "{\"id\":\"$id\",\"result\":$$}""#;

#[tokio::test]
async fn one_process_answers_one_event_after_another_and_several_at_once_have_their_own() {
    let (commands, options) = (Arc::new(commands(".")), each(ECHO));
    let first = result(ask(&commands, &options).await);
    for _ in 0..20 {
        assert_eq!(result(ask(&commands, &options).await), first);
    }
    let all = (0..4).map(|_| {
        let (commands, run) = (commands.clone(), run(&options));
        tokio::spawn(async move { result(commands.run(run).await) })
    });
    let mut pids: Vec<String> = Vec::new();
    for task in all.collect::<Vec<_>>() {
        pids.push(task.await.expect("no panic"));
    }
    pids.sort();
    pids.dedup();
    assert!(pids.len() <= 4 && pids.contains(&first), "{pids:?} {first}");
}

#[tokio::test]
async fn the_message_has_the_event_the_parameters_and_what_the_run_needs() {
    let options = each(r#"echo "{\"id\":\"$id\",\"result\":$message}""#);
    let run = Run { params: Arc::new(json!({ "to": "a@b" })), ..run_of(options, "{\n \"price\":1.10\n}") };
    let (id, token, now) = (run.id, run.token().to_string(), jiff::Timestamp::now());
    let message = result(commands(".").run(run).await);
    assert!(message.contains(r#""data":{"price":1.10}"#), "{message}");
    let message: Value = serde_json::from_str(&message).expect("JSON");
    assert_eq!(message["id"], json!(format!("{id}.2")));
    assert_eq!((&message["run"], &message["attempt"]), (&json!(id), &json!(2)));
    assert_eq!((&message["params"], &message["token"]), (&json!({ "to": "a@b" }), &json!(token)));
    assert_eq!(message["event"]["type"], json!("move.new"));
    let deadline: jiff::Timestamp = message["deadline"].as_str().expect("a text").parse().expect("a time");
    assert!((29..=60).contains(&deadline.duration_since(now).as_secs()), "{deadline}");
}

#[tokio::test]
async fn an_answer_is_a_result_or_an_error_and_says_what_follows() {
    assert!(ask(&commands("."), &each(r#"echo "{\"id\":\"$id\"}""#)).await.expect("success").result.is_none());
    let commands = commands(".");
    let options = each(r#"echo "{\"id\":\"$id\",\"error\":\"busy\",\"retry\":\"90s\"}"; echo $$ >&2"#);
    let failed = ask(&commands, &options).await.expect_err("a failure");
    assert_eq!((failed.error.as_str(), failed.then), ("busy", Then::RetryAfter(Duration::from_secs(90))));
    assert_eq!(ask(&commands, &options).await.expect_err("a failure").error, "busy", "it goes on");
    let given_up = failure(&each(r#"echo "{\"id\":\"$id\",\"error\":{\"code\":7},\"retry\":false}""#)).await;
    assert_eq!((given_up.error.as_str(), given_up.then), ("{\"code\":7}", Then::GiveUp));
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_its_run_and_says_how() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (options, told) in [
        (script("echo hello; sleep 60"), "the program's first line is `hello`, and {\"protocol\":1} was expected"),
        (script("read -r hello; echo '{\"protocol\":2}'; sleep 60"), "speaks protocol 2, and this version of Herald 1"),
        (script("exit 3"), "the program ended before it answered: exit status 3"),
        (script("echo 'no module x' >&2; exit 1"), "before it answered: exit status 1: no module x"),
        (script(&format!("{READY} read -r m; exec >&-; sleep 60")), "closed its stdout before it answered"),
        (each("kill -9 $$"), "the program ended before it answered: killed by SIGKILL"),
        (each("printf '{\"id\":'; exit 7"), "the program ended in the middle of its answer: exit status 7"),
        (each("echo working; sleep 60"), "the program wrote `working`, which is no answer: "),
        (each("echo '{\"result\":1}'"), "missing field `id`"),
        (each("echo \"{\\\"id\\\":\\\"$id\\\",\\\"eror\\\":1}\""), "unknown field `eror`"),
        (each("echo '{\"id\":\"other\"}'; sleep 60"), "the program answered for `other`, and `"),
        (each("printf '{\"id\":\"\\303\"}\\n'; sleep 60"), "which is not UTF-8"),
        (each("yes | tr -d '\\n'"), "a line of more than 1048576 bytes; it begins with `yyy"),
        (
            each(&format!("echo \"{{\\\"id\\\":\\\"$id\\\",\\\"result\\\":{deep}}}\"")),
            "nested deeper than anyone reads",
        ),
    ] {
        let failed = failure(&options).await;
        assert!(failed.error.contains(told), "{told}: {}", failed.error);
        assert_eq!(failed.then, Then::Retry);
    }
}

#[tokio::test]
async fn one_that_answers_twice_is_replaced_and_no_other_run_has_its_answer() {
    let commands = commands(".");
    let options = each(r#"echo "{\"id\":\"$id\",\"result\":$$}"; echo "{\"id\":\"$id\",\"result\":0}""#);
    let mut pids = Vec::new();
    for attempt in 1..6 {
        match commands.run(Run { attempt, ..run(&options) }).await {
            Ok(answer) => pids.push(answer.result.expect("a result").get().to_owned()),
            // The second answer came when the next event was on its way.
            Err(failure) => assert!(failure.error.contains("answered twice"), "{}", failure.error),
        }
    }
    let count = pids.len();
    pids.dedup();
    assert!(count >= 2 && pids.len() == count && !pids.contains(&"0".to_owned()), "{pids:?}");
}

#[tokio::test]
async fn one_that_hangs_ignores_signals_and_has_children_is_killed_with_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, child) = (folder.path().join("own"), folder.path().join("child"));
    let answer = format!(
        "trap '' TERM; (trap '' TERM; sleep 300) & echo $! > {}; echo dying >&2; echo $$ > {}; sleep 300",
        child.display(),
        own.display()
    );
    let (failure, own) = cut(each(&answer), &own).await;
    assert_eq!(failure.error, "the program was killed before it answered");
    assert_eq!(failure.stderr.as_deref(), Some("dying\n"));
    gone(own).await;
    gone(pid_in(&child).await).await;
}

#[tokio::test]
async fn one_that_never_begins_to_speak_is_told_apart_from_one_that_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let (failure, _) = cut(script(&format!("echo $$ > {}; sleep 300", pid.display())), &pid).await;
    assert!(failure.error.starts_with("the program was killed: it never wrote {\"protocol\":1}"), "{}", failure.error);
    let ended = super::tests::failure(&script("cat > /dev/null & read -r hello")).await;
    assert!(ended.error.starts_with("the program ended: it never wrote {\"protocol\":1}"), "{}", ended.error);
    let failed = super::tests::failure(&script("echo no module >&2; exit 3")).await;
    assert_eq!(failed.error, "the program ended before it answered: exit status 3: no module");
}

#[tokio::test]
async fn one_that_never_reads_holds_up_nobody_and_one_that_floods_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let large = format!("\"{}\"", "x".repeat(4 * 1024 * 1024));
    let deaf = script(&format!("{READY} echo $$ > {}; sleep 300", file.display()));
    let run = run_of(deaf, &large);
    let cancelled = run.cancelled.clone();
    let task = tokio::spawn(async move { commands(".").run(run).await });
    let pid = pid_in(&file).await;
    cancelled.cancel();
    assert!(task.await.expect("no panic").is_err());
    gone(pid).await;
    // One that reads it all answers.
    let counts = each(r#"echo "{\"id\":\"$id\",\"result\":${#message}}""#);
    let counted: usize = result(commands(".").run(run_of(counts, &large)).await).parse().expect("a number");
    assert!(counted > large.len(), "{counted}");
    // It says something before it has read all of its message.
    let rash = script(&format!("{READY} echo '{{}}'; sleep 300"));
    let failed = commands(".").run(run_of(rash, &large)).await.expect_err("a failure");
    assert!(failed.error.contains("before it had read its message"), "{}", failed.error);
    let noisy = each("yes no | head -c 50000000 >&2; echo >&2; echo last >&2; exit 9");
    let failed = failure(&noisy).await;
    assert_eq!(failed.error, "the program ended before it answered: exit status 9: last");
    assert!(failed.stderr.expect("stderr").len() <= crate::MAX_TEXT);
}

#[tokio::test]
async fn one_that_grows_beyond_its_memory_is_ended() {
    let grows = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 300";
    let mut options = each(grows);
    options["keep"] = json!({ "memory": "20MiB" });
    let failed = failure(&options).await;
    assert!(failed.error.contains("of memory, and may take 20"), "{}", failed.error);
}

#[tokio::test]
async fn other_options_are_other_processes_and_those_of_before_end() {
    let (commands, mut options) = (commands("."), each(ECHO));
    let first: i32 = result(ask(&commands, &options).await).parse().expect("a pid");
    options["env"] = json!({ "A": "1" });
    let second: i32 = result(ask(&commands, &options).await).parse().expect("a pid");
    assert_ne!(first, second);
    gone(first).await;
    commands.end().await;
    gone(second).await;
}

#[tokio::test]
async fn one_that_waits_too_long_is_ended_and_reads_the_end_of_its_stdin() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ended");
    let mut options = each(ECHO);
    options["run"][2] = json!(format!("{}; echo $$ > {}", options["run"][2].as_str().expect("text"), file.display()));
    options["keep"] = json!({ "idle": "1ms" });
    // The processes go with the commands; so these are kept until it has ended by itself.
    let commands = commands(".");
    let pid: i32 = result(ask(&commands, &options).await).parse().expect("a pid");
    assert_eq!(pid_in(&file).await, pid);
    gone(pid).await;
}

#[tokio::test]
async fn a_program_that_was_edited_is_started_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = each(ECHO)["run"][2].as_str().expect("a text").to_owned();
    let file = folder.path().join("worker.sh");
    std::fs::write(&file, &body).expect("written");
    let (commands, options) = (commands(folder.path()), json!({ "run": ["sh", "worker.sh"], "keep": true }));
    let first = result(ask(&commands, &options).await);
    assert_eq!(result(ask(&commands, &options).await), first);
    let past = std::time::SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().append(true).open(&file).and_then(|file| file.set_modified(past)).expect("touched");
    while result(ask(&commands, &options).await) == first {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn where_none_lives_the_next_is_started_later_and_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("starts");
    let options = script(&format!("echo x >> {}; exit 3", log.display()));
    let commands = commands(".");
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        assert!(ask(&commands, &options).await.is_err());
    }
    // 200 and 400 ms were waited for.
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    let run = run(&options);
    let cancelled = run.cancelled.clone();
    cancelled.cancel();
    let failed = commands.run(run).await.expect_err("a failure");
    assert!(failed.error.contains("not started again before the time was up"), "{}", failed.error);
    assert_eq!(std::fs::read_to_string(&log).expect("read").lines().count(), 3);
}

#[tokio::test]
async fn its_stderr_is_heard_and_a_killed_pool_leaves_nothing() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let to = heard.clone();
    let hears: Hears = Arc::new(move |job, line| to.lock().expect("a lock").push(format!("{job}: {line}")));
    let commands = Command::new(Path::new("."), &[]).heard(Some(hears));
    let options = each(&format!("echo one >&2; {ECHO}"));
    let pid: i32 = result(ask(&commands, &options).await).parse().expect("a pid");
    commands.end().await;
    gone(pid).await;
    assert_eq!(*heard.lock().expect("a lock"), ["job: one"]);
    let pid: i32 = result(ask(&commands, &options).await).parse().expect("a pid");
    commands.kill();
    gone(pid).await;
    let pid: i32 = result(ask(&commands, &options).await).parse().expect("a pid");
    drop(commands);
    gone(pid).await;
}

#[test]
fn nothing_is_filled_into_what_is_started_once() {
    let commands = commands(".");
    for options in [
        json!({ "run": ["node", "worker.mjs", "${data.id}"], "keep": true }),
        json!({ "run": ["node", "worker.mjs"], "env": { "ID": "${data.id}" }, "keep": { "idle": "5m" } }),
        json!({ "run": ["node", "worker.mjs"], "dir": "${data.id}", "keep": true }),
    ] {
        let error = commands.check(&options).expect_err("wrong");
        assert!(error.contains("nothing is filled into `${data.id}`"), "{error}");
    }
    for (keep, told) in [
        (json!("yes"), "`keep` is \"yes\"; it is true, or a map"),
        (json!({ "idle": 5 }), "`idle`: `5` is no duration"),
        (json!({ "memory": "much" }), "`memory`: `much` is no size"),
        (json!({ "max": 5 }), "`keep` has no option `max`"),
    ] {
        let error = commands.check(&json!({ "run": ["node", "worker.mjs"], "keep": keep })).expect_err("wrong");
        assert!(error.contains(told), "{error}");
    }
    for fine in [
        json!({ "run": ["node", "worker.mjs", "${data.id}"], "keep": false }),
        // A written `${`, for the shell.
        json!({ "run": ["sh", "-c", "echo $${HOME}"], "keep": true }),
    ] {
        assert_eq!(commands.check(&fine), Ok(()), "{fine}");
    }
}
