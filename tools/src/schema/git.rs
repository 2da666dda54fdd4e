//! The catalog of a git revision, by git itself: nothing is checked out.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::Context as _;
use catalog::Sources;

fn git(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let out = Command::new("git").args(arguments).output().context("cannot run git, which reads a revision")?;
    if !out.status.success() {
        anyhow::bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(out.stdout)
}

/// A folder as git has it in paths: relative to where we are, and with nothing behind it.
fn path(folder: &Path) -> String {
    let text = folder.to_string_lossy().replace('\\', "/");
    let text = text.trim_end_matches('/');
    let text = text.strip_prefix("./").unwrap_or(text);
    if text.is_empty() { ".".to_owned() } else { text.to_owned() }
}

/// The commits, newest first, in which a folder is another than before.
pub(super) fn log(revision: &str, folder: &Path) -> anyhow::Result<Vec<String>> {
    let out = git(&["log", "--format=%H", "--end-of-options", revision, "--", &path(folder)])?;
    Ok(String::from_utf8_lossy(&out).lines().map(str::to_owned).collect())
}

/// The files of a catalog in a revision.
pub(super) fn read(revision: &str, folder: &Path) -> anyhow::Result<Sources> {
    let folder = path(folder);
    let below = if folder == "." { String::new() } else { format!("{folder}/") };
    let listed =
        git(&["ls-tree", "-r", "-z", "--name-only", "--end-of-options", revision, "--", &format!("./{below}")])?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let is_wanted = |path: &&str| {
        let within = path.strip_prefix(&below).unwrap_or(path);
        [".yaml", ".yml"].iter().any(|end| path.ends_with(end))
            && ["events/", "jobs/", "tables/"].iter().any(|start| within.starts_with(start))
            // A name with a line break cannot be asked for.
            && !path.contains('\n')
    };
    let files: Vec<String> = listed.split('\0').filter(is_wanted).map(str::to_owned).collect();
    if files.is_empty() {
        anyhow::bail!("{revision} has no files of a catalog in {folder}, as seen from here");
    }
    let texts = texts(revision, &files)?;
    let within = |path: String| path.strip_prefix(&below).map(str::to_owned).unwrap_or(path);
    Ok(Sources::new(files.into_iter().map(within).zip(texts)))
}

/// The texts of files, by one process.
fn texts(revision: &str, files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut child = Command::new("git")
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run git, which reads a revision")?;
    let mut stdin = child.stdin.take().context("git has no stdin")?;
    let asked: String = files.iter().map(|file| format!("{revision}:./{file}\n")).collect();
    // Written beside the reading, as a pipe holds little.
    let writing = thread::spawn(move || stdin.write_all(asked.as_bytes()));
    let mut out = Vec::new();
    child.stdout.take().context("git has no stdout")?.read_to_end(&mut out)?;
    child.wait()?;
    writing.join().map_err(|_panic| anyhow::anyhow!("writing to git failed"))??;
    let mut rest = out.as_slice();
    let mut texts = Vec::new();
    for file in files {
        let missing = || format!("git has no {file} in {revision}");
        let end = rest.iter().position(|byte| *byte == b'\n').with_context(missing)?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = head.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok()).with_context(missing)?;
        let body = rest.get(end + 1..end + 1 + size).with_context(missing)?;
        texts.push(String::from_utf8_lossy(body).into_owned());
        rest = rest.get(end + 2 + size..).unwrap_or_default();
    }
    Ok(texts)
}
