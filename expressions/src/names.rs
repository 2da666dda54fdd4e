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
    let event: &[(&str, Var)] = &[("data", Var::Data), ("event", Var::Event)];
    match scope {
        Scope::Change => change.iter().chain(&event[..0]),
        Scope::Key => change.iter().chain(&event[..1]),
        Scope::Job => change[..0].iter().chain(event),
    }
    .copied()
}

/// The variable of this name.
pub(crate) fn variable(name: &str, scope: Scope) -> Option<Var> {
    variables(scope).find(|(known, _)| *known == name).map(|(_, var)| var)
}
