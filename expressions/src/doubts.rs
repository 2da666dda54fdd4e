//! What can be meant, and hardly is: a text that is compared with a value of a row, and has quotes of its own.

use crate::{
    error::CompileError,
    node::{Kind, Literal, Node},
    types::{self, Type},
};

/// Adds those of a node.
pub(crate) fn of(node: &Node, found: &mut Vec<CompileError>) {
    let of_row = |node: &Node| types::of(node) == Some(Type::Json);
    match &node.kind {
        Kind::Call(function, arguments) if function.is_about_changes() => {
            found.extend(arguments.iter().flat_map(quoted_twice));
        }
        Kind::Equal { sides, .. } | Kind::Compare(_, sides) | Kind::In(sides) => {
            let [left, right] = sides.as_ref();
            found.extend(quoted_twice(right).filter(|_| of_row(left)));
            found.extend(quoted_twice(left).filter(|_| of_row(right)));
        }
        _ => {}
    }
    node.children().into_iter().for_each(|child| of(child, found));
}

/// Quotes within quotes, as YAML wants them elsewhere: no column has such a text.
fn quoted_twice(node: &Node) -> Option<CompileError> {
    let written = match &node.kind {
        Kind::List(items) => return items.iter().find_map(quoted_twice),
        Kind::Literal(Literal::String(written)) => written,
        _ => return None,
    };
    let inner = ['\'', '"'].iter().find_map(|quote| written.strip_prefix(*quote)?.strip_suffix(*quote))?;
    let message = format!("{written:?} is a text with quotes in it");
    Some(CompileError::new(node.span.start as usize, message, Some(&format!("write {inner:?}"))))
}
