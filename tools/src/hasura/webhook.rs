//! A webhook's URL: whether Herald is meant by it, and what Herald would answer.

use contracts::{
    names::{SOURCE, is_source},
    wait,
};

use super::DEFAULT_SOURCE;

/// Where a webhook goes that Herald is meant by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Webhook {
    /// What stands before `/hasura`, however it was written: `http://herald:8080`.
    pub(super) base: String,
    /// The source that its changes have in Herald.
    pub(super) source: String,
    /// The status that Herald refuses all of it with, why, and what to write.
    pub(super) refused: Option<Refused>,
    /// Whether each delivery waits for the outcome.
    pub(super) waits: bool,
    /// Whether it has a user and a password.
    pub(super) has_user: bool,
}

/// What Herald says to each delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) because: String,
    pub(super) advice: String,
}

/// A URL in its parts. What stands in braces is a variable of Hasura's, and may be the beginning of one.
struct Parts<'u> {
    /// Scheme, host and port, in one form for all that mean the same.
    origin: String,
    path: &'u str,
    query: &'u str,
    has_user: bool,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Self {
        // A fragment is never sent.
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        let (url, query) = url.split_once('?').unwrap_or((url, ""));
        let host = url.find("://").map_or(0, |at| at + 3);
        let path = url[host..].find('/').map_or(url.len(), |at| host + at);
        let (user, address) = url[host..path].rsplit_once('@').unwrap_or(("", &url[host..path]));
        let origin = if url[..path].contains("{{") {
            url[..path].to_owned()
        } else {
            let (scheme, address) = (url[..host].to_ascii_lowercase(), address.to_ascii_lowercase());
            let port = if scheme == "https://" { ":443" } else { ":80" };
            format!("{scheme}{}", address.strip_suffix(port).unwrap_or(&address))
        };
        Self { origin, path: &url[path..], query, has_user: !user.is_empty() }
    }
}

impl Webhook {
    /// None, if another is meant: the path does not end in `/hasura` or `/hasura/<source>`, even read generously.
    pub(super) fn of(url: &str) -> Option<Self> {
        let parts = Parts::of(url);
        let path = decoded(parts.path);
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let begin = segments.len().saturating_sub(2);
        let at = begin + segments[begin..].iter().position(|segment| segment.eq_ignore_ascii_case("hasura"))?;
        let source = segments.get(at + 1).copied().unwrap_or(DEFAULT_SOURCE);
        let prefix: String = segments[..at].iter().map(|segment| format!("/{segment}")).collect();
        let right = match segments.get(at + 1) {
            Some(source) => format!("{prefix}/hasura/{source}"),
            None => format!("{prefix}/hasura"),
        };
        Some(Self {
            base: format!("{}{prefix}", parts.origin),
            refused: lost(parts.path, &right, source).or_else(|| unasked(parts.query)),
            source: source.to_owned(),
            waits: parameters(parts.query).any(|(name, _)| name == "wait"),
            has_user: parts.has_user,
        })
    }

    /// The same of a URL that is known to be that of a Herald, which therefore is meant by whatever path.
    pub(super) fn at(url: &str, base: &str) -> Option<Self> {
        let here = Parts::of(base);
        let base = format!("{}{}", here.origin, here.path.trim_end_matches('/'));
        if let Some(webhook) = Self::of(url) {
            return (webhook.base == base).then_some(webhook);
        }
        let parts = Parts::of(url);
        let is_here = parts.origin == here.origin && here.path.trim_end_matches('/').is_empty();
        is_here.then(|| Self {
            base,
            source: DEFAULT_SOURCE.to_owned(),
            refused: lost(parts.path, "/hasura", DEFAULT_SOURCE),
            waits: false,
            has_user: parts.has_user,
        })
    }
}

/// Whether the path is not the right one to the letter.
fn lost(path: &str, right: &str, source: &str) -> Option<Refused> {
    let advice = if is_source(source) {
        format!("let its path be {right}")
    } else {
        format!("let its path be /hasura or /hasura/<source>; a source is {SOURCE}")
    };
    let because = match path {
        "" => "it has no path".to_owned(),
        path => format!("it has no webhook at {path}"),
    };
    (path != right || !is_source(source)).then_some(Refused { status: 404, because, advice })
}

/// Whether the query is one that Herald does not take.
fn unasked(query: &str) -> Option<Refused> {
    let other = parameters(query).find(|(name, _)| name != "wait");
    let mut waits = parameters(query).filter(|(name, _)| name == "wait");
    let because = match (other, waits.next(), waits.next()) {
        (Some((name, _)), _, _) => format!("there is no parameter `{name}`"),
        (None, Some(_), Some(_)) => "`wait` is there more than once".to_owned(),
        (None, Some((_, time)), None) if wait::parse(&time).is_err() => format!("`wait={time}` is no time"),
        _ => return None,
    };
    let advice = "leave the query out of its URL".to_owned();
    Some(Refused { status: 400, because, advice })
}

fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
    })
}

/// `%68` is an h; what is no such thing stays.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|hex| *first == b'%' && hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => (out.push(byte), rest = &after[2..]),
            None => (out.push(*first), rest = after),
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(url: &str) -> (String, u16) {
        let webhook = Webhook::of(url).unwrap_or_else(|| panic!("{url} is none of Herald's"));
        (webhook.source, webhook.refused.map_or(202, |refused| refused.status))
    }

    #[test]
    fn herald_is_strict_about_a_path() {
        let answered = |source: &str, status| (source.to_owned(), status);
        for path in ["/hasura", "/hasura?", "/hasura#there", "/hasura?wait=30s", "/hasura?w%61it=1"] {
            assert_eq!(answer(&format!("http://herald:8080{path}")), answered("default", 202), "{path}");
        }
        assert_eq!(answer("{{HERALD_URL}}/hasura/billing"), answered("billing", 202));
        assert_eq!(answer("http://proxy/herald/hasura/hasura"), answered("hasura", 202));
        for path in ["/hasura/", "/Hasura", "//hasura", "/%68asura", "/hasura//?wait=1s", "/HASURA/?a=b"] {
            assert_eq!(answer(&format!("http://herald:8080{path}")), answered("default", 404), "{path}");
        }
        for path in ["/hasura/x/", "/hasura%2Fx", "//hasura/x", "/hasura//x"] {
            assert_eq!(answer(&format!("http://herald:8080{path}")), answered("x", 404), "{path}");
        }
        assert_eq!(answer("http://herald/hasura/a%20b"), answered("a b", 404));
        for query in ["wiat=1s", "wait=1&wait=2", "wait=soon", "wait"] {
            assert_eq!(answer(&format!("http://herald/hasura?{query}")), answered("default", 400), "{query}");
        }
        for other in ["https://example.com/orders", "http://herald/hasura/a/b", "http://herald/hasuras", "", "{{HOOK}}"]
        {
            assert_eq!(Webhook::of(other), None, "{other}");
        }
    }

    #[test]
    fn one_address_has_several_forms() {
        for url in ["HTTP://Herald:8080/hasura", "http://u:p@herald:8080/hasura#x", "http://herald:8080/hasura?wait=1s"]
        {
            let webhook = Webhook::at(url, "http://herald:8080").unwrap_or_else(|| panic!("{url}"));
            assert_eq!((webhook.refused, webhook.has_user), (None, url.contains('@')), "{url}");
        }
        assert!(Webhook::at("https://herald:443/hasura", "https://herald").is_some());
        assert!(Webhook::at("http://proxy/h/hasura", "http://proxy/h").is_some());
        assert!(Webhook::at("{{HERALD_URL}}/hasura", "{{HERALD_URL}}").is_some());
        for other in ["http://other:8080/hasura", "http://herald/hasura", "https://herald:8080/hasura"] {
            assert_eq!(Webhook::at(other, "http://herald:8080"), None, "{other}");
        }
        // Whatever is sent to Herald is Herald's.
        for lost in ["http://herald:8080", "http://herald:8080/", "http://herald:8080/hasura/a/b"] {
            let webhook = Webhook::at(lost, "http://herald:8080").unwrap_or_else(|| panic!("{lost}"));
            assert_eq!(webhook.refused.map(|refused| refused.status), Some(404), "{lost}");
        }
    }
}
