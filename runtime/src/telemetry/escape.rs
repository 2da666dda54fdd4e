//! What a row, a job or a caller wrote may stand in the log and not shape it: no line of its own, no escape of a terminal.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

/// Whether a character could begin a line, move a cursor or turn around what follows.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes text with each unsafe character as Rust writes it: `\n`, `\u{1b}`.
struct Escaped<'w, 'a>(&'w mut Writer<'a>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_unsafe) {
            match part.chars().next_back().filter(|c| is_unsafe(*c)) {
                Some(last) => {
                    self.0.write_str(&part[..part.len() - last.len_utf8()])?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                None => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// One field of a line of text: the message as it is, others as `name=value`; escaped.
pub(super) fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        let (begin, end) = if writer.has_ansi_escapes() { ("\u{1b}[3m", "\u{1b}[0m") } else { ("", "") };
        write!(writer, "{begin}{}{end}=", field.name())?;
    }
    write!(Escaped(writer), "{value:?}")
}

/// A line of JSON without what JSON allows as it is and a terminal would follow.
pub(super) fn json(line: &str) -> Cow<'_, str> {
    if line.trim_end_matches('\n').chars().all(|c| !is_unsafe(c)) {
        return Cow::Borrowed(line);
    }
    let body = line.trim_end_matches('\n');
    let mut out = String::with_capacity(line.len() + 16);
    for c in body.chars() {
        if is_unsafe(c) {
            // All of them are in the basic plane, so one unit is enough.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_document_without_what_a_terminal_would_follow() {
        let line = "{\"a\":\"x\u{9b}2Jy\u{202e}\u{2028}\"}\n";
        let escaped = json(line);
        assert_eq!(escaped, "{\"a\":\"x\\u009b2Jy\\u202e\\u2028\"}\n");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(line), read(&escaped));
        assert!(matches!(json("{\"ä\":1}\n"), Cow::Borrowed(_)));
    }
}
