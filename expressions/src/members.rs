//! Which members of `data` and `event` an expression needs to have a value, and which of other variables it names.

use std::collections::BTreeMap;

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
                into.push(Member { of_event, name: field.clone(), offset: name_at(inner, field, source) });
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

/// What an expression names of a variable that is a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Its members, and where each name is first written, in bytes of the text.
    pub members: BTreeMap<String, usize>,
    /// Where it stands as a whole, or a member of it is computed; then any may be meant.
    pub whole: Option<usize>,
}

/// Adds those of a node, also what may be passed over.
pub(crate) fn named(node: &Node, var: Var, source: &str, into: &mut Named) {
    if matches!(node.kind, Kind::Var(found) if found == var) {
        into.whole.get_or_insert(node.span.start as usize);
    } else if let Some((name, at, rest)) = member_of(node, var, source) {
        into.members.entry(name.to_owned()).or_insert(at);
        rest.into_iter().for_each(|rest| named(rest, var, source, into));
    } else {
        node.children().into_iter().for_each(|child| named(child, var, source, into));
    }
}

/// The member of a variable that a node names, where it does so, and what else is within the node.
fn member_of<'n>(node: &'n Node, var: Var, source: &str) -> Option<(&'n str, usize, Option<&'n Node>)> {
    let (of, name, rest) = match &node.kind {
        Kind::Select(inner, field) | Kind::Has(inner, field) => {
            let is_var = matches!(inner.kind, Kind::Var(found) if found == var);
            return is_var.then(|| (field.as_str(), name_at(inner, field, source), None));
        }
        Kind::Index(pair) => (&pair[0], &pair[1], None),
        Kind::In(pair) => (&pair[1], &pair[0], None),
        Kind::Call(Function::Get, parts) => (&parts[0], &parts[1], parts.get(2)),
        _ => return None,
    };
    match (&of.kind, &name.kind) {
        (Kind::Var(found), Kind::Literal(Literal::String(path))) if *found == var => {
            let first = if rest.is_some() { path.split('.').next() } else { None };
            Some((first.unwrap_or(path), name.span.start as usize, rest))
        }
        _ => None,
    }
}

/// Where the name of a member is written.
fn name_at(inner: &Node, field: &str, source: &str) -> usize {
    let from = inner.span.end as usize;
    source.get(from..).and_then(|rest| rest.find(field)).map_or(from, |at| from + at)
}

/// Whether a node names anything of a change.
pub(crate) fn is_about_change(node: &Node) -> bool {
    match &node.kind {
        Kind::Var(var) => !matches!(var, Var::Data | Var::Event | Var::Params | Var::Input),
        Kind::Call(function, _) if function.is_about_changes() => true,
        _ => node.children().into_iter().any(is_about_change),
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
    fn what_names_a_row_needs_a_change() {
        for (expression, needs) in [
            ("data.a", false),
            ("new.a", true),
            ("[data.a, string(old.b)]", true),
            ("data.list.map(x, x.a)", false),
            ("changed('a')", true),
            ("received", true),
        ] {
            let compiled = Expression::compile(expression, Scope::Key).expect(expression);
            assert_eq!(compiled.needs_change(), needs, "{expression}");
        }
    }

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

    #[test]
    fn parameters_are_named_wherever_they_stand() {
        for (expression, members, whole) in [
            ("params.to", "to@7", None),
            ("coalesce(params . to, params['a b'])", "a b@29 to@18", None),
            ("has(params.to) || 'cc' in params", "cc@18 to@11", None),
            ("get(params, 'to.name', params.other)", "other@30 to@12", None),
            ("data.list.map(x, x + params.y)", "y@28", None),
            ("json(params)", "", Some(5)),
            ("params[data.which]", "", Some(0)),
            ("data.params", "", None),
        ] {
            let named = Expression::compile(expression, Scope::Job).expect(expression).params();
            let shown: Vec<_> = named.members.iter().map(|(name, at)| format!("{name}@{at}")).collect();
            assert_eq!((shown.join(" ").as_str(), named.whole), (members, whole), "{expression}");
        }
    }
}
