//! Brackets of YAML's own that nobody closed: the parser notices far behind them.

/// The outermost bracket that is open at a byte of the text and that nothing behind it closes.
pub(crate) fn unclosed(text: &str, offset: usize) -> Option<usize> {
    let mut from = 0;
    loop {
        let open = next_open(text, from).filter(|open| *open <= offset)?;
        match close(text, open) {
            Ok(end) => from = end,
            Err(unclosed) => return Some(unclosed),
        }
    }
}

/// The next bracket that a value begins with, outside texts and blocks.
fn next_open(text: &str, from: usize) -> Option<usize> {
    let mut at = text.get(..from)?.rfind('\n').map_or(0, |end| end + 1);
    let mut block: Option<usize> = None;
    for line in text.get(at..)?.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let is_blank = line.trim().is_empty();
        if block.is_none_or(|column| !is_blank && indent <= column) && !line.trim_start().starts_with('#') {
            block = begins_block(line).then_some(indent);
            let value = value_of(line);
            if at + value >= from && line[value..].starts_with(['{', '[']) {
                return Some(at + value);
            }
        }
        at += line.len();
    }
    None
}

/// Whether the lines below that are indented more are one text.
fn begins_block(line: &str) -> bool {
    let last = line.split(" #").next().unwrap_or_default().split_whitespace().next_back().unwrap_or_default();
    last.starts_with(['|', '>']) && last[1..].chars().all(|c| c.is_ascii_digit() || "+-".contains(c))
}

/// Where the value of a line begins: behind its dashes and its key.
fn value_of(line: &str) -> usize {
    let mut at = line.len() - line.trim_start().len();
    while line[at..].starts_with("- ") {
        at += line[at..].len() - line[at + 1..].trim_start().len();
    }
    if line[at..].starts_with(['{', '[']) {
        return at;
    }
    let Some(colon) = line[at..].find(": ") else { return line.len() };
    at += colon + 1;
    at + line[at..].len() - line[at..].trim_start().len()
}

/// The byte behind the bracket that closes this one; else the bracket that nothing closes, this one or one within it.
fn close(text: &str, open: usize) -> Result<usize, usize> {
    let (mut brackets, mut quote, mut before) = (Vec::new(), None, ' ');
    for (at, letter) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match (quote, letter) {
            (Some(own), _) if own == letter && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if " \n[{,:".contains(before) => quote = Some(letter),
            (None, '{') => brackets.push((at, '}')),
            (None, '[') => brackets.push((at, ']')),
            (None, '}' | ']') => match brackets.pop() {
                Some((_, wanted)) if wanted == letter && brackets.is_empty() => return Ok(at + 1),
                Some((_, wanted)) if wanted == letter => {}
                Some((unclosed, _)) => return Err(unclosed),
                None => return Err(open),
            },
            _ => {}
        }
        before = letter;
    }
    Err(open)
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn a_bracket_that_nothing_closes_is_found_and_others_are_not() {
        for (text, open) in [
            ("from: { table: a\nwhen: new.a == 1\n", Some(6)),
            ("from: { table: a, operations: [update }\nsample: {}\n", Some(30)),
            ("key: [new.a\nsample: {}\n", Some(5)),
            ("a: {}\nb: [x]\n", None),
            ("a: { b: \"{\" }\n", None),
            ("when: |\n  {\ndata:\n  a: x\n", None),
            ("when: new.a in [\n", None),
            ("# a: {\nb: 1\n", None),
            ("a: { b: 1 }\ntests:\n  - { name: x\n", Some(23)),
            ("{ a: 1\n", Some(0)),
        ] {
            assert_eq!(unclosed(text, text.len()), open, "{text}");
        }
    }
}
