//! Reads one document into a tree, within bounds.

use std::collections::{HashMap, HashSet};

use contracts::document;
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::{Content, Entry, Style, Yaml};

/// How deeply a file may nest.
const MAX_DEPTH: usize = 64;
/// How many nodes a file may have; an alias counts as what it stands for.
const MAX_NODES: usize = 100_000;
/// How many bytes its aliases may stand for, all together.
const MAX_ALIASED: usize = 4 * 1024 * 1024;

/// A file that is no YAML, or more of it than a catalog needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) kind: ErrorKind,
    /// In bytes of the file.
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// Whether the file is no YAML, or YAML of which a catalog wants less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Syntax,
    Unwanted,
}

/// Reads the one document of a file; `None` for a file with nothing in it.
pub(crate) fn read(text: &str) -> Result<Option<Yaml>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        text,
        bytes: Bytes::of(text),
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        aliased: 0,
    };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(document),
            (Event::DocumentStart(..), span) if document.is_some() => {
                return Err(reader.error(span, "the file has more than one document"));
            }
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) => document = Some(reader.node(event, span, 0)?),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    bytes: Bytes,
    events: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Yaml>,
    nodes: usize,
    /// In bytes.
    aliased: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), SyntaxError> {
        loop {
            match self.events.next() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(next),
                Some(Err(error)) => {
                    let offset = self.bytes.at(error.marker().index());
                    return Err(SyntaxError { kind: ErrorKind::Syntax, offset, message: error.info() });
                }
            }
        }
    }

    fn error(&self, span: Span, message: &str) -> SyntaxError {
        let offset = self.bytes.at(span.start.index());
        SyntaxError { kind: ErrorKind::Unwanted, offset, message: message.to_owned() }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Yaml, SyntaxError> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(self.error(span, "the file nests too deeply or has too many values"));
        }
        let (start, end) = (self.bytes.at(span.start.index()), self.bytes.at(span.end.index()));
        let tag_of = |tag: Option<std::borrow::Cow<'_, granit_parser::Tag>>| {
            tag.map(|_| span.tag_span().and_then(|span| span.slice(self.text)).unwrap_or("!").to_owned())
        };
        let (content, tag, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag_of(tag);
                (Content::Scalar(text.into_owned(), style_of(style)), tag, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = tag_of(tag);
                (Content::List(self.list(depth)?), tag, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                let tag = tag_of(tag);
                let entries = self.entries(depth)?;
                (Content::Map { entries, flow: style == StructureStyle::Flow }, tag, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(self.error(span, "a value is wanted here")),
        };
        let node = Yaml { content, start, end, tag };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Yaml, SyntaxError> {
        let node = self.anchors.get(&anchor).ok_or_else(|| self.error(span, "the anchor is not known yet"))?;
        let (nodes, bytes) = weight(node);
        self.nodes += nodes;
        self.aliased += bytes;
        if self.nodes > MAX_NODES || self.aliased > MAX_ALIASED {
            return Err(
                self.error(span, "what the aliases of the file stand for is too much; write it where it is used")
            );
        }
        Ok(node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Yaml>, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            let Content::Scalar(text, style) = key.content else {
                return Err(self.error(span, "a key is a single value"));
            };
            if text == "<<" && style == Style::Plain {
                return Err(self.error(span, "`<<` merges nothing here; write the keys out"));
            }
            if document::is_reserved(&text) {
                return Err(self.error(
                    span,
                    "keys that begin with `$serde_json::private::` mean something else to readers of JSON",
                ));
            }
            if !keys.insert(text.clone()) {
                return Err(self.error(span, &format!("the key `{text}` is there twice")));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key: text, start: key.start, value });
        }
    }
}

/// How many nodes a tree has, and how many bytes of text.
fn weight(node: &Yaml) -> (usize, usize) {
    let add = |(a, b): (usize, usize), (c, d): (usize, usize)| (a + c, b + d);
    match &node.content {
        Content::Scalar(text, _) => (1, text.len()),
        Content::List(items) => items.iter().map(weight).fold((1, 0), add),
        Content::Map { entries, .. } => {
            entries.iter().map(|entry| add((1, entry.key.len()), weight(&entry.value))).fold((1, 0), add)
        }
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal => Style::Block,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// The byte of each character, by number; empty where they are the same.
struct Bytes {
    of_characters: Vec<u32>,
    length: usize,
}

impl Bytes {
    fn of(text: &str) -> Self {
        let of_characters = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect(),
        };
        Self { of_characters, length: text.len() }
    }

    fn at(&self, character: usize) -> usize {
        match self.of_characters.is_empty() {
            true => character.min(self.length),
            false => self.of_characters.get(character).map_or(self.length, |at| *at as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_bytes_also_behind_letters_beyond_ascii() {
        let file = "ä: ü\nb: |\n  ö\nc: 'x'\n";
        let root = read(file).expect("it is YAML").expect("there is a document");
        let starts: Vec<Option<char>> =
            root.entries().expect("a map").iter().map(|entry| file[entry.value.start..].chars().next()).collect();
        assert_eq!(starts, [Some('ü'), Some('ö'), Some('\'')]);
    }

    #[test]
    fn aliases_are_counted_by_what_they_stand_for() {
        let file = |count: usize| format!("a: &a '{}'\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; count].join(", "));
        assert!(read(&file(30)).is_ok());
        let error = read(&file(10_000)).expect_err("a gigabyte");
        assert!(error.message.contains("the aliases of the file"), "{error:?}");
    }

    #[test]
    fn a_key_that_readers_of_json_keep_for_themselves_is_refused_at_its_place() {
        for name in ["Number", "RawValue"] {
            let file = format!("sample:\n  a: [{{ \"$serde_json::private::{name}\": \"1\" }}]\n");
            let error = read(&file).expect_err(name);
            assert_eq!((error.kind, error.offset), (ErrorKind::Unwanted, file.find("\"$").expect("it is there")));
        }
        assert!(read("$serde_json: 1\n").is_ok());
    }

    #[test]
    fn a_merge_key_is_refused() {
        let error = read("a: &a { b: 1 }\nc:\n  <<: *a\n").expect_err("a merge key");
        assert!(error.message.contains("write the keys out"), "{error:?}");
        assert!(read("'<<': 1\n").is_ok());
    }
}
