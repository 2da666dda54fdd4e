//! The keys that files may have, and what others call them.

use expressions::closest;

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
    "debounce",
    "finalExitCodes",
    "rate",
    "circuit",
];
/// Of a shared job, where an event lists it.
pub(crate) const USE: &[&str] = &["use", "with"];
/// Of a parameter.
pub(crate) const PARAMETER: &[&str] = &["description", "default"];
/// Of `debounce`.
pub(crate) const DEBOUNCE: &[&str] = &["by", "quiet", "most", "deliver"];
/// Of `backoff`.
pub(crate) const BACKOFF: &[&str] = &["initial", "factor", "max"];
/// Of `rate`.
pub(crate) const RATE: &[&str] = &["limit", "by", "burst"];
/// Of `concurrency`, where it is a map.
pub(crate) const CONCURRENCY: &[&str] = &["limit", "by", "total"];
/// Of `circuit`, where it is a map.
pub(crate) const CIRCUIT: &[&str] = &["failures", "pause", "most"];

/// What others call a key, in small letters alone, and what there is to know about it here.
const OTHERS: &[(&str, &str, &str)] = &[
    ("retries", "attempts", ATTEMPTS),
    ("retry", "attempts", ATTEMPTS),
    ("maxretries", "attempts", ATTEMPTS),
    ("retrycount", "attempts", ATTEMPTS),
    ("maxattempts", "attempts", ""),
    ("tries", "attempts", ""),
    ("retrydelay", "backoff", ""),
    ("delay", "backoff", ""),
    ("deadline", "giveUpAfter", ""),
    ("parallelism", "concurrency", ""),
    ("workers", "concurrency", ""),
    ("name", "id", ""),
    ("cmd", "command", ""),
    ("exec", "command", ""),
    ("run", "command", ""),
    ("script", "command", ""),
    ("shell", "command", ""),
    ("webhook", "http", ""),
    ("url", "http", ""),
    ("table", "from", " As in `from: { table: orders }`"),
    ("operations", "from", " As in `from: { table: orders, operations: [update] }`"),
    ("on", "from", ""),
    ("op", "operations", ""),
    ("database", "source", ""),
    ("condition", "when", ""),
    ("if", "when", ""),
    ("where", "when", ""),
    ("filter", "when", ""),
    ("payload", "data", ""),
    ("body", "data", ""),
    ("example", "sample", ""),
    ("actions", "jobs", ""),
];
const ATTEMPTS: &str = " It counts the first one, too: of three retries it is 4";

/// What to write in place of a key that is not known: what it is a slip of, or what is called so here.
pub(crate) fn instead_of<'k>(key: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<String> {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let other =
        OTHERS.iter().find(|(other, ours, _)| *other == plain && known.clone().into_iter().any(|it| it == *ours));
    if let Some((_, ours, remark)) = other {
        return Some(format!("did you mean `{ours}`?{remark}"));
    }
    closest(key, known).map(|known| format!("did you mean `{known}`?"))
}
