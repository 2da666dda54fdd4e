//! `command`: a program for each event.
//!
//! The event comes as one JSON document on stdin and, in part, in the environment. What the program prints last is its
//! result, its exit code says whether it succeeded. It is the leader of a process group of its own, which ends whole when
//! the attempt does before its time; and however much it prints, only the end of it is kept.

mod document;
mod output;
mod process;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use contracts::outcomes::BoxFuture;
use serde_json::Value;

use super::{map, text};
use crate::kind::{Answer, Failure, Kind, Outcome, Run};

/// See the module.
pub(crate) struct Command {
    folder: PathBuf,
}

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    program: String,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    dir: Option<PathBuf>,
}

impl Command {
    /// Commands that run in a folder, to which their `dir` is relative.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn prepare(&self, run: &Run) -> Result<(tokio::process::Command, Vec<u8>), Failure> {
        let options = Options::of(&run.options).map_err(Failure::new)?;
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
        command.args(options.arguments).current_dir(dir);
        // Herald's own settings, some of which are secrets, are nothing to a job.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HERALD_")) {
            command.env_remove(name);
        }
        command
            .env("HERALD_EVENT_ID", run.event.id.to_string())
            .env("HERALD_EVENT_NAME", run.event.event.to_string())
            .env("HERALD_CORRELATION_ID", run.event.correlation.as_str())
            .env("HERALD_RUN_ID", run.id.to_string())
            .env("HERALD_ATTEMPT", run.attempt.to_string())
            .env("HERALD_TOKEN", run.token().to_string());
        match run.traceparent() {
            Some(traceparent) => command.env("TRACEPARENT", traceparent),
            None => command.env_remove("TRACEPARENT"),
        };
        command.envs(options.env);
        Ok((command, document::structured(&run.event, &run.data)?))
    }
}

impl Kind for Command {
    fn check(&self, options: &Value) -> Result<(), String> {
        Options::of(options).map(|_| ())
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let (command, stdin) = self.prepare(&run)?;
            let ended = process::run(command, stdin, &run.cancelled).await?;
            let stderr = ended.stderr.text();
            match process::complaint(ended.status, &stderr) {
                Some(complaint) => Err(Failure::new(complaint).with_stderr(stderr)),
                None => Ok(ended.stdout.result().map_or_else(Answer::nothing, Answer::raw)),
            }
        })
    }
}

impl Options {
    fn of(options: &Value) -> Result<Self, String> {
        if let Value::Array(_) = options {
            return Self::new(options, None, None);
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
