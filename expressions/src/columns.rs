//! Which columns an expression can look at: what need not be read of a row.

use contracts::hasura::Row;
use hashbrown::HashSet;

use crate::{
    functions::Function,
    get,
    node::{Kind, Literal, Node, Var},
};

/// The columns of both rows that are looked at, by name; or any, and the body as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Columns {
    /// Every one, and what is beside the rows.
    #[default]
    Any,
    /// These of each row.
    Named {
        /// Of the row before.
        old: HashSet<String>,
        /// Of the row after.
        new: HashSet<String>,
    },
}

impl Columns {
    /// No column yet, to add to.
    pub fn none() -> Self {
        Self::Named { old: HashSet::new(), new: HashSet::new() }
    }

    /// Whether a column of that name is one.
    pub fn has(&self, row: Row, name: &str) -> bool {
        match (self, row) {
            (Self::Any, _) => true,
            (Self::Named { old, .. }, Row::Old) => old.contains(name),
            (Self::Named { new, .. }, Row::New) => new.contains(name),
        }
    }

    fn add(&mut self, rows: &[Row], name: &str) {
        if let Self::Named { old, new } = self {
            for row in rows {
                let columns = if *row == Row::Old { &mut *old } else { &mut *new };
                columns.insert(name.to_owned());
            }
        }
    }
}

/// Adds what a node can look at.
pub(crate) fn collect(node: &Node, into: &mut Columns) {
    match &node.kind {
        Kind::Var(Var::Payload) => *into = Columns::Any,
        Kind::Var(_) if !node.rows().is_empty() => *into = Columns::Any,
        Kind::Select(inner, field) | Kind::Has(inner, field) if !inner.rows().is_empty() => {
            into.add(inner.rows(), field)
        }
        Kind::Index(pair) if !pair[0].rows().is_empty() => named(pair[0].rows(), &pair[1], into),
        Kind::Call(Function::Changed | Function::Became, arguments) => call(&[Row::Old, Row::New], arguments, into),
        Kind::Call(Function::Get, arguments) if !arguments[0].rows().is_empty() => {
            match &arguments[1].kind {
                Kind::Literal(Literal::String(path)) => {
                    get::names(path).take(1).for_each(|column| into.add(arguments[0].rows(), column));
                }
                _ => *into = Columns::Any,
            }
            collect(&arguments[2], into);
        }
        Kind::Call(Function::Was, arguments) => call(&[Row::Old], arguments, into),
        _ => node.children().into_iter().for_each(|child| collect(child, into)),
    }
}

/// A function whose first argument names a column.
fn call(rows: &[Row], arguments: &[Node], into: &mut Columns) {
    if let Some((column, values)) = arguments.split_first() {
        named(rows, column, into);
        values.iter().for_each(|value| collect(value, into));
    }
}

/// The column that a node names; any, if the name is computed.
fn named(rows: &[Row], node: &Node, into: &mut Columns) {
    match &node.kind {
        Kind::Literal(Literal::String(name)) => into.add(rows, name),
        _ => *into = Columns::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expression, Scope};

    fn columns(expression: &str) -> Columns {
        let compiled = Expression::compile(expression, Scope::Change).expect("compiles");
        let mut columns = Columns::none();
        compiled.columns(&mut columns);
        columns
    }

    #[test]
    fn columns_are_those_that_are_named() {
        for (expression, old, new) in [
            ("true", "", ""),
            ("op == 'INSERT' && user == 'me' && table.name == 't'", "", ""),
            ("new.a > 1 && old.b == row.c", "b c", "a c"),
            ("has(new.a) || 'x' in session", "", "a"),
            ("new['a'] == 1 && old.b['c'].d == 2", "b", "a"),
            ("changed('a') && was('b', new.c) && became('d', old.e)", "a b d e", "a c d"),
            ("new.a.exists(x, x == old.b)", "b", "a"),
            ("new.a in [new.b, {'k': new.c}] ? new.d : coalesce(new.e, 1)", "", "a b c d e"),
            ("changedAny('a', 'b')", "a b", "a b"),
            ("get(new, 'a.b.0', old.c) == get(old, 'd', null)", "c d", "a"),
            ("get(row['a'], 'b', 1) == 1", "a", "a"),
            ("num(new.a) > 1 && lower(new.b) == json(old.c)", "c", "a b"),
            ("new.name.matches('x') && timestamp(new.at).getHours('UTC') > 1", "", "at name"),
        ] {
            let names = |text: &str| text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(columns(expression), Columns::Named { old: names(old), new: names(new) }, "{expression}");
        }
    }

    #[test]
    fn what_could_be_any_is_all() {
        for expression in [
            "new == old",
            "get(new, op, 1) == 1",
            "changedAny('a', op)",
            "json(new) == ''",
            "new[op] == 1",
            "changed(op)",
            "size(row) > 1",
            "'a' in new",
            "payload.id == 'x'",
            "new.all(k, k != 'a')",
        ] {
            assert_eq!(columns(expression), Columns::Any, "{expression}");
        }
    }
}
