//! What is kept of what a program prints: all of it while it could be one JSON document, the last line that is one, and the
//! end. A flood costs no memory.

use serde_json::value::{RawValue, to_raw_value};

use crate::{kind::MAX_TEXT, registry::Hears};

/// The longest text that is looked at; a longer one is no JSON document.
pub(super) const MAX_JSON: usize = 1024 * 1024;

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

/// What a program writes, line by line, for whoever hears it.
pub(super) struct Lines<'h> {
    hears: Option<&'h Hears>,
    job: &'h str,
    line: Vec<u8>,
    /// Of stdout: a line that may be JSON, until another comes. What it ends with is its result, and told as that.
    held: Option<Vec<u8>>,
    is_stdout: bool,
}

impl<'h> Lines<'h> {
    pub(super) fn of_stdout(hears: Option<&'h Hears>, job: &'h str) -> Self {
        Self { is_stdout: true, ..Self::of_stderr(hears, job) }
    }

    pub(super) fn of_stderr(hears: Option<&'h Hears>, job: &'h str) -> Self {
        Self { hears, job, line: Vec::new(), held: None, is_stdout: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.hears.is_none() {
            return;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // A line that is too long is heard by its beginning.
            let room = MAX_TEXT - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// What was written last may have no end of a line.
    pub(super) fn end(mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        let is_json = |line: &Vec<u8>| serde_json::from_slice::<&RawValue>(line).is_ok();
        if let Some(line) = self.held.take().filter(|line| !is_json(line)) {
            self.tell(&line);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let Some(held) = self.held.take() {
            self.tell(&held);
        }
        if self.is_stdout && could_be_json(line.trim_ascii()) {
            self.held = Some(line);
        } else {
            self.tell(&line);
        }
    }

    fn tell(&self, line: &[u8]) {
        if let Some(hears) = self.hears {
            hears(self.job, String::from_utf8_lossy(line).trim_end());
        }
    }
}

/// A program's stdout.
#[derive(Debug, Default)]
pub(super) struct Stdout {
    tail: Tail,
    /// Everything, until it is too long.
    whole: Option<Vec<u8>>,
    is_beyond: bool,
    line: Vec<u8>,
    is_too_long: bool,
    json: Option<Vec<u8>>,
}

impl Stdout {
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.tail.push(bytes);
        self.is_beyond |= self.whole.as_ref().map_or(0, Vec::len) + bytes.len() > MAX_JSON;
        if self.is_beyond {
            self.whole = None;
        } else {
            self.whole.get_or_insert_default().extend_from_slice(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.line.len() + bytes.len() > MAX_JSON;
        if !self.is_too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        // What is indented is a part of something larger.
        let is_part = matches!(self.line.first(), Some(b' ' | b'\t'));
        let line = self.line.trim_ascii();
        if !self.is_too_long && !is_part && could_be_json(line) && serde_json::from_slice::<&RawValue>(line).is_ok() {
            let json = self.json.get_or_insert_default();
            json.clear();
            json.extend_from_slice(line);
        }
        self.line.clear();
        self.is_too_long = false;
    }

    /// Its end as text.
    pub(super) fn text(&self) -> String {
        self.tail.text()
    }

    /// All of it, if that is one JSON document; else its last lines, if they are one; else the last line that is one; else the
    /// end as text; nothing, if nothing was printed.
    pub(super) fn result(mut self) -> Option<Box<RawValue>> {
        if let Some(last) = self.whole.as_deref().and_then(|whole| document(whole).or_else(|| last_document(whole))) {
            return Some(last);
        }
        self.end_line();
        self.json.as_deref().and_then(document).or_else(|| as_text(&self.tail))
    }
}

/// What bytes are as a result: one JSON document, or else their end as text; nothing, if there is nothing.
pub(super) fn result_of(bytes: &[u8]) -> Option<Box<RawValue>> {
    document(bytes).or_else(|| {
        let mut tail = Tail::default();
        tail.push(bytes);
        as_text(&tail)
    })
}

fn as_text(tail: &Tail) -> Option<Box<RawValue>> {
    let text = tail.text();
    if text.trim().is_empty() { None } else { to_raw_value(text.trim_end()).ok() }
}

/// The last lines, if they are one object or list over several lines.
fn last_document(bytes: &[u8]) -> Option<Box<RawValue>> {
    let bytes = bytes.trim_ascii_end();
    let opening = match bytes.rsplit(|byte| *byte == b'\n').next()?.trim_ascii_start().first()? {
        b'}' => b'{',
        b']' => b'[',
        _ => return None,
    };
    let starts = bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    starts.filter(|at| bytes.get(*at) == Some(&opening)).find_map(|at| document(&bytes[at..]))
}

/// A JSON document with its digits as they are, on one line.
pub(in crate::kinds) fn document(bytes: &[u8]) -> Option<Box<RawValue>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    // Read whole, since a text may be JSON by its grammar and still be nested deeper than anyone reads.
    if !could_be_json(bytes) || contracts::document::parse_bytes(bytes).is_err() {
        return None;
    }
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    RawValue::from_string(if text.contains('\n') { on_one_line(&text) } else { text }).ok()
}

/// JSON without the white space between its parts.
pub(super) fn on_one_line(json: &str) -> String {
    let (mut out, mut in_text, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if in_text || !c.is_ascii_whitespace() {
            out.push(c);
        }
        if in_text && !escaped {
            in_text = c != '"';
            escaped = c == '\\';
        } else {
            in_text |= c == '"';
            escaped = false;
        }
    }
    out
}

/// Spares most lines of a log the parser.
fn could_be_json(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

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
    fn all_of_it_is_the_result_if_that_is_one_document_and_its_digits_stay() {
        let pretty = "{\n  \"customer\": \"c \\\"17\\\\\",\n  \"scores\": [\n    3.10,\n    5\n  ]\n}\n";
        assert_eq!(result(&[pretty]).as_deref(), Some(r#"{"customer":"c \"17\\","scores":[3.10,5]}"#));
        assert_eq!(result(&["\u{feff}[\n1\n]"]).as_deref(), Some("[1]"));
        // Two documents are none: the last line counts.
        assert_eq!(result(&["{\"a\":\n1}\n[2]\n"]).as_deref(), Some("[2]"));
        // What came before it, or behind it, is no part of it.
        let whole = result(&[pretty]);
        assert_eq!(result(&["a line of a log\n{\n", pretty]), whole);
        let text = result(&[pretty, "bye\n"]).expect("text");
        assert!(text.starts_with('"') && text.ends_with(r#"}\nbye""#), "{text}");
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
    fn lines_are_heard_whole_and_a_long_one_by_its_beginning() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let to = heard.clone();
        let hears: Hears = Arc::new(move |job, line| to.lock().expect("a lock").push(format!("{job}: {line}")));
        let mut lines = Lines::of_stdout(Some(&hears), "j");
        for bytes in ["  on", "e\n\ntwo\r\nthr", "ee\n{\"a\":1}\n[x\n{\"result\":", "true}\n"] {
            lines.push(bytes.as_bytes());
        }
        lines.end();
        let expected = ["j:   one", "j: ", "j: two", "j: three", "j: {\"a\":1}", "j: [x"];
        assert_eq!(*heard.lock().expect("a lock"), expected, "the result is told as that");
        let mut lines = Lines::of_stderr(Some(&hears), "j");
        lines.push(b"{}");
        lines.end();
        assert_eq!(heard.lock().expect("a lock").last().map(String::as_str), Some("j: {}"));
        let mut lines = Lines::of_stderr(Some(&hears), "j");
        (0..9).for_each(|_| lines.push(&[b'x'; 1000]));
        lines.push(b"\n");
        assert_eq!(heard.lock().expect("a lock").last().map(String::len), Some("j: ".len() + MAX_TEXT));
    }

    #[test]
    fn what_nobody_could_read_is_no_result() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(result(&[&deep]).expect("text").starts_with('"'));
        let mut out = Stdout::default();
        out.push(b"{\"kept\":true}\n[\"");
        (0..200).for_each(|_| out.push(&[b'x'; 10_000]));
        out.push(b"\"]\n");
        assert!(out.line.capacity() <= 2 * MAX_JSON);
        assert_eq!(out.result().expect("JSON").get(), "{\"kept\":true}");
    }
}
