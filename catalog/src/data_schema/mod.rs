//! The JSON Schema of an event's data, compiled: what the data are held against before anybody gets them, and the sample and the
//! tests when the file is read.
//!
//! It takes what stands in the event's file and nothing else: no `$ref` leads out of it, nothing is fetched. Patterns are matched
//! in linear time, and of data that are refused the detector asks for the first reason alone, for rows are a stranger's.

mod broken;
mod extent;
mod violation;

use std::sync::Arc;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

pub(crate) use broken::Broken;
pub use violation::Violation;

/// How many violations are told of a sample or a test.
const TOLD: usize = 5;
/// How deep data may nest of which it is said where a schema that contains itself refuses them: for each level every form that does
/// not fit is looked at anew, so that the work doubles.
const EXPLAINED: usize = 8;

/// The schema of one version of one event.
#[derive(Debug, Clone)]
pub struct DataSchema {
    document: Value,
    /// None of the name of a type, and of a schema that cannot be used.
    validator: Option<Arc<Validator>>,
    /// Whether a part of it contains itself.
    is_recursive: bool,
}

impl DataSchema {
    /// Compiles a schema, by the draft that its `$schema` names, else by 2020-12.
    ///
    /// # Errors
    /// It is no schema, or more than an event's file may have.
    pub(crate) fn compile(document: Value) -> Result<Self, Broken> {
        if document.is_string() {
            return Ok(Self::unusable(document));
        }
        let is_recursive = extent::is_recursive(&document)?;
        let built = jsonschema::options()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .with_retriever(Nowhere)
            .build(&document)
            .map_err(|error| Broken::new(&error, &document))?;
        Ok(Self { document, validator: Some(Arc::new(built)), is_recursive })
    }

    /// What cannot be used, kept as it is written: nothing is held against it.
    pub(crate) fn unusable(document: Value) -> Self {
        Self { document, validator: None, is_recursive: false }
    }

    /// As the file has it: a JSON Schema, or the name of a type.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Holds data against it.
    ///
    /// # Errors
    /// The first thing that it does not allow.
    pub fn validate(&self, data: &Value) -> Result<(), Violation> {
        let Some(validator) = self.validator.as_ref().filter(|validator| !validator.is_valid(data)) else {
            return Ok(());
        };
        let first = if self.is_explained(data) { validator.validate(data).err() } else { None };
        Err(first.map_or_else(Violation::unknown, |error| Violation::of(&error, data)))
    }

    /// Whether it can be said in a bounded time where it refuses data.
    fn is_explained(&self, data: &Value) -> bool {
        !self.is_recursive || extent::is_shallow(data, EXPLAINED)
    }

    /// The first things that it does not allow of what an author wrote.
    pub(crate) fn violations(&self, data: &Value) -> Vec<Violation> {
        if !self.is_explained(data) {
            return self.validate(data).err().into_iter().collect();
        }
        let errors = self.validator.iter().flat_map(|validator| validator.iter_errors(data));
        errors.take(TOLD).map(|error| Violation::of(&error, data)).collect()
    }
}

/// Where other schemas come from: from nowhere.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("{uri} is not in this file").into())
    }
}
