//! Secrets: never printed, compared in constant time, several at once so that they can be rotated.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What is shown instead of a secret.
const REDACTED: &str = "***";

/// A secret, which never shows itself. Written as it is, `{ env = "NAME" }`, or `{ file = "path" }`.
///
/// White space around it, and a byte order mark before it, are no part of it: no header could carry them.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// A secret of that text; none if it is empty or white space.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        (!text.is_empty()).then(|| Self(SecretString::from(text)))
    }

    /// The text itself, for whoever must send it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Compares hashes, so that the time taken does not tell the length either.
    fn equals(&self, candidate: &[u8]) -> Choice {
        Sha256::digest(self.expose()).ct_eq(&Sha256::digest(candidate))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Where a secret is to be read from: `{ env = "NAME" }` or `{ file = "path" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "Reference")]
pub enum SecretPlace {
    /// A variable of the process's environment.
    Env(String),
    /// A file.
    File(PathBuf),
}

/// A place as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    env: Option<String>,
    file: Option<PathBuf>,
}

impl TryFrom<Reference> for SecretPlace {
    type Error = &'static str;

    fn try_from(Reference { env, file }: Reference) -> Result<Self, Self::Error> {
        match (env, file) {
            (Some(name), None) => Ok(Self::Env(name)),
            (None, Some(path)) => Ok(Self::File(path)),
            _ => Err("a secret is read either from `env` or from `file`"),
        }
    }
}

impl SecretPlace {
    /// Reads the secret that is there now.
    ///
    /// # Errors
    /// There is none, in a sentence that names the place.
    pub fn read(&self) -> Result<Secret, String> {
        let should = "which should hold a secret,";
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| format!("{self}, {should} is not set"))?,
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{self}, {should} cannot be read: {error}"))?
            }
        };
        Secret::new(&text).ok_or_else(|| format!("{self}, {should} is empty"))
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display()),
        }
    }
}

struct SecretVisitor;

impl<'de> de::Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret, { env = \"NAME\" } or { file = \"path\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Secret::new(text).ok_or_else(|| E::custom("a secret cannot be empty"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Secret, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Secret, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Secret, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
        SecretPlace::deserialize(MapAccessDeserializer::new(map))?.read().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Several secrets, each of which is accepted: the old and the new one while they are rotated. Written as one secret or as
/// a list of them; never empty.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// These secrets; none if there is none.
    pub fn new(secrets: Vec<Secret>) -> Option<Self> {
        (!secrets.is_empty()).then_some(Self(secrets))
    }

    /// The one to send: the first.
    pub fn first(&self) -> &Secret {
        &self.0[0]
    }

    /// Whether the candidate is one of them. Each is compared whole, whatever the others say, so that the time taken tells
    /// nothing of them.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.iter().fold(Choice::from(0), |found, secret| found | secret.equals(candidate)).into()
    }
}

/// Who may use a listener.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Nothing was said: everybody on this machine, and no listening beyond it.
    #[default]
    Unset,
    /// Everybody, because the configuration says `"none"`.
    None,
    /// Whoever knows one of these.
    Secrets(Secrets),
}

impl Auth {
    /// The secrets, where some are wanted.
    pub fn secrets(&self) -> Option<&Secrets> {
        match self {
            Self::Secrets(secrets) => Some(secrets),
            Self::Unset | Self::None => None,
        }
    }
}

impl Serialize for Auth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unset => serializer.serialize_none(),
            Self::None => serializer.serialize_str("none"),
            Self::Secrets(secrets) => secrets.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AuthVisitor)
    }
}

/// Only the word itself means "none": not a variable or a file that happens to hold it.
struct AuthVisitor;

impl<'de> de::Visitor<'de> for AuthVisitor {
    type Value = Auth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\", or ")?;
        SecretsVisitor.expecting(f)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Auth, E> {
        if text == "none" { Ok(Auth::None) } else { SecretsVisitor.visit_str(text).map(Auth::Secrets) }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Auth, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Auth, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Auth, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Auth, A::Error> {
        SecretsVisitor.visit_map(map).map(Auth::Secrets)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<Auth, A::Error> {
        SecretsVisitor.visit_seq(items).map(Auth::Secrets)
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretsVisitor)
    }
}

struct SecretsVisitor;

impl<'de> de::Visitor<'de> for SecretsVisitor {
    type Value = Secrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret, a list of secrets, { env = \"NAME\" } or { file = \"path\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secrets, E> {
        SecretVisitor.visit_str(text).map(|secret| Secrets(vec![secret]))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Secrets, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Secrets, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Secrets, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Secrets, A::Error> {
        SecretVisitor.visit_map(map).map(|secret| Secrets(vec![secret]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<Secrets, A::Error> {
        let secrets = Vec::deserialize(SeqAccessDeserializer::new(items))?;
        Secrets::new(secrets)
            .ok_or_else(|| de::Error::custom("a list of secrets cannot be empty; write \"none\" if all may come in"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_never_shows_itself() {
        let secrets: Secrets = read(r#"["hush", "shh"]"#).expect("secrets");
        let shown = format!("{secrets:?} {:?} {} {}", secrets.first(), secrets.first(), serde_json::json!(secrets));
        assert!(!shown.contains("hush") && !shown.contains("shh"), "{shown}");
        assert_eq!(serde_json::json!(Auth::Secrets(secrets)).to_string(), r#"["***","***"]"#);
    }

    #[test]
    fn each_of_several_secrets_is_accepted_and_nothing_else() {
        let secrets: Secrets = read(r#"["old", "new"]"#).expect("secrets");
        assert!(secrets.matches(b"old") && secrets.matches(b"new"));
        for wrong in ["", "ol", "older", "OLD", "newold"] {
            assert!(!secrets.matches(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_read_from_a_file_or_the_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for text in ["from-file\n", "\u{feff}from-file\r\n"] {
            std::fs::write(&path, text).expect("written");
            let secrets: Secrets = read(&serde_json::json!({ "file": path }).to_string()).expect("secrets");
            assert!(secrets.matches(b"from-file"), "{text:?}");
        }
        let secret: Secret = read(r#"{ "env": "PATH" }"#).expect("a secret");
        assert_eq!(Some(secret.expose().to_owned()), std::env::var("PATH").ok());
        std::fs::write(&path, " \n").expect("written");
        for (wrong, part) in [
            (serde_json::json!({ "file": path }), "is empty"),
            (serde_json::json!({ "file": folder.path().join("none") }), "cannot be read"),
            (serde_json::json!({ "env": "HERALD_NOT_SET_ANYWHERE" }), "`HERALD_NOT_SET_ANYWHERE`"),
            (serde_json::json!({}), "either from `env` or from `file`"),
            (serde_json::json!(""), "cannot be empty"),
            (serde_json::json!([]), "cannot be empty"),
        ] {
            let error = read::<Secrets>(&wrong.to_string()).expect_err("no secret");
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }

    #[test]
    fn none_is_spelt_out() {
        assert!(matches!(read::<Auth>(r#""none""#), Ok(Auth::None)));
        assert!(matches!(read::<Auth>(r#"["a", "none"]"#), Ok(Auth::Secrets(_))));
        assert!(Auth::default().secrets().is_none());
    }
}
