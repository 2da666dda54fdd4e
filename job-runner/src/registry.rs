//! The kinds of jobs that this process has.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use catalog::Kinds;
use contracts::outcomes::BoxFuture;
use futures_util::future::join_all;
use serde_json::Value;

use crate::{
    Config,
    kind::{Kind, Outcome, Run},
    kinds::{Command, Http, Log, Publish, Simulate},
};

/// Hears each line that a program writes, with the full name of its job. It must take no time.
pub type Hears = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Kinds of jobs by name. Register what is yours before the service is made; it is what the catalog is checked against.
#[derive(Clone, Default)]
pub struct Registry {
    /// Shared: each of many groups has the registry.
    kinds: Arc<BTreeMap<String, Arc<dyn Kind>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}

impl Registry {
    /// No kinds.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The kinds that Herald brings: `command`, `http`, `log`, `publish`, `simulate`.
    pub fn standard(config: &Config) -> Self {
        Self::heard(config, None)
    }

    /// The same, and whoever hears what programs write, if anybody does.
    pub fn heard(config: &Config, hears: Option<Hears>) -> Self {
        let mut out = Self::empty();
        out.register("command", Arc::new(Command::new(&config.folder, &config.environment).heard(hears)));
        out.register("http", Arc::new(Http::new(config)));
        out.register("log", Arc::new(Log));
        out.register("publish", Arc::new(Publish));
        out.register("simulate", Arc::new(Simulate));
        out
    }

    /// Adds a kind; one of the same name is replaced.
    pub fn register(&mut self, name: impl Into<String>, kind: Arc<dyn Kind>) -> &mut Self {
        Arc::make_mut(&mut self.kinds).insert(name.into(), kind);
        self
    }

    /// Adds a Rust function as a kind that takes any options:
    /// `registry.function("invoice", |run| async move { … })`.
    pub fn function<F, R>(&mut self, name: impl Into<String>, function: F) -> &mut Self
    where
        F: Fn(Run) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        self.register(name, Arc::new(Function(function)))
    }

    /// The same kinds, which also say what is not there. They look at the disk.
    pub fn here(&self) -> impl Kinds + use<> {
        Here(self.clone())
    }

    /// Ends what kinds keep for further runs, of which there will be none.
    pub async fn end(&self) {
        join_all(self.kinds.values().map(|kind| kind.end())).await;
    }

    /// Ends at once what of any kind would outlive the process, which is about to end.
    pub fn kill(&self) {
        self.kinds.values().for_each(|kind| kind.kill());
    }

    /// The kind of that name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Kind>> {
        self.kinds.get(name).cloned()
    }
}

impl Kinds for Registry {
    fn check(&self, kind: &str, options: &Value) -> Result<(), String> {
        match self.kinds.get(kind) {
            Some(found) => found.check(options),
            None => Err(format!("there is no kind of job `{kind}`; there are {}", self.names().join(", "))),
        }
    }

    fn names(&self) -> Vec<&str> {
        self.kinds.keys().map(String::as_str).collect()
    }

    fn danger(&self, kind: &str, options: &Value) -> Option<(String, String)> {
        self.kinds.get(kind)?.danger(options)
    }

    fn takes_params(&self, kind: &str, options: &Value) -> bool {
        self.kinds.get(kind).is_some_and(|kind| kind.takes_params(options))
    }
}

struct Here(Registry);

impl Kinds for Here {
    fn check(&self, kind: &str, options: &Value) -> Result<(), String> {
        self.0.check(kind, options)
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }

    fn danger(&self, kind: &str, options: &Value) -> Option<(String, String)> {
        self.0.danger(kind, options)
    }

    fn absent(&self, kind: &str, options: &Value) -> Option<(String, String)> {
        self.0.kinds.get(kind)?.absent(options)
    }

    fn takes_params(&self, kind: &str, options: &Value) -> bool {
        self.0.takes_params(kind, options)
    }
}

struct Function<F>(F);

impl<F, R> Kind for Function<F>
where
    F: Fn(Run) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    fn check(&self, _options: &Value) -> Result<(), String> {
        Ok(())
    }

    fn takes_params(&self, _options: &Value) -> bool {
        true
    }

    fn run(&self, run: Run) -> BoxFuture<'_, Outcome> {
        Box::pin((self.0)(run))
    }
}
