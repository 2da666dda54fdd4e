//! On which line of a TOML file a key is set, for errors: the parsed values know no lines.

/// The line, from 1, that sets a key or begins its table; none where it cannot be told.
pub(super) fn line_of(text: &str, key: &[String]) -> Option<usize> {
    let mut begun = None;
    for (line, whole, is_table) in keys(text) {
        // An inline table sets what is below it, too.
        if !is_table && key.starts_with(&whole) {
            return Some(line);
        }
        if begun.is_none() && whole.starts_with(key) {
            begun = Some(line);
        }
    }
    begun
}

/// The key that is set on a line, from 1.
pub(super) fn key_on(text: &str, line: usize) -> Option<String> {
    let found = keys(text).find(|(at, _, is_table)| *at == line && !is_table);
    found.map(|(_, whole, _)| whole.join("."))
}

/// The keys of a text: on which line, the whole key, and whether it is a table that begins there.
fn keys(text: &str) -> impl Iterator<Item = (usize, Vec<String>, bool)> {
    let mut table = Vec::new();
    text.lines().map(str::trim).enumerate().filter_map(move |(index, line)| {
        if let Some(header) = line.strip_prefix('[') {
            table = parts(header.trim_start_matches('[').split(']').next().unwrap_or_default());
            return Some((index + 1, table.clone(), true));
        }
        let (name, _) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((index + 1, [table.clone(), parts(name)].concat(), false))
    })
}

/// The parts of a dotted key; a quoted one may have dots.
fn parts(key: &str) -> Vec<String> {
    let (mut parts, mut quote) = (vec![String::new()], None);
    for c in key.trim().chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('.', None) => parts.push(String::new()),
            (c, None) if c.is_whitespace() => {}
            (c, _) => parts.last_mut().expect("invariant: there is a part from the start").push(c),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_it_is_written() {
        let text = "data = \"x\"\n\n[ingest]\n# max-body = 1\nmax-body = \"1MiB\"\nlisten.auth = \"none\"\n\
                    [ingest.keys]\n\"public.a.b\" = [\"x\"]\n[api]\nlisten = { address = \"a\" }\n[a.b]\nc = 1\n";
        for (key, line) in [
            (&["data"][..], Some(1)),
            (&["ingest", "max-body"], Some(5)),
            (&["ingest", "listen", "auth"], Some(6)),
            (&["ingest", "listen"], Some(6)),
            (&["ingest", "keys", "public.a.b"], Some(8)),
            (&["api", "listen", "address"], Some(10)),
            (&["a"], Some(11)),
            (&["none"], None),
        ] {
            let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(line_of(text, &key), line, "{key:?}");
        }
        assert_eq!(key_on(text, 8).as_deref(), Some("ingest.keys.public.a.b"));
        assert_eq!((key_on(text, 3), key_on(text, 4)), (None, None));
    }
}
