//! Apache Kafka's own artifacts: fetched from Maven Central once, and kept under the workspace's target folder.
//!
//! A file lock lets one process prepare while the others wait. Whatever is prepared is made in a scratch folder and
//! renamed, so that it is there whole or not at all; the folder's name contains a hash of the recipe. Besides the jars
//! there are two things that make a start quick: what formats a node's folder, and an archive of loaded classes.

use std::{
    env, fs,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher as _},
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use tempfile::TempDir;

use crate::{Cluster, Error, error::io as failed};

/// The recipe: which versions.
const POM: &str = include_str!("../pom.xml");
const JAVA: &str = "Java 17 or newer (Debian: openjdk-17-jre-headless)";
const MAVEN: &str = "Maven (Debian: maven)";

/// Makes sure that Kafka is here, and tells where. Only the first time takes long: half a minute or so.
///
/// # Errors
/// If Java or Maven is missing, or Maven cannot fetch.
pub fn fetch() -> Result<PathBuf, Error> {
    Kafka::get().map(|kafka| kafka.folder.clone())
}

/// Kafka, ready to start.
#[derive(Debug)]
pub(crate) struct Kafka {
    folder: PathBuf,
    java: PathBuf,
    class_path: String,
    /// What a formatted folder contains besides its ids: the features of this version.
    checkpoint: Vec<u8>,
    /// Classes as Java has them in memory (AppCDS); a start takes half the processor time with it.
    archive: Option<PathBuf>,
}

impl Kafka {
    pub(crate) fn get() -> Result<Arc<Self>, Error> {
        let folder = target().join(format!("kafka-{}-{:08x}", version(), hash(POM) as u32));
        fs::create_dir_all(&folder).map_err(failed(format!("create {}", folder.display())))?;
        let path = folder.join("lock");
        // Held until the end of this function.
        let lock = File::create(&path).map_err(failed(format!("create {}", path.display())))?;
        lock.lock().map_err(failed(format!("lock {}", path.display())))?;
        let java = java()?;
        let libs = folder.join("libs");
        if !libs.exists() {
            copy_libs(&folder, &libs)?;
        }
        let class_path = class_path(&libs)?;
        let checkpoint = folder.join("bootstrap.checkpoint");
        if !checkpoint.exists() {
            format(&folder, &java, &class_path, &checkpoint)?;
        }
        let checkpoint = fs::read(&checkpoint).map_err(failed(format!("read {}", checkpoint.display())))?;
        let kafka = Self { folder, java, class_path, checkpoint, archive: None };
        kafka.with_archive()
    }

    /// Java with these options, then the class path; the main class and its arguments are the caller's.
    pub(crate) fn java(&self, options: &[String]) -> Vec<String> {
        let mut command = vec![self.java.display().to_string()];
        command.extend(self.archive.iter().map(|archive| format!("-XX:SharedArchiveFile={}", archive.display())));
        command.extend_from_slice(options);
        command.extend(["-cp".to_owned(), self.class_path.clone()]);
        command
    }

    /// Writes into a node's data folder what `StorageTool format` would, without a Java of its own.
    pub(crate) fn format(&self, data: &Path, cluster: &str, node: i32) -> Result<(), Error> {
        let write = |name: &str, content: &[u8]| {
            let path = data.join(name);
            fs::write(&path, content).map_err(failed(format!("write {}", path.display())))
        };
        fs::create_dir_all(data).map_err(failed(format!("create {}", data.display())))?;
        write("bootstrap.checkpoint", &self.checkpoint)?;
        write("meta.properties", format!("version=1\ncluster.id={cluster}\nnode.id={node}\n").as_bytes())
    }

    /// Makes the archive if it is not there: a node is started and stopped. Kafka does without where Java cannot make
    /// one, which an empty file remembers.
    fn with_archive(mut self) -> Result<Arc<Self>, Error> {
        // Another Java cannot use it, nor can the same after an update.
        let java = fs::canonicalize(&self.java).unwrap_or_else(|_| self.java.clone());
        let changed = fs::metadata(&java).and_then(|metadata| metadata.modified()).ok();
        let path = self.folder.join(format!("classes-{:016x}.jsa", hash((java, changed))));
        if !path.exists() {
            let scratch = scratch(&self.folder)?;
            let made = scratch.path().join("classes.jsa");
            let kafka = Arc::new(self);
            let cluster = Cluster::single()
                .java_option(format!("-XX:ArchiveClassesAtExit={}", made.display()))
                .start_with(kafka.clone())?;
            cluster.node(1).stop()?;
            drop(cluster);
            self = Arc::into_inner(kafka).expect("invariant: the only other owner was the cluster");
            if !made.exists() {
                File::create(&made).map_err(failed(format!("create {}", made.display())))?;
            }
            rename(&made, &path)?;
        }
        let usable = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0);
        self.archive = usable.then_some(path);
        Ok(Arc::new(self))
    }
}

/// The jars, by Maven.
fn copy_libs(folder: &Path, libs: &Path) -> Result<(), Error> {
    let scratch = scratch(folder)?;
    let (pom, made) = (scratch.path().join("pom.xml"), scratch.path().join("libs"));
    fs::write(&pom, POM).map_err(failed(format!("write {}", pom.display())))?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", made.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(missing(Path::new("mvn"), MAVEN))?;
    succeeded(&output)?;
    rename(&made, libs)
}

/// What formats a node's folder, once by Kafka's own tool.
fn format(folder: &Path, java: &Path, class_path: &str, checkpoint: &Path) -> Result<(), Error> {
    let scratch = scratch(folder)?;
    let (properties, data) = (scratch.path().join("server.properties"), scratch.path().join("data"));
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n\
         controller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1\n\
         log.dirs={}\n",
        data.display()
    );
    fs::write(&properties, text).map_err(failed(format!("write {}", properties.display())))?;
    let output = Command::new(java)
        .args(["-XX:TieredStopAtLevel=1", "-cp", class_path, "kafka.tools.StorageTool"])
        .args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"])
        .arg(&properties)
        .stdin(Stdio::null())
        .output()
        .map_err(missing(java, JAVA))?;
    succeeded(&output)?;
    rename(&data.join("bootstrap.checkpoint"), checkpoint)
}

/// All jars, in an order that stays: an archive of classes is only good for the very same class path.
fn class_path(libs: &Path) -> Result<String, Error> {
    let entries = fs::read_dir(libs).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(failed(format!("read {}", libs.display())))?;
    let mut jars: Vec<_> = entries.iter().map(|entry| entry.path().display().to_string()).collect();
    jars.sort();
    Ok(jars.join(":"))
}

/// That of `JAVA_HOME`, else that of the `PATH`.
fn java() -> Result<PathBuf, Error> {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates = home.into_iter().chain(env::split_paths(&path).map(|folder| folder.join("java")));
    let java = candidates.find(|candidate| candidate.is_file());
    java.ok_or_else(|| missing(Path::new("java"), JAVA)(io::ErrorKind::NotFound.into()))
}

/// The workspace's target folder: the one that this test was built into.
pub(crate) fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let built = || {
        let test = env::current_exe().ok()?;
        // Cargo marks its folder with this file.
        test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_owned)
    };
    given.or_else(built).unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}

/// Kafka's version in the recipe.
fn version() -> &'static str {
    let kafka = POM.split("<artifactId>kafka_").nth(1).and_then(|rest| rest.split("<version>").nth(1));
    kafka.and_then(|rest| rest.split('<').next()).expect("invariant: the recipe has Kafka and its version")
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A folder to prepare in. Those of processes that were killed while they prepared are removed: we hold the lock.
fn scratch(folder: &Path) -> Result<TempDir, Error> {
    const PREFIX: &str = "scratch-";
    for entry in fs::read_dir(folder).map_err(failed(format!("read {}", folder.display())))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir_all(entry.path()).map_err(failed(format!("remove {}", entry.path().display())))?;
        }
    }
    let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder);
    made.map_err(failed(format!("create a folder in {}", folder.display())))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(failed(format!("move {} to {}", from.display(), to.display())))
}

fn missing(tool: &Path, package: &'static str) -> impl FnOnce(io::Error) -> Error {
    let tool = tool.display().to_string();
    move |source| Error::Tool { tool, package, source }
}

fn succeeded(output: &Output) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(Error::Fetch { status: output.status, said: lines[lines.len().saturating_sub(30)..].join("\n") })
}
