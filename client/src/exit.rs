//! Exit codes of the tools, and how an error is told.

use std::path::Path;

/// The answer is no: a job failed, nothing is known of what was asked for, or something else went wrong.
pub const NO: u8 = 1;
/// The command line, or a file it names, cannot be used.
pub const USAGE: u8 = 2;
/// Nobody answers, or whoever answers cannot do so now.
pub const UNREACHABLE: u8 = 3;

/// What the caller gave cannot be used: the text says what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// That a catalog is given by its folder.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn catalog(folder: &Path) -> Result<(), Self> {
        if folder.is_dir() {
            return Ok(());
        }
        let folder = folder.display();
        Err(Self(format!("{folder} is no folder; name the folder of a catalog, as in examples/moves")))
    }
}

/// The error with its causes, each said once: many an error's text has its cause's in it already.
pub fn told(error: &anyhow::Error) -> String {
    let mut out = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if out.is_empty() {
            out = cause;
        } else if !out.contains(&cause) {
            out = format!("{out}: {cause}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let plain = anyhow::Error::from(io::Error::other("disk on fire")).context("cannot read");
        assert_eq!(told(&plain), "cannot read: disk on fire");
        let within =
            anyhow::Error::from(io::Error::other("disk on fire")).context("cannot read: disk on fire; put it out");
        assert_eq!(told(&within), "cannot read: disk on fire; put it out");
    }
}
