//! Writing to the terminal: colour where it can be seen, and a reader that went away is no panic.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
};

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use runtime::telemetry::{Flush, Sink};

use crate::fold::fold;

/// Event names and whatever else is looked for first.
pub const BOLD: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What went wrong.
pub const RED: Style = AnsiColor::Red.on_default();
/// What is worth a look.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();

const UNWRITTEN: &str = "the answer cannot be written to stdout";

/// Writes a line to stdout, without colour where stdout is no terminal or `NO_COLOR` is set.
///
/// # Errors
/// Stdout cannot be written; a closed pipe is told apart by the kind of the cause.
pub fn line(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context(UNWRITTEN)
}

/// Writes what is made for people: on a terminal, lines that are too long for it are broken between words.
///
/// # Errors
/// As of [`line()`].
pub fn block(text: &str) -> anyhow::Result<()> {
    line(&fitting(text))
}

/// By which command Herald is run here, for advice: `herald`, or the script that runs it.
pub fn command() -> String {
    std::env::var("HERALD_COMMAND").unwrap_or_else(|_| "herald".to_owned())
}

/// Whether somebody looks at what is written as it is written: what is told meanwhile is for them alone.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The text as it fits the terminal that stdout is, if it is one.
fn fitting(text: &str) -> Cow<'_, str> {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => fold(text, usize::from(size.ws_col)).into(),
        _ => text.into(),
    }
}

/// Writes what the command line's own flags ask for: `--help` and `--version`.
///
/// # Errors
/// As of [`line()`].
pub fn help(text: &clap::Error) -> anyhow::Result<()> {
    text.print().and_then(|()| io::stdout().flush()).context(UNWRITTEN)
}

/// What a process that serves says on stdout. It serves on when nobody reads that, and waits for no terminal: see [`Sink`].
#[derive(Debug, Clone)]
pub struct Speaker(Sink);

impl Speaker {
    /// For stdout, and what writes its last lines at the end.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new() -> io::Result<(Self, Flush)> {
        let sink = Sink::new(io::stdout(), |lines| format!("({lines} messages were lost here)\n"))?;
        let flush = sink.flush();
        Ok((Self(sink), flush))
    }

    /// Says a line, or several.
    pub fn line(&self, text: &str) {
        self.0.line(format!("{text}\n"));
    }

    /// The same with colours, which go where they cannot be seen: stdout is no terminal, or `NO_COLOR` is set. On a terminal,
    /// lines that are too long for it are broken between words.
    pub fn show(&self, text: &str) {
        self.paint(&fitting(text));
    }

    /// The same, with lines as long as they are.
    pub fn paint(&self, text: &str) {
        match anstream::AutoStream::choice(&io::stdout()) {
            anstream::ColorChoice::Never => self.line(&strip_str(text).to_string()),
            _ => self.line(text),
        }
    }
}

/// `no errors`, `1 error`, `2 errors`.
pub fn count(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

/// Writes a line to stderr that tells how things stand, and is no output.
pub fn note(text: &str) {
    // Nobody is left to tell when stderr is closed.
    drop(writeln!(anstream::stderr(), "{DIM}{text}{DIM:#}"));
}

/// Writes `error: …` to stderr. The end of a process waits a second for a stderr that nobody reads, and no longer.
pub fn error(text: &str) {
    let stderr = io::stderr();
    let line = match anstream::AutoStream::choice(&stderr) {
        anstream::ColorChoice::Never => format!("error: {text}\n"),
        _ => format!("{RED}error:{RED:#} {text}\n"),
    };
    if let Ok(sink) = Sink::new(stderr, |_| String::new()) {
        sink.line(line);
        drop(sink.flush());
    }
}

/// A text from elsewhere as it may stand on a terminal: what commands it (colours, movements of the cursor) goes, other
/// control characters become blanks, and white space around it goes.
pub fn clean(text: &str) -> String {
    defused(text.trim()).trim_start().to_owned()
}

/// The same, with the white space before it as it is: of a line whose indentation says something.
pub fn defused(line: &str) -> String {
    let text = if line.contains('\u{1b}') { strip_str(line).to_string().into() } else { Cow::from(line) };
    let shown: String = text.chars().map(|c| if c.is_control() || is_bidi(c) { ' ' } else { c }).collect();
    shown.trim_end().to_owned()
}

/// Characters that change the direction of the text after them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most so many characters of a text, with `…` for the rest.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_elsewhere_cannot_command_the_terminal() {
        assert_eq!(clean("  \u{1b}[2Jgone\r\nnext\u{202e}x "), "gone  next x");
        assert_eq!(defused("  \u{1b}[1;31mred \u{1b}[0mand \u{1b}]0;title\u{7}plain\u{8}"), "  red and plain");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
