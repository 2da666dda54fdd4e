//! What a command says of itself to a shell: its exit code, and where its answer goes.

use std::{
    fs::OpenOptions,
    process::{Command, Output, Stdio},
};

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
