//! Who reads a script, as the system tells by its first line, and what that one stumbles over.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

/// How much of a file is looked at, in bytes.
const HEAD: u64 = 4096;

/// Why a file that is run by its path would not start, and what to do; none where it would, or nothing of the kind is known.
pub(super) fn trouble(path: &Path) -> Option<(String, String)> {
    let (head, shown) = (head(path)?, path.display());
    if head.starts_with("\u{feff}#!".as_bytes()) {
        let what = "begins with a byte order mark, so that the system does not see its #!";
        return Some((format!("its program, {shown}, {what}"), "save it as UTF-8 without one".to_owned()));
    }
    let Some(line) = head.strip_prefix(b"#!") else {
        // What has a zero byte is for the machine, and what is neither does not say who it is for.
        let help = format!("begin it with a line like #!/bin/sh, or name what runs it: [sh, {shown}]");
        return (!head.contains(&0)).then(|| (format!("its program, {shown}, does not begin with #!"), help));
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        let what = format!(
            "the first line of its program, {shown}, ends with CR LF, and the system takes CR for a part of it"
        );
        return Some((what, unix(path)));
    }
    let line = String::from_utf8_lossy(line);
    let reader = line.split_whitespace().next()?;
    (!Path::new(reader).is_file()).then(|| {
        (
            format!("its program, {shown}, is run by {reader}, which is no file"),
            "install that, or correct the first line".into(),
        )
    })
}

/// What a shell stumbles over in a script that it is given.
pub(super) fn for_shell(path: &Path, shell: &str) -> Option<(String, String)> {
    let head = head(path)?;
    let has_carriage_returns = head.windows(2).any(|two| two == b"\r\n");
    has_carriage_returns.then(|| {
        let shown = path.display();
        (
            format!("its script, {shown}, has lines that end with CR LF, and {shell} takes CR for a part of them"),
            unix(path),
        )
    })
}

fn unix(path: &Path) -> String {
    format!(
        "save it with LF alone: sed -i 's/\\r$//' {}; `* text eol=lf` in .gitattributes keeps it so",
        path.display()
    )
}

/// The begin of a regular file.
fn head(path: &Path) -> Option<Vec<u8>> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    Some(head)
}
