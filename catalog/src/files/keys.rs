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
    "answer",
    "otherwise",
    "jobs",
    "tests",
    "deprecated",
    "personal",
    "emitter",
];
/// Accepted and kept, for features to come.
pub(crate) const RESERVED: &[&str] = &["deprecated", "personal", "emitter"];
/// Of `from`.
pub(crate) const FROM: &[&str] = &["table", "scheduled", "action", "operations", "source", "trigger"];
/// Of which `from` has one.
pub(crate) const FROM_WHAT: &[&str] = &["table", "scheduled", "action"];
/// Of `from` beside a table alone.
pub(crate) const FROM_TABLE: &[&str] = &["operations", "trigger"];
/// Of a table's file.
pub(crate) const TABLE: &[&str] = &["description", "source", "columns"];
/// Of a column of a table.
pub(crate) const COLUMN: &[&str] = &["type", "nullable", "values", "description"];
/// Of a test.
pub(crate) const TEST: &[&str] = &["name", "change", "scheduled", "action", "expect", "answer", "jobs"];
/// Those that a test must have.
pub(crate) const TEST_WANTED: &[&str] = &["name", "expect"];
/// Of which a test has one.
pub(crate) const TEST_WHAT: &[&str] = &["change", "scheduled", "action"];
/// Of a test's change.
pub(crate) const CHANGE: &[&str] = &["op", "old", "new", "session", "table", "trigger", "source", "received"];
/// Of a test's scheduled trigger.
pub(crate) const SCHEDULED: &[&str] =
    &["name", "comment", "payload", "scheduled_time", "id", "created_at", "source", "received"];
/// Of a test's action.
pub(crate) const ACTION: &[&str] = &["name", "input", "session", "request_query", "source", "received"];
/// Of what the caller of an action is told where the condition does not hold.
pub(crate) const OTHERWISE: &[&str] = &["message", "code"];
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
];
/// Of a shared job, where an event lists it.
pub(crate) const USE: &[&str] = &["use", "with"];
/// Of a parameter.
pub(crate) const PARAMETER: &[&str] = &["description", "default"];
/// Of `backoff`.
pub(crate) const BACKOFF: &[&str] = &["initial", "factor", "max"];
