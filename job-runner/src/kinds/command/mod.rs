//! `command`: a program for each event, or one that is kept for many.
//!
//! The event comes as one JSON document on stdin and, in part, in the environment. Its result is the file that
//! `HERALD_RESULT` names, if it wrote that, or what it printed; its exit code says whether it succeeded. It is the leader of a
//! process group of its own, which ends whole when the attempt does before its time; and however much it prints, only the end of
//! it is kept. What is kept for many events is in `kept`.

mod answer;
mod document;
mod kept;
mod options;
mod output;
mod process;
mod result_file;
mod running;
mod script;
#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use contracts::outcomes::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

pub(super) use self::output::document as json_document;
use self::{
    kept::Pools,
    options::Options,
    process::Program,
    result_file::{ResultFile, Results},
    running::Running,
};
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
    pools: Pools,
    hears: Option<Hears>,
}

impl Command {
    /// Commands that run in a folder, to which their `dir` is relative, with these variables of the process's environment.
    pub(crate) fn new(folder: &Path, environment: &[String]) -> Self {
        Self {
            folder: folder.to_owned(),
            environment: environment.to_vec(),
            results: Results::default(),
            running: Running::default(),
            pools: Pools::default(),
            hears: None,
        }
    }

    /// The same, heard by that.
    pub(crate) fn heard(self, hears: Option<Hears>) -> Self {
        Self { hears, ..self }
    }

    /// The program of these options, with what every program gets.
    fn program(&self, options: Options, stdin: Vec<u8>) -> Result<Program, Failure> {
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
        command.args(options.arguments).current_dir(&dir).env_clear().envs(self.inherited()).envs(options.env);
        Ok(Program { command, dir, stdin })
    }

    fn prepare(&self, run: &Run, options: Options, result: Option<&Path>) -> Result<Program, Failure> {
        let own = options.env.clone();
        let mut program = self.program(options, document::structured(&run.event, &run.data)?)?;
        program
            .command
            .env("HERALD_EVENT_ID", run.event.id.to_string())
            .env("HERALD_EVENT_NAME", run.event.event.to_string())
            .env("HERALD_CORRELATION_ID", run.event.correlation.as_str())
            .env("HERALD_RUN_ID", run.id.to_string())
            .env("HERALD_ATTEMPT", run.attempt.to_string())
            .env("HERALD_TOKEN", run.token().to_string());
        let more = [("TRACEPARENT", run.traceparent().map(OsStr::new)), ("HERALD_RESULT", result.map(Path::as_os_str))];
        program.command.envs(more.into_iter().filter_map(|(name, value)| Some((name, value?)))).envs(own);
        Ok(program)
    }

    /// What of this process's environment a program gets: nothing that could be a secret, unless somebody has named it.
    fn inherited(&self) -> impl Iterator<Item = (OsString, OsString)> {
        std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            INHERITED.contains(&&*name) || name.starts_with("LC_") || self.environment.iter().any(|own| *own == name)
        })
    }

    async fn run_once(&self, run: &Run, options: Options) -> Outcome {
        let file = self.results.file();
        let program = self.prepare(run, options, file.as_ref().map(ResultFile::path))?;
        let ended = process::run(program, &self.running, run, self.hears.as_ref()).await?;
        let (stderr, stdout) = (ended.stderr.text(), ended.stdout.text());
        let wrote = |error: String| Failure::new(error).with_stderr(stderr.clone()).with_stdout(stdout.clone());
        // Many a program complains on stdout.
        let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
        if let Some(complaint) = process::complaint(ended.status, said) {
            let failure = wrote(complaint).with_code(ended.status.code());
            // What is no file has nothing to say of what follows.
            let told = match file {
                Some(file) => file.read().await.ok().flatten(),
                None => None,
            };
            return Err(answer::of_file(failure, told.as_deref(), Timestamp::now()));
        }
        let written = match file {
            Some(file) => file.read().await.map_err(wrote)?,
            None => None,
        };
        Ok(written.or_else(|| ended.stdout.result()).map_or_else(Answer::nothing, Answer::raw))
    }
}

impl Kind for Command {
    fn check(&self, options: &Value) -> Result<(), String> {
        Options::of(options)?.check()
    }

    fn danger(&self, options: &Value) -> Option<(String, String)> {
        Options::of(options).ok()?.danger()
    }

    fn absent(&self, options: &Value) -> Option<(String, String)> {
        Options::of(options).ok()?.absent(&self.folder)
    }

    fn takes_params(&self, options: &Value) -> bool {
        Options::of(options).is_ok_and(|options| options.keep.is_some())
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            // Not to be read again for each event.
            if let Some(pool) = self.pools.of(&run) {
                return kept::run(self, &pool, &run).await;
            }
            let options = Options::of(&run.options).map_err(Failure::last)?;
            match options.keep {
                Some(keep) => kept::run(self, &self.pools.open(&run, &self.folder, &options, keep), &run).await,
                None => self.run_once(&run, options).await,
            }
        })
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pools.end())
    }

    fn kill(&self) {
        self.running.kill();
    }
}
