//! What is said of an expression that cannot be read: what was expected, where, and what those write who come from other
//! languages.

use crate::{error::CompileError, scan::Token};

/// What stands there may not stand there.
pub(crate) fn unexpected(source: &str, offset: usize, expected: &str, open: Option<Token>) -> CompileError {
    let (before, rest) = source.split_at(offset);
    let error = |offset, message: String, help: &str| CompileError {
        offset,
        message,
        help: Some(help.to_owned()).filter(|help| !help.is_empty()),
    };
    if rest.starts_with('?') && (rest.starts_with("??") || before.ends_with('?')) {
        let offset = if before.ends_with('?') { offset - 1 } else { offset };
        return error(
            offset,
            "`??` is no operator".into(),
            "write `coalesce(new.a, \"x\")` for a value that may be missing",
        );
    }
    let next = rest.chars().next().unwrap_or(' ');
    match next {
        '=' if !rest.starts_with("==") => return error(offset, "`=` is no operator".into(), "write `==` to compare"),
        '|' if before.trim().is_empty() => {}
        '&' | '|' if !rest[1..].starts_with(next) => {
            return error(offset, format!("`{next}` is no operator"), &format!("write `{next}{next}`"));
        }
        _ if next.is_alphabetic() && !next.is_ascii() => {
            let within = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
            let help = format!("a column with such letters is written new[\"{}\"]", word(&source[within.len()..]));
            return error(offset, format!("{next:?} has no meaning here"), &help);
        }
        _ if !next.is_ascii() || "#$@;~^\\".contains(next) => {
            return error(offset, format!("{next:?} has no meaning here"), hint(before, rest).unwrap_or_default());
        }
        _ => {}
    }
    let message = format!("unexpected `{}` where {expected} should be", word(rest));
    let help = hint(before, rest).map(str::to_owned).or_else(|| unclosed(source, open)).unwrap_or_default();
    error(offset, message, &help)
}

/// The text ends where something is missing.
pub(crate) fn too_early(source: &str, expected: &str, open: Option<Token>) -> CompileError {
    let message = format!("the expression ends too early, where {expected} should be");
    CompileError { offset: source.trim_end().len(), message, help: unclosed(source, open) }
}

fn unclosed(source: &str, open: Option<Token>) -> Option<String> {
    open.map(|bracket| format!("a `{}` is not closed", bracket.text(source)))
}

/// What people write in other languages.
fn hint(before: &str, rest: &str) -> Option<&'static str> {
    if rest.starts_with(',') && before.rfind('(').is_some_and(|at| before[..at].trim_end().ends_with(" in")) {
        return Some("write a list of values in brackets: `new.x in [\"a\", \"b\"]`");
    }
    if rest.starts_with('$') {
        return Some("leave out `${` and `}`: here everything is an expression");
    }
    if before.trim().is_empty() && rest.starts_with(['|', '>']) {
        return Some(
            "block style is not possible within `{ }`: write the expression in quotes, or one entry on each line",
        );
    }
    let last = before.split_whitespace().next_back().unwrap_or_default();
    match word(rest) {
        "in" if last == "not" => Some("write `!(a in list)`"),
        "null" if last == "is" => Some("write `== null`"),
        "and" | "AND" => Some("write `&&`"),
        "or" | "OR" => Some("write `||`"),
        "not" | "NOT" => Some("write `!`"),
        "is" | "IS" => Some("write `== null` or `!= null`"),
        "IN" => Some("write `in`"),
        "in" | "true" | "false" | "null" if before.ends_with('.') => {
            Some("a column with the name of a keyword is written in brackets: `new[\"in\"]`")
        }
        _ => None,
    }
}

/// The word that a text begins with, or its first letter.
fn word(rest: &str) -> &str {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
    &rest[..end]
}
