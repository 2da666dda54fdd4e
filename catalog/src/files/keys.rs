//! The keys that files may have.

/// Of an event's file.
pub(crate) const EVENT: &[&str] = &[
    "description",
    "from",
    "when",
    "data",
    "key",
    "schema",
    "sample",
    "jobs",
    "tests",
    "deprecated",
    "personal",
    "emitter",
];
/// Accepted and kept, for features to come.
pub(crate) const RESERVED: &[&str] = &["deprecated", "personal", "emitter"];
/// Of `from`.
pub(crate) const FROM: &[&str] = &["table", "operations", "source", "trigger"];
/// Of a table's file.
pub(crate) const TABLE: &[&str] = &["description", "source", "columns"];
/// Of a column of a table.
pub(crate) const COLUMN: &[&str] = &["type", "nullable", "values", "description"];
/// Of a test.
pub(crate) const TEST: &[&str] = &["name", "change", "expect", "jobs"];
/// Those that a test must have.
pub(crate) const TEST_WANTED: &[&str] = &["name", "change", "expect"];
/// Of a test's change.
pub(crate) const CHANGE: &[&str] = &["op", "old", "new", "session", "table", "trigger", "source", "received"];
/// Of a JSON Schema, of any draft, with what OpenAPI adds for people.
pub(crate) const SCHEMA: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "discriminator",
    "else",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "id",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
    "xml",
];
/// Of any job, beside the one key that is its kind.
pub(crate) const JOB: &[&str] = &[
    "id",
    "description",
    "parameters",
    "input",
    "timeout",
    "attempts",
    "backoff",
    "giveUpAfter",
    "concurrency",
    "order",
    "finalExitCodes",
    "rate",
    "circuit",
];
/// Of a shared job, where an event lists it.
pub(crate) const USE: &[&str] = &["use", "with"];
/// Of a parameter.
pub(crate) const PARAMETER: &[&str] = &["description", "default"];
/// Of `backoff`.
pub(crate) const BACKOFF: &[&str] = &["initial", "factor", "max"];
/// Of `rate`.
pub(crate) const RATE: &[&str] = &["limit", "by", "burst"];
/// Of `concurrency`, where it is a map.
pub(crate) const CONCURRENCY: &[&str] = &["limit", "by", "total"];
/// Of `circuit`, where it is a map.
pub(crate) const CIRCUIT: &[&str] = &["failures", "pause", "most"];
