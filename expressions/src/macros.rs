//! `all`, `exists`, `exists_one`, `filter` and `map`, over a list or the keys of a map.

use crate::{
    error::Stop,
    eval::{Evaluator, decide},
    node::{Macro, MacroKind},
    value::Value,
};

/// Runs a macro: its variable is on the stack of locals while an element is looked at.
pub(crate) fn run<'a>(evaluator: &Evaluator<'a>, parts: &'a Macro) -> Result<Value<'a>, Stop> {
    let over = evaluator.present(&parts.over)?;
    let elements = over.elements().ok_or_else(|| {
        Stop::failed(parts.over.span, format!("is {}, and a list or a map is wanted here", over.kind()))
    })?;
    evaluator.context.budget.spend(elements.len(), parts.over.span)?;
    let test = |element: Value<'a>| match &parts.test {
        Some(node) => evaluator.with(element, || evaluator.condition(node)),
        None => Ok(true),
    };
    match parts.kind {
        MacroKind::All => decide(elements.iter().map(test), false).map(Value::Bool),
        MacroKind::Exists => decide(elements.iter().map(test), true).map(Value::Bool),
        MacroKind::ExistsOne => {
            let mut found = 0;
            for element in elements.iter() {
                found += usize::from(test(element)?);
            }
            Ok(Value::Bool(found == 1))
        }
        MacroKind::Map => {
            let mut kept = Vec::new();
            for element in elements.iter() {
                if test(element.clone())? {
                    evaluator.context.budget.make(size_of::<Value<'_>>(), parts.over.span)?;
                    kept.push(match &parts.result {
                        Some(node) => evaluator.with(element, || evaluator.eval(node))?,
                        None => element,
                    });
                }
            }
            Ok(Value::list(kept))
        }
    }
}
