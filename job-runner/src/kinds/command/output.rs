//! What is kept of what a program prints: the last line that is JSON, and the end. A flood costs no memory.

use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::kind::MAX_TEXT;

/// The longest line that is looked at; a longer one is no result.
const MAX_LINE: usize = 1024 * 1024;

/// The end of a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MAX_TEXT)..];
        let surplus = (self.0.len() + bytes.len()).saturating_sub(MAX_TEXT);
        self.0.drain(..surplus);
        self.0.extend_from_slice(bytes);
    }

    /// As text; what is no UTF-8, or was cut in the middle of a character, is replaced.
    pub(super) fn text(&self) -> String {
        let cut =
            if self.0.len() < MAX_TEXT { 0 } else { self.0.iter().take_while(|byte| **byte & 0xc0 == 0x80).count() };
        String::from_utf8_lossy(&self.0[cut..]).into_owned()
    }
}

/// A program's stdout.
#[derive(Debug, Default)]
pub(super) struct Stdout {
    tail: Tail,
    line: Vec<u8>,
    is_too_long: bool,
    json: Option<Vec<u8>>,
}

impl Stdout {
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.tail.push(bytes);
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.line.len() + bytes.len() > MAX_LINE;
        if !self.is_too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        let line = self.line.trim_ascii();
        if !self.is_too_long && could_be_json(line) && serde_json::from_slice::<&RawValue>(line).is_ok() {
            let json = self.json.get_or_insert_default();
            json.clear();
            json.extend_from_slice(line);
        }
        self.line.clear();
        self.is_too_long = false;
    }

    /// The last line that is JSON, exactly as it was printed; else the end as text; nothing, if nothing was printed.
    pub(super) fn result(mut self) -> Option<Box<RawValue>> {
        self.end_line();
        // Read whole, since a line may be JSON by its grammar and still be nested deeper than anyone reads.
        let json = self.json.filter(|json| serde_json::from_slice::<Value>(json).is_ok());
        if let Some(json) = json.and_then(|json| String::from_utf8(json).ok()) {
            return RawValue::from_string(json).ok();
        }
        let text = self.tail.text();
        if text.trim().is_empty() { None } else { to_raw_value(text.trim_end()).ok() }
    }
}

/// Spares most lines of a log the parser.
fn could_be_json(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(chunks: &[&str]) -> Option<String> {
        let mut out = Stdout::default();
        chunks.iter().for_each(|chunk| out.push(chunk.as_bytes()));
        out.result().map(|result| result.get().to_owned())
    }

    #[test]
    fn the_last_line_that_is_json_is_the_result() {
        assert_eq!(result(&["hello\n{\"a\":1.10}\nbye\n"]).as_deref(), Some("{\"a\":1.10}"));
        assert_eq!(result(&["{\"a\":", "1}", "\n[2]"]).as_deref(), Some("[2]"));
        assert_eq!(result(&["  7  \r\n\n"]).as_deref(), Some("7"));
        assert_eq!(result(&["{\"a\":1}\n{\"a\":\n"]).as_deref(), Some("{\"a\":1}"));
    }

    #[test]
    fn without_json_the_result_is_the_end_as_text() {
        assert_eq!(result(&["done \"it\"\n"]).as_deref(), Some("\"done \\\"it\\\"\""));
        assert_eq!(result(&["", " \n"]), None);
        let flood = format!("{}end", "é".repeat(MAX_TEXT));
        let text: String = serde_json::from_str(&result(&[&flood, "x"]).expect("text")).expect("a string");
        assert!(text.len() <= MAX_TEXT && text.starts_with('é') && text.ends_with("endx"), "{text}");
    }

    #[test]
    fn what_nobody_could_read_is_no_result() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(result(&[&deep]).expect("text").starts_with('"'));
        let mut out = Stdout::default();
        out.push(b"{\"kept\":true}\n[\"");
        (0..200).for_each(|_| out.push(&[b'x'; 10_000]));
        out.push(b"\"]\n");
        assert!(out.line.capacity() <= 2 * MAX_LINE);
        assert_eq!(out.result().expect("JSON").get(), "{\"kept\":true}");
    }
}
