//! Texts of jobs in a line of the log.

use std::borrow::Cow;

/// How much of a text a line has, in characters; the result has all of it.
const MOST: usize = 4 * 1024;

/// The begin of a text that is too long for a line, and how long it is.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_its_length() {
        assert_eq!(cut("é"), "é");
        assert_eq!(cut(&"é".repeat(MOST)), "é".repeat(MOST));
        assert_eq!(cut(&"é".repeat(MOST + 1)), format!("{}… (8194 bytes)", "é".repeat(MOST)));
    }
}
