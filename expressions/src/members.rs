//! Which members of `data` and `event` an expression needs to have a value.

use crate::functions::Function;
use crate::node::{Kind, Literal, Node, Var};

/// A member that is needed, whatever the data hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whether it is one of `event`, and not of `data`.
    pub of_event: bool,
    /// Its name.
    pub name: String,
    /// Where its name begins, in bytes of the text.
    pub offset: usize,
}

/// Adds those of a node. What may be passed over when it is evaluated is not needed: the branches of a choice, the terms of a
/// condition, what has a default.
pub(crate) fn needed(node: &Node, source: &str, into: &mut Vec<Member>) {
    match &node.kind {
        Kind::Select(inner, field) => match root(inner) {
            Some(of_event) => {
                let from = inner.span.end as usize;
                let at = source.get(from..).and_then(|rest| rest.find(field.as_str())).map_or(from, |at| from + at);
                into.push(Member { of_event, name: field.clone(), offset: at });
            }
            None => needed(inner, source, into),
        },
        Kind::Index(pair) => match (root(&pair[0]), &pair[1].kind) {
            (Some(of_event), Kind::Literal(Literal::String(name))) => {
                into.push(Member { of_event, name: name.clone(), offset: pair[1].span.start as usize });
            }
            _ => pair.iter().for_each(|part| needed(part, source, into)),
        },
        Kind::If(parts) => needed(&parts[0], source, into),
        Kind::Has(..) | Kind::And(_) | Kind::Or(_) | Kind::Macro(_) => {}
        Kind::Call(Function::Coalesce | Function::Get, _) => {}
        // Beside a written null what is missing is null.
        Kind::Equal { sides, .. } if sides.iter().any(|side| matches!(side.kind, Kind::Literal(Literal::Null))) => {}
        _ => node.children().into_iter().for_each(|child| needed(child, source, into)),
    }
}

/// Whether it is `event`, or else `data`.
fn root(node: &Node) -> Option<bool> {
    match node.kind {
        Kind::Var(Var::Event) => Some(true),
        Kind::Var(Var::Data) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Expression, Scope};

    #[test]
    fn what_is_needed_is_what_is_never_passed_over() {
        for (expression, needed) in [
            ("data.a", "data.a@5"),
            ("data . a.b + data['c d']", "data.a@7 data.c d@18"),
            ("string(event.id) + event.nam", "event.id@13 event.nam@25"),
            ("data.a ? data.b : data.c", "data.a@5"),
            ("coalesce(data.a, event.b) == get(data, 'x', 1) || data.y", ""),
            ("has(data.a) && data.a == 1", ""),
            ("data.a == null", ""),
            ("data.list.map(x, data.y)", ""),
            ("data", ""),
            ("{'k': [data.a]}", "data.a@12"),
        ] {
            let compiled = Expression::compile(expression, Scope::Job).expect(expression);
            let shown = compiled.members().into_iter();
            let shown =
                shown.map(|it| format!("{}.{}@{}", if it.of_event { "event" } else { "data" }, it.name, it.offset));
            assert_eq!(shown.collect::<Vec<_>>().join(" "), needed, "{expression}");
        }
    }
}
