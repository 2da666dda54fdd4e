//! On which line of a TOML file a key is set, for errors: the parsed values know no lines.

/// The line, from 1, that sets a key or begins its table; none where it cannot be told.
pub(super) fn line_of(text: &str, key: &[String]) -> Option<usize> {
    let (mut table, mut begun) = (Vec::new(), None);
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if let Some(header) = line.strip_prefix('[') {
            table = parts(header.trim_start_matches('[').split(']').next().unwrap_or_default());
            if begun.is_none() && table.starts_with(key) {
                begun = Some(index + 1);
            }
        } else if !line.starts_with('#')
            && let Some((name, _)) = line.split_once('=')
        {
            let whole = [table.clone(), parts(name)].concat();
            // An inline table sets what is below it, too.
            if key.starts_with(&whole) {
                return Some(index + 1);
            }
            if begun.is_none() && whole.starts_with(key) {
                begun = Some(index + 1);
            }
        }
    }
    begun
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
    }
}
