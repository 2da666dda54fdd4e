//! A URL of a job: what is written of it in the catalog, and what is filled in, each value encoded for its place.
//!
//! A host that is written is the catalog's choice. One that is filled in, in part or with the whole URL, is a row's; then the
//! address behind it is looked at before it is connected to ([`super::guard`]).

use catalog::Piece;
use hyper::Uri;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a value keeps in a path and in a query: RFC 3986, *unreserved*.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What no URL has as it is.
const NEVER: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// Where in a URL something stands.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Before `://`.
    Beginning,
    /// In what says which host and port.
    Host,
    /// Behind that: in the path or the query.
    Behind,
}

/// The place of what comes next.
fn place(so_far: &str) -> Place {
    match so_far.split_once("://") {
        None => Place::Beginning,
        Some((_, rest)) if rest.contains(['/', '?']) => Place::Behind,
        Some(_) => Place::Host,
    }
}

/// Checks a URL as it is written, and tells whether its host is.
pub(super) fn check(written: &str) -> Result<bool, String> {
    let Some(hole) = written.find("${") else {
        if written.contains('#') {
            return Err("it has a `#`; what is behind that is never sent".to_owned());
        }
        return parse(written).map(|_| true);
    };
    let before = &written[..hole];
    match place(before) {
        Place::Beginning if before.is_empty() => Ok(false),
        Place::Beginning => Err(BEGINNING.to_owned()),
        // Whatever host there will be, it is to be one.
        Place::Host => parse(&format!("{before}1/")).map(|_| false),
        Place::Behind => parse(before).map(|_| true),
    }
}

const BEGINNING: &str = "it begins with neither https:// nor http://";

/// A URL for one event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) is_host_written: bool,
}

/// Puts the pieces together: a value in the path or the query is percent-encoded, one in the host may name a host and nothing
/// else, and one with which the URL begins is a URL already.
pub(super) fn fill(pieces: &[Piece]) -> Result<Filled, String> {
    let mut out = Filled { text: String::new(), is_host_written: true };
    for Piece { text, is_filled } in pieces {
        if !is_filled {
            out.text.push_str(text);
            continue;
        }
        match place(&out.text) {
            Place::Beginning => {
                out.is_host_written = false;
                out.text.push_str(text);
            }
            Place::Host => {
                out.is_host_written = false;
                let is_of_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
                if let Some(other) = text.chars().find(|letter| !is_of_host(*letter)) {
                    return Err(format!("what is filled in for the host has {other:?}, which no host has"));
                }
                out.text.push_str(text);
            }
            Place::Behind => out.text.extend(utf8_percent_encode(text, VALUE)),
        }
    }
    Ok(out)
}

/// Reads a URL. What is wrong is told without the URL, which may hold a secret.
pub(super) fn parse(text: &str) -> Result<Uri, String> {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if !lower.starts_with("https://") && !lower.starts_with("http://") {
        return Err(BEGINNING.to_owned());
    }
    let start = text.find("://").map_or(0, |at| at + 3);
    let (authority, rest) = text.split_at(text[start..].find(['/', '?', '#']).map_or(text.len(), |at| at + start));
    let host = authority[start..].rsplit_once('@').map_or(&authority[start..], |(_, host)| host);
    if host.len() < authority.len() - start {
        return Err("it has a user before its host; give that by `auth: { basic: … }`".to_owned());
    }
    if !host.is_ascii() {
        return Err("its host is not ASCII; write an international name in its ASCII form, `xn--…`".to_owned());
    }
    let whole = format!("{authority}{}", utf8_percent_encode(rest, NEVER));
    let uri: Uri = whole.parse().map_err(|error: hyper::http::uri::InvalidUri| format!("it is no URL: {error}"))?;
    let name = uri.host().unwrap_or_default();
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if name.is_empty() || !(name.starts_with('[') || name.chars().all(is_of_name)) {
        return Err("it names no host".to_owned());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().len() > name.len() && uri.port_u16().is_none()) {
        return Err("its port is no number from 0 to 65535".to_owned());
    }
    if uri.path().split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("its path has `.` or `..` between two slashes, which names another path".to_owned());
    }
    Ok(uri)
}

/// The host, with its port where one is written: what errors name.
pub(super) fn host(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: &[(&str, bool)]) -> Vec<Piece> {
        pieces.iter().map(|(text, is_filled)| Piece { text: (*text).to_owned(), is_filled: *is_filled }).collect()
    }

    #[test]
    fn a_url_is_checked_as_it_is_written_and_its_host_known_to_be() {
        for (url, is_written) in [
            ("https://billing.example/invoices", true),
            ("HTTPS://billing.example", true),
            ("http://127.0.0.1:8080/${data.id}?x=${data.x}", true),
            ("https://[::1]:8443/?q=${data.q}", true),
            ("https://billing_api/", true),
            ("https://${data.tenant}.example/hook", false),
            ("https://billing.example${data.path}", false),
            ("https://billing.example:${data.port}/", false),
            ("${data.url}", false),
            ("${data.base}/orders/${data.id}", false),
        ] {
            assert_eq!(check(url), Ok(is_written), "{url}");
        }
        for (url, told) in [
            ("billing.example/invoices", "neither https:// nor http://"),
            ("ftp://billing.example/", "neither https:// nor http://"),
            ("${\"https\"}://x/", ""),
            ("htt${data.p}://x/", "neither https:// nor http://"),
            ("https://", "no"),
            ("https:///x", "no"),
            ("https://user:pass@billing.example/", "auth: { basic"),
            ("https://user:${data.password}@billing.example/", ""),
            ("https://billing.example/#part", "`#`"),
            ("https://billing.example:99999/", "port"),
            ("https://bücher.example/", "xn--"),
            ("https://billing.example/a/../b", "`..`"),
        ] {
            match check(url) {
                Err(error) => assert!(error.contains(told), "{url}: {error}"),
                Ok(is_written) => assert!(!is_written && told.is_empty(), "{url}"),
            }
        }
    }

    #[test]
    fn values_are_encoded_for_their_place() {
        let parts = [("https://b.example/o/", false), ("a/b c?d#e%2f..&é", true), ("?q=", false), ("x&y=z", true)];
        let filled = fill(&pieces(&parts)).expect("a URL");
        let told = "https://b.example/o/a%2Fb%20c%3Fd%23e%252f..%26%C3%A9?q=x%26y%3Dz";
        assert_eq!(filled, Filled { text: told.to_owned(), is_host_written: true });
        assert!(parse(&filled.text).is_ok());
        // A value that is a whole URL stays one, and what follows it is encoded by what it is.
        let parts = [("https://b.example/o?x=1", true), ("&id=", false), ("7&8", true)];
        let filled = fill(&pieces(&parts)).expect("a URL");
        assert_eq!((filled.text.as_str(), filled.is_host_written), ("https://b.example/o?x=1&id=7%268", false));
    }

    #[test]
    fn a_value_neither_leaves_the_host_it_is_in_nor_the_path() {
        for value in ["evil.example/", "evil.example?", "evil.example#", "a@evil.example", "evil.example\\", "a b", "é"]
        {
            let error = fill(&pieces(&[("https://", false), (value, true), (".example/x", false)])).expect_err(value);
            assert!(error.contains("which no host has"), "{value}: {error}");
        }
        let of = |value: &str| {
            let filled = fill(&pieces(&[("https://", false), (value, true), (".b.example/x", false)])).expect("pieces");
            assert!(!filled.is_host_written);
            parse(&filled.text).map(|uri| host(&uri))
        };
        assert_eq!(of("a").as_deref(), Ok("a.b.example"));
        // A port would make the rest of the host a part of it.
        assert!(of("evil.example:80").is_err());
        for value in [".", ".."] {
            let filled = fill(&pieces(&[("https://b.example/o/", false), (value, true)])).expect("pieces");
            assert!(parse(&filled.text).expect_err(value).contains("names another path"));
        }
    }

    #[test]
    fn what_no_url_has_is_encoded_and_nothing_of_a_url_that_is_wrong_is_shown() {
        let uri = parse("https://b.example/ä b?q=\"x\"#behind").expect("a URL");
        assert_eq!(uri.to_string(), "https://b.example/%C3%A4%20b?q=%22x%22");
        for wrong in ["hunter2", "https://hunter2:x/", "https://hun ter2/"] {
            assert!(!parse(wrong).expect_err(wrong).contains("hun"), "{wrong}");
        }
    }
}
