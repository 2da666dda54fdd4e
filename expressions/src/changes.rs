//! Which columns a condition wants to have changed: of an update in which none of them did, nobody need be told.

use std::collections::BTreeSet;

use crate::{
    functions::Function,
    node::{Kind, Literal, Node},
};

/// Columns of which at least one has changed wherever the condition holds; the fewest, where there is a choice. None if it can
/// hold whatever changed.
pub(crate) fn wanted(node: &Node) -> Option<BTreeSet<&str>> {
    match &node.kind {
        Kind::And(terms) => terms.iter().filter_map(wanted).min_by_key(BTreeSet::len),
        Kind::Or(terms) => {
            let sets: Option<Vec<_>> = terms.iter().map(wanted).collect();
            sets.map(|sets| sets.into_iter().flatten().collect())
        }
        _ => column(node).map(|column| BTreeSet::from([column])),
    }
}

/// Whether the condition holds nowhere but where one of those columns has changed.
pub(crate) fn only_with(node: &Node, is_one: &dyn Fn(&str) -> bool) -> bool {
    match &node.kind {
        Kind::And(terms) => terms.iter().any(|term| only_with(term, is_one)),
        Kind::Or(terms) => terms.iter().all(|term| only_with(term, is_one)),
        _ => column(node).is_some_and(is_one),
    }
}

/// The column that has changed where this holds.
fn column(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Call(Function::Changed | Function::Became, arguments) => match &arguments.first()?.kind {
            Kind::Literal(Literal::String(name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Expression, Scope};

    #[test]
    fn a_condition_says_which_columns_it_wants_to_have_changed() {
        for (condition, columns) in [
            ("changed('a')", Some("a")),
            ("became('a', 1) && new.b == 2", Some("a")),
            ("new.b == 2 && changed('a')", Some("a")),
            ("changed('a') || became('b', new.c)", Some("a b")),
            ("(changed('a') || changed('b')) && changed('c')", Some("c")),
            ("changed('a') || new.b == 2", None),
            ("!changed('a')", None),
            ("new.a != old.a", None),
            ("changed(op)", None),
            ("was('a', 1)", None),
            ("changed('a') ? true : false", None),
        ] {
            let compiled = Expression::compile(condition, Scope::Change).expect("compiles");
            let wanted = compiled.wanted_changes().map(|names| names.into_iter().collect::<Vec<_>>().join(" "));
            assert_eq!(wanted.as_deref(), columns, "{condition}");
            let all = |name: &str| columns.is_some_and(|columns| columns.split(' ').any(|column| column == name));
            assert_eq!(compiled.holds_only_with_changes(&all), columns.is_some(), "{condition}");
        }
        // Either of two will do, and of two that may stand for one another none is enough.
        let either = Expression::compile("changed('a') && changed('b')", Scope::Change).expect("compiles");
        assert!(either.holds_only_with_changes(&|name| name == "b"));
        let any = Expression::compile("changed('a') || changed('b')", Scope::Change).expect("compiles");
        assert!(!any.holds_only_with_changes(&|name| name == "b"));
    }
}
