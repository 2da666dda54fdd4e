//! Bodies as Hasura sends them.

use serde_json::{Value, json};

/// The body of an event trigger. `old` and `new` are rows, or null.
pub fn change(id: &str, op: &str, table: &str, old: Value, new: Value) -> Value {
    json!({
        "created_at": "2026-03-02T09:41:07.530118",
        "delivery_info": { "current_retry": 0, "max_retries": 5 },
        "event": {
            "data": { "new": new, "old": old },
            "op": op,
            "session_variables": { "x-hasura-role": "admin" },
            "trace_context": null,
        },
        "id": id,
        "table": { "name": table, "schema": "public" },
        "trigger": { "name": format!("{table}_changed") },
    })
}

/// An insert of a row.
pub fn insert(id: &str, table: &str, new: Value) -> Value {
    change(id, "INSERT", table, Value::Null, new)
}

/// An update of a row.
pub fn update(id: &str, table: &str, old: Value, new: Value) -> Value {
    change(id, "UPDATE", table, old, new)
}

/// The same body with a session variable.
#[must_use]
pub fn with_session(mut body: Value, name: &str, value: &str) -> Value {
    body["event"]["session_variables"][name] = value.into();
    body
}
