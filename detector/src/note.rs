//! What the detector's position remembers: the catalog that decided last, and since when `seen` has to be read.
//!
//! Written `1 <catalog> <seconds since 1970>`. Another format, or none, is as if there were nothing: then any catalog may
//! decide, and the window alone says where reading begins.

use bus::Note;

const FORMAT: &str = "1";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memo {
    /// No older catalog may decide what comes next.
    pub(crate) catalog: u64,
    /// Every id that is remembered was written to `seen` at this time or later. A rebuild that begins here reads no more
    /// ids than are remembered, however many came within the window.
    pub(crate) since: Option<u32>,
}

impl Memo {
    pub(crate) fn read(note: &Note) -> Self {
        let mut parts = note.as_str().split(' ');
        if parts.next() != Some(FORMAT) {
            return Self::default();
        }
        let catalog = parts.next().and_then(|part| part.parse().ok()).unwrap_or_default();
        Self { catalog, since: parts.next().and_then(|part| part.parse().ok()) }
    }

    pub(crate) fn write(self) -> Note {
        let text = match self {
            Self { catalog: 0, since: None } => String::new(),
            Self { catalog, since: None } => format!("{FORMAT} {catalog}"),
            Self { catalog, since: Some(since) } => format!("{FORMAT} {catalog} {since}"),
        };
        Note::new(text).expect("invariant: three numbers are printable and short")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_was_written_and_anything_else_as_nothing() {
        for memo in [
            Memo::default(),
            Memo { catalog: 7, since: None },
            Memo { catalog: u64::MAX, since: Some(u32::MAX) },
            Memo { catalog: 0, since: Some(1_700_000_000) },
        ] {
            assert_eq!(Memo::read(&memo.write()), memo);
        }
        for other in ["2 7 1700000000", "nonsense", "1", "1 x y", "-1"] {
            assert_eq!(Memo::read(&Note::new(other).expect("printable")), Memo::default(), "{other}");
        }
    }
}
