//! From a byte of a scalar's text back to the byte of the file it was written at.

use super::Style;

/// The line and the column, both from 1, the column in characters.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Where in the file the byte `wanted` of a scalar's value was written; `start` is where the scalar begins: with its quote,
/// or in block style with its first line.
///
/// Walks both texts side by side: indentation and folded line breaks exist only in the file, escapes are longer there.
pub(crate) fn offset_in_file(file: &str, (start, style): (usize, Style), value: &str, wanted: usize) -> usize {
    let bytes = file.as_bytes();
    let quote = bytes.get(start).copied().filter(|_| style == Style::Quoted);
    let mut at = match style {
        Style::Plain => start,
        Style::Quoted => start + 1,
        Style::Block | Style::Folded => skip_blank(bytes, start),
    };
    let mut in_run = false;
    for (index, expected) in value.char_indices() {
        if index >= wanted {
            break;
        }
        if expected.is_whitespace() && !in_run && at < bytes.len() && bytes[at] == expected as u8 && expected != '\n' {
            at += 1;
        } else if expected.is_whitespace() {
            at = skip_blank(bytes, at);
            in_run = true;
            continue;
        } else {
            at = step(file, at, quote, expected);
        }
        in_run = false;
    }
    // A text that ends before the place wanted, or a folded break right before it.
    if value.get(wanted..).is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace())) {
        at = skip_blank(bytes, at);
    }
    at.min(file.len())
}

fn skip_blank(bytes: &[u8], from: usize) -> usize {
    (from..bytes.len()).find(|at| !bytes[*at].is_ascii_whitespace()).unwrap_or(bytes.len())
}

/// Behind the next character of the file, which may be an escape for the one expected.
fn step(file: &str, at: usize, quote: Option<u8>, expected: char) -> usize {
    let rest = file.get(at..).unwrap_or("");
    let rest_at = at + rest.len() - rest.trim_start().len();
    let rest = rest.trim_start();
    let width = match (quote, rest.as_bytes().first()) {
        (Some(b'"'), Some(b'\\')) => match rest.as_bytes().get(1) {
            Some(b'x') => 4,
            Some(b'u') => 6,
            Some(b'U') => 10,
            _ => 2,
        },
        (Some(b'\''), Some(b'\'')) if expected == '\'' => 2,
        _ => rest.chars().next().map_or(1, char::len_utf8),
    };
    rest_at + width
}

#[cfg(test)]
mod tests {
    use super::{Style::*, *};

    #[track_caller]
    fn found_at(file: &str, (scalar, style): (&str, Style), (value, part): (&str, &str), place: (usize, usize)) {
        let start = file.find(scalar).expect("the scalar is in the file");
        let wanted = value.find(part).expect("the part is in the value");
        assert_eq!(line_column(file, offset_in_file(file, (start, style), value, wanted)), place, "{file}");
    }

    #[test]
    fn a_place_in_a_block_is_found_behind_its_indentation() {
        let file = "when: |\n    a == 1 &&\n      bad(2)\ndata: x\n";
        found_at(file, ("a ==", Block), ("a == 1 &&\n  bad(2)\n", "a"), (2, 5));
        found_at(file, ("a ==", Block), ("a == 1 &&\n  bad(2)\n", "bad"), (3, 7));
        found_at("when: >-\n  a == 1 &&\n  bad(2)\n", ("a ==", Block), ("a == 1 && bad(2)", "bad"), (3, 3));
        found_at("when: |\n  \"ü\" == bad(1)\n", ("\"ü", Block), ("\"ü\" == bad(1)\n", "bad"), (2, 10));
    }

    #[test]
    fn a_place_in_plain_and_quoted_text_is_found() {
        found_at("when: a == bad(1)\n", ("a ==", Plain), ("a == bad(1)", "bad"), (1, 12));
        found_at("when: a ==\n  bad(1)\n", ("a ==", Plain), ("a == bad(1)", "bad"), (2, 3));
        found_at("when: 'a == ''x'' && bad(1)'\n", ("'a", Quoted), ("a == 'x' && bad(1)", "bad"), (1, 22));
        found_at("when: \"a == \\\"x\\\" && bad(1)\"\n", ("\"a", Quoted), ("a == \"x\" && bad(1)", "bad"), (1, 22));
    }
}
