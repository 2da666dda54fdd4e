//! Recognises what the parser made of chains and macros.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::MacroKind;

/// The links of a chain of one operator, in the order of the text.
pub(super) fn links_of<'e>(call: &'e CallExpr, operator: &str, links: &mut Vec<&'e IdedExpr>) {
    for link in &call.args {
        match &link.expr {
            Expr::Call(inner) if inner.func_name == operator => links_of(inner, operator, links),
            _ => links.push(link),
        }
    }
}

type LoopParts<'e> = (MacroKind, Option<&'e IdedExpr>, Option<&'e IdedExpr>);

/// Which macro a loop was, its test and what it makes of an element.
pub(super) fn loop_parts(parts: &ComprehensionExpr) -> Option<LoopParts<'_>> {
    let Expr::Call(step) = &parts.loop_step.expr else { return None };
    let arguments = &step.args;
    Some(match (&parts.accu_init.expr, step.func_name.as_str()) {
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND) => {
            (MacroKind::All, Some(arguments.get(1)?), None)
        }
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR) => {
            (MacroKind::Exists, Some(arguments.get(1)?), None)
        }
        (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL) => {
            (MacroKind::ExistsOne, Some(arguments.first()?), None)
        }
        (Expr::List(_), operators::ADD) => (MacroKind::Map, None, Some(appended(step)?)),
        (Expr::List(_), operators::CONDITIONAL) => {
            let Expr::Call(append) = &arguments.get(1)?.expr else { return None };
            (MacroKind::Map, Some(arguments.first()?), Some(appended(append)?))
        }
        _ => return None,
    })
}

fn appended(append: &CallExpr) -> Option<&IdedExpr> {
    match &append.args.get(1)?.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
