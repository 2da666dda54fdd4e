//! The command line, as a person or a script runs it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{binary, process::Process};

/// What a command that has ended printed, and its exit code.
#[derive(Debug)]
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Output {
    /// The same output, of a command that must have ended with that code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless each of the texts stands on stdout, in this order.
    #[track_caller]
    pub fn has(&self, texts: &[&str]) {
        let mut rest = self.stdout.as_str();
        for text in texts {
            let at = rest.find(text);
            let at = at.unwrap_or_else(|| panic!("{text:?} is not there, or not in its place:\n{}", self.stdout));
            rest = &rest[at + text.len()..];
        }
    }
}

/// A subcommand that is running; killed when it is dropped.
#[derive(Debug)]
pub struct Tool(Process);

impl Tool {
    /// Starts `herald` with these arguments and variables, and nothing of this process's own settings. It reads the text,
    /// if there is one, from stdin.
    pub(crate) fn start(arguments: &[&str], variables: &[(String, String)], stdin: Option<&str>) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        clean(&mut command).envs(variables.iter().cloned());
        let mut process = Process::spawn(command);
        if let Some((text, mut pipe)) = stdin.zip(process.stdin()) {
            pipe.write_all(text.as_bytes()).expect("it reads its stdin");
        }
        Self(process)
    }

    /// Waits for its end.
    pub async fn output(mut self) -> Output {
        let code = self.0.end().await.code();
        self.0.last_words();
        Output { code, stdout: self.0.printed.stdout(), stderr: self.0.printed.stderr() }
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        self.0.printed.stdout()
    }

    /// What it has complained about so far.
    pub fn stderr(&self) -> String {
        self.0.printed.stderr()
    }
}

/// Takes whatever would configure Herald out of a command's environment.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HERALD_") {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1")
}
