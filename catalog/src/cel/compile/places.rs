//! Where things stand in the text: the tree knows one token of each node, and neither parentheses nor where a call ends.

use super::{Compiler, Span};

impl Compiler<'_> {
    pub(super) fn token(&self, id: u64) -> Span {
        self.info.offset_for(id).map_or(Span::default(), |(start, stop)| Span { start, end: stop + 1 })
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    pub(super) fn with_sign(&self, token: Span, negative: bool) -> Span {
        let before = self.source.get(..token.start as usize).unwrap_or("").trim_end();
        let start = if negative && before.ends_with('-') { before.len() as u32 - 1 } else { token.start };
        Span { start, end: token.end }
    }

    /// Where the name before an opening bracket begins.
    pub(super) fn word_before(&self, at: u32) -> u32 {
        let before = self.source.get(..at as usize).unwrap_or("").trim_end();
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |index| index + before[index..].chars().next().map_or(1, char::len_utf8));
        start as u32
    }

    /// Where the field behind a dot ends.
    pub(super) fn word_after(&self, at: u32) -> u32 {
        let rest = self.source.get(at as usize..).unwrap_or("");
        let skipped = rest.len() - rest.trim_start().len();
        let word = rest.trim_start();
        let length = match word.strip_prefix('`') {
            Some(inner) => inner.find('`').map_or(word.len(), |end| end + 2),
            None => word.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(word.len()),
        };
        at + (skipped + length) as u32
    }

    pub(super) fn bracketed(&self, token: Span) -> Span {
        Span { start: token.start, end: self.closing(token.start) }
    }

    /// Behind the bracket that closes the one at this place.
    pub(super) fn closing(&self, open: u32) -> u32 {
        let mut depth = 0_usize;
        for (at, byte) in self.brackets(open as usize) {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                _ => depth = depth.saturating_sub(1),
            }
            if depth == 0 {
                return at as u32 + 1;
            }
        }
        self.source.len() as u32
    }

    /// Widens a part of the text until its brackets match: the tree does not know of parentheses.
    pub(super) fn balanced(&self, start: u32, end: u32) -> Span {
        let (mut open, mut missing) = (0_usize, 0_usize);
        for (_, byte) in self.brackets(start as usize).take_while(|(at, _)| *at < end as usize) {
            match byte {
                b'(' | b'[' | b'{' => open += 1,
                _ if open > 0 => open -= 1,
                _ => missing += 1,
            }
        }
        let mut span = Span { start, end };
        for _ in 0..missing {
            let before = self.source.get(..span.start as usize).unwrap_or("");
            span.start = before.rfind('(').unwrap_or(0) as u32;
        }
        for _ in 0..open {
            let rest = self.source.get(span.end as usize..).unwrap_or("");
            span.end += rest.find(')').map_or(rest.len(), |at| at + 1) as u32;
        }
        span
    }

    pub(super) fn brackets(&self, from: usize) -> impl Iterator<Item = (usize, u8)> + '_ {
        let bytes = self.source.as_bytes();
        (from..bytes.len())
            .filter(|at| !self.quoted.at(*at) && b"()[]{}".contains(&bytes[*at]))
            .map(|at| (at, bytes[at]))
    }
}
