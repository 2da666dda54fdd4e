//! Patterns over names, as `herald tail` and `--jobs` take them: `*` stands for anything, also for nothing.

/// Whether a text fits a pattern: its parts between the stars are there, in order, the first and the last at the ends.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(place) = text.find(part) else { return false };
        text = &text[place + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part() {
        for (pattern, text) in [
            ("*", "a"),
            ("*", ""),
            ("move.*", "move.pickup.successful"),
            ("*.new", "move.new"),
            ("m*e.n*w", "move.new"),
            ("publish-*", "publish-event-log"),
            ("move.new", "move.new"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("move", "move.new"), ("move.*", "moves.new"), ("*.new", "move.newer"), ("a*a", "a"), ("", "a")]
        {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
