//! Which columns an expression can look at: what need not be read of a row.

use std::collections::BTreeSet;

use super::{
    eval::is_row,
    functions::Function,
    node::{Kind, Literal, Node, Var},
};

/// Columns by name; none (`None`) if it may be any, or the body as a whole.
pub(crate) type Columns = Option<BTreeSet<String>>;

/// Adds what a node can look at.
pub(crate) fn collect(node: &Node, into: &mut Columns) {
    match &node.kind {
        Kind::Var(Var::Old | Var::New | Var::Row | Var::Payload) => *into = None,
        Kind::Select(inner, field) | Kind::Has(inner, field) if is_row(inner) => add(field, into),
        Kind::Index(pair) if is_row(&pair[0]) => named(&pair[1], into),
        Kind::Call(Function::Changed | Function::Was | Function::Became, arguments) => {
            if let Some((column, values)) = arguments.split_first() {
                named(column, into);
                values.iter().for_each(|value| collect(value, into));
            }
        }
        _ => node.children().into_iter().for_each(|child| collect(child, into)),
    }
}

/// The column that a node names; any, if the name is computed.
fn named(node: &Node, into: &mut Columns) {
    match &node.kind {
        Kind::Literal(Literal::String(name)) => add(name, into),
        _ => *into = None,
    }
}

fn add(name: &str, into: &mut Columns) {
    if let Some(names) = into {
        names.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expression, Scope};

    fn columns(expression: &str) -> Option<Vec<String>> {
        let compiled = Expression::compile(expression, Scope::Change).expect("compiles");
        let mut columns = Some(Default::default());
        compiled.columns(&mut columns);
        columns.map(|names| names.into_iter().collect())
    }

    #[test]
    fn columns_are_those_that_are_named() {
        for (expression, expected) in [
            ("true", &[][..]),
            ("op == 'INSERT' && user == 'me' && table.name == 't'", &[]),
            ("new.a > 1 && old.b == row.c", &["a", "b", "c"]),
            ("has(new.a) || 'x' in session", &["a"]),
            ("new['a'] == 1 && new.b['c'].d == 2", &["a", "b"]),
            ("changed('a') && was('b', new.c) && became('d', 1)", &["a", "b", "c", "d"]),
            ("new.a.exists(x, x == old.b)", &["a", "b"]),
            ("new.a in [new.b, {'k': new.c}] ? new.d : coalesce(new.e, 1)", &["a", "b", "c", "d", "e"]),
            ("new.name.matches('x') && timestamp(new.at).getHours('UTC') > 1", &["at", "name"]),
        ] {
            assert_eq!(
                columns(expression).as_deref(),
                Some(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{expression}"
            );
        }
    }

    #[test]
    fn what_could_be_any_is_all() {
        for expression in [
            "new == old",
            "new[op] == 1",
            "changed(op)",
            "size(row) > 1",
            "'a' in new",
            "payload.id == 'x'",
            "new.all(k, k != 'a')",
        ] {
            assert_eq!(columns(expression), None, "{expression}");
        }
    }
}
