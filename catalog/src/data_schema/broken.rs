//! A schema that cannot be used: where in it, why, and what to write.

use expressions::closest;
use jsonschema::{ReferencingError, ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::violation::Violation;

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// What is wrong with a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Where in it, as a JSON Pointer.
    pub(crate) pointer: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead, where that is known.
    pub(crate) help: Option<String>,
}

impl Broken {
    pub(super) fn new(error: &ValidationError<'_>, document: &Value) -> Self {
        let pointer = match error.instance_path().to_string() {
            whole if whole.is_empty() => error.schema_path().to_string(),
            pointer => pointer,
        };
        match error.kind() {
            Kind::Referencing(error) => Self::reference(error, document),
            Kind::Format { format } if format == "regex" => Self::pattern(pointer),
            Kind::AnyOf { .. } if pointer.ends_with("/type") => Self::no_type(pointer, document),
            kind => {
                let help = help(kind, &pointer, document.pointer(&pointer));
                let message = format!("this is no JSON Schema: {}", Violation::of(error, document));
                Self { pointer, message, help: help.map(str::to_owned) }
            }
        }
    }

    /// Parts that contain one another so often that nobody could hold data against it.
    pub(super) fn too_large(most: u64) -> Self {
        let message = format!("with each `$ref` written out the schema has more than {most} parts");
        Self { pointer: String::new(), message, help: None }
    }

    fn no_type(pointer: String, document: &Value) -> Self {
        let given = document.pointer(&pointer);
        let help = match given.and_then(Value::as_str).and_then(|given| closest(given, TYPES)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("the types are {}, or a list of them", TYPES.join(", ")),
        };
        let given = given.map(ToString::to_string).unwrap_or_default();
        Self { pointer, message: format!("{given} is no type of JSON Schema"), help: Some(help) }
    }

    fn pattern(pointer: String) -> Self {
        let help = "a pattern is a regular expression without look-around and without back-references, so that it takes linear time";
        Self { pointer, message: "the pattern cannot be used".to_owned(), help: Some(help.to_owned()) }
    }

    fn reference(error: &ReferencingError, document: &Value) -> Self {
        let leads = |reference: &str| match error {
            ReferencingError::Unretrievable { uri, .. } => {
                !reference.starts_with('#') && uri.contains(reference.split('#').next().unwrap_or_default())
            }
            ReferencingError::PointerToNowhere { pointer } => reference.ends_with(pointer.as_str()),
            ReferencingError::NoSuchAnchor { anchor } => reference.ends_with(anchor.as_str()),
            _ => true,
        };
        let found = references(document).into_iter().find(|(_, reference)| leads(reference));
        let (pointer, reference) = found.unwrap_or_default();
        let (message, help) = match error {
            ReferencingError::Unretrievable { .. } => (
                format!("`{reference}` leads out of this file, and nothing is fetched"),
                "write what it leads to under `$defs`, and `$ref: \"#/$defs/name\"`",
            ),
            ReferencingError::UnknownSpecification { specification } => (
                format!("`{specification}` is no draft of JSON Schema that is known here"),
                "leave `$schema` out: then it is https://json-schema.org/draft/2020-12/schema",
            ),
            _ => (format!("`{reference}` leads to nothing: {error}"), "parts that are shared stand under `$defs`"),
        };
        Self { pointer, message, help: Some(help.to_owned()) }
    }
}

/// All `$ref`s, with where they stand.
fn references(document: &Value) -> Vec<(String, String)> {
    let (mut found, mut left) = (Vec::new(), vec![(String::new(), document)]);
    while let Some((at, value)) = left.pop() {
        match value {
            Value::Object(members) => {
                for (name, inner) in members {
                    let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match inner.as_str() {
                        Some(reference) if name == "$ref" || name == "$dynamicRef" => {
                            found.push((pointer, reference.to_owned()));
                        }
                        _ => left.push((pointer, inner)),
                    }
                }
            }
            Value::Array(items) => {
                left.extend(items.iter().enumerate().map(|(index, inner)| (format!("{at}/{index}"), inner)));
            }
            _ => {}
        }
    }
    found
}

/// What is meant by what is often written.
fn help(kind: &Kind, pointer: &str, value: Option<&Value>) -> Option<&'static str> {
    match (kind, pointer.rsplit('/').next()?, value?) {
        (Kind::Type { .. }, "items", Value::Array(_)) => {
            Some("items that differ by their place stand under `prefixItems`")
        }
        (Kind::Type { .. }, "required", _) => {
            Some("`required` is a list of names, and stands beside `properties`: `required: [orderId]`")
        }
        (Kind::Type { .. }, _, Value::String(text)) if TYPES.contains(&text.as_str()) => {
            Some("a type stands in a schema of its own: `orderId: { type: integer }`")
        }
        _ => None,
    }
}
