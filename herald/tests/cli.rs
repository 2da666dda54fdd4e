//! What a command says of itself to a shell: its exit code, and where its answer goes.

use std::{
    fs::OpenOptions,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How long it is waited for a process that starts.
const PATIENCE: Duration = Duration::from_secs(60);

fn herald(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HERALD_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn ended(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("it runs");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

#[test]
fn a_dev_that_cannot_listen_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (data, catalog) = (folder.path().join("data"), folder.path().display().to_string());
    let data_flag = data.display().to_string();
    for busy in ["--listen", "--api"] {
        let free = if busy == "--api" { "--listen" } else { "--api" };
        let (code, stderr) =
            ended(herald(&["dev", &catalog, "--data", &data_flag, busy, &address, free, "127.0.0.1:0"]));
        assert!(code == Some(1) && stderr.contains("cannot listen on"), "{busy} ends with {code:?}: {stderr}");
        assert!(!data.exists(), "{busy}: {} is there", data.display());
    }
}

#[test]
fn what_a_question_is_about_is_asked_for_with_every_way_to_say_it() {
    for (arguments, says) in [
        (&["why"][..], &["herald why 5b0c", "--last", "--table orders --key 7"][..]),
        (&["why", "--key", "8"], &["--table orders --key '8'"]),
        (&["ls", "--key", "8"], &["--table orders --key '8'"]),
        (&["show"], &["by its id", "--last"]),
    ] {
        let (code, stderr) = ended(herald(arguments));
        let is_told = says.iter().all(|it| stderr.contains(it));
        assert!(code == Some(2) && is_told, "{arguments:?} ends with {code:?}: {stderr}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    for arguments in [&["--help"][..], &["--version"], &["help", "dev"], &["dev", "-h"], &["config"], &["schemas"]] {
        let mut command = herald(arguments);
        command.stdout(OpenOptions::new().write(true).open("/dev/full").expect("it is there"));
        let told = "error: the answer cannot be written to stdout: No space left on device";
        let (code, stderr) = ended(command);
        assert!(code == Some(1) && stderr.starts_with(told), "{arguments:?} ends with {code:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for arguments in [&["--help"][..], &["config"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = herald(arguments);
        command.stdout(writer);
        assert_eq!(ended(command), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn a_variable_that_cannot_be_used_is_named() {
    for (arguments, variable, value) in [
        (&["dev", "."][..], "HERALD_CONFIG", ""),
        (&["doctor"], "HERALD_CONFIG", ""),
        (&["tail"], "HERALD_API", ""),
        (&["tail"], "HERALD_API", "ftp://x"),
        (&["send", "x.json"], "HERALD_URL", ""),
        (&["dev", "."], "HERALD_CONFIG", "/no/such/file.toml"),
        (&["config", "--nonsense"], "HERALD_API", "ftp://x"),
    ] {
        let mut command = herald(arguments);
        command.env(variable, value);
        let (code, stderr) = ended(command);
        let is_named = stderr.contains(variable);
        let is_ours = !arguments.contains(&"--nonsense");
        assert!(code == Some(2) && is_named == is_ours, "{variable}={value:?} ends with {code:?}: {stderr}");
    }
}

#[test]
fn what_is_sent_from_standard_input_is_named_so_with_its_line_and_column() {
    for (text, told) in [
        (&b"{\n  \"a\": x }"[..], "line 2 column 8"),
        (b"", "line 1 column 0"),
        (b"{\n\"a\": \"\xff\" }", "not UTF-8 at line 2 column 7"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("body");
        std::fs::write(&file, text).expect("written");
        let mut command = herald(&["send", "-"]);
        command.stdin(std::fs::File::open(&file).expect("the file"));
        let (code, stderr) = ended(command);
        assert!(
            code == Some(2) && stderr.starts_with("error: standard input cannot be sent") && stderr.contains(told),
            "{code:?}: {stderr}"
        );
    }
}

#[test]
fn a_wait_whose_time_stands_apart_is_told_how_it_is_written() {
    for arguments in
        [&["send", "x.json", "--wait", "5s"][..], &["send", "--wait", "5s", "x.json"], &["show", "a", "--wait", "5s"]]
    {
        let (code, stderr) = ended(herald(arguments));
        assert!(code == Some(2) && stderr.contains("--wait=5s"), "{arguments:?} ends with {code:?}: {stderr}");
    }
}

#[test]
fn each_shell_gets_a_script_that_knows_commands_and_flags() {
    for (shell, marks) in [
        ("bash", ["_herald", "--undetected"]),
        ("zsh", ["#compdef herald", "--undetected"]),
        ("fish", ["complete -c herald", "undetected"]),
    ] {
        let Output { status, stdout, .. } = herald(&["completions", shell]).output().expect("it runs");
        let script = String::from_utf8(stdout).expect("text");
        assert!(status.success() && marks.iter().all(|mark| script.contains(mark)), "{shell}: {script}");
    }
    let (code, stderr) = ended(herald(&["completions", "sh"]));
    assert!(code == Some(2) && stderr.contains("bash"), "{code:?}: {stderr}");
}

#[test]
fn a_benchmark_that_is_stopped_leaves_neither_its_herald_nor_its_folder() {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut command = herald(&["bench", "--dev", "--duration", "5m", "--rate", "1"]);
    command.env("TMPDIR", temporary.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut bench = command.spawn().expect("it runs");
    let within = || std::fs::read_dir(temporary.path()).expect("a folder").flatten().map(|entry| entry.path()).next();
    let lock = || std::fs::read_to_string(within()?.join("data/bus.lock")).ok()?.trim().parse::<i32>().ok();
    let begun = Instant::now();
    let own = loop {
        match lock() {
            Some(own) => break Pid::from_raw(own).expect("a process"),
            None => assert!(begun.elapsed() < PATIENCE, "it does not start its Herald"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    kill_process(Pid::from_child(&bench), Signal::TERM).expect("it runs");
    assert_eq!(bench.wait().expect("it ends").code(), Some(130));
    assert!(test_kill_process(own).is_err(), "its Herald runs on");
    assert_eq!(within(), None);
}

#[test]
fn what_is_no_folder_or_no_file_is_a_wrong_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("events")).expect("a folder");
    std::fs::write(folder.path().join("file"), "").expect("written");
    for (variable, value) in [("HERALD__DATA", "file"), ("HERALD__RESULTS__PATH", "events")] {
        let mut command = herald(&["dev", "."]);
        command.current_dir(&folder).env(variable, value);
        let (code, stderr) = ended(command);
        assert!(
            code == Some(2) && stderr.contains(variable) && stderr.contains("which may be new"),
            "{code:?}: {stderr}"
        );
    }
}
