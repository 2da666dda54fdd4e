//! Reads one document into a tree, within bounds.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::{Content, Entry, Style, Yaml};

/// How deeply a file may nest.
const MAX_DEPTH: usize = 64;
/// How many nodes a file may have; an alias counts as what it stands for.
const MAX_NODES: usize = 100_000;

/// A file that is no YAML, or more of it than a catalog needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// In bytes of the file.
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// Reads the one document of a file; `None` for a file with nothing in it.
pub(crate) fn read(text: &str) -> Result<Option<Yaml>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
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
    events: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Yaml>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), SyntaxError> {
        loop {
            match self.events.next() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(next),
                Some(Err(error)) => {
                    let offset = byte(self.text, error.marker().index());
                    return Err(SyntaxError { offset, message: error.info() });
                }
            }
        }
    }

    fn error(&self, span: Span, message: &str) -> SyntaxError {
        SyntaxError { offset: byte(self.text, span.start.index()), message: message.to_owned() }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Yaml, SyntaxError> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(self.error(span, "the file nests too deeply or has too many values"));
        }
        let (start, end) = (byte(self.text, span.start.index()), byte(self.text, span.end.index()));
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
        let node = self.anchors.get(&anchor).cloned().ok_or_else(|| self.error(span, "the anchor is not known yet"))?;
        self.nodes += count(&node);
        if self.nodes > MAX_NODES {
            return Err(self.error(span, "the file has too many values"));
        }
        Ok(node)
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
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            let Content::Scalar(text, _) = key.content else {
                return Err(self.error(span, "a key is a single value"));
            };
            if entries.iter().any(|entry| entry.key == text) {
                return Err(self.error(span, &format!("the key `{text}` is there twice")));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key: text, start: key.start, value });
        }
    }
}

fn count(node: &Yaml) -> usize {
    1 + match &node.content {
        Content::Scalar(..) => 0,
        Content::List(items) => items.iter().map(count).sum(),
        Content::Map { entries, .. } => entries.iter().map(|entry| 1 + count(&entry.value)).sum(),
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}

/// The byte of a character.
fn byte(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
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
}
