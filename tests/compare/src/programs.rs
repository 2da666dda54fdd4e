//! The programs that take part: built as they are deployed, so that none is ever a stale one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::{Options, contestant::Contestant};

#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) herald: PathBuf,
    pub(crate) copy: PathBuf,
    pub(crate) probe: PathBuf,
    /// The class path of the Java program.
    pub(crate) streams: String,
    /// The rules, as files.
    pub(crate) catalog: PathBuf,
}

impl Programs {
    /// Where they are, built unless the options say not to.
    ///
    /// # Errors
    /// One does not build; what the compiler says is on stderr.
    pub(crate) fn get(options: &Options) -> anyhow::Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).context("invariant: this package is two folders below the workspace")?;
        let target = target()?;
        let (release, java) = (target.join("release"), target.join("streams"));
        if !options.no_build {
            build(&options.only, root, &target, &java)?;
        }
        Ok(Self {
            herald: release.join("herald"),
            copy: release.join("examples/copy"),
            probe: release.join("examples/probe"),
            streams: format!("{}:{}", java.join("streams.jar").display(), java.join("libs/*").display()),
            catalog: here.join("catalog"),
        })
    }
}

/// Builds what these contestants need.
fn build(contestants: &[Contestant], root: &Path, target: &Path, java: &Path) -> anyhow::Result<()> {
    eprintln!("building the contestants …");
    cargo(root, target, &["-p", "kafka", "--example", "copy", "--example", "probe"])?;
    if contestants.contains(&Contestant::Herald) {
        cargo(root, target, &["-p", "herald", "--bin", "herald"])?;
    }
    if contestants.iter().any(|contestant| contestant.is_java()) {
        maven(&root.join("tests/streams/pom.xml"), java)?;
    }
    Ok(())
}

/// The folder that this program was built into.
fn target() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program")?;
    // Cargo marks its folder with this file.
    let marked = this.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let marked = marked.with_context(|| format!("{} is in no target folder of cargo", this.display()))?;
    Ok(marked.to_owned())
}

fn cargo(root: &Path, target: &Path, what: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--release"]).args(what).arg("--target-dir").arg(target).current_dir(root);
    // What cargo tells this program about its package would look like a change to build scripts.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|own| text.starts_with(own)) {
            command.env_remove(&name);
        }
    }
    succeeds(&mut command, "is cargo gone?")
}

fn maven(pom: &Path, out: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("mvn");
    command
        .args(["-q", "-B", "-Dstyle.color=never", "-f"])
        .arg(pom)
        .arg(format!("-Dout={}", out.display()))
        .arg("package");
    succeeds(&mut command, "Kafka Streams needs Java 17 or newer and Maven (Debian: openjdk-17-jdk-headless, maven)")
}

fn succeeds(command: &mut Command, hint: &str) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run `{name}`: {hint}"))?;
    anyhow::ensure!(status.success(), "`{name}` failed with {status}; what it said is above");
    Ok(())
}
