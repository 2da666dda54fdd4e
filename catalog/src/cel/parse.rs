//! From text to `cel`'s tree: bounds first, since the parser recurses, then its errors in words that help.

use cel::{
    common::ast::{IdedExpr, SourceInfo},
    parser::{ParseError, Parser},
};

use super::{
    CompileError,
    budget::{MAX_DEPTH, MAX_OPERATORS, MAX_SOURCE},
    scan::{Kind, Token, scan},
};

/// Which bytes of the expression are within texts, comments and names: brackets there mean nothing.
pub(crate) struct Quoted(Vec<bool>);

impl Quoted {
    fn of(source: &str, tokens: &[Token]) -> Self {
        let mut quoted = vec![false; source.len()];
        let is_quoted = |token: &&Token| matches!(token.kind, Kind::Text | Kind::Comment | Kind::Name);
        for token in tokens.iter().filter(is_quoted) {
            quoted[token.start..token.end].fill(true);
        }
        Self(quoted)
    }

    pub(crate) fn at(&self, index: usize) -> bool {
        self.0.get(index).copied().unwrap_or(false)
    }
}

/// Parses, or says where and why not.
pub(crate) fn parse(source: &str) -> Result<(IdedExpr, SourceInfo, Quoted), Vec<CompileError>> {
    if source.trim().is_empty() {
        return Err(vec![error(0, "the expression is empty", None)]);
    }
    let tokens = check_bounds(source).map_err(|error| vec![error])?;
    let quoted = Quoted::of(source, &tokens);
    let parsed = Parser::default().enable_ident_escape_syntax(true).parse_with_source_info(source);
    match parsed {
        Ok((tree, info)) => Ok((tree, info, quoted)),
        Err(errors) => {
            let mut found: Vec<_> = errors.errors.iter().map(|error| explain(source, &quoted, error)).collect();
            // One slip makes the parser stumble several times; the first is the one to mend.
            found.sort_by_key(|error| error.offset);
            found.truncate(1);
            Err(found)
        }
    }
}

/// The parser recurses over brackets and chains of operators, so their number is bounded before it sees them.
fn check_bounds(source: &str) -> Result<Vec<Token>, CompileError> {
    if source.len() > MAX_SOURCE {
        return Err(error(0, &format!("the expression is longer than {MAX_SOURCE} bytes"), None));
    }
    let tokens = scan(source)?;
    let (mut depth, mut operators) = (0_usize, 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        match token.text(source) {
            "(" | "{" => depth += 1,
            "[" => {
                depth += 1;
                operators += usize::from(index > 0 && ends_a_value(source, &tokens[index - 1]));
            }
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            "+" | "-" | "*" | "/" | "%" | "." | "?" | "<" | ">" | "=" | "!" | "==" | "!=" | "<=" | ">=" | "in" => {
                operators += 1;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(error(token.start, &format!("the expression nests deeper than {MAX_DEPTH}"), None));
        }
        if operators > MAX_OPERATORS {
            let help = "use `in [...]` for a choice of values, or several events";
            let message = format!("the expression has more than {MAX_OPERATORS} operators");
            return Err(error(token.start, &message, Some(help)));
        }
    }
    Ok(tokens)
}

/// Whether a `[` behind it is an index, and not a list.
fn ends_a_value(source: &str, token: &Token) -> bool {
    match token.kind {
        Kind::Sign => matches!(token.text(source), ")" | "]" | "}"),
        Kind::Name => token.text(source) != "in",
        _ => true,
    }
}

/// Says what the parser's message means.
fn explain(source: &str, quoted: &Quoted, found: &ParseError) -> CompileError {
    let offset = offset_of(source, found.pos.0, found.pos.1);
    let rest = source.get(offset..).unwrap_or("");
    let message = found.msg.trim_start_matches("Syntax error: ");
    let deep = message == "UNKNOWN" || message.contains("Recursion limit");
    if rest.trim().is_empty() && !deep {
        return error(source.trim_end().len(), "the expression ends too early", unbalanced(source, quoted).as_deref());
    }
    if deep {
        return error(0, &format!("the expression nests deeper than {MAX_DEPTH}"), None);
    }
    if message.starts_with("invalid int literal") {
        let help = "write it with a decimal point, `….0`: numbers are compared by their exact value";
        return error(offset, "the number does not fit in 64 bits", Some(help));
    }
    if let Some((at, _)) = source.match_indices("??").find(|(at, _)| !quoted.at(*at)) {
        return error(
            at,
            "`??` is no operator",
            Some("write `coalesce(new.a, \"x\")` for a value that may be missing"),
        );
    }
    if message.contains("reserved") {
        let name = word(rest);
        let help = format!("a column of that name is written new[\"{name}\"]");
        return error(offset, &format!("`{name}` is a reserved word of CEL"), Some(&help));
    }
    let next = rest.chars().next().unwrap_or(' ');
    if next == '=' && !rest.starts_with("==") {
        return error(offset, "`=` is no operator", Some("write `==` to compare"));
    }
    if next == '&' || next == '|' {
        return error(offset, &format!("`{next}` is no operator"), Some(&format!("write `{next}{next}`")));
    }
    if next.is_alphabetic() && message.contains("token recognition") {
        let help = format!("a column with such letters is written new[\"{}\"]", word(rest));
        return error(offset, &format!("{next:?} has no meaning here"), Some(&help));
    }
    let message = match message.split_once(" expecting ").map_or(message, |(before, _)| before) {
        text if text.contains("token recognition") => format!("{next:?} has no meaning here"),
        text if text.starts_with("extraneous input") || text.starts_with("mismatched input") => {
            format!("unexpected `{}`", word(rest))
        }
        text if text.starts_with("no viable alternative") => format!("unexpected `{}`", word(rest)),
        text if text.contains("string literal") || text.contains("bytes literal") => {
            return error(
                offset,
                "the text has an escape that stands for no letter",
                Some("`\\ud800` to `\\udfff` are none"),
            );
        }
        text if text.starts_with("invalid") && text.contains("literal") => {
            format!("`{}` is no number that can be read", word(rest))
        }
        // Whatever else the parser says names its own parts, not those of the expression.
        _ => format!("`{}` cannot be read here", word(rest)),
    };
    let help = hint(source, offset).map(str::to_owned).or_else(|| unbalanced(source, quoted));
    error(offset, &message, help.as_deref())
}

/// What people write in other languages.
fn hint(source: &str, offset: usize) -> Option<&'static str> {
    let (before, rest) = source.split_at_checked(offset)?;
    let list = "write a list of values in brackets: `new.x in [\"a\", \"b\"]`";
    if rest.starts_with(',') && before.rfind('(').is_some_and(|at| before[..at].trim_end().ends_with(" in")) {
        return Some(list);
    }
    if rest.starts_with('$') {
        return Some("leave out `${` and `}`: here everything is an expression");
    }
    if rest.starts_with('|') || rest.starts_with('>') && before.trim().is_empty() {
        return Some(
            "block style is not possible within `{ }`: write the expression in quotes, or one entry on each line",
        );
    }
    match word(rest) {
        "in" if word_before(before) == "not" => Some("write `!(a in list)`"),
        "null" if word_before(before) == "is" => Some("write `== null`"),
        "and" | "AND" => Some("write `&&`"),
        "or" | "OR" => Some("write `||`"),
        "not" | "NOT" => Some("write `!`"),
        "is" | "IS" => Some("write `== null` or `!= null`"),
        "IN" => Some("write `in`"),
        _ => None,
    }
}

fn word(rest: &str) -> &str {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
    &rest[..end]
}

fn word_before(before: &str) -> &str {
    before.split_whitespace().next_back().unwrap_or_default()
}

fn unbalanced(source: &str, quoted: &Quoted) -> Option<String> {
    let mut open = Vec::new();
    for (at, byte) in source.bytes().enumerate().filter(|(at, _)| !quoted.at(*at)) {
        match byte {
            b'(' | b'[' | b'{' => open.push(byte as char),
            b')' | b']' | b'}' => drop(open.pop().or_else(|| (at > source.len()).then_some(' '))),
            _ => {}
        }
    }
    open.last().map(|bracket| format!("a `{bracket}` is not closed"))
}

/// The byte of a line and column, both from 1, the column in characters.
fn offset_of(source: &str, line: isize, column: isize) -> usize {
    let (line, column) = (line.max(1) as usize, column.max(1) as usize);
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let text = source.get(start..).unwrap_or("");
    start + text.char_indices().nth(column - 1).map_or(text.len(), |(at, _)| at)
}

fn error(offset: usize, message: &str, help: Option<&str>) -> CompileError {
    CompileError { offset, message: message.to_owned(), help: help.map(str::to_owned) }
}
