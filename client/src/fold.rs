//! Lines that are too long for a terminal, broken between words, so that neither a tree nor an id falls apart. Pure.

/// The text in lines of at most `width` columns; what goes on stands two columns further to the right than its line began.
/// A word that is longer than a line stays in one piece.
pub(crate) fn fold(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        fold_line(line, width, &mut out);
    }
    out
}

fn fold_line(line: &str, width: usize, out: &mut String) {
    let begin = line.len() - line.trim_start_matches(' ').len();
    let indent = begin + 2;
    let (mut column, mut has_words) = (begin, false);
    out.push_str(&line[..begin]);
    for word in line[begin..].split_inclusive(' ') {
        let columns = columns(word);
        // The blank behind a word may hang over.
        if has_words && column + columns - usize::from(word.ends_with(' ')) > width && indent < width {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            (column, has_words) = (indent, false);
        }
        // Of blanks in a row those at the beginning of a line go.
        if word != " " || has_words || column == begin {
            out.push_str(word);
            column += columns;
            has_words |= word != " ";
        }
    }
}

/// How many columns a text takes: pictures and ideographs take two, what colours it takes none.
pub(crate) fn columns(text: &str) -> usize {
    let width = |c: char| match c {
        '\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{231a}'..='\u{23ff}' | '\u{2614}'..='\u{27bf}' | '\u{2b50}'..='\u{2b55}' => 2,
        '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{1f000}'.. => 2,
        _ => 1,
    };
    anstream::adapter::strip_str(text).flat_map(str::chars).map(width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words_and_goes_on_indented() {
        let line = "   · 3 not detected; closest move.cancel.pending: cancel_status did not change (it is \"pending\")";
        assert_eq!(
            fold(line, 52),
            "   · 3 not detected; closest move.cancel.pending:\n     cancel_status did not change (it is \"pending\")"
        );
        assert_eq!(fold(line, 500), line);
        assert_eq!(fold("a\n\n   b", 4), "a\n\n   b");
    }

    #[test]
    fn a_word_stays_in_one_piece_and_colours_take_no_room() {
        let id = "8b0c5a3e-1f28-59a5-a7f5-cb74087a62b6";
        assert_eq!(fold(&format!("   correlation {id}"), 40), format!("   correlation\n     {id}"));
        assert_eq!(fold("\u{1b}[2mabc\u{1b}[0m def", 7), "\u{1b}[2mabc\u{1b}[0m def");
        assert_eq!(fold("✅ ab  cd", 8), "✅ ab\n  cd");
    }

    #[test]
    fn nothing_but_blanks_is_lost_and_no_line_is_too_wide_that_can_be_broken() {
        for text in crate::render::samples::texts() {
            for width in [20, 40, 80] {
                let folded = fold(&text, width);
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(words(&folded), words(&text));
                for line in folded.lines().filter(|line| columns(line) > width) {
                    assert_eq!(line.split_whitespace().count(), 1, "{line:?} at {width}");
                }
            }
        }
    }
}
