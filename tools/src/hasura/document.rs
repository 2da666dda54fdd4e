//! A document whose entries keep their order, as YAML in the form of Hasura's own files, and as JSON.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Document {
    Text(String),
    Number(u64),
    Bool(bool),
    List(Vec<Document>),
    Map(Vec<(&'static str, Document)>),
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Document {
    /// As YAML, block by block; ends with a line break.
    pub(super) fn yaml(&self) -> String {
        let mut out = String::new();
        self.block(&mut out, 0);
        out
    }

    /// Writes lists and maps, each line of them indented by so much.
    fn block(&self, out: &mut String, indent: usize) {
        let lead = " ".repeat(indent);
        match self {
            Self::Map(entries) => {
                for (key, value) in entries {
                    let _ = write!(out, "{lead}{key}:");
                    value.beside(out, indent + 2);
                }
            }
            Self::List(items) => {
                for item in items {
                    let mut text = String::new();
                    item.block(&mut text, indent + 2);
                    // The first line of the item stands behind the dash.
                    let _ = write!(out, "{lead}- {}", text.trim_start_matches(' '));
                }
            }
            scalar => {
                let _ = writeln!(out, "{lead}{}", scalar.scalar());
            }
        }
    }

    /// Writes what follows a key.
    fn beside(&self, out: &mut String, indent: usize) {
        match self {
            Self::List(items) if items.is_empty() => out.push_str(" []\n"),
            Self::Map(_) | Self::List(_) => {
                out.push('\n');
                self.block(out, indent);
            }
            scalar => {
                let _ = writeln!(out, " {}", scalar.scalar());
            }
        }
    }

    fn scalar(&self) -> String {
        match self {
            Self::Text(text) => scalar(text),
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::List(_) | Self::Map(_) => String::new(),
        }
    }
}

/// A text as every version of YAML reads it.
pub(crate) fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    // A text of JSON is one of YAML, too, but for what YAML does not print.
    let quoted = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for letter in quoted.chars() {
        match letter {
            '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{7f}'..='\u{9f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}

/// Whether every version of YAML reads it as this text, without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte))
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_yaml_reads_back() {
        let texts = [
            "a",
            "*",
            "no",
            "Y",
            "007",
            "1e3",
            "x: y",
            "a:",
            "#",
            "",
            " a",
            "ä",
            "say \"hi\"\n",
            "http://h:1/hasura",
            "\u{1b}\u{7f}\u{85}\u{2028}\u{feff}",
        ];
        let document = Document::Map(vec![
            ("texts", Document::List(texts.map(Document::from).to_vec())),
            (
                "maps",
                Document::List(vec![Document::Map(vec![("a", Document::Number(1)), ("b", Document::Bool(true))])]),
            ),
            ("within", Document::Map(vec![("list", Document::List(vec![Document::List(vec!["deep".into()])]))])),
        ]);
        let yaml = document.yaml();
        let read = catalog::json_of_yaml(&yaml).unwrap_or_else(|error| panic!("{error}:\n{yaml}"));
        assert_eq!(read, serde_json::to_value(&document).expect("JSON"), "{yaml}");
        assert!(yaml.contains("\n  - http://h:1/hasura\n") && yaml.contains("\n  - a: 1\n    b: true\n"), "{yaml}");
    }
}
