//! The secrets that a target was told. What it answers may repeat them, in a spelling of its own: JSON's `\/` and `\u002f`, a URL's
//! `%2F`, HTML's `&#47;` or `&amp;`. Nobody shows them.

use std::ops::Range;

use hyper::Uri;

/// Shorter texts than this are not looked for: they would be found everywhere.
const MIN: usize = 4;
/// Parts of a URL that are shorter are not taken for secrets.
const MIN_PART: usize = 8;

/// What is shown instead.
const HIDDEN: &[u8] = b"***";

/// See the module; each as it is without any such spelling.
#[derive(Default)]
pub(super) struct Told(Vec<Vec<u8>>);

impl Told {
    pub(super) fn add(&mut self, secret: &str) {
        let plain = Plain::of(secret.as_bytes()).text;
        if plain.len() >= MIN {
            self.0.push(plain);
        }
    }

    /// Adds a secret URL: whole, what of it a server sees, and its parts, of which servers like to repeat one.
    pub(super) fn add_url(&mut self, secret: &str, uri: &Uri) {
        self.add(secret);
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        self.add(path);
        path.split(['/', '?', '&', '=', ';']).filter(|part| is_no_word(part)).for_each(|part| self.add(part));
    }

    /// The bytes without the secrets.
    pub(super) fn hide(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.0.is_empty() {
            return bytes;
        }
        let plain = Plain::of(&bytes);
        let mut found: Vec<Range<usize>> = self.0.iter().flat_map(|told| plain.find(told)).collect();
        found.sort_by_key(|range| range.start);
        let (mut out, mut from) = (Vec::with_capacity(bytes.len()), 0);
        for Range { start, end } in found {
            if start >= from {
                out.extend_from_slice(&bytes[from..start]);
                out.extend_from_slice(HIDDEN);
            }
            from = from.max(end);
        }
        out.extend_from_slice(&bytes[from..]);
        out
    }
}

/// Whether a part of a URL is more than a word of its path, as `services` and `v1` are.
fn is_no_word(part: &str) -> bool {
    part.len() >= MIN_PART && !part.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_.".contains(&byte))
}

/// A text without its escapes.
struct Plain {
    text: Vec<u8>,
    /// Where each of its bytes begins in the text as it was; at last, where that ends.
    places: Vec<usize>,
}

impl Plain {
    fn of(bytes: &[u8]) -> Self {
        let (mut text, mut places, mut at) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len() + 1), 0);
        while let Some(first) = bytes.get(at) {
            let (one, length) = escaped(&bytes[at..]).unwrap_or((One::Byte(*first), 1));
            match one {
                One::Byte(byte) => text.push(byte),
                One::Character(one) => text.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            places.resize(text.len(), at);
            at += length;
        }
        places.push(bytes.len());
        Self { text, places }
    }

    /// Where in the text as it was another one stands.
    fn find<'a>(&'a self, wanted: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let found = self.text.windows(wanted.len()).enumerate().filter(move |(_, here)| *here == wanted);
        found.map(|(at, here)| self.places[at]..self.places[at + here.len()])
    }
}

/// What an escape stands for.
enum One {
    Byte(u8),
    Character(char),
}

/// What the escape at the beginning stands for, and how long it is.
fn escaped(bytes: &[u8]) -> Option<(One, usize)> {
    let number = |digits: &[u8], radix| u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok();
    let character = |digits: &[u8], radix| number(digits, radix).and_then(char::from_u32).map(One::Character);
    match bytes {
        [b'\\', b'u', rest @ ..] => Some((character(rest.get(..4)?, 16)?, 6)),
        [b'\\', one @ (b'/' | b'"' | b'\\' | b'\''), ..] => Some((One::Byte(*one), 2)),
        [b'%', rest @ ..] => Some((One::Byte(u8::try_from(number(rest.get(..2)?, 16)?).ok()?), 3)),
        [b'&', rest @ ..] => {
            let length = rest.iter().take(9).position(|byte| *byte == b';')?;
            let one = match &rest[..length] {
                b"amp" => One::Byte(b'&'),
                b"quot" => One::Byte(b'"'),
                b"apos" => One::Byte(b'\''),
                b"lt" => One::Byte(b'<'),
                b"gt" => One::Byte(b'>'),
                [b'#', b'x' | b'X', digits @ ..] => character(digits, 16)?,
                [b'#', digits @ ..] => character(digits, 10)?,
                _ => return None,
            };
            Some((one, length + 2))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(told: &Told, text: &str) -> String {
        String::from_utf8(told.hide(text.as_bytes().to_vec())).expect("a text")
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_spelt() {
        let mut told = Told::default();
        told.add("a/b\"C=&d é");
        for spelling in [
            "a/b\"C=&d é",
            r#"a\/b\"C=&d é"#,
            r"\u0061\u002Fb\u0022C=\u0026d \u00e9",
            "a%2Fb%22C%3d%26d%20%c3%A9",
            "a&#47;b&quot;C&#x3D;&amp;d é",
        ] {
            assert_eq!(hidden(&told, &format!("<{spelling}>{spelling}")), "<***>***", "{spelling}");
        }
        let others = r#"{"a":"b\n\\ 100% \u12 %zz & &x; &#9999999999; ","c":1.10}"#;
        assert_eq!(hidden(&told, others), others);
    }

    #[test]
    fn of_a_url_the_parts_that_are_no_words_are_hidden_too() {
        let mut told = Told::default();
        let url = "https://hooks.example/services/T0AAA111/XyZsecretPart9?token=Query%2F77x&as=me";
        told.add_url(url, &url.parse().expect("a URL"));
        for (text, shown) in [
            (url, "***"),
            ("to /services/T0AAA111/XyZsecretPart9?token=Query%2F77x&as=me", "to ***"),
            ("/services/T0AAA111/XyZsecretPart9/", "/services/***/***/"),
            ("Query/77x", "***"),
            ("services of me, token", "services of me, token"),
        ] {
            assert_eq!(hidden(&told, text), shown);
        }
    }

    #[test]
    fn one_within_another_is_hidden_once_and_short_ones_are_shown() {
        let mut told = Told::default();
        ["secret", "a secret key", "key and", "abc"].iter().for_each(|secret| told.add(secret));
        assert_eq!(hidden(&told, "abc: a secret key and more"), "abc: *** more");
        assert_eq!(told.hide(b"\xff secret \xfe".to_vec()), b"\xff *** \xfe");
    }
}
