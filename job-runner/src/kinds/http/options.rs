//! What a job of the kind `http` may say.

use std::{collections::BTreeSet, path::PathBuf};

use hyper::{
    Method,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};

use super::{fill::FILLED, guard::Guard, url};
use crate::kinds::{is_template, map, text};

const KNOWN: [&str; 9] = ["url", "method", "headers", "body", "format", "auth", "sign", "tls", "allowPrivate"];
/// The options that are the same for every event.
const WRITTEN: [&str; 6] = ["method", "format", "auth", "sign", "tls", "allowPrivate"];

/// Headers that the connection needs for itself.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];
/// What the headers begin with that are Herald's to say.
const OURS: [&str; 2] = ["x-herald-", "webhook-"];
/// The header of the run's id.
pub(super) const KEY: &str = "idempotency-key";
/// The longest value of a header.
const MAX_HEADER: usize = 16 * 1024;

/// The name of a secret of the configuration.
pub(super) type SecretName = String;

/// What is to be called, and how.
#[derive(Debug, PartialEq)]
pub(super) struct Options {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: Vec<(HeaderName, Text)>,
    /// Without one, the event in its format; for methods that have none, nothing.
    pub(super) body: Option<Value>,
    pub(super) format: Format,
    pub(super) auth: Option<Auth>,
    /// The keys of the signature, each of which signs.
    pub(super) sign: Vec<SecretName>,
    pub(super) profile: Profile,
}

/// Where it goes.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// To a URL whose host is the catalog's.
    Written(String),
    /// To a URL whose host is the row's.
    Filled(String),
    /// To a URL that is a secret: the operator's.
    Secret(SecretName),
}

/// The value of a header.
#[derive(Debug, PartialEq)]
pub(super) enum Text {
    Plain(String),
    Secret { name: SecretName, prefix: String },
}

/// How the event is written, where no `body` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Structured,
    Data,
}

/// Who we are to the target.
#[derive(Debug, PartialEq)]
pub(super) enum Auth {
    Bearer(SecretName),
    Basic { user: String, password: SecretName },
}

/// What a connection depends on: jobs with the same share connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Profile {
    /// The authorities that are trusted, in place of the system's.
    pub(super) ca: Option<PathBuf>,
    /// Our certificate, and the secret that is its key.
    pub(super) identity: Option<(PathBuf, SecretName)>,
    /// What addresses may be connected to, where the host is not written.
    pub(super) guard: Option<Guard>,
}

impl Options {
    /// Reads options as they are written, or filled in for an event.
    pub(super) fn of(options: &Value) -> Result<Self, String> {
        let url = match options {
            Value::String(_) => options,
            Value::Object(options) => options.get("url").unwrap_or(&Value::Null),
            _ => return Err("`http` is a URL, or a map with a `url`".to_owned()),
        };
        let empty = Map::new();
        let options = if options.is_object() { map("http", options, &KNOWN)?.unwrap_or(&empty) } else { &empty };
        let get = |key: &str| options.get(key).filter(|value| !value.is_null());
        for key in WRITTEN {
            if get(key).is_some_and(has_holes) {
                return Err(format!("`{key}` is the same for every event, and cannot be filled in"));
            }
        }
        let (target, is_host_written) = target(url)?;
        let read = Self {
            method: get("method").map_or(Ok(Method::POST), method)?,
            target,
            headers: get("headers").map_or(Ok(Vec::new()), headers)?,
            body: get("body").cloned(),
            format: get("format").map_or(Ok(Format::Structured), format)?,
            auth: get("auth").map(auth).transpose()?,
            sign: get("sign").map_or(Ok(Vec::new()), sign)?,
            profile: profile(get("tls"), get("allowPrivate"), is_host_written)?,
        };
        read.check(get("format").is_some(), is_host_written)?;
        Ok(read)
    }

    /// What single options do not show.
    fn check(&self, has_format: bool, is_host_written: bool) -> Result<(), String> {
        if has_format && self.body.is_some() {
            return Err(
                "`format` says how the event is sent, and `body` what is sent in its place; give one".to_owned()
            );
        }
        if self.auth.is_some() && self.headers.iter().any(|(name, _)| name == header::AUTHORIZATION) {
            return Err("`auth` makes the header `authorization`, which `headers` has, too".to_owned());
        }
        let Profile { ca, identity, .. } = &self.profile;
        if let Target::Written(url) = &self.target
            && (ca.is_some() || identity.is_some())
            && url.to_ascii_lowercase().starts_with("http://")
        {
            return Err("`tls` is for https://, and the URL begins with http://".to_owned());
        }
        let secret_header = self.headers.iter().find(|(_, value)| matches!(value, Text::Secret { .. }));
        let secret = match (&self.auth, secret_header) {
            (Some(_), _) => Some("auth".to_owned()),
            (None, Some((name, _))) => Some(format!("headers.{name}")),
            (None, None) => None,
        };
        match secret.filter(|_| !is_host_written) {
            Some(option) => Err(format!(
                "`{option}` is a secret, and the host is filled in for each event, so that a row would choose who is told; \
                 write the host, or use `sign`, which tells nobody the key"
            )),
            None => Ok(()),
        }
    }

    /// The names of all secrets.
    pub(super) fn secrets(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<&str> = self.sign.iter().map(String::as_str).collect();
        names.extend(self.headers.iter().filter_map(|(_, value)| match value {
            Text::Secret { name, .. } => Some(name.as_str()),
            Text::Plain(_) => None,
        }));
        names.extend(match &self.target {
            Target::Secret(name) => Some(name.as_str()),
            Target::Written(_) | Target::Filled(_) => None,
        });
        names.extend(self.auth.as_ref().map(|auth| match auth {
            Auth::Bearer(name) | Auth::Basic { password: name, .. } => name.as_str(),
        }));
        names.extend(self.profile.identity.as_ref().map(|(_, key)| key.as_str()));
        names
    }
}

fn has_holes(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_holes),
        Value::Object(map) => map.values().any(has_holes),
        _ => false,
    }
}

fn target(url: &Value) -> Result<(Target, bool), String> {
    match url {
        Value::String(text) => {
            let is_written = url::check(text).map_err(|error| format!("`url`: {error}"))?;
            let target = if is_written { Target::Written } else { Target::Filled };
            Ok((target(text.clone()), is_written))
        }
        Value::Object(map) if map.len() == 1 && map.get(FILLED).is_some_and(Value::is_string) => {
            let text = map[FILLED].as_str().unwrap_or_default();
            Ok((Target::Filled(text.to_owned()), false))
        }
        Value::Object(_) => Ok((Target::Secret(secret("url", url)?), true)),
        Value::Null => Err("`http` has no `url`".to_owned()),
        other => Err(format!("`url` is {other}; it is a text, https://…")),
    }
}

/// A reference to a secret.
fn secret(option: &str, value: &Value) -> Result<SecretName, String> {
    match value.as_object() {
        Some(map) if map.len() == 1 && map.contains_key("secret") => secret_name(option, &map["secret"]),
        _ => Err(format!("`{option}` is a secret of the configuration, by its name: {{ secret: billing-key }}")),
    }
}

fn secret_name(option: &str, name: &Value) -> Result<SecretName, String> {
    let is_fine = |name: &&str| {
        !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let name = name.as_str().filter(is_fine).ok_or_else(|| {
        format!("`{option}`: the name of a secret has 1 to 64 letters, digits, `-` and `_`: {{ secret: billing-key }}")
    })?;
    Ok(name.to_owned())
}

fn method(value: &Value) -> Result<Method, String> {
    const METHODS: [Method; 6] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::GET, Method::HEAD];
    let found =
        METHODS.iter().find(|method| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(method.as_str())));
    found.cloned().ok_or_else(|| format!("`method` is {value}; it is one of POST, PUT, PATCH, DELETE, GET and HEAD"))
}

fn format(value: &Value) -> Result<Format, String> {
    match value.as_str() {
        Some("structured") => Ok(Format::Structured),
        Some("data") => Ok(Format::Data),
        _ => Err(format!("`format` is {value}; it is `structured` (a CloudEvent) or `data` (the event's data alone)")),
    }
}

fn headers(value: &Value) -> Result<Vec<(HeaderName, Text)>, String> {
    let map = value.as_object().ok_or("`headers` is a map from names of headers to texts")?;
    let mut seen = BTreeSet::new();
    let header = |(name, value): (&String, &Value)| {
        let lower = name.to_ascii_lowercase();
        let wrong = || format!("`{name}` is no name of a header");
        let known = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| wrong())?;
        if lower == KEY {
            return Err(format!(
                "the header `{name}` is the run's id, the same in every attempt, by which a target knows them again; give another \
                 key in a header of another name, or in the `body`"
            ));
        }
        if OF_THE_CONNECTION.contains(&known) || OURS.iter().any(|ours| lower.starts_with(ours)) {
            return Err(format!("the header `{name}` is set by Herald itself"));
        }
        if !seen.insert(lower) {
            return Err(format!("the header `{name}` is there twice"));
        }
        Ok((known, header_value(name, value)?))
    };
    map.iter().map(header).collect()
}

fn header_value(name: &str, value: &Value) -> Result<Text, String> {
    if let Some(text) = text(value) {
        check_value(name, &text)?;
        return Ok(Text::Plain(text));
    }
    let map = value.as_object().filter(|map| map.keys().all(|key| key == "secret" || key == "prefix"));
    let map = map.filter(|map| map.contains_key("secret")).ok_or_else(|| {
        format!("the header `{name}` is a text, or a secret: {{ secret: billing-key }}, also with a `prefix`")
    })?;
    let prefix = map.get("prefix").map_or(Some(String::new()), text);
    let prefix = prefix.filter(|prefix| !is_template(prefix) && check_value(name, prefix).is_ok());
    let prefix =
        prefix.ok_or_else(|| format!("the `prefix` of the header `{name}` is a text that is not filled in"))?;
    Ok(Text::Secret { name: secret_name(&format!("headers.{name}"), &map["secret"])?, prefix })
}

/// That a text may be sent as a header: one that a row fills in could bring a line break, and with it another header.
pub(super) fn check_value(name: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_HEADER {
        return Err(format!("the header `{name}` has {} bytes, and can have {MAX_HEADER}", text.len()));
    }
    HeaderValue::from_bytes(text.as_bytes()).map(|_| ()).map_err(|_| {
        format!("the header `{name}` has a line break or another control character, which no header can have")
    })
}

fn auth(value: &Value) -> Result<Auth, String> {
    let map = value.as_object().filter(|map| map.len() == 1);
    let map = map.ok_or("`auth` is `bearer: { secret: … }` or `basic: { user: …, password: { secret: … } }`")?;
    match map.iter().next().map(|(scheme, value)| (scheme.as_str(), value)) {
        Some(("bearer", value)) => Ok(Auth::Bearer(secret("auth.bearer", value)?)),
        Some(("basic", Value::Object(basic))) if basic.keys().all(|key| key == "user" || key == "password") => {
            let user = basic.get("user").and_then(text).filter(|user| !user.contains(':'));
            let user = user.ok_or("`auth.basic.user` is a text without a colon")?;
            let password = secret("auth.basic.password", basic.get("password").unwrap_or(&Value::Null))?;
            Ok(Auth::Basic { user, password })
        }
        Some(("basic", _)) => Err("`auth.basic` is { user: …, password: { secret: … } }".to_owned()),
        other => {
            Err(format!("`auth` has no `{}`; it has `bearer` and `basic`", other.map_or("", |(scheme, _)| scheme)))
        }
    }
}

fn sign(value: &Value) -> Result<Vec<SecretName>, String> {
    match value {
        Value::Array(keys) if keys.is_empty() => Err("`sign` has no key".to_owned()),
        Value::Array(keys) => keys.iter().map(|key| secret("sign", key)).collect(),
        one => Ok(vec![secret("sign", one)?]),
    }
}

fn profile(tls: Option<&Value>, allowed: Option<&Value>, is_host_written: bool) -> Result<Profile, String> {
    if allowed.is_some() && is_host_written {
        return Err("`allowPrivate` is for hosts that are filled in; this one is written, and may be any".to_owned());
    }
    let none = Value::Array(Vec::new());
    let guard = if is_host_written { None } else { Some(Guard::of(allowed.unwrap_or(&none))?) };
    let mut out = Profile { guard, ..Profile::default() };
    let Some(tls) = tls else { return Ok(out) };
    let map = map("tls", tls, &["ca", "cert", "key"])?.ok_or("`tls` is a map of ca, cert, key")?;
    let path = |key: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(path)) if !path.is_empty() => Ok(Some(PathBuf::from(path))),
        Some(other) => Err(format!("`tls.{key}` is {other}; it is the path of a PEM file")),
    };
    out.ca = path("ca")?;
    out.identity = match (path("cert")?, map.get("key")) {
        (Some(cert), Some(key)) if is_host_written => Some((cert, secret("tls.key", key)?)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err("`tls.cert` is for a host that is written".to_owned()),
        _ => return Err("`tls.cert` is our certificate and `tls.key` its key: both are needed".to_owned()),
    };
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_read() {
        let short = Options::of(&json!("https://b.example/hook")).expect("options");
        assert_eq!((short.method, short.format), (Method::POST, Format::Structured));
        assert_eq!(short.profile, Profile::default());
        let all = json!({
            "url": "https://b.example/o/${data.id}",
            "method": "put",
            "headers": { "X-A": "${data.a}", "x-key": { "secret": "billing-key", "prefix": "Key " }, "x-n": 5 },
            "body": { "id": "${data.id}" },
            "auth": { "basic": { "user": "herald", "password": { "secret": "password" } } },
            "sign": [{ "secret": "new" }, { "secret": "old" }],
            "tls": { "ca": "ca.pem", "cert": "us.pem", "key": { "secret": "key" } },
        });
        let all = Options::of(&all).expect("options");
        assert_eq!(all.method, Method::PUT);
        assert_eq!(all.secrets().into_iter().collect::<Vec<_>>(), ["billing-key", "key", "new", "old", "password"]);
        assert_eq!(all.headers[1].1, Text::Secret { name: "billing-key".into(), prefix: "Key ".into() });
        let whole = Options::of(&json!({ "url": { "secret": "slack-url" } })).expect("options");
        assert_eq!((whole.target, whole.profile.guard), (Target::Secret("slack-url".into()), None));
        let filled = Options::of(&json!({ "url": "${data.url}", "allowPrivate": ["10.0.0.0/8"] })).expect("options");
        assert!(filled.profile.guard.is_some());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let url = "https://b.example/";
        for (wrong, told) in [
            (json!(5), "is a URL, or a map"),
            (json!({}), "has no `url`"),
            (json!({ "url": 5 }), "`url` is 5"),
            (json!("b.example"), "`url`: it begins with neither"),
            (json!({ "url": url, "verb": "GET" }), "no option `verb`"),
            (json!({ "url": url, "method": "FETCH" }), "`method` is \"FETCH\""),
            (json!({ "url": url, "method": "${data.m}" }), "`method` is the same for every event"),
            (json!({ "url": url, "tls": { "ca": "${data.ca}" } }), "`tls` is the same for every event"),
            (json!({ "url": url, "format": "binary" }), "`structured`"),
            (json!({ "url": url, "format": "data", "body": "x" }), "give one"),
            (json!({ "url": url, "headers": { "a b": "x" } }), "`a b` is no name of a header"),
            (json!({ "url": url, "headers": { "Host": "x" } }), "`Host` is set by Herald"),
            (json!({ "url": url, "headers": { "webhook-id": "x" } }), "`webhook-id` is set by Herald"),
            (json!({ "url": url, "headers": { "Idempotency-Key": "x" } }), "`Idempotency-Key` is the run's id"),
            (json!({ "url": url, "headers": { "x-a": "1", "X-A": "2" } }), "there twice"),
            (json!({ "url": url, "headers": { "x-a": "1\r\nx-b: 2" } }), "line break"),
            (json!({ "url": url, "headers": { "x-a": { "env": "KEY" } } }), "{ secret: billing-key }"),
            (json!({ "url": url, "headers": { "x-a": { "secret": "a b" } } }), "1 to 64 letters"),
            (json!({ "url": url, "headers": "${data.headers}" }), "`headers` is a map"),
            (json!({ "url": url, "auth": { "digest": {} } }), "no `digest`"),
            (json!({ "url": url, "auth": { "bearer": "hunter2" } }), "`auth.bearer` is a secret of the configuration"),
            (json!({ "url": url, "sign": [] }), "`sign` has no key"),
            (json!({ "url": url, "tls": { "cert": "us.pem" } }), "both are needed"),
            (json!({ "url": "http://b.example/", "tls": { "ca": "ca.pem" } }), "begins with http://"),
            (json!({ "url": url, "allowPrivate": ["10.0.0.1"] }), "may be any"),
            (json!({ "url": "${data.url}", "allowPrivate": ["10.0.0.0/40"] }), "10.0.0.0/40"),
            (
                json!({ "url": "${data.url}", "auth": { "bearer": { "secret": "a" } } }),
                "a row would choose who is told",
            ),
            (json!({ "url": "https://${data.h}/", "headers": { "x": { "secret": "a" } } }), "`headers.x` is a secret"),
        ] {
            let error = Options::of(&wrong).expect_err("wrong");
            assert!(error.contains(told), "{wrong}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
