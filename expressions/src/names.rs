//! The names that an expression may use.

use crate::node::{Scope, Var};

/// What the operations are called, as `op` has them.
pub(crate) const OPERATIONS: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "MANUAL"];
/// What the types are called, as `type()` returns them.
pub(crate) const TYPES: [&str; 11] =
    ["int", "double", "string", "bool", "bytes", "list", "map", "null_type", "timestamp", "duration", "type"];

/// The variables of a scope.
pub(crate) fn variables(scope: Scope) -> impl Iterator<Item = (&'static str, Var)> {
    let change: &[(&str, Var)] = &[
        ("op", Var::Op),
        ("table", Var::Table),
        ("old", Var::Old),
        ("new", Var::New),
        ("row", Var::Row),
        ("session", Var::Session),
        ("user", Var::User),
        ("role", Var::Role),
        ("trigger", Var::Trigger),
        ("source", Var::Source),
        ("received", Var::Received),
        ("payload", Var::Payload),
    ];
    let scheduled: &[(&str, Var)] = &[
        ("payload", Var::Body("payload")),
        ("scheduled_time", Var::Body("scheduled_time")),
        ("name", Var::Body("name")),
        ("comment", Var::Body("comment")),
        ("id", Var::Body("id")),
        ("created_at", Var::Body("created_at")),
        ("source", Var::Source),
        ("received", Var::Received),
    ];
    let action: &[(&str, Var)] = &[
        ("input", Var::Body("input")),
        ("action", Var::Body("action")),
        ("session", Var::Session),
        ("user", Var::User),
        ("role", Var::Role),
        ("request_query", Var::Body("request_query")),
        ("source", Var::Source),
        ("received", Var::Received),
    ];
    let event: &[(&str, Var)] =
        &[("data", Var::Data), ("event", Var::Event), ("params", Var::Params), ("input", Var::Input)];
    let (payload, none) = (&change[change.len() - 1..], &change[..0]);
    match scope {
        Scope::Change => change.iter().chain(none),
        Scope::Key => change.iter().chain(&event[..1]),
        Scope::Scheduled => scheduled.iter().chain(none),
        Scope::ScheduledKey => scheduled.iter().chain(&event[..1]),
        Scope::Action => action.iter().chain(none),
        Scope::ActionKey => action.iter().chain(&event[..1]),
        Scope::Answer => action.iter().chain(&event[..2]),
        Scope::With => none.iter().chain(&event[..2]),
        Scope::Input => payload.iter().chain(&event[..3]),
        Scope::Job => none.iter().chain(event),
    }
    .copied()
}

/// The variable of this name.
pub(crate) fn variable(name: &str, scope: Scope) -> Option<Var> {
    variables(scope).find(|(known, _)| *known == name).map(|(_, var)| var)
}
