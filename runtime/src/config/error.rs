//! What is wrong with a configuration, where, and what to do about it.

use std::{fmt::Write as _, path::PathBuf};

use figment::error::{Actual, Kind};

/// Why a configuration is refused. The process must not start with it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named cannot be read.
    #[error("the configuration file {} cannot be read: {source}; name another with --config or HERALD_CONFIG", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        source: std::io::Error,
    },
    /// A layer is no TOML.
    #[error("{place}, line {line}, column {column}: {message}")]
    Syntax {
        /// Which layer.
        place: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A variable of the environment is no text, or its name is no key.
    #[error("the environment variable `{name}` {problem}")]
    Environment {
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key that means nothing.
    #[error("`{key}` in {place} is no setting; {hint}")]
    Unknown {
        /// The whole key, with dots.
        key: String,
        /// Where it was set.
        place: String,
        /// What was meant, perhaps.
        hint: String,
    },
    /// A value for what is a group of settings.
    #[error("`{key}` in {place} is a group of settings and has no value of its own; set one of them, as in {example}")]
    Group {
        /// The whole key, with dots.
        key: String,
        /// Where it was set.
        place: String,
        /// A variable that sets one of them.
        example: String,
    },
    /// Several settings cannot be used.
    #[error("{} settings cannot be used:{}", .0.len(), .0.iter().map(|error| format!("\n  - {error}")).collect::<String>())]
    Several(Vec<ConfigError>),
    /// A key that must be set and is not.
    #[error("`{0}` is not set; set it in the configuration file, or as {env}", env = super::layer::variable(.0))]
    Missing(String),
    /// A value that its key cannot have.
    #[error("`{key}` in {place}: {problem}")]
    Value {
        /// The whole key, with dots.
        key: String,
        /// Where it was set.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Whether one of a few words is wanted, and the value is no word at all: then serde does not say which words.
pub(super) fn wants_a_word(error: &figment::Error) -> bool {
    matches!(&error.kind, Kind::InvalidType(_, expected) if expected.to_string().starts_with("enum"))
}

/// Whether a text is wanted, and the value is none.
pub(super) fn wants_a_text(error: &figment::Error) -> bool {
    matches!(&error.kind, Kind::InvalidType(_, expected) if matches!(expected.to_string().as_str(), "a string" | "path string"))
}

/// The whole key that means nothing, if that is what is wrong.
pub(super) fn unknown_key(error: &figment::Error) -> Option<Vec<String>> {
    let Kind::UnknownField(name, _) = &error.kind else { return None };
    let parents = error.path.strip_suffix(std::slice::from_ref(name)).unwrap_or(&error.path);
    Some([parents, std::slice::from_ref(name)].concat())
}

impl ConfigError {
    /// These errors as one; none if there is none.
    pub(super) fn of(mut errors: Vec<Self>) -> Option<Self> {
        if errors.len() > 1 { Some(Self::Several(errors)) } else { errors.pop() }
    }
}

/// Translates the first thing that is wrong. `place_of` tells which layer a key was set in.
pub(super) fn translate(error: figment::Error, place_of: impl Fn(&[String]) -> Option<String>) -> ConfigError {
    let place = |key: &[String]| {
        place_of(key).or_else(|| place_of(&error.path)).unwrap_or_else(|| "the configuration".to_owned())
    };
    match &error.kind {
        Kind::UnknownField(name, known) => {
            // Here, and only here, the path ends with the field itself.
            let parents = error.path.strip_suffix(std::slice::from_ref(name)).unwrap_or(&error.path);
            let key = [parents, std::slice::from_ref(name)].concat();
            ConfigError::Unknown { place: place(&key), hint: hint(parents, name, known), key: key.join(".") }
        }
        Kind::MissingField(name) => {
            let parents = error.path.iter().map(String::as_str);
            ConfigError::Missing(parents.chain([name.as_ref()]).collect::<Vec<_>>().join("."))
        }
        kind => ConfigError::Value {
            place: place(&error.path),
            problem: problem(kind, is_sensitive(&error.path)),
            key: error.path.join("."),
        },
    }
}

/// Whether a key could hold a secret, so that its value must not be repeated.
fn is_sensitive(path: &[String]) -> bool {
    let words = ["secret", "auth", "token", "password", "credential", "url", "header"];
    path.iter().any(|part| words.iter().any(|word| part.to_ascii_lowercase().contains(word)))
}

fn problem(kind: &Kind, sensitive: bool) -> String {
    match kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("it is {}, not {}", actual(found, sensitive), wanted(&expected.to_string()))
        }
        Kind::UnknownVariant(found, known) => {
            let known = list(known);
            if sensitive { format!("it must be {known}") } else { format!("it is `{found}`, not {known}") }
        }
        // The texts of our own types, which never repeat a secret.
        other => other.to_string(),
    }
}

fn actual(found: &Actual, sensitive: bool) -> String {
    match found {
        Actual::Str(_) | Actual::Char(_) if sensitive => "a text".to_owned(),
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) if sensitive => "a number".to_owned(),
        Actual::Str(text) => format!("`{text}`"),
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(number) => format!("`{number}`"),
        Actual::Signed(number) => format!("`{number}`"),
        Actual::Float(number) => format!("`{number}`"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// What serde calls by the names of Rust's types, as a person writes it.
fn wanted(expected: &str) -> String {
    let to = |most: u64| format!("a whole number from 0 to {most}");
    match expected {
        "u8" => to(u8::MAX.into()),
        "u16" => to(u16::MAX.into()),
        "u32" => to(u32::MAX.into()),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "path string" => "a text".to_owned(),
        "a sequence" => "a list, as in [\"a\", \"b\"]".to_owned(),
        "a map" => "a table of names and values".to_owned(),
        other if other.starts_with("struct ") => "a table of settings".to_owned(),
        other => other.to_owned(),
    }
}

fn hint(path: &[String], name: &str, known: &[&str]) -> String {
    let whole = |name: &str| path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
    let closest = known.iter().map(|known| (strsim::osa_distance(name, known), *known)).min();
    match closest {
        Some((distance, known)) if distance <= 2.max(name.len() / 3) => format!("did you mean `{}`?", whole(known)),
        Some(_) => format!("possible here: {}", list(known)),
        None => "nothing can be set here".to_owned(),
    }
}

fn list(known: &[&str]) -> String {
    let mut out = String::new();
    for (index, name) in known.iter().enumerate() {
        let before = match index {
            0 => "",
            _ if index + 1 == known.len() => " or ",
            _ => ", ",
        };
        let _ = write!(out, "{before}`{name}`");
    }
    out
}
