//! The tokens of an expression, by the lexical rules of CEL's language definition (section "Syntax"): for the parser, for the
//! end of a `${…}`, and for whoever looks for a comment.

use crate::error::CompileError;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string or bytes, with its prefix and quotes.
    Text,
    /// From `//` to the end of the line.
    Comment,
    /// A name, a keyword, or a column in backticks.
    Name,
    Number,
    /// An operator, a bracket, anything else.
    Sign,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn text<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// Every token of an expression.
///
/// # Errors
/// A text that is not closed, or has an escape that CEL does not know.
pub(crate) fn scan(source: &str) -> Result<Vec<Token>, CompileError> {
    Scanner::new(source, 0).collect()
}

/// The place of the `}` that closes a `${` whose expression begins at `start`, if there is one: braces and quotes within the
/// expression do not count.
///
/// # Errors
/// The expression cannot be made tokens of.
pub fn hole_end(text: &str, start: usize) -> Result<Option<usize>, CompileError> {
    let mut depth = 0_usize;
    for token in Scanner::new(text, start) {
        let token = token?;
        match token.text(text) {
            "{" => depth += 1,
            "}" if depth == 0 => return Ok(Some(token.start)),
            "}" => depth -= 1,
            _ => {}
        }
    }
    Ok(None)
}

/// Where the first comment of an expression begins, if it has one.
pub fn comment(source: &str) -> Option<usize> {
    scan(source).ok()?.into_iter().find(|token| token.kind == Kind::Comment).map(|token| token.start)
}

/// Reads one token after the other; white space is passed over.
pub(crate) struct Scanner<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Scanner<'s> {
    /// Begins at that byte.
    pub(crate) fn new(source: &'s str, at: usize) -> Self {
        Self { source, at }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.source.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) {
        while self.at < self.source.len() && belongs(self.peek(0)) {
            self.at += 1;
        }
    }

    fn token(&mut self) -> Result<Kind, CompileError> {
        let first = self.peek(0);
        let prefix = (0..2).take_while(|ahead| matches!(self.peek(*ahead), b'r' | b'R' | b'b' | b'B')).count();
        if let Some(width) = (0..=prefix).find(|width| matches!(self.peek(*width), b'"' | b'\'')) {
            let prefix = &self.source[self.at..self.at + width];
            self.at += width;
            return self.string(prefix.contains(['r', 'R']));
        }
        Ok(match first {
            b'/' if self.peek(1) == b'/' => {
                self.skip_while(|b| b != b'\n');
                Kind::Comment
            }
            b'`' => {
                let start = self.at;
                self.at += 1;
                self.skip_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b' '));
                if self.peek(0) != b'`' {
                    let message = "a name in backticks has letters, digits, `_`, `.`, `-`, `/` and spaces, and ends in a backtick";
                    let help = Some("write any other column as `new[\"name\"]`, and a text in other quotes: `\"a\" + string(new.id)`".to_owned());
                    return Err(CompileError { offset: start, message: message.into(), help });
                }
                self.at += 1;
                Kind::Name
            }
            b'.' | b'0'..=b'9' if first != b'.' || self.peek(1).is_ascii_digit() => {
                self.number();
                Kind::Number
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip_while(|b| b == b'_' || b.is_ascii_alphanumeric());
                Kind::Name
            }
            _ => {
                let is_pair = self.peek(1) == b'=' && matches!(first, b'=' | b'!' | b'<' | b'>')
                    || self.peek(1) == first && matches!(first, b'&' | b'|');
                self.at += if is_pair { 2 } else { 1 };
                while !self.source.is_char_boundary(self.at) {
                    self.at += 1;
                }
                Kind::Sign
            }
        })
    }

    /// Digits, a fraction where a digit follows the point, an exponent, a suffix.
    fn number(&mut self) {
        let digits = |b: u8| b.is_ascii_digit();
        self.skip_while(digits);
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip_while(digits);
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
            }
        }
        self.skip_while(|b| b.is_ascii_alphanumeric());
    }

    /// From the opening quote on.
    fn string(&mut self, raw: bool) -> Result<Kind, CompileError> {
        let (start, quote) = (self.at, self.peek(0));
        let is_triple = self.peek(1) == quote && self.peek(2) == quote;
        let width = if is_triple { 3 } else { 1 };
        self.at += width;
        loop {
            match self.peek(0) {
                _ if self.at >= self.source.len() => return Err(unclosed(start)),
                b'\n' | b'\r' if !is_triple => return Err(unclosed(start)),
                b'\\' if !raw => self.escape()?,
                byte if byte == quote && (!is_triple || (self.peek(1) == quote && self.peek(2) == quote)) => {
                    self.at += width;
                    return Ok(Kind::Text);
                }
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), CompileError> {
        let digits = |count: usize, is_digit: fn(&u8) -> bool| {
            (2..2 + count).all(|ahead| is_digit(&self.peek(ahead))).then_some(2 + count)
        };
        let width = match self.peek(1) {
            b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'?' | b'"' | b'\'' | b'`' => Some(2),
            b'x' | b'X' => digits(2, u8::is_ascii_hexdigit),
            b'u' => digits(4, u8::is_ascii_hexdigit),
            b'U' => digits(8, u8::is_ascii_hexdigit),
            b'0'..=b'3' => digits(2, |byte| matches!(byte, b'0'..=b'7')),
            _ => None,
        };
        match width {
            Some(width) => {
                self.at += width;
                Ok(())
            }
            None => {
                let shown: String = self.source[self.at..].chars().take(2).collect();
                Err(CompileError {
                    offset: self.at,
                    message: format!("`{shown}` is no escape of a text"),
                    help: Some(format!("write a pattern as r'{shown}', or `\\{shown}` for the backslash itself")),
                })
            }
        }
    }
}

fn unclosed(offset: usize) -> CompileError {
    let help = "a quote within a text is written with the other ones around, `\"it's\"`";
    CompileError::new(offset, "the text has no closing quote", Some(help))
}

impl Iterator for Scanner<'_> {
    type Item = Result<Token, CompileError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_while(|b| b.is_ascii_whitespace());
        let start = self.at;
        (start < self.source.len()).then(|| self.token().map(|kind| Token { kind, start, end: self.at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Vec<&str> {
        scan(source).expect(source).iter().map(|token| token.text(source)).collect()
    }

    #[test]
    fn texts_comments_and_names_are_told_apart() {
        assert_eq!(tokens("a1.b == 'it''s' // no 'text"), ["a1", ".", "b", "==", "'it'", "'s'", "// no 'text"]);
        assert_eq!(tokens("new.`a//b`+1.5e-3"), ["new", ".", "`a//b`", "+", "1.5e-3"]);
        assert_eq!(
            tokens(r#"r'\d' + rb"\" + '\'' + """a"b\"""" "#),
            [r"r'\d'", "+", r#"rb"\""#, "+", r"'\''", "+", r#""""a"b\"""""#]
        );
        assert_eq!(tokens("xr'a' 'a//b' != ü"), ["xr", "'a'", "'a//b'", "!=", "ü"]);
        assert_eq!(tokens("1.size()"), ["1", ".", "size", "(", ")"]);
    }

    #[test]
    fn a_text_that_the_parser_would_stumble_over_is_refused() {
        for (source, message) in [
            (r"'\d+'", r"`\d` is no escape"),
            (r"'\x4'", r"`\x` is no escape"),
            (r"'\400'", r"`\4` is no escape"),
            ("'a", "no closing quote"),
            ("'a\nb'", "no closing quote"),
            ("'a\rb'", "no closing quote"),
            ("'''a''", "no closing quote"),
            (r"'a\", r"no escape"),
            ("`1+1`", "backticks"),
            ("`a", "backticks"),
        ] {
            let error = scan(source).expect_err(source);
            assert!(error.message.contains(message), "{source}: {error:?}");
        }
    }
}
