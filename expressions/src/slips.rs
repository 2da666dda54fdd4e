//! What is said of an expression that cannot be read: what was expected, where, and what those write who come from other
//! languages. Each advice stands alone: what it has in backticks can be written as it is, or is an operator.

use crate::{error::CompileError, scan::Token};

/// Signs that are no operators here, and what is written for them.
const SIGNS: &[(&str, &str)] = &[
    ("=", "write `==` to compare"),
    ("===", "write `==`, which never converts a type"),
    ("!==", "write `!=`, which never converts a type"),
    ("<>", "write `!=`"),
    ("=<", "write `<=`"),
    ("=!", "write `!=`"),
    ("=>", "write `>=` to compare; what is said of each element is written `new.tags.exists(x, x == \"a\")`"),
    (":=", "write `==` to compare"),
    ("&", "write `&&`"),
    ("|", "write `||`"),
    ("^", "there is no power and no xor: write `new.a * new.a`, `(new.a == 1) != (new.b == 1)`"),
    ("**", "there is no power: write `new.a * new.a`"),
    ("++", "nothing is counted up here: write `new.a + 1`"),
    ("&&=", "nothing is assigned here: write `new.a == 1 && new.b == 2`"),
    ("||=", "nothing is assigned here: write `coalesce(new.carrier, \"unknown\")`"),
    ("??=", "nothing is assigned here: write `coalesce(new.carrier, \"unknown\")`"),
    ("+=", "nothing is assigned here: write `new.a + 1`"),
    ("-=", "nothing is assigned here: write `new.a - 1`"),
    ("*=", "nothing is assigned here: write `new.a * 2`"),
    ("/=", "nothing is assigned here: write `new.a / 2`"),
    ("??", "write `coalesce(new.carrier, \"unknown\")` for a value that may be missing"),
    ("?:", "write `coalesce(new.carrier, \"unknown\")` for a value that may be missing"),
    (
        "?.",
        "write `.` alone: what is missing makes the condition absent, not an error; or `get(new, \"address.city\", \"unknown\")`",
    ),
    (
        ".?",
        "write `.` alone: what is missing makes the condition absent, not an error; or `get(new, \"address.city\", \"unknown\")`",
    ),
    ("[?", "write `get(new, \"tags.0\", \"unknown\")` for an element that may be missing"),
    ("->", "write `new.address.city`, or `get(new, \"address.city\", \"unknown\")`"),
    ("->>", "write `new.address.city`, or `get(new, \"address.city\", \"unknown\")`"),
    ("#>>", "write `get(new, \"address.city\", \"unknown\")`"),
    ("::", "a conversion is a call: `int(new.total)`, `num(new.total)`, `string(new.id)`, `timestamp(new.created_at)`"),
    ("=~", "write `new.name.matches(\"^[a-z]+$\")`"),
    ("~", "write `new.name.matches(\"^[a-z]+$\")`"),
    ("!~", "write `!new.name.matches(\"^[a-z]+$\")`"),
    ("..", "a range is written `new.total >= 1 && new.total <= 9`"),
    ("...", "lists are joined with `+`: `new.tags + [\"a\"]`"),
    (";", "leave it out: an expression is one value, and parts of a condition are joined with `&&`"),
    ("${", "leave out `${` and `}`: here everything is an expression"),
    ("$", "leave it out: a column is written `new.status`"),
    ("{{", "leave out `{{` and `}}`: here everything is an expression"),
    ("}}", "leave out `{{` and `}}`: here everything is an expression"),
    ("@", "leave it out: a column is written `new.status`"),
    ("≠", "write `!=`"),
    ("≤", "write `<=`"),
    ("≥", "write `>=`"),
    ("−", "write `-`"),
    ("–", "write `-`"),
    ("×", "write `*`"),
    ("÷", "write `/`"),
    ("¬", "write `!`"),
    ("∧", "write `&&`"),
    ("∨", "write `||`"),
    ("“", "quotes of a text are straight: `\"a\"`"),
    ("”", "quotes of a text are straight: `\"a\"`"),
    ("„", "quotes of a text are straight: `\"a\"`"),
    ("‘", "quotes of a text are straight: `'a'`"),
    ("’", "quotes of a text are straight: `'a'`"),
    ("\u{a0}", "this is a space that is none, as pages and chats have it: write a plain one"),
];

/// Words that stand where an operator should, in any case.
const WORDS: &[(&[&str], &str)] = &[
    (&["and"], "write `&&`"),
    (&["or"], "write `||`"),
    (&["xor"], "write `(new.a == 1) != (new.b == 1)`"),
    (&["is", "isnull", "notnull"], "write `new.name == null` or `new.name != null`"),
    (&["eq", "equals"], "write `==`"),
    (&["ne", "neq"], "write `!=`"),
    (&["lt"], "write `<`"),
    (&["gt"], "write `>`"),
    (&["le", "lte"], "write `<=`"),
    (&["ge", "gte"], "write `>=`"),
    (&["mod"], "write `%`"),
    (&["div"], "write `/`"),
    (&["in"], "write `in`, as in `new.status in [\"paid\", \"shipped\"]`"),
    (
        &["like", "ilike", "similar", "rlike", "regexp"],
        "write `new.name.startsWith(\"x\")`, `new.name.contains(\"x\")`, or `lower(new.name).matches(\"^[a-z]+$\")`",
    ),
    (&["contains", "includes", "has"], "write `new.name.contains(\"x\")`, of a list `\"x\" in new.tags`"),
    (&["startswith", "starts"], "write `new.name.startsWith(\"x\")`"),
    (&["endswith", "ends"], "write `new.name.endsWith(\"x\")`"),
    (&["matches"], "write `new.name.matches(\"^[a-z]+$\")`"),
    (&["between"], "write `new.total >= 1 && new.total <= 9`"),
    (&["then", "else", "when", "if", "unless"], "a choice is written `new.total > 100 ? \"large\" : \"small\"`"),
    (&["instanceof"], "write `type(new.name) == string`"),
    (&["as", "collate"], "a conversion is a call: `int(new.total)`, `num(new.total)`, `string(new.id)`"),
    (&["changed", "becomes"], "write `changed(\"status\")` or `became(\"status\", \"shipped\")`"),
    (&["not"], "write `!`, and with `in` it is `!(new.status in [\"paid\"])`"),
];

/// Words behind which something else may not stand, in any case.
const WORDS_BEFORE: &[(&[&str], &str)] = &[
    (&["not"], "write `!`, as in `!(new.total > 100)`"),
    (&["typeof"], "write `type(new.name) == string`"),
    (&["case", "when"], "a choice is written `new.total > 100 ? \"large\" : \"small\"`"),
    (&["interval"], "write `duration(\"24h\")`"),
    (
        &["date", "timestamp", "timestamptz"],
        "write `timestamp(\"2024-01-31T12:00:00Z\")`, or `date(\"2024-01-31\", \"Europe/Berlin\")`",
    ),
    (&["select", "where", "when", "await", "async", "exists"], "leave it out: an expression is one value"),
];

/// What stands there may not stand there.
pub(crate) fn unexpected(source: &str, offset: usize, expected: &str, open: Option<Token>) -> CompileError {
    let (before, rest) = source.split_at(offset);
    if before.trim().is_empty() && rest.starts_with(['|', '>']) {
        let help =
            "block style is not possible within `{ }`: write the expression in quotes, or one entry on each line";
        return CompileError::new(
            offset,
            format!("unexpected `{}` where {expected} should be", word(rest)),
            Some(help),
        );
    }
    if let Some(error) = sign(source, offset) {
        return error;
    }
    let next = rest.chars().next().unwrap_or(' ');
    if next.is_alphabetic() && !next.is_ascii() {
        let within = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
        let help = format!("a column with such letters is written new[\"{}\"]", word(&source[within.len()..]));
        return CompileError::new(offset, format!("{next:?} has no meaning here"), Some(&help));
    }
    if !next.is_ascii() || "#\\".contains(next) {
        let help = (next == '#').then_some("a comment begins with `//`");
        return CompileError::new(offset, format!("{next:?} has no meaning here"), help);
    }
    let message = format!("unexpected `{}` where {expected} should be", word(rest));
    let help = in_own_words(before, rest).or_else(|| hint(before, rest, expected).map(str::to_owned));
    CompileError::new(offset, message, help.or_else(|| unclosed(source, open)).as_deref())
}

/// What was written, as it is written here: a range, and a number whose digits are in groups.
fn in_own_words(before: &str, rest: &str) -> Option<String> {
    if word(rest).eq_ignore_ascii_case("between") {
        let mut words = rest.split_whitespace().skip(1);
        let (low, and, high) = (words.next()?, words.next()?, words.next()?);
        let of = before.split_whitespace().next_back()?;
        let are_simple = [of, low, high].iter().all(|part| !part.contains(['(', ')', '[', ']', '&', '|', '"', '\'']));
        return (and.eq_ignore_ascii_case("and") && are_simple)
            .then(|| format!("write `{of} >= {low} && {of} <= {high}`"));
    }
    let is_of_number = |c: char| c.is_ascii_digit() || c == '_' || c == ',';
    let first = &before[before.trim_end_matches(is_of_number).len()..];
    let more = &rest[..rest.len() - rest.trim_start_matches(is_of_number).len()];
    let groups = more.strip_prefix([',', '_'])?.split([',', '_']).collect::<Vec<_>>();
    let is_group = |group: &&str| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && groups.iter().all(is_group))
        .then(|| format!("write `{first}{}`, without signs between the digits", groups.concat()))
}

/// The text ends where something is missing.
pub(crate) fn too_early(source: &str, expected: &str, open: Option<Token>) -> CompileError {
    let message = format!("the expression ends too early, where {expected} should be");
    let help = unclosed(source, open).or_else(|| {
        (expected == "`:`").then(|| "a choice has both: `new.total > 100 ? \"large\" : \"small\"`".to_owned())
    });
    CompileError::new(source.trim_end().len(), message, help.as_deref())
}

fn unclosed(source: &str, open: Option<Token>) -> Option<String> {
    open.map(|bracket| format!("a `{}` is not closed", bracket.text(source)))
}

/// A sign of another language that this place is a part of: the longest that begins first.
pub(crate) fn sign(source: &str, offset: usize) -> Option<CompileError> {
    let is_sign = |c: char| "=<>!&|?+-*/^~:.;$@#[{}%".contains(c) || !c.is_ascii() && !c.is_alphanumeric();
    let begin = source[..offset].trim_end_matches(is_sign).len();
    let end = source.len() - source[offset..].trim_start_matches(is_sign).len();
    let starts = (begin..=offset).filter(|at| source.is_char_boundary(*at));
    let ends =
        |start: usize| (start + 1..=end.min(start + 4)).rev().filter(|at| *at > offset && source.is_char_boundary(*at));
    let runs = starts.flat_map(|start| ends(start).map(move |end| (start, &source[start..end])));
    runs.into_iter().find_map(|(start, run)| {
        // A bracket is a part of `${` and nothing by itself here.
        let (sign, advice) = SIGNS.iter().find(|(sign, _)| *sign == run)?;
        let message = match sign.chars().next().filter(|first| !first.is_ascii() || "$@;~^".contains(*first)) {
            Some(first) => format!("{first:?} has no meaning here"),
            None => format!("`{sign}` is no operator"),
        };
        Some(CompileError::new(start, message, Some(advice)))
    })
}

/// What people write in other languages.
fn hint(before: &str, rest: &str, expected: &str) -> Option<&'static str> {
    if rest.starts_with(',') && before.rfind('(').is_some_and(|at| ends_with_word(&before[..at], "in")) {
        return Some("write a list of values in brackets: `new.status in [\"paid\", \"shipped\"]`");
    }
    if rest.starts_with('/') && expected == "a value" {
        return Some("a pattern is a text: `new.name.matches(\"^[a-z]+$\")`");
    }
    let (next, last) = (word(rest), before.split_whitespace().next_back().unwrap_or_default());
    let last = last.trim_start_matches(['(', '[', '!']);
    if before.ends_with('.') && matches!(next, "in" | "true" | "false" | "null") {
        return Some("a column with the name of a keyword is written in brackets: `new[\"in\"]`");
    }
    if last == "new" && next.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Some(
            "there is nothing to construct: write `timestamp(new.created_at)`, and the only clock is `received`",
        );
    }
    let among = |words: &&(&[&str], &str), word: &str| words.0.iter().any(|known| known.eq_ignore_ascii_case(word));
    let behind = WORDS_BEFORE.iter().find(|words| among(words, last));
    behind.or_else(|| WORDS.iter().find(|words| among(words, next))).map(|(_, advice)| *advice)
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.split_whitespace().next_back().is_some_and(|last| last.eq_ignore_ascii_case(word))
}

/// What to write for a word that CEL keeps for others.
pub(crate) fn reserved(word: &str) -> String {
    let column = format!("a column of that name is written `new[\"{word}\"]`");
    match word {
        "if" | "else" => format!("a choice is written `new.total > 100 ? \"large\" : \"small\"`; {column}"),
        "const" | "let" | "var" | "return" | "for" | "while" | "function" | "loop" => {
            format!("an expression is one value, without statements; {column}")
        }
        _ => column,
    }
}

/// The word that a text begins with, or its first letter.
fn word(rest: &str) -> &str {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
    &rest[..end]
}

/// All advice, for a test that follows it.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    let words = WORDS.iter().chain(WORDS_BEFORE).map(|(_, advice)| *advice);
    SIGNS.iter().map(|(_, advice)| *advice).chain(words)
}
