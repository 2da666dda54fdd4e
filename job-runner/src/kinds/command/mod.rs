//! `command`: a program for each event.
//!
//! The event comes as one JSON document on stdin and, in part, in the environment. Its result is the file that
//! `HERALD_RESULT` names, if it wrote that, or what it printed; its exit code says whether it succeeded. It is the leader of a process group of its own, which ends whole when
//! the attempt does before its time; and however much it prints, only the end of it is kept.

mod document;
mod output;
mod process;
mod result_file;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use contracts::outcomes::BoxFuture;
use serde_json::Value;

use self::{
    process::{Program, Running},
    result_file::{ResultFile, Results},
};
use super::{is_template, map, text};
use crate::{
    kind::{Answer, Failure, Kind, Outcome, Run},
    registry::Hears,
};

/// The variables of Herald's own environment that every program gets, beside those that begin with `LC_`.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

pub(crate) struct Command {
    folder: PathBuf,
    /// Variables of Herald's own environment that programs get, too.
    environment: Vec<String>,
    results: Results,
    running: Running,
    hears: Option<Hears>,
}

/// What is to be run.
#[derive(PartialEq, Eq)]
struct Options {
    program: String,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    dir: Option<PathBuf>,
}

impl Command {
    /// Commands that run in a folder, to which their `dir` is relative, with these variables of the process's environment.
    pub(crate) fn new(folder: &Path, environment: &[String]) -> Self {
        Self {
            folder: folder.to_owned(),
            environment: environment.to_vec(),
            results: Results::default(),
            running: Running::default(),
            hears: None,
        }
    }

    /// The same, heard by that.
    pub(crate) fn heard(self, hears: Option<Hears>) -> Self {
        Self { hears, ..self }
    }

    fn prepare(&self, run: &Run, result: Option<&Path>) -> Result<Program, Failure> {
        let options = Options::of(&run.options).map_err(Failure::last)?;
        let dir = options.dir.map_or_else(|| self.folder.clone(), |dir| self.folder.join(dir));
        let program = Path::new(&options.program);
        // What has a slash is relative to where it runs; what has none is found on the path.
        let program = if program.components().count() > 1 { dir.join(program) } else { program.to_owned() };
        let program = if program.is_relative() && program.components().count() > 1 {
            std::path::absolute(&program)
                .map_err(|error| Failure::new(format!("cannot find `{}`: {error}", program.display())))?
        } else {
            program
        };
        let mut command = tokio::process::Command::new(program);
        command.args(options.arguments).current_dir(&dir).env_clear().envs(self.inherited());
        command
            .env("HERALD_EVENT_ID", run.event.id.to_string())
            .env("HERALD_EVENT_NAME", run.event.event.to_string())
            .env("HERALD_CORRELATION_ID", run.event.correlation.as_str())
            .env("HERALD_RUN_ID", run.id.to_string())
            .env("HERALD_ATTEMPT", run.attempt.to_string())
            .env("HERALD_TOKEN", run.token().to_string());
        let more = [("TRACEPARENT", run.traceparent().map(OsStr::new)), ("HERALD_RESULT", result.map(Path::as_os_str))];
        command.envs(more.into_iter().filter_map(|(name, value)| Some((name, value?)))).envs(options.env);
        Ok(Program { command, dir, stdin: document::structured(&run.event, &run.data)? })
    }

    /// What of this process's environment a program gets: nothing that could be a secret, unless somebody has named it.
    fn inherited(&self) -> impl Iterator<Item = (OsString, OsString)> {
        std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            INHERITED.contains(&&*name) || name.starts_with("LC_") || self.environment.iter().any(|own| *own == name)
        })
    }
}

impl Kind for Command {
    fn check(&self, options: &Value) -> Result<(), String> {
        Options::of(options)?.check()
    }

    fn absent(&self, options: &Value) -> Option<String> {
        Options::of(options).ok()?.absent(&self.folder)
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let file = self.results.file();
            let program = self.prepare(&run, file.as_ref().map(ResultFile::path))?;
            let ended = process::run(program, &self.running, &run, self.hears.as_ref()).await?;
            let (stderr, stdout) = (ended.stderr.text(), ended.stdout.text());
            // Many a program complains on stdout.
            let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
            if let Some(complaint) = process::complaint(ended.status, said) {
                return Err(Failure::new(complaint).with_stderr(stderr).with_stdout(stdout));
            }
            let written = match file {
                Some(file) => {
                    let wrote = |error| Failure::new(error).with_stderr(stderr).with_stdout(stdout);
                    file.read().await.map_err(wrote)?
                }
                None => None,
            };
            Ok(written.or_else(|| ended.stdout.result()).map_or_else(Answer::nothing, Answer::raw))
        })
    }

    fn kill(&self) {
        self.running.kill();
    }
}

impl Options {
    /// Checks them as they stand in the catalog: what is executed is not for a row to choose.
    fn check(&self) -> Result<(), String> {
        if is_template(&self.program) {
            return Err(format!(
                "`{}` is filled in for each event, so that a row would choose the program; name the program, and give it \
                 the value as an argument",
                self.program
            ));
        }
        let dir = self.dir.as_ref().map(|dir| dir.to_string_lossy()).filter(|dir| is_template(dir));
        match dir {
            Some(dir) if self.program.contains('/') && !self.program.starts_with('/') => Err(format!(
                "`dir` is `{dir}`, filled in for each event, and `{}` is relative to it, so that a row would choose the \
                 program; give the program's whole path",
                self.program
            )),
            _ => Ok(()),
        }
    }

    /// What of them is not in that folder, or on the path. What is filled in for each event is not known yet.
    fn absent(&self, folder: &Path) -> Option<String> {
        let dir = folder.join(self.dir.as_deref().unwrap_or(Path::new("")));
        if is_template(&dir.to_string_lossy()) {
            return None;
        }
        if !dir.is_dir() {
            return Some(format!("its `dir`, {}, is no folder", dir.display()));
        }
        let program = &self.program;
        if program.contains('/') {
            let path = dir.join(program);
            let Ok(found) = path.metadata() else {
                return Some(format!("its program, {}, is no file", path.display()));
            };
            return match (found.is_file(), found.permissions().mode() & 0o111) {
                (false, _) => Some(format!("its program, {}, is no file", path.display())),
                (true, 0) => Some(format!("its program, {0}, is not executable: chmod +x {0}", path.display())),
                _ => None,
            };
        }
        if let Some(script) = self.script().map(|script| dir.join(script)).filter(|script| !script.is_file()) {
            return Some(format!("its script, {}, is no file", script.display()));
        }
        let paths = self.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"))?;
        if is_template(&paths.to_string_lossy()) {
            return None;
        }
        let is_found = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
        (!is_found).then(|| format!("no folder of PATH has its program, `{program}`"))
    }

    /// The file that an interpreter is to read: its first argument, where that is no option and not filled in.
    fn script(&self) -> Option<&str> {
        const INTERPRETERS: [&str; 9] = ["sh", "bash", "zsh", "python", "python3", "node", "ruby", "perl", "php"];
        let first = self.arguments.first().filter(|_| INTERPRETERS.contains(&self.program.as_str()))?;
        (!first.starts_with('-') && !is_template(first)).then_some(first)
    }

    fn of(options: &Value) -> Result<Self, String> {
        match options {
            Value::Array(_) => return Self::new(options, None, None),
            // As a shell takes it.
            Value::String(line) => {
                let shell = serde_json::json!(["sh", "-c", line]);
                return Err(format!(
                    "it is a list of texts, the program and its arguments; as a line for a shell: {shell}"
                ));
            }
            _ => {}
        }
        let map = map("command", options, &["run", "env", "dir"])?;
        let run = map.and_then(|map| map.get("run")).ok_or("`command` wants a list: the program and its arguments")?;
        Self::new(run, map.and_then(|map| map.get("env")), map.and_then(|map| map.get("dir")))
    }

    fn new(run: &Value, env: Option<&Value>, dir: Option<&Value>) -> Result<Self, String> {
        let words = run.as_array().map(|words| words.iter().map(text).collect::<Option<Vec<_>>>());
        let mut words = words.flatten().unwrap_or_default().into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| {
            format!("`command` is {run}; it is a list of texts, the program and its arguments: [notify, --quietly]")
        })?;
        let env = match env {
            None | Some(Value::Null) => Some(BTreeMap::new()),
            Some(Value::Object(env)) => env.iter().map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
            Some(_) => None,
        };
        let dir = match dir {
            None | Some(Value::Null) => None,
            Some(Value::String(dir)) => Some(PathBuf::from(dir)),
            Some(other) => return Err(format!("`dir` is {other}; it is the text of a path")),
        };
        let is_fine =
            |env: &BTreeMap<String, String>| env.keys().all(|name| !name.is_empty() && !name.contains(['=', '\0']));
        let env = env.filter(is_fine).ok_or("`env` is a map from names of variables to texts")?;
        Ok(Self { program, arguments: words.collect(), env, dir })
    }
}
