//! What a Herald under test is given: folders of its own, a catalog, settings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{Engine, Fleet, Herald, root};

/// How many partitions topics have on Kafka, by their kind; those that are left out have as many as these, or one.
pub(crate) const PARTITIONS: [&str; 4] = [
    "bus.kafka.topics.raw.partitions",
    "bus.kafka.topics.event.partitions",
    "bus.kafka.topics.progress.partitions",
    "bus.kafka.topics.log.partitions",
];

/// A Herald that is not started yet.
#[derive(Debug)]
pub struct Builder {
    pub(crate) engine: Engine,
    pub(crate) home: TempDir,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) flags: Vec<(String, String)>,
    pub(crate) secret: Option<String>,
    pub(crate) token: Option<String>,
}

/// A Herald that ended instead of listening.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed on both streams.
    pub printed: String,
}

impl Builder {
    pub(crate) fn new(engine: Engine) -> Self {
        let home = tempfile::Builder::new().prefix("herald-test-").tempdir().expect("a temporary folder");
        for folder in ["catalog/events", "catalog/jobs", "catalog/scripts", "scratch"] {
            fs::create_dir_all(home.path().join(folder)).expect("a folder in a temporary folder");
        }
        Self { engine, home, variables: Vec::new(), flags: Vec::new(), secret: None, token: None }
    }

    /// Writes a file of the catalog, as in `events/move.new.yaml`.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        write(&catalog(self.home.path()), path, text);
        self
    }

    /// Writes the file of an event.
    #[must_use]
    pub fn event(self, name: &str, text: &str) -> Self {
        self.file(&format!("events/{name}.yaml"), text)
    }

    /// Copies a catalog of `examples/`.
    #[must_use]
    pub fn example(self, name: &str) -> Self {
        copy(&root().join("examples").join(name), &catalog(self.home.path()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a setting, as in `ingest.max-body`, by its variable.
    #[must_use]
    pub fn setting(self, key: &str, value: &str) -> Self {
        self.variable(&variable(key), value)
    }

    /// Gives the topics it creates that many partitions: on Kafka three, and on the embedded bus one, without this.
    #[must_use]
    pub fn partitions(self, count: u32) -> Self {
        let keys = ["bus.partitions"].into_iter().chain(PARTITIONS);
        keys.fold(self, |builder, key| builder.setting(key, &count.to_string()))
    }

    /// Gives it a configuration file.
    #[must_use]
    pub fn config(self, text: &str) -> Self {
        let path = self.home.path().join("herald.toml");
        fs::write(&path, text).expect("a file in a temporary folder");
        self.flag("--config", &path.display().to_string())
    }

    /// Adds a flag, which overrides those of the harness, to each process that takes it.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the webhook secrets; the harness sends the first.
    #[must_use]
    pub fn secrets(mut self, secrets: &[&str]) -> Self {
        self.secret = secrets.first().map(|secret| (*secret).to_owned());
        self.setting("ingest.listen.auth", &format!("{secrets:?}"))
    }

    /// Gives the API a token; the harness sends it, and so does whoever asks the API for a caller who waits.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self.setting("api.listen.auth", &format!("[{token:?}]")).setting("ingest.results.token", token)
    }

    /// Its processes, none of them started yet.
    pub fn fleet(self) -> Fleet {
        Fleet::new(self)
    }

    /// Starts it, and waits until its webhook and its API answer.
    pub async fn start(self) -> Herald {
        let mut herald = Herald::new(self);
        herald.start().await;
        herald
    }

    /// Starts its processes, and waits for nothing.
    pub fn launch(self) -> Herald {
        let mut herald = Herald::new(self);
        herald.launch();
        herald
    }

    /// Starts it; it must end instead of listening.
    pub async fn refused(self) -> Ended {
        self.launch().death().await
    }
}

/// The variable of a setting, as in `ingest.max-body`.
pub(crate) fn variable(key: &str) -> String {
    format!("HERALD__{}", key.replace('.', "__").replace('-', "_").to_ascii_uppercase())
}

pub(crate) fn catalog(home: &Path) -> PathBuf {
    home.join("catalog")
}

/// Writes a file at once, as an editor does that renames: nobody reads half of it.
pub(crate) fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
    let draft = path.with_extension("draft~");
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path)).expect("a file in a temporary folder");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder in a temporary folder");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("a folder that can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file has a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file that can be copied");
        }
    }
}
