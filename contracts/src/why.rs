//! Why events did not happen in a raw record, as the API answers it: made on demand, never while deciding.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    names::EventRef,
    outcomes::{BoxFuture, Unavailable},
    progress::is_none_left,
    raw::Place,
};

/// Why events did not happen in a raw record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The raw record.
    pub raw: Place,
    /// The number of the catalog that was asked.
    pub catalog: u64,
    /// Why no event looked at it at all, or why no reasons can be given, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Events that did happen, with what was made of the change; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detected: Vec<Happened>,
    /// Events that failed; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failing>,
    /// Events of the change's table that did not happen, with the reason: first those that looked at it, then those that are
    /// about another operation or source.
    #[serde(default)]
    pub undetected: Vec<NotDetected>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub undetected_more: u64,
}

/// An event that did happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// Name and version.
    pub event: EventRef,
    /// Where its condition stands, `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The terms of its condition, each with the values that it saw; none if it has no condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Explanation>,
    /// Its key, where it declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its data; none if they are larger than an explanation may be.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub data: Option<serde_json::Value>,
}

/// An event whose condition, data or key failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Name and version.
    pub event: EventRef,
    /// `when`, `data` or `key`.
    pub stage: String,
    /// Where that stands in its file, `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What went wrong.
    pub error: String,
    /// The part of the condition that failed, with the values that it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// An event that did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotDetected {
    /// Name and version.
    pub event: EventRef,
    /// Where its file says so, `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why, in a sentence.
    pub because: String,
    /// The same as a tree, where a condition says more than a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// What a part of a condition was, and because of what: a tree, and by its `Display` a sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The part, as it is written; empty where it is no part of an expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Its value as JSON, shortened; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// In a sentence, what its value and its parts do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What it was made of: of a condition that one of several would have made true, those; of others, the values it saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Explanation>,
    /// Whether one of the parts would have been enough, each of which is a condition.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_of: bool,
    /// A text of the condition that what it saw differs from by no more than a slip, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meant: Option<String>,
}

impl Explanation {
    /// No more than a sentence.
    pub fn only(because: impl Into<String>) -> Self {
        Self { because: Some(because.into()), ..Self::default() }
    }

    fn write_meant(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.meant.iter().try_for_each(|meant| write!(f, "; did you mean {meant}?"))
    }

    /// ` (new.price = 3)`
    fn write_parts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { " (" })?;
            part.write_value(f)?;
        }
        f.write_str(if self.parts.is_empty() { "" } else { ")" })
    }

    /// `new.a = 5`, and what that was made of.
    fn write_value(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.because, &self.value) {
            (Some(because), _) => f.write_str(because)?,
            (None, value) => write!(f, "{} = {}", self.text, value.as_deref().unwrap_or_default())?,
        }
        self.parts.iter().try_for_each(|part| {
            f.write_str(", ")?;
            part.write_value(f)
        })
    }
}

/// The sentence: `new.price > 5 is false (new.price = 3)`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(because) = &self.because {
            f.write_str(because)?;
            self.write_parts(f)?;
            return self.write_meant(f);
        }
        if self.any_of {
            return self.parts.iter().enumerate().try_for_each(|(index, part)| {
                f.write_str(if index > 0 { ", and " } else { "" })?;
                part.fmt(f)
            });
        }
        write!(f, "{} is {}", self.text, self.value.as_deref().unwrap_or_default())?;
        self.write_parts(f)?;
        self.write_meant(f)
    }
}

impl Why {
    /// No more than a sentence.
    pub fn only(raw: Place, catalog: u64, because: impl Into<String>) -> Self {
        Self {
            raw,
            catalog,
            because: Some(because.into()),
            detected: vec![],
            failed: vec![],
            undetected: vec![],
            undetected_more: 0,
        }
    }
}

/// Whoever can read raw records and knows the catalogs that decided.
pub trait Explains: Send + Sync + 'static {
    /// Why events did not happen in a raw record, by the catalog of that number, or by the one that counts now. What is no
    /// longer there is said in [`Why::because`].
    ///
    /// # Errors
    /// The bus cannot be asked now.
    fn why(&self, raw: Place, catalog: Option<u64>) -> BoxFuture<'_, Result<Why, Unavailable>>;
}

/// What is there, null included, which serde would take for nothing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_are_null_are_not_taken_for_missing() {
        let event = "a".parse().expect("a name");
        let one = Happened { event, place: None, terms: Vec::new(), key: None, data: Some(serde_json::Value::Null) };
        for data in [Some(serde_json::Value::Null), None] {
            let one = Happened { data, ..one.clone() };
            let text = serde_json::to_string(&one).expect("JSON");
            assert_eq!(serde_json::from_str::<Happened>(&text).expect("the same"), one, "{text}");
        }
    }
}
